package seglog_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/seglog"
)

// testdata/kafka-4.3.1 is a partition's directory as Apache Kafka 4.3.1 left it after a clean stop, with
// index.interval.bytes=300, written by its console producer with and without compression.
const golden = "testdata/kafka-4.3.1"

func goldenFile(t *testing.T, base record.Offset, suffix string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(golden, seglog.FileName(base, suffix)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAppendingKafkasBatchesMakesKafkasFiles(t *testing.T) {
	o, c := testOptions(t.TempDir()), testConfig()
	c.IndexIntervalBytes = 300
	l := mustOpen(t, o, c)
	var b record.Batch
	for rest := goldenFile(t, 0, seglog.LogSuffix); len(rest) > 0; {
		var err error
		if b, rest, err = record.Next(rest); err != nil {
			t.Fatal(err)
		}
		if _, err = l.Append(b); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, l)
	sameFiles := func(when string) {
		t.Helper()
		for _, suffix := range []string{seglog.LogSuffix, seglog.IndexSuffix, seglog.TimeIndexSuffix} {
			got, err := os.ReadFile(filepath.Join(o.Dir, seglog.FileName(0, suffix)))
			if want := goldenFile(t, 0, suffix); err != nil || !bytes.Equal(got, want) || len(want) == 0 {
				t.Errorf("%s: %s: %x\nwant %x (%v)", when, suffix, got, want, err)
			}
		}
	}
	sameFiles("appended")
	for _, suffix := range []string{seglog.IndexSuffix, seglog.TimeIndexSuffix} {
		if err := os.Remove(filepath.Join(o.Dir, seglog.FileName(0, suffix))); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, mustOpen(t, o, c))
	sameFiles("rebuilt")
}

func TestKafkasFilesAreFoundSound(t *testing.T) {
	n, err := seglog.Verify(seglog.OS(), golden, func(f seglog.Finding) { t.Errorf("%+v", f) })
	if err != nil || n.Logs != 1 || n.Segments != 1 || n.Batches < 40 {
		t.Fatalf("%+v %v", n, err)
	}
	entries, err := seglog.ReadSnapshot(seglog.OS(), golden, 48)
	if err != nil || len(entries) != 4 || entries[0].TxnFirstOffset != record.NoOffset {
		t.Fatalf("%+v %v", entries, err)
	}
	if want := goldenFile(t, 48, seglog.SnapshotSuffix); !bytes.Equal(seglog.AppendSnapshot(nil, entries), want) {
		t.Error("the snapshot is encoded otherwise")
	}
	epochs, err := seglog.ReadEpochs(seglog.OS(), golden)
	if err != nil || len(epochs) != 1 || epochs[0] != (seglog.EpochEntry{}) {
		t.Fatal(epochs, err)
	}
	if id, err := seglog.ReadPartitionMetadata(seglog.OS(), golden); err != nil || len(id) != 22 {
		t.Fatal(id, err)
	}
}
