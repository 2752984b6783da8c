package seglog

import (
	"bytes"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/millrun/millrun/core/record"
)

// The names of Kafka's checkpoint files: the first three in the data directory, the others in a log's.
const (
	RecoveryPointFile  = "recovery-point-offset-checkpoint"
	LogStartFile       = "log-start-offset-checkpoint"
	HighWatermarkFile  = "replication-offset-checkpoint"
	LeaderEpochFile    = "leader-epoch-checkpoint"
	PartitionMetaFile  = "partition.metadata"
	checkpointVersion  = 0
	maxCheckpointFile  = 256 << 20
	partitionMetaLimit = 4 << 10
)

// TopicPartition names a partition in an offset checkpoint.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// EpochEntry says at which offset a leader epoch begins.
type EpochEntry struct {
	Epoch record.LeaderEpoch
	Start record.Offset
}

// EpochAt returns the leader epoch of offset, NoLeaderEpoch before the first entry. Entries are in ascending order.
func EpochAt(entries []EpochEntry, offset record.Offset) record.LeaderEpoch {
	for i := len(entries) - 1; i >= 0; i-- {
		if entries[i].Start <= offset {
			return entries[i].Epoch
		}
	}
	return record.NoLeaderEpoch
}

// WriteOffsetCheckpoint replaces a checkpoint file: the version, the number of entries, and a line "topic partition
// offset" for each. The old or the new contents survive a crash.
func WriteOffsetCheckpoint(fs FS, dir, name string, offsets map[TopicPartition]record.Offset) error {
	keys := make([]TopicPartition, 0, len(offsets))
	for k := range offsets {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		a, b := keys[i], keys[j]
		return a.Topic < b.Topic || a.Topic == b.Topic && a.Partition < b.Partition
	})
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d\n%d\n", checkpointVersion, len(keys))
	for _, k := range keys {
		fmt.Fprintf(&b, "%s %d %d\n", k.Topic, k.Partition, offsets[k])
	}
	return replaceFile(fs, dir, name, b.Bytes())
}

// ReadOffsetCheckpoint reads a checkpoint file. It fails with ErrFormat if the file is not whole; the error of a file
// that does not exist is the file system's.
func ReadOffsetCheckpoint(fs FS, dir, name string) (map[TopicPartition]record.Offset, error) {
	path := join(dir, name)
	b, err := readFile(fs, path, maxCheckpointFile)
	if err != nil {
		return nil, err
	}
	offsets := map[TopicPartition]record.Offset{}
	err = parseCheckpoint(path, b, 3, func(f []string) error {
		p, err := strconv.ParseInt(f[1], 10, 32)
		if err != nil || p < 0 {
			return fmt.Errorf("bad partition %q", f[1])
		}
		o, err := parseOffset(f[2])
		if err != nil {
			return err
		}
		k := TopicPartition{f[0], int32(p)}
		if _, twice := offsets[k]; twice {
			return fmt.Errorf("%s-%d is there twice", k.Topic, k.Partition)
		}
		offsets[k] = o
		return nil
	})
	if err != nil {
		return nil, err
	}
	return offsets, nil
}

// WriteEpochs replaces a leader-epoch-checkpoint: the version, the number of entries, and a line "epoch offset" for each.
func WriteEpochs(fs FS, dir string, entries []EpochEntry) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d\n%d\n", checkpointVersion, len(entries))
	for _, e := range entries {
		fmt.Fprintf(&b, "%d %d\n", e.Epoch, e.Start)
	}
	return replaceFile(fs, dir, LeaderEpochFile, b.Bytes())
}

// ReadEpochs reads a leader-epoch-checkpoint. Epochs must rise, and their offsets must not fall.
func ReadEpochs(fs FS, dir string) ([]EpochEntry, error) {
	path := join(dir, LeaderEpochFile)
	b, err := readFile(fs, path, maxCheckpointFile)
	if err != nil {
		return nil, err
	}
	return parseEpochs(path, b)
}

func parseEpochs(path string, b []byte) ([]EpochEntry, error) {
	var entries []EpochEntry
	err := parseCheckpoint(path, b, 2, func(f []string) error {
		epoch, err := strconv.ParseInt(f[0], 10, 32)
		if err != nil || epoch < 0 {
			return fmt.Errorf("bad epoch %q", f[0])
		}
		start, err := parseOffset(f[1])
		if err != nil {
			return err
		}
		e := EpochEntry{record.LeaderEpoch(epoch), start}
		if n := len(entries); n > 0 && (e.Epoch <= entries[n-1].Epoch || e.Start < entries[n-1].Start) {
			return fmt.Errorf("epoch %d at %d does not follow epoch %d at %d", e.Epoch, e.Start, entries[n-1].Epoch, entries[n-1].Start)
		}
		entries = append(entries, e)
		return nil
	})
	return entries, err
}

func parseOffset(s string) (record.Offset, error) {
	o, err := strconv.ParseInt(s, 10, 64)
	if err != nil || o < 0 {
		return 0, fmt.Errorf("bad offset %q", s)
	}
	return record.Offset(o), nil
}

// parseCheckpoint calls line for each entry of a checkpoint file, with its fields.
func parseCheckpoint(path string, b []byte, fields int, line func(f []string) error) error {
	lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	if lines[0] != strconv.Itoa(checkpointVersion) {
		return formatError(path, "version %.20q is unknown", lines[0])
	}
	if len(lines) < 2 {
		return formatError(path, "number of entries is missing")
	}
	n, err := strconv.Atoi(lines[1])
	if err != nil || n != len(lines)-2 {
		return formatError(path, "%d entries instead of %.20q", len(lines)-2, lines[1])
	}
	for i, l := range lines[2:] {
		f := strings.Split(l, " ")
		if len(f) != fields {
			return formatError(path, "line %d: %d fields instead of %d", i+3, len(f), fields)
		}
		if err := line(f); err != nil {
			return formatError(path, "line %d: %v", i+3, err)
		}
	}
	return nil
}

// WritePartitionMetadata writes partition.metadata, which says of which topic the log is. topicID is in the form in which
// Kafka prints UUIDs.
func WritePartitionMetadata(fs FS, dir, topicID string) error {
	return replaceFile(fs, dir, PartitionMetaFile, []byte("version: 0\ntopic_id: "+topicID))
}

// ReadPartitionMetadata returns the topic id.
func ReadPartitionMetadata(fs FS, dir string) (string, error) {
	path := join(dir, PartitionMetaFile)
	b, err := readFile(fs, path, partitionMetaLimit)
	if err != nil {
		return "", err
	}
	id, ok := strings.CutPrefix(strings.TrimRight(string(b), "\n"), "version: 0\ntopic_id: ")
	if !ok || id == "" || strings.ContainsAny(id, " \n") {
		return "", formatError(path, "it is not \"version: 0\" and a topic_id")
	}
	return id, nil
}

func formatError(path, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", ErrFormat, path, fmt.Sprintf(format, args...))
}
