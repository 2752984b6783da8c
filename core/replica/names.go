package replica

import (
	"strconv"
	"strings"
)

// The names in a data directory that are not a partition's. They are Kafka's where Kafka has them.
const (
	metaPropertiesFile = "meta.properties"
	cleanStopFile      = ".kafka_cleanshutdown"
	closeMarksFile     = "clean-shutdown-marks"
	quarantineDir      = "quarantine"
	deleteSuffix       = "-delete"
	maxNameLength      = 255
)

func dirName(topic string, id int32) string { return topic + "-" + strconv.Itoa(int(id)) }
func join(dir, name string) string          { return dir + "/" + name }

// parseDirName splits a partition directory's name into topic and partition.
func parseDirName(name string) (topic string, id int32, ok bool) {
	i := strings.LastIndexByte(name, '-')
	if i < 1 {
		return "", 0, false
	}
	n, err := strconv.ParseInt(name[i+1:], 10, 32)
	if err != nil || n < 0 || dirName(name[:i], int32(n)) != name {
		return "", 0, false
	}
	return name[:i], int32(n), true
}

// deletedDirName is what the directory of a deleted partition is called until it is removed; a topic's name that would
// make it too long is cut.
func deletedDirName(topic string, id int32, unique string) string {
	suffix := "-" + strconv.Itoa(int(id)) + "." + unique + deleteSuffix
	return topic[:min(len(topic), maxNameLength-len(suffix))] + suffix
}

// isDeletedDirName tells whether a name is one that deletedDirName made.
func isDeletedDirName(name string) bool {
	rest, ok := strings.CutSuffix(name, deleteSuffix)
	if !ok {
		return false
	}
	dot := strings.LastIndexByte(rest, '.')
	if dot < 0 || len(rest)-dot-1 != 32 || strings.Trim(rest[dot+1:], "0123456789abcdef") != "" {
		return false
	}
	_, _, ok = parseDirName(rest[:dot])
	return ok
}
