package seglog_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/seglog"
	"github.com/millrun/millrun/core/seglog/faultfs"
)

// openFuzzed opens a log whose only segment has the given files, reads it, and appends to it.
func openFuzzed(t *testing.T, log, index, times []byte, point record.Offset) (got []byte, ok bool) {
	fs := faultfs.New()
	if err := fs.MkdirAll("/log"); err != nil {
		t.Fatal(err)
	}
	fs.WriteFile("/log/"+seglog.FileName(0, seglog.LogSuffix), log)
	fs.WriteFile("/log/"+seglog.FileName(0, seglog.IndexSuffix), index)
	fs.WriteFile("/log/"+seglog.FileName(0, seglog.TimeIndexSuffix), times)
	o := testOptions("/log")
	o.FS, o.RecoveryPoint, o.Epochs = fs, point, nil
	l, _, err := seglog.Open(o, testConfig())
	if err != nil {
		if !errors.As(err, new(*seglog.DamageError)) {
			t.Fatal(err)
		}
		return nil, false
	}
	got, err = readAll(l, 1000)
	if err != nil {
		if !errors.As(err, new(*seglog.DamageError)) {
			t.Fatal(err)
		}
		return nil, false
	}
	if !bytes.HasPrefix(log, got) {
		t.Fatal("something was read that is not in the file")
	}
	_, _, stampErr := l.OffsetForTimestamp(testTime+3, l.EndOffset())
	_, appendErr := l.Append(batchAt(l.EndOffset(), 1, testTime, 1))
	if err := errors.Join(stampErr, appendErr); err != nil && l.EndOffset() < 1<<31-2 {
		t.Fatal(err)
	}
	_, _ = l.Close()
	return got, true
}

func FuzzRecoveryOfALogOfAnyBytes(f *testing.F) {
	s := makeSpecimen(f, false, false)
	b := s.files[seglog.FileName(0, seglog.LogSuffix)]
	f.Add(b, int64(0))
	f.Add(b[:len(b)-1], int64(3))
	f.Add(append(append([]byte{}, b...), make([]byte, 100)...), int64(0))
	f.Add(append(append([]byte{}, b[:200]...), b[230:]...), int64(0))
	f.Add([]byte{}, int64(1))
	f.Fuzz(func(t *testing.T, log []byte, point int64) {
		openFuzzed(t, log, nil, nil, record.Offset(point&0x7fffffff))
	})
}

func FuzzIndexesOfAnyBytesChangeNothing(f *testing.F) {
	s := makeSpecimen(f, true, true)
	log := s.files[seglog.FileName(0, seglog.LogSuffix)]
	f.Add(s.files[seglog.FileName(0, seglog.IndexSuffix)], s.files[seglog.FileName(0, seglog.TimeIndexSuffix)], false)
	f.Add([]byte{0, 0, 0, 1, 0, 0, 0, 9}, []byte{0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1}, true)
	f.Fuzz(func(t *testing.T, index, times []byte, flushed bool) {
		point := record.Offset(0)
		if flushed {
			point = 30
		}
		if got, ok := openFuzzed(t, log, index, times, point); !ok || !bytes.Equal(got, log) {
			t.Fatalf("read %d bytes of %d", len(got), len(log))
		}
	})
}

func FuzzCheckpoints(f *testing.F) {
	f.Add([]byte("0\n1\na 0 5\n"))
	f.Add([]byte("0\n2\n0 0\n3 12\n"))
	f.Add([]byte("version: 0\ntopic_id: OBwu0nRaSieMYPQLRYaNMg"))
	f.Add(seglog.AppendSnapshot(nil, []seglog.ProducerEntry{{ProducerID: 1}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		fs := withDataDir(t)
		fs.WriteFile("/data/x", b)
		fs.WriteFile("/data/"+seglog.LeaderEpochFile, b)
		fs.WriteFile("/data/"+seglog.PartitionMetaFile, b)
		offsets, err1 := seglog.ReadOffsetCheckpoint(fs, "/data", "x")
		_, err2 := seglog.ReadEpochs(fs, "/data")
		_, err3 := seglog.ReadPartitionMetadata(fs, "/data")
		_, err4 := seglog.ReadCloseMarks(fs, "/data", "x")
		entries, err5 := seglog.ParseSnapshot("x", b)
		for _, err := range []error{err1, err2, err3, err4, err5} {
			if err != nil && !errors.Is(err, seglog.ErrFormat) {
				t.Fatal(err)
			}
		}
		if err5 == nil && !bytes.Equal(seglog.AppendSnapshot(nil, entries), b) {
			t.Fatal("snapshot is encoded otherwise than it was")
		}
		if err1 == nil {
			if err := seglog.WriteOffsetCheckpoint(fs, "/data", "y", offsets); err != nil {
				t.Fatal(err)
			}
			if again, err := seglog.ReadOffsetCheckpoint(fs, "/data", "y"); err != nil || len(again) != len(offsets) {
				t.Fatal(err)
			}
		}
	})
}
