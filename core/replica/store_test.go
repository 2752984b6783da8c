package replica

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/seglog"
	"github.com/millrun/millrun/core/seglog/faultfs"
)

// world is a store and the metadata that it follows.
type world struct {
	t     testing.TB
	cfg   StoreConfig
	store *Store
	img   *meta.Image
	ids   uint64
}

func newWorld(t testing.TB, set map[string]string) *world {
	w := &world{t: t, img: &meta.Image{}, cfg: StoreConfig{Dir: t.TempDir(), Settings: testSettings(t, set), NodeID: 1,
		Now: newClock().now, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}}
	w.apply(&meta.RegisterBroker{Broker: meta.Broker{ID: 1, Incarnation: "a"}})
	t.Cleanup(func() {
		if w.store != nil {
			w.stop()
		}
	})
	return w
}

func (w *world) start() *world {
	w.t.Helper()
	s, err := OpenStore(w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.store = s
	s.Reconcile(nil, w.img)
	return w
}

func (w *world) stop() {
	w.t.Helper()
	if err := w.store.Close(context.Background()); err != nil {
		w.t.Error(err)
	}
	w.store = nil
}

// crash ends the store as kill -9 does: nothing is written any more, and the lock is free.
func (w *world) crash() {
	w.t.Helper()
	w.store.upkeep.stop()
	if err := w.store.unlock(); err != nil {
		w.t.Fatal(err)
	}
	w.store = nil
}

func (w *world) apply(c meta.Command) {
	w.t.Helper()
	old := w.img
	img, err := meta.Apply(old, old.Seq()+1, c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.img = img
	if w.store != nil {
		w.store.Reconcile(old, img)
	}
}

func (w *world) create(name string, partitions int32, configs map[string]string) meta.TopicID {
	w.t.Helper()
	w.ids++
	var random [16]byte
	spread := w.ids * 0x9e3779b97f4a7c15 // as different as random ones are
	binary.BigEndian.PutUint64(random[:], spread)
	binary.BigEndian.PutUint64(random[8:], spread*spread)
	id := meta.NewTopicID(random)
	c, errs := meta.DecideCreateTopics(w.img, []meta.NewTopic{{Name: name, ID: id, Partitions: partitions, ReplicationFactor: 1, Configs: configs}}, meta.TopicDefaults{})
	if errs[0] != nil {
		w.t.Fatal(errs[0])
	}
	w.apply(c)
	return id
}

func (w *world) delete(id meta.TopicID) { w.apply(&meta.DeleteTopics{IDs: []meta.TopicID{id}}) }

func (w *world) get(topic string, id int32) *Partition {
	w.t.Helper()
	p, ok := w.store.Get(topic, id)
	if !ok {
		w.t.Fatalf("%s-%d is not here", topic, id)
	}
	return p
}

// dirs are the names in the data directory, of which suffix is cut where a random part begins.
func (w *world) dirs() []string {
	w.t.Helper()
	entries, err := os.ReadDir(w.cfg.Dir)
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			name, _, _ := strings.Cut(e.Name(), ".")
			names = append(names, name)
		}
	}
	return names
}

func TestTopicsComeAndGoWithTheMetadata(t *testing.T) {
	w := newWorld(t, nil).start()
	id := w.create("a", 3, nil)
	w.create("b", 1, nil)
	for i := range int32(3) {
		p := w.get("a", i)
		q, ok := w.store.GetByID(id, i)
		if !ok || p != q || p.ID() != i || p.Topic() != "a" || p.TopicID() != id {
			t.Errorf("partition %d: %v %+v", i, ok, p)
		}
		mustAppend(t, p, shape{n: int(i) + 1})
	}
	for _, i := range []int32{-1, 3, 1 << 30} {
		if _, ok := w.store.Get("a", i); ok {
			t.Errorf("partition %d is there", i)
		}
	}
	if got := w.dirs(); !slices.Equal(got, []string{"a-0", "a-1", "a-2"}) { // nobody has written to b
		t.Errorf("directories %v", got)
	}
	b, err := os.ReadFile(filepath.Join(w.cfg.Dir, "a-2", "partition.metadata"))
	if err != nil || string(b) != "version: 0\ntopic_id: "+id.String() {
		t.Errorf("partition.metadata is %q, %v", b, err)
	}

	w.apply(&meta.CreatePartitions{Topics: []meta.AddedPartitions{{ID: id, Partitions: []meta.Partition{
		{ID: 3, Replicas: []meta.NodeID{1}, ISR: []meta.NodeID{1}, Leader: 1}}}}})
	mustAppend(t, w.get("a", 3), shape{})
	if _, _, _, end := w.get("a", 2).Offsets(); end != 3 {
		t.Errorf("partition 2 ends at %d", end)
	}

	p := w.get("a", 0)
	w.delete(id)
	if _, ok := w.store.Get("a", 0); ok {
		t.Error("a deleted topic is served by name")
	}
	if _, ok := w.store.GetByID(id, 0); ok {
		t.Error("a deleted topic is served by id")
	}
	if _, err := p.Append(shape{}.build(t), AppendOptions{}); !errors.Is(err, ErrClosed) {
		t.Errorf("append to a deleted partition: %v", err)
	}
	if got := w.dirs(); !slices.Equal(got, []string{"a-0", "a-1", "a-2", "a-3"}) {
		t.Errorf("directories %v", got) // renamed, and cut off by dirs
	}
	again := w.create("a", 1, nil)
	if again == id {
		t.Fatal("ids repeat")
	}
	if _, _, _, end := w.get("a", 0).Offsets(); end != 0 {
		t.Errorf("the new topic begins with %d records", end)
	}
}

func TestDeletedPartitionsAreRemovedAfterADelayAndAtTheNextStart(t *testing.T) {
	w := newWorld(t, nil)
	clock := newClock()
	w.cfg.Now = clock.now
	w.start()
	id := w.create("a", 1, map[string]string{"file.delete.delay.ms": "1000"})
	other := w.create("b", 1, nil)
	mustAppend(t, w.get("a", 0), shape{})
	mustAppend(t, w.get("b", 0), shape{})
	w.delete(id)
	w.store.upkeep.removeTrash()
	if got := w.dirs(); !slices.Equal(got, []string{"a-0", "b-0"}) {
		t.Errorf("too early: %v", got)
	}
	clock.ms.Add(1000)
	w.store.upkeep.removeTrash()
	if got := w.dirs(); !slices.Equal(got, []string{"b-0"}) {
		t.Errorf("when due: %v", got)
	}
	w.delete(other)
	w.stop()
	w.start()
	w.store.upkeep.removeTrash()
	if got := w.dirs(); len(got) != 0 {
		t.Errorf("after a start: %v", got)
	}
}

func TestEverythingIsThereAfterACleanStopAndNoFileIsOpen(t *testing.T) {
	w := newWorld(t, nil).start()
	w.create("a", 20, nil)
	for i := range int32(20) {
		for j := range i {
			mustAppend(t, w.get("a", i), shape{pid: 5, sequence: j, size: 100})
		}
	}
	w.stop()
	for range 3 {
		w.start()
		if n := w.store.OpenFiles(); n != 0 {
			t.Errorf("%d files are open", n)
		}
		for i := range int32(20) {
			p := w.get("a", i)
			if _, hw, _, end := p.Offsets(); end != record.Offset(i) || hw != end {
				t.Errorf("partition %d ends at %d, high watermark %d", i, end, hw)
			}
		}
		if n := w.store.OpenFiles(); n != 0 {
			t.Errorf("%d files are open", n)
		}
		w.stop()
		for _, name := range []string{".kafka_cleanshutdown", "meta.properties", "recovery-point-offset-checkpoint", "replication-offset-checkpoint"} {
			if _, err := os.Stat(filepath.Join(w.cfg.Dir, name)); err != nil {
				t.Error(err)
			}
		}
	}
	w.start()
	if _, err := os.Stat(filepath.Join(w.cfg.Dir, ".kafka_cleanshutdown")); !os.IsNotExist(err) {
		t.Errorf("the mark of the clean stop must not outlive the start: %v", err)
	}
	if a := mustAppend(t, w.get("a", 19), shape{pid: 5, sequence: 16, size: 100}); !a.Duplicate || a.Base != 16 {
		t.Errorf("%+v", a)
	}
	if n := len(readAll(t, w.get("a", 7))); n != 7 {
		t.Errorf("%d batches", n)
	}
}

func TestNothingAcknowledgedIsLostInACrash(t *testing.T) {
	w := newWorld(t, nil).start()
	w.create("a", 4, map[string]string{"internal.segment.bytes": "2000"})
	written := make([]record.Offset, 4)
	for round := range 5 {
		for i := range int32(4) {
			for range 10 {
				mustAppend(t, w.get("a", i), shape{n: 2, size: 100})
				written[i] += 2
			}
		}
		if round%2 == 1 {
			if err := w.store.Checkpoint(); err != nil {
				t.Fatal(err)
			}
		}
		w.crash()
		w.start()
		for i := range int32(4) {
			var next record.Offset
			for _, b := range readAll(t, w.get("a", i)) {
				if b.BaseOffset() != next {
					t.Fatalf("partition %d: batch at %d, want %d", i, b.BaseOffset(), next)
				}
				next = b.NextOffset()
			}
			if next != written[i] {
				t.Errorf("partition %d: read up to %d, written %d", i, next, written[i])
			}
		}
	}
}

func TestDirectoriesThatTheMetadataDoesNotKnowAreSetAside(t *testing.T) {
	w := newWorld(t, nil).start()
	w.create("a", 2, nil)
	gone := w.create("gone", 1, nil)
	mustAppend(t, w.get("gone", 0), shape{})
	mustAppend(t, w.get("a", 0), shape{})
	w.stop()
	for _, name := range []string{"a-7", "stranger-0"} {
		if err := os.CopyFS(filepath.Join(w.cfg.Dir, name), os.DirFS(filepath.Join(w.cfg.Dir, "gone-0"))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"meta", "not-a-partition", "empty-3", "a-00"} {
		if err := os.Mkdir(filepath.Join(w.cfg.Dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	w.delete(gone)              // while the broker is away
	w.apply(&meta.Noop{})       // and the same name with another id
	w.create("gone", 1, nil)    //
	log := new(logCapture)      //
	w.cfg.Logger = log.logger() //
	w.start()                   //
	got, want := w.dirs(), []string{"a-0", "a-00", "empty-3", "meta", "not-a-partition", "quarantine"}
	if !slices.Equal(got, want) {
		t.Errorf("directories\n%v, want\n%v", got, want)
	}
	aside, err := os.ReadDir(filepath.Join(w.cfg.Dir, "quarantine"))
	if err != nil || len(aside) != 3 || aside[0].Name() != "a-7" || aside[1].Name() != "gone-0" || aside[2].Name() != "stranger-0" {
		t.Errorf("set aside: %v, %v", aside, err)
	}
	for _, name := range []string{"a-7", "gone-0", "stranger-0"} {
		if !strings.Contains(log.String(), name) {
			t.Errorf("nothing was logged about %s", name)
		}
		if _, err := os.Stat(filepath.Join(w.cfg.Dir, "quarantine", name, seglog.FileName(0, seglog.LogSuffix))); err != nil {
			t.Error(err)
		}
	}
	if _, _, _, end := w.get("gone", 0).Offsets(); end != 0 {
		t.Errorf("the new topic has %d records of the old one", end)
	}
	if _, _, _, end := w.get("a", 0).Offsets(); end != 1 {
		t.Errorf("a-0 ends at %d", end)
	}
}

func TestATopicMadeAgainIsNotHeldAgainstItsPredecessorsCheckpoints(t *testing.T) {
	w := newWorld(t, nil).start()
	id := w.create("a", 1, nil)
	for range 50 {
		mustAppend(t, w.get("a", 0), shape{})
	}
	if err := w.get("a", 0).Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.DeleteRecords(w.get("a", 0), 30); err != nil {
		t.Fatal(err)
	}
	w.delete(id)
	w.create("a", 1, nil)
	mustAppend(t, w.get("a", 0), shape{})
	w.crash()
	w.start()
	if err := w.get("a", 0).Failed(); err != nil {
		t.Fatal(err)
	}
	if start, _, _, end := w.get("a", 0).Offsets(); start != 0 || end != 1 {
		t.Errorf("from %d to %d", start, end)
	}
}

func TestDamageStopsOnePartitionAndStaysKnown(t *testing.T) {
	w := newWorld(t, nil).start()
	w.create("a", 3, nil)
	for i := range int32(3) {
		for range 5 {
			mustAppend(t, w.get("a", i), shape{size: 100})
		}
	}
	w.stop()
	name := filepath.Join(w.cfg.Dir, "a-1", seglog.FileName(0, seglog.LogSuffix))
	st, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, st.Size()-100); err != nil { // inside of the last batch
		t.Fatal(err)
	}
	for round := range 3 {
		w.start()
		p := w.get("a", 1)
		if err := p.Failed(); !errors.Is(err, ErrStorage) || !strings.Contains(err.Error(), "a-1") {
			t.Errorf("round %d: failed %v", round, err)
		}
		if _, err := p.Append(shape{}.build(t), AppendOptions{}); !errors.Is(err, ErrStorage) {
			t.Errorf("round %d: append %v", round, err)
		}
		if _, err := p.ReadInto(nil, query(0)); !errors.Is(err, ErrStorage) {
			t.Errorf("round %d: read %v", round, err)
		}
		mustAppend(t, w.get("a", 0), shape{})
		if n := len(readAll(t, w.get("a", 2))); n != 5 {
			t.Errorf("round %d: %d batches in the neighbour", round, n)
		}
		w.stop()
	}
	if st2, err := os.Stat(name); err != nil || st2.Size() != st.Size()-100 {
		t.Errorf("the damaged file was touched: %v, %v", st2, err)
	}
}

func TestADataDirectoryHasOneProcessAndOneBroker(t *testing.T) {
	w := newWorld(t, nil).start()
	_, err := OpenStore(w.cfg)
	if err == nil || !strings.Contains(err.Error(), w.cfg.Dir) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("a second process: %v", err)
	}
	if err := w.store.SetClusterID("here"); err != nil {
		t.Fatal(err)
	}
	w.stop()
	other := w.cfg
	other.NodeID = 2
	if _, err := OpenStore(other); err == nil || !strings.Contains(err.Error(), "node.id 1") {
		t.Errorf("another broker: %v", err)
	}
	w.start()
	if err := w.store.SetClusterID("here"); err != nil {
		t.Error(err)
	}
	if err := w.store.SetClusterID("elsewhere"); err == nil {
		t.Error("another cluster's broker took the directory")
	}
	b, err := os.ReadFile(filepath.Join(w.cfg.Dir, "meta.properties"))
	if err != nil || !strings.HasPrefix(string(b), "#\ncluster.id=here\ndirectory.id=") || !strings.HasSuffix(string(b), "\nnode.id=1\nversion=1\n") {
		t.Errorf("meta.properties is %q, %v", b, err)
	}
}

func TestSettingsReachThePartitions(t *testing.T) {
	w := newWorld(t, nil).start()
	id := w.create("a", 1, map[string]string{"max.message.bytes": "300"})
	w.create("b", 1, nil)
	large := func() record.Batch { return shape{size: 500}.build(t) }
	if _, err := w.get("a", 0).Append(large(), AppendOptions{}); !errors.Is(err, ErrMessageTooLarge) {
		t.Errorf("err %v", err)
	}
	w.apply(&meta.AlterTopicConfigs{Topics: []meta.TopicConfigs{{ID: id, Configs: map[string]string{"max.message.bytes": "600"}}}})
	if _, err := w.get("a", 0).Append(large(), AppendOptions{}); err != nil {
		t.Error(err)
	}
	w.apply(&meta.AlterBrokerConfigs{Node: meta.ClusterDefault, Configs: map[string]string{"message.max.bytes": "400"}})
	if _, err := w.get("b", 0).Append(large(), AppendOptions{}); !errors.Is(err, ErrMessageTooLarge) {
		t.Errorf("a topic without settings of its own: %v", err)
	}
	if _, err := w.get("a", 0).Append(large(), AppendOptions{}); err != nil {
		t.Errorf("a topic with: %v", err)
	}
	w.stop()
	w.start()
	if _, err := w.get("b", 0).Append(large(), AppendOptions{}); !errors.Is(err, ErrMessageTooLarge) {
		t.Errorf("after a start: %v", err)
	}
}

func TestDeletedRecordsStayDeletedInACrash(t *testing.T) {
	w := newWorld(t, nil).start()
	w.create("a", 1, nil)
	for range 10 {
		mustAppend(t, w.get("a", 0), shape{})
	}
	if low, err := w.store.DeleteRecords(w.get("a", 0), 4); low != 4 || err != nil {
		t.Fatal(low, err)
	}
	w.crash()
	w.start()
	if start, _, _, end := w.get("a", 0).Offsets(); start != 4 || end != 10 {
		t.Errorf("from %d to %d", start, end)
	}
}

func TestThousandsOfPartitionsAreMadeStoppedAndStartedQuickly(t *testing.T) {
	w := newWorld(t, nil).start()
	begin := time.Now()
	for i := range 20 {
		w.create(fmt.Sprintf("t%d", i), 50, nil)
	}
	made := time.Since(begin)
	w.stop()
	stopped := time.Since(begin)
	w.start()
	t.Logf("1,000 partitions: made in %v, stopped in %v, started in %v", made, stopped-made, time.Since(begin)-stopped)
	if n := w.store.OpenFiles(); n != 0 {
		t.Errorf("%d files are open", n)
	}
	mustAppend(t, w.get("t19", 49), shape{})
}

func TestDirectoryNamesAreKafkas(t *testing.T) {
	for name, want := range map[string]bool{"a-0": true, "a-b-12": true, "-3": false, "a": false, "a-": false, "a-+1": false, "a-01": false, "a--1": true, "a-2147483648": false} {
		if _, _, ok := parseDirName(name); ok != want {
			t.Errorf("%q: %v", name, ok)
		}
	}
	long := strings.Repeat("x", 249)
	unique := strings.Repeat("0af9", 8)
	for _, topic := range []string{"a", "with-dash.and_dots", long} {
		name := deletedDirName(topic, 123, unique)
		if len(name) > 255 || !isDeletedDirName(name) {
			t.Errorf("%q", name)
		}
	}
	for _, name := range []string{"a-0", "a-0.x-delete", "a." + unique + "-delete", "a-delete"} {
		if isDeletedDirName(name) {
			t.Errorf("%q", name)
		}
	}
}

func TestPropertiesThatMakeNoSenseAreRefused(t *testing.T) {
	for _, text := range []string{"", "version=0\nnode.id=1\n", "version=1\nnode.id=x\n", "version=1\nnonsense\n"} {
		if _, err := parseProperties(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	p, err := parseProperties("#\n#Mon Jan 01\ncluster.id=c\ndirectory.id=d\nnode.id=3\nversion=1\n")
	if err != nil || p != (properties{"c", "d", 3}) {
		t.Errorf("%+v %v", p, err)
	}
}

func TestAPowerCutAfterADurableAcknowledgementLosesNothing(t *testing.T) {
	fs := faultfs.New()
	w := newWorld(t, nil)
	w.cfg.FS, w.cfg.Dir = fs, "/data"
	w.start()
	w.create("a", 2, map[string]string{"flush.messages": "1"})
	w.create("b", 1, nil)
	for i := range 5 {
		mustAppend(t, w.get("a", int32(i%2)), shape{pid: 3, sequence: int32(i / 2)})
		mustAppend(t, w.get("b", 0), shape{})
	}
	w.crash()
	fs.Restart(faultfs.LoseUnsynced, nil)
	w.start()
	for i, want := range []record.Offset{3, 2} {
		p := w.get("a", int32(i))
		if _, _, _, end := p.Offsets(); end != want || p.Failed() != nil {
			t.Errorf("partition %d ends at %d, %v", i, end, p.Failed())
		}
		if a := mustAppend(t, p, shape{pid: 3, sequence: int32(want) - 1}); !a.Duplicate {
			t.Errorf("partition %d does not know its producer: %+v", i, a)
		}
	}
	mustAppend(t, w.get("b", 0), shape{}) // made anew, or found
}

func TestAPartitionWhoseTopicIDIsDamagedKeepsItsRecords(t *testing.T) {
	w := newWorld(t, nil).start()
	w.create("a", 1, nil)
	mustAppend(t, w.get("a", 0), shape{n: 3})
	w.stop()
	path := filepath.Join(w.cfg.Dir, "a-0", seglog.PartitionMetaFile)
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range sound {
		damaged := slices.Clone(sound)
		damaged[i] ^= 0x01
		if err := os.WriteFile(path, damaged, 0o644); err != nil {
			t.Fatal(err)
		}
		w.start()
		if n := len(readAll(t, w.get("a", 0))); n != 1 {
			t.Fatalf("byte %d: %d batches are left", i, n)
		}
		w.stop()
		if now, err := os.ReadFile(path); err != nil || !slices.Equal(now, sound) {
			t.Fatalf("byte %d: the file now holds %q, %v", i, now, err)
		}
	}
}

func TestCommittedRecordsThatAreGoneAreSpokenOf(t *testing.T) {
	w := newWorld(t, nil).start()
	w.create("a", 2, nil)
	for range 5 {
		mustAppend(t, w.get("a", 0), shape{})
		mustAppend(t, w.get("a", 1), shape{})
	}
	if err := w.store.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	w.crash()
	if err := os.RemoveAll(filepath.Join(w.cfg.Dir, "a-1")); err != nil { // as if it had never reached the disk
		t.Fatal(err)
	}
	log := new(logCapture)
	w.cfg.Logger = log.logger()
	w.start()
	if said := log.String(); !strings.Contains(said, "partition=a-1") || strings.Contains(said, "partition=a-0") {
		t.Errorf("a-1 has lost five records, a-0 none; the log says %q", said)
	}
}
