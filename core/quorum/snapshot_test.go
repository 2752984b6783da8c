package quorum

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/millrun/millrun/core/meta"
)

func every(n uint64) func(*Config) { return func(c *Config) { c.SnapshotEvery = n } }

// snapshotted makes a log with n changes and a snapshot after every 20, and closes it.
func snapshotted(t *testing.T, dir string, n int) (hash [32]byte, snapshots []uint64) {
	t.Helper()
	l := openLog(t, dir, every(20))
	for i := range n {
		mustChange(t, l, set(fmt.Sprint("k", i%7), fmt.Sprint(i)))
		for l.Stats().SnapshotSeq+20 <= l.Image().Seq() && i%20 == 0 {
			time.Sleep(time.Millisecond)
			mustChange(t, l, set("more", fmt.Sprint(time.Now())))
		}
	}
	hash = l.Image().Hash()
	closeLog(t, l)
	snapshots, err := l.snapshotDir().list()
	if err != nil {
		t.Fatal(err)
	}
	return hash, snapshots
}

func TestTwoSnapshotsStayAndTheLogBehindThemGoes(t *testing.T) {
	dir := t.TempDir()
	hash, snapshots := snapshotted(t, dir, 130)
	if len(snapshots) != 2 {
		t.Fatalf("snapshots %v", snapshots)
	}
	l := openLog(t, dir, every(20))
	if l.Image().Hash() != hash {
		t.Error("the image is another")
	}
	state, err := l.node.stream(t.Context(), false)
	if err != nil || state.FirstSeq != snapshots[1]+1 {
		t.Errorf("the log begins at %d, snapshots %v, %v", state.FirstSeq, snapshots, err)
	}
	mustChange(t, l, noop)
}

func TestADamagedSnapshotGivesWayToTheOneBefore(t *testing.T) {
	dir := t.TempDir()
	hash, snapshots := snapshotted(t, dir, 130)
	path := snapshotDir(dir + "/meta/solo/snapshots").path(snapshots[0])
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	for name, bad := range map[string][]byte{"flipped": flipped, "cut": good[:len(good)-1], "empty": {}} {
		if err := os.WriteFile(path, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		l, err := tryOpen(t, dir)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if l.Image().Hash() != hash || l.Stats().SnapshotSeq != snapshots[1] {
			t.Errorf("%s: opened from %d to another image", name, l.Stats().SnapshotSeq)
		}
		closeLog(t, l)
	}
	older := snapshotDir(dir + "/meta/solo/snapshots").path(snapshots[1])
	if err := os.Truncate(older, 100); err != nil {
		t.Fatal(err)
	}
	if l, err := tryOpen(t, dir); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "no snapshot reaches") {
		t.Errorf("both damaged: %v, %v", l, err)
	}
}

func TestASnapshotOfAnotherLogIsRefused(t *testing.T) {
	mine, other := t.TempDir(), t.TempDir()
	_, snapshots := snapshotted(t, mine, 130)
	l := openLog(t, other, every(1000))
	for l.Image().Seq() < snapshots[0] {
		mustChange(t, l, noop)
	}
	foreign := &snapshot{snapshots[0], l.Stats().Chain, l.Image()}
	closeLog(t, l)
	if err := snapshotDir(mine + "/meta/solo/snapshots").save(foreign); err != nil {
		t.Fatal(err)
	}
	if _, err := tryOpen(t, mine); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "not of this log") {
		t.Errorf("%v", err)
	}
}

func TestASnapshotOfANewerBinaryIsNotPassedOver(t *testing.T) {
	dir := t.TempDir()
	_, snapshots := snapshotted(t, dir, 60)
	d := snapshotDir(dir + "/meta/solo/snapshots")
	s, err := d.load(snapshots[0])
	if err != nil {
		t.Fatal(err)
	}
	b := newerSnapshot(s)
	if err := os.WriteFile(d.path(snapshots[0]), b, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := tryOpen(t, dir); !errors.Is(err, meta.ErrUnknownCommand) {
		t.Errorf("%v", err)
	}
}

func TestEveryChangedOrMissingByteOfASnapshotAndOfTheTailIsFound(t *testing.T) {
	img, err := meta.Apply(&meta.Image{}, 7, &meta.SetCluster{ClusterID: "c"})
	if err != nil {
		t.Fatal(err)
	}
	decoders := map[string]func([]byte) error{
		"snapshot": func(b []byte) error { _, err := decodeSnapshot(b); return err },
		"tail":     func(b []byte) error { _, err := decodeTail(b); return err },
	}
	for name, good := range map[string][]byte{
		"snapshot": (&snapshot{7, chainHash{1, 2}, img}).encode(),
		"tail":     tailMark{7, chainHash{3}}.encode(),
	} {
		decode := decoders[name]
		if err := decode(good); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i := range good {
			bad := bytes.Clone(good)
			bad[i] ^= 4
			if decode(bad) == nil || decode(good[:i]) == nil {
				t.Errorf("%s: damage at byte %d is not found", name, i)
			}
		}
		if decode(append(good, 0)) == nil {
			t.Errorf("%s: a byte too many is not found", name)
		}
	}
}

func FuzzDecodeSnapshot(f *testing.F) {
	img, _ := meta.Apply(&meta.Image{}, 7, &meta.SetCluster{ClusterID: "c"})
	f.Add((&snapshot{7, chainHash{1, 2}, img}).encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := decodeSnapshot(b); err == nil && !bytes.Equal(s.encode(), b) {
			t.Fatal("read as another than was written")
		}
	})
}

func FuzzDecodeTail(f *testing.F) {
	f.Add(tailMark{7, chainHash{3}}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := decodeTail(b); err == nil && !bytes.Equal(m.encode(), b) {
			t.Fatal("read as another than was written")
		}
	})
}

func FuzzUnsealMessage(f *testing.F) {
	f.Add(chainHash{1}.seal(meta.AppendCommand(nil, &meta.Noop{})))
	f.Fuzz(func(t *testing.T, b []byte) {
		before, command, err := unseal(message{seq: 1, data: b})
		if err == nil && !bytes.Equal(before.seal(command), b) {
			t.Fatal("read as another than was written")
		}
	})
}
