package seglog

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"sort"
	"strconv"
	"strings"

	"github.com/millrun/millrun/core/record"
)

// CloseMark is what a log looked like when it was closed. Open compares: a file that has become shorter or longer, and
// batches at the end that have changed in what their own checksums do not cover, are damage. A mark is good for one
// Open: it must be gone, durably, before the log is used.
type CloseMark struct {
	EndOffset   record.Offset
	Size        int64 // of all segments
	Segments    int
	LastSegment record.Offset // base offset
	LastSize    int64

	// TailCRC is over the first 21 bytes of each batch of the last segment from position TailFrom on: at least the last
	// two batches. (The rest of a batch is covered by its own checksum.)
	TailFrom int64
	TailCRC  uint32

	MaxTimestamp       int64         // of the last segment, -1 if none
	MaxTimestampOffset record.Offset // last offset of the batch that has it, -1 if none
}

func (m *CloseMark) maxRel() int32 {
	if m.MaxTimestamp < 0 {
		return -1
	}
	return int32(m.MaxTimestampOffset - m.LastSegment)
}

const (
	marksVersion = "0"
	markFields   = 10
	maxMarksFile = 256 << 20
)

// WriteCloseMarks writes the marks of many logs into one file: a line with the version, a line for each log (its name, then
// the fields of its mark), and a line with the CRC-32C of all that. Names are those of directories, without spaces.
func WriteCloseMarks(fs FS, dir, name string, marks map[string]CloseMark) error {
	names := make([]string, 0, len(marks))
	for n := range marks {
		names = append(names, n)
	}
	sort.Strings(names)
	var b bytes.Buffer
	b.WriteString(marksVersion + "\n")
	for _, n := range names {
		m := marks[n]
		fmt.Fprintf(&b, "%s %d %d %d %d %d %d %d %d %d\n", n, m.EndOffset, m.Size, m.Segments, m.LastSegment, m.LastSize,
			m.TailFrom, m.TailCRC, m.MaxTimestamp, m.MaxTimestampOffset)
	}
	fmt.Fprintf(&b, "%08x\n", crc32.Checksum(b.Bytes(), castagnoli))
	return replaceFile(fs, dir, name, b.Bytes())
}

// ReadCloseMarks reads what WriteCloseMarks wrote. It fails with ErrFormat if a single bit differs.
func ReadCloseMarks(fs FS, dir, name string) (map[string]CloseMark, error) {
	path := join(dir, name)
	b, err := readFile(fs, path, maxMarksFile)
	if err != nil {
		return nil, err
	}
	return parseCloseMarks(path, b)
}

func parseCloseMarks(path string, b []byte) (map[string]CloseMark, error) {
	const sumLine = 9
	if len(b) < sumLine || fmt.Sprintf("%08x\n", crc32.Checksum(b[:len(b)-sumLine], castagnoli)) != string(b[len(b)-sumLine:]) {
		return nil, formatError(path, "checksum does not match")
	}
	lines := strings.Split(string(b[:len(b)-sumLine]), "\n")
	if lines[0] != marksVersion {
		return nil, formatError(path, "version %q is unknown", lines[0])
	}
	marks := make(map[string]CloseMark, len(lines))
	for i, line := range lines[1:] {
		if line == "" {
			continue
		}
		name, m, err := parseCloseMark(line)
		if err != nil {
			return nil, formatError(path, "line %d: %v", i+2, err)
		}
		marks[name] = m
	}
	return marks, nil
}

func parseCloseMark(line string) (string, CloseMark, error) {
	f := strings.Split(line, " ")
	if len(f) != markFields {
		return "", CloseMark{}, fmt.Errorf("%d fields instead of %d", len(f), markFields)
	}
	var n [markFields]int64
	for i := 1; i < markFields; i++ {
		v, err := strconv.ParseInt(f[i], 10, 64)
		if err != nil {
			return "", CloseMark{}, err
		}
		n[i] = v
	}
	return f[0], CloseMark{
		EndOffset: record.Offset(n[1]), Size: n[2], Segments: int(n[3]), LastSegment: record.Offset(n[4]), LastSize: n[5],
		TailFrom: n[6], TailCRC: uint32(n[7]), MaxTimestamp: n[8], MaxTimestampOffset: record.Offset(n[9]),
	}, nil
}
