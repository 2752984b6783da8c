package meta

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

func TestWhatWasDecidedAppliesAndReplaysToTheSameImage(t *testing.T) {
	for seed := range uint64(20) {
		w := world{r: rand.New(rand.NewPCG(seed, 1)), img: &Image{}}
		var log [][]byte
		for range 500 {
			c := w.decide()
			if c == nil {
				continue
			}
			b := AppendCommand(nil, c)
			decoded, err := DecodeCommand(b)
			if err != nil {
				t.Fatalf("seed %d: decode %#v: %v", seed, c, err)
			}
			before := w.img.Hash()
			next, err := Apply(w.img, w.img.Seq()+1, decoded)
			if err != nil {
				t.Fatalf("seed %d: apply %#v: %v", seed, c, err)
			}
			if w.img.Hash() != before {
				t.Fatalf("seed %d: %#v changed the image it was applied to", seed, c)
			}
			w.img = next
			log = append(log, b)
		}
		if len(log) < 100 {
			t.Fatalf("seed %d: only %d commands", seed, len(log))
		}
		checkReplay(t, seed, log, w.img)
	}
}

// checkReplay replays the log from the start, and from a snapshot in the middle.
func checkReplay(t *testing.T, seed uint64, log [][]byte, want *Image) {
	t.Helper()
	img, restored := &Image{}, (*Image)(nil)
	for i, b := range log {
		img = replay(t, img, b)
		if restored != nil {
			restored = replay(t, restored, b)
		}
		if i == len(log)/2 {
			var err error
			if restored, err = DecodeSnapshot(img.AppendSnapshot(nil)); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
	}
	if img.Hash() != want.Hash() {
		t.Fatalf("seed %d: a second replay gives another image", seed)
	}
	if restored.Hash() != want.Hash() {
		t.Fatalf("seed %d: a replay from a snapshot gives another image", seed)
	}
	checkImage(t, restored)
}

func replay(t *testing.T, img *Image, b []byte) *Image {
	t.Helper()
	c, err := DecodeCommand(b)
	if err != nil {
		t.Fatal(err)
	}
	img, err = Apply(img, img.Seq()+1, c)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// checkImage compares the image's ways in with each other.
func checkImage(t *testing.T, img *Image) {
	t.Helper()
	topics, partitions := 0, 0
	for topic := range img.Topics() {
		topics++
		partitions += len(topic.Partitions)
		byName, _ := img.Topic(topic.Name)
		byID, _ := img.TopicByID(topic.ID)
		if byName != topic || byID != topic {
			t.Fatalf("topic %s is found as %v by name and %v by id", topic.Name, byName, byID)
		}
		for i, p := range topic.Partitions {
			if p.ID != int32(i) || len(p.Replicas) == 0 || p.Leader != NoNode && !slices.Contains(p.ISR, p.Leader) {
				t.Fatalf("topic %s has partition %+v at %d", topic.Name, p, i)
			}
		}
	}
	if topics != img.NumTopics() || partitions != img.NumPartitions() || topics != len(img.SortedTopics()) || topics != img.topicsByID.n {
		t.Fatalf("%d topics and %d partitions, counted as %d and %d", topics, partitions, img.NumTopics(), img.NumPartitions())
	}
}

func TestABatchIsWhatItsCommandsAreOneByOne(t *testing.T) {
	for seed := range uint64(10) {
		w := world{r: rand.New(rand.NewPCG(seed, 2)), img: withBrokers(t, 2)}
		for range 40 {
			base := w.img
			batch := &Batch{}
			for range 1 + w.r.IntN(6) {
				c := w.decide()
				if c == nil {
					continue
				}
				var err error
				if len(batch.Commands) == 0 {
					w.img, err = Apply(w.img, w.img.Seq()+1, c)
				} else {
					w.img, err = ApplyMore(w.img, c)
				}
				if err != nil {
					t.Fatalf("seed %d: %#v: %v", seed, c, err)
				}
				batch.Commands = append(batch.Commands, c)
			}
			if len(batch.Commands) == 0 {
				continue
			}
			if got := replay(t, base, AppendCommand(nil, batch)); got.Hash() != w.img.Hash() {
				t.Fatalf("seed %d: a batch of %d gives another image", seed, len(batch.Commands))
			}
		}
	}
}

func TestABatchIsAppliedWholeOrNotAtAll(t *testing.T) {
	img := withBrokers(t, 1)
	topic := &Topic{Name: "x", ID: TopicID{1}}
	next, err := Apply(img, img.Seq()+1, &Batch{[]Command{&CreateTopics{[]*Topic{topic}}, &CreateTopics{[]*Topic{topic}}}})
	if !errors.Is(err, ErrTopicExists) || next.NumTopics() != 0 || next.Seq() != img.Seq()+1 {
		t.Errorf("%v, %d topics", err, next.NumTopics())
	}
	inner := AppendCommand(nil, &Batch{[]Command{&Batch{}}})
	if _, err := DecodeCommand(inner); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a batch in a batch: %v", err)
	}
	newer := &Batch{[]Command{&Noop{}}}
	b := AppendCommand(nil, newer)
	b[len(b)-1] = 2
	if _, err := DecodeCommand(b); !errors.Is(err, ErrUnknownCommand) {
		t.Errorf("a newer command in a batch: %v", err)
	}
}

func TestAnIgnoredCommandMovesOnlyTheSequence(t *testing.T) {
	img := withBrokers(t, 1)
	c, errs := DecideCreateTopics(img, []NewTopic{{Name: "a", ID: TopicID{1}, Partitions: 1, ReplicationFactor: 1}}, TopicDefaults{})
	img = apply(t, img, c, errs[0])
	next, err := Apply(img, img.Seq()+5, c)
	if err == nil {
		t.Fatal("a topic was created twice")
	}
	again := *next
	again.seq = img.seq
	if next.Seq() != img.Seq()+5 || again.Hash() != img.Hash() {
		t.Fatalf("sequence %d, image changed: %v", next.Seq(), again.Hash() != img.Hash())
	}
	if same, err := Apply(img, img.Seq(), &Noop{}); err == nil || same != img {
		t.Fatalf("a sequence was applied again: %v", err)
	}
}

func TestNoCommandPanicsOrHalfAppliesOnAnyImage(t *testing.T) {
	images := []*Image{{}, withBrokers(t, 3)}
	w := world{r: rand.New(rand.NewPCG(7, 7)), img: &Image{}}
	for range 300 {
		if c := w.decide(); c != nil {
			w.img, _ = Apply(w.img, w.img.Seq()+1, c)
		}
	}
	images = append(images, w.img)
	for _, img := range images {
		for _, c := range samples() {
			before := img.Hash()
			next, err := Apply(img, img.Seq()+1, c)
			if img.Hash() != before {
				t.Fatalf("%#v changed the image it was applied to", c)
			}
			if reset := *next; err != nil {
				if reset.seq = img.seq; reset.Hash() != before {
					t.Errorf("%#v was refused (%v) and changed the image", c, err)
				}
			}
		}
	}
}

func TestEveryCommandSurvivesItsEncoding(t *testing.T) {
	seen := map[kind]bool{}
	for _, c := range samples() {
		seen[c.kind()] = true
		b := AppendCommand([]byte("x"), c)
		got, err := DecodeCommand(b[1:])
		if err != nil {
			t.Fatalf("%#v: %v", c, err)
		}
		if !reflect.DeepEqual(got, c) {
			t.Errorf("%#v became %#v", c, got)
		}
		for i := range b[1:] {
			if got, err := DecodeCommand(b[1 : 1+i]); err == nil {
				t.Errorf("%#v cut to %d bytes was read as %#v", c, i, got)
			}
		}
		if _, err := DecodeCommand(append(b[1:], 0)); err == nil {
			t.Errorf("%#v with a byte too many was read", c)
		}
	}
	for k := kindNoop; k <= kindBatch; k++ {
		if !seen[k] {
			t.Errorf("no sample of kind %d", k)
		}
	}
}

func TestASnapshotWithAnyByteChangedOrCutIsRefused(t *testing.T) {
	w := world{r: rand.New(rand.NewPCG(3, 3)), img: &Image{}}
	for range 60 {
		if c := w.decide(); c != nil {
			w.img, _ = Apply(w.img, w.img.Seq()+1, c)
		}
	}
	good := w.img.AppendSnapshot(nil)
	if img, err := DecodeSnapshot(good); err != nil || !bytes.Equal(img.AppendSnapshot(nil), good) {
		t.Fatalf("the whole one: %v", err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		if _, err := DecodeSnapshot(bad); err == nil {
			t.Fatalf("byte %d flipped and not noticed", i)
		}
		if _, err := DecodeSnapshot(good[:i]); err == nil {
			t.Fatalf("cut to %d bytes and not noticed", i)
		}
	}
}
