package seglog_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/seglog"
	"github.com/millrun/millrun/core/seglog/faultfs"
)

func dataDir(t testing.TB) *faultfs.FS { return withDataDir(t) }

func TestCheckpointsAreWrittenAsKafkaWritesThem(t *testing.T) {
	fs := dataDir(t)
	offsets := map[seglog.TopicPartition]record.Offset{{Topic: "b", Partition: 10}: 7, {Topic: "b", Partition: 9}: 0, {Topic: "a", Partition: 0}: 1 << 40}
	epochs := []seglog.EpochEntry{{Epoch: 0, Start: 0}, {Epoch: 3, Start: 12}}
	err := errors.Join(
		seglog.WriteOffsetCheckpoint(fs, "/data", seglog.RecoveryPointFile, offsets),
		seglog.WriteEpochs(fs, "/data", epochs),
		seglog.WritePartitionMetadata(fs, "/data", "OBwu0nRaSieMYPQLRYaNMg"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		seglog.RecoveryPointFile: "0\n3\na 0 1099511627776\nb 9 0\nb 10 7\n",
		seglog.LeaderEpochFile:   "0\n2\n0 0\n3 12\n",
		seglog.PartitionMetaFile: "version: 0\ntopic_id: OBwu0nRaSieMYPQLRYaNMg",
	} {
		if got, _ := fs.ReadFile("/data/" + name); string(got) != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	gotOffsets, err1 := seglog.ReadOffsetCheckpoint(fs, "/data", seglog.RecoveryPointFile)
	gotEpochs, err2 := seglog.ReadEpochs(fs, "/data")
	id, err3 := seglog.ReadPartitionMetadata(fs, "/data")
	if err := errors.Join(err1, err2, err3); err != nil || !maps.Equal(gotOffsets, offsets) || !slices.Equal(gotEpochs, epochs) || id != "OBwu0nRaSieMYPQLRYaNMg" {
		t.Fatal(err, gotOffsets, gotEpochs, id)
	}
}

func TestMalformedCheckpointsAreRefused(t *testing.T) {
	fs := dataDir(t)
	for _, text := range []string{
		"", "0", "0\n", "1\n0\n", "0\n1\n", "0\n0\na 0 0\n", "0\n-1\n", "0\n1\na 0\n", "0\n1\na x 0\n", "0\n1\na -1 0\n", "0\n1\na 0 -1\n",
		"0\n1\na 0 0 0\n", "0\n2\na 0 0\na 0 1\n", "0\n1\na 0 9999999999999999999\n", "0\n99999999999999999999\n",
	} {
		fs.WriteFile("/data/x", []byte(text))
		if _, err := seglog.ReadOffsetCheckpoint(fs, "/data", "x"); !errors.Is(err, seglog.ErrFormat) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"0\n2\n1 0\n1 5\n", "0\n2\n1 5\n2 4\n", "0\n1\n-1 0\n", "0\n1\n0 -5\n"} {
		fs.WriteFile("/data/"+seglog.LeaderEpochFile, []byte(text))
		if _, err := seglog.ReadEpochs(fs, "/data"); !errors.Is(err, seglog.ErrFormat) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"", "version: 1\ntopic_id: x", "version: 0\ntopic_id: ", "version: 0\ntopic_id: a b"} {
		fs.WriteFile("/data/"+seglog.PartitionMetaFile, []byte(text))
		if _, err := seglog.ReadPartitionMetadata(fs, "/data"); !errors.Is(err, seglog.ErrFormat) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestEpochAtIsTheLatestThatHasBegun(t *testing.T) {
	entries := []seglog.EpochEntry{{Epoch: 2, Start: 10}, {Epoch: 5, Start: 20}}
	for offset, want := range map[record.Offset]record.LeaderEpoch{9: -1, 10: 2, 19: 2, 20: 5, 1 << 40: 5} {
		if got := seglog.EpochAt(entries, offset); got != want {
			t.Errorf("offset %d: epoch %d instead of %d", offset, got, want)
		}
	}
}

func TestACheckpointIsReplacedWholeOrNotAtAll(t *testing.T) {
	probe := dataDir(t)
	key := seglog.TopicPartition{Topic: "t"}
	write := func(fs *faultfs.FS, o record.Offset) error {
		return seglog.WriteOffsetCheckpoint(fs, "/data", "cp", map[seglog.TopicPartition]record.Offset{key: o})
	}
	before := probe.Mutations()
	if err := write(probe, 1); err != nil {
		t.Fatal(err)
	}
	for at := range probe.Mutations() - before {
		fs := dataDir(t)
		if err := write(fs, 1); err != nil {
			t.Fatal(err)
		}
		fs.CrashAt(at, 3)
		if err := write(fs, 2); err == nil {
			t.Fatalf("no crash at %d", at)
		}
		fs.Restart(faultfs.LoseUnsynced, nil)
		if got, err := seglog.ReadOffsetCheckpoint(fs, "/data", "cp"); err != nil || got[key] != 1 && got[key] != 2 {
			t.Fatalf("after a crash at %d: %v %v", at, got, err)
		}
	}
}

func TestSnapshotsAreRefusedWhenAnyByteDiffers(t *testing.T) {
	entries := []seglog.ProducerEntry{
		{ProducerID: 7, Epoch: 1, LastSequence: 5, LastOffset: 9, OffsetDelta: 2, Timestamp: testTime, CoordinatorEpoch: -1, TxnFirstOffset: -1},
		{ProducerID: 1 << 40, LastSequence: 1, LastOffset: 12, Timestamp: testTime, CoordinatorEpoch: 3, TxnFirstOffset: 11},
	}
	fs := dataDir(t)
	if err := seglog.WriteSnapshot(fs, "/data", 13, entries); err != nil {
		t.Fatal(err)
	}
	if got, err := seglog.ReadSnapshot(fs, "/data", 13); err != nil || !slices.Equal(got, entries) {
		t.Fatal(got, err)
	}
	b, _ := fs.ReadFile("/data/00000000000000000013.snapshot")
	for i := range b {
		bad := slices.Clone(b)
		bad[i] ^= 0x40
		if _, err := seglog.ParseSnapshot("x", bad); !errors.Is(err, seglog.ErrFormat) {
			t.Errorf("byte %d flipped: %v", i, err)
		}
		if _, err := seglog.ParseSnapshot("x", b[:i]); !errors.Is(err, seglog.ErrFormat) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
}

func TestCloseMarksAreRefusedWhenAnyByteDiffers(t *testing.T) {
	fs := dataDir(t)
	marks := map[string]seglog.CloseMark{
		"a-0": {EndOffset: 1, Size: 2, Segments: 3, LastSegment: 4, LastSize: 5, TailFrom: 6, TailCRC: 7, MaxTimestamp: 8, MaxTimestampOffset: 9},
		"b-1": {TailCRC: 0xffffffff, MaxTimestamp: -1, MaxTimestampOffset: -1},
	}
	if err := seglog.WriteCloseMarks(fs, "/data", "marks", marks); err != nil {
		t.Fatal(err)
	}
	if got, err := seglog.ReadCloseMarks(fs, "/data", "marks"); err != nil || !maps.Equal(got, marks) {
		t.Fatal(got, err)
	}
	b, _ := fs.ReadFile("/data/marks")
	for i := range b {
		bad := slices.Clone(b)
		bad[i] ^= 1
		fs.WriteFile("/data/bad", bad)
		if _, err := seglog.ReadCloseMarks(fs, "/data", "bad"); !errors.Is(err, seglog.ErrFormat) {
			t.Errorf("byte %d flipped: %v", i, err)
		}
		fs.WriteFile("/data/bad", b[:i])
		if _, err := seglog.ReadCloseMarks(fs, "/data", "bad"); !errors.Is(err, seglog.ErrFormat) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
}

func TestDumpPrintsBatchesRecordsAndIndexes(t *testing.T) {
	c := testConfig()
	c.IndexIntervalBytes = 0
	l, fs, _ := memLog(t, c)
	b := record.NewBuilder(nil)
	b.SetCodec(record.CodecZstd)
	b.Append(testTime, []byte("k"), nil, []record.Header{{Key: "h", Value: []byte{0xff}}})
	batch, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	batch.SetLeaderEpoch(0)
	if _, err := l.Append(batch); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, 2, 3)
	mustClose(t, l)
	dump := func(name string, o seglog.DumpOptions) string {
		var out bytes.Buffer
		if err := seglog.Dump(&out, fs, "/log"+name, o); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	got := dump("", seglog.DumpOptions{Records: true, JSON: true})
	for _, want := range []string{
		`{"type":"record","offset":0,"timestamp":1700000000000,"key":"k","value":null,"headers":[{"key":"h","value":{"base64":"/w=="}}]}`,
		`"base_offset":1,"last_offset":2`, `"value":"value 2 xxx"`, `"codec":"zstd"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if strings.Count(got, "\n") != 5 {
		t.Errorf("5 objects were expected:\n%s", got)
	}
	plain := dump("/"+seglog.FileName(0, seglog.LogSuffix), seglog.DumpOptions{})
	if strings.Count(plain, "\n") != 2 || !strings.Contains(plain, "offsets 1-2") {
		t.Error(plain)
	}
	if got := dump("/"+seglog.FileName(0, seglog.IndexSuffix), seglog.DumpOptions{}); !strings.HasPrefix(got, "offset 2 position ") {
		t.Error(got)
	}
	if got := dump("/"+seglog.FileName(0, seglog.TimeIndexSuffix), seglog.DumpOptions{JSON: true}); !strings.Contains(got, `"offset":2`) {
		t.Error(got)
	}
	fs.WriteFile("/log/"+seglog.FileName(0, seglog.LogSuffix), batch[:80])
	var damage *seglog.DamageError
	if err := seglog.Dump(&bytes.Buffer{}, fs, "/log", seglog.DumpOptions{}); !errors.As(err, &damage) {
		t.Error(err)
	}
}

func TestVerifyFindsAFlipOfAnyByte(t *testing.T) {
	s := makeSpecimen(t, true, true)
	s.files[seglog.LeaderEpochFile] = []byte("0\n1\n0 0\n")
	for n, b := range s.files {
		for i := range b {
			bad := slices.Clone(b)
			bad[i] ^= 4
			for n, orig := range s.files {
				s.fs.WriteFile("/log/"+n, orig)
			}
			s.fs.WriteFile("/log/"+n, bad)
			found := 0
			if _, err := seglog.Verify(s.fs, "/", func(f seglog.Finding) {
				found++
				if f.Derived != strings.HasSuffix(n, "index") && f.File == "/log/"+n {
					t.Errorf("%s, byte %d: %+v", n, i, f)
				}
			}); err != nil {
				t.Fatal(err)
			}
			if found == 0 && !(n == seglog.LeaderEpochFile && i > 4) {
				t.Errorf("%s: byte %d flipped, nothing found: %s", n, i, hex.EncodeToString(b[max(0, i-8):i+1]))
			}
		}
	}
}
