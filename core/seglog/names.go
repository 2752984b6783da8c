package seglog

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/millrun/millrun/core/record"
)

// The suffixes of a log's files, as Kafka has them.
const (
	LogSuffix       = ".log"
	IndexSuffix     = ".index"
	TimeIndexSuffix = ".timeindex"
	TxnIndexSuffix  = ".txnindex"
	SnapshotSuffix  = ".snapshot"
	DeletedSuffix   = ".deleted"
)

// offsetDigits is the length of the offset in a segment's file names.
const offsetDigits = 20

// segmentSuffixes are of the files that go when their segment goes.
var segmentSuffixes = [...]string{LogSuffix, IndexSuffix, TimeIndexSuffix, TxnIndexSuffix, SnapshotSuffix}

// FileName is the name of a segment's file.
func FileName(base record.Offset, suffix string) string {
	return fmt.Sprintf("%0*d%s", offsetDigits, base, suffix)
}

// ParseFileName splits the name of a segment's file into its base offset and suffix.
func ParseFileName(name string) (base record.Offset, suffix string, ok bool) {
	if len(name) <= offsetDigits || name[offsetDigits] != '.' || strings.HasPrefix(name, "+") {
		return 0, "", false
	}
	n, err := strconv.ParseInt(name[:offsetDigits], 10, 64)
	if err != nil || n < 0 {
		return 0, "", false
	}
	return record.Offset(n), name[offsetDigits:], true
}

func join(dir, name string) string { return strings.TrimSuffix(dir, "/") + "/" + name }
