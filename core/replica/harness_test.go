package replica

import (
	"bytes"
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrun/millrun/core/config"
	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/seglog"
)

const testNow = 1_700_000_000_000 // ms

// clock is the broker's time in a test.
type clock struct{ ms atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ms.Store(testNow)
	return c
}

func (c *clock) now() time.Time { return time.UnixMilli(c.ms.Load()) }

func testSettings(t testing.TB, set map[string]string) *config.BrokerSettings {
	t.Helper()
	all := map[string]string{"node.id": "1"}
	for k, v := range set {
		all[k] = v
	}
	s, _, err := config.ParseBroker(all)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func topicConfig(t testing.TB, set map[string]string) *config.TopicConfig {
	t.Helper()
	c := config.TopicSettings(testSettings(t, nil), set)
	return &c
}

var testTopicID = meta.NewTopicID([16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})

func leaderState(epoch int32) meta.Partition {
	return meta.Partition{Replicas: []meta.NodeID{1}, ISR: []meta.NodeID{1}, Leader: 1, LeaderEpoch: epoch}
}

// testOptions are of partition 0 of topic "t" with the given settings.
func testOptions(t testing.TB, set map[string]string) Options {
	return Options{Dir: t.TempDir(), Topic: "t", TopicID: testTopicID, Node: 1, State: leaderState(0),
		Config: topicConfig(t, set), Now: newClock().now}
}

func newPartition(t testing.TB, set map[string]string) *Partition {
	t.Helper()
	p := New(testOptions(t, set))
	if err := p.Failed(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !p.isClosed() {
			if _, err := p.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return p
}

// shape is a batch in the making.
type shape struct {
	n        int // records; 0 means 1
	pid      record.ProducerID
	epoch    int16
	sequence int32
	codec    record.Codec
	stamp    int64 // of all records; 0 means testNow
	keyless  bool
	size     int // of each value
	control  bool
	txn      bool
}

const noProducer = record.NoProducerID

func (s shape) build(t testing.TB) record.Batch {
	t.Helper()
	b := record.NewBuilder(nil)
	b.SetCodec(s.codec)
	if s.pid > 0 {
		b.SetProducer(s.pid, s.epoch, s.sequence)
	}
	b.SetControl(s.control)
	b.SetTransactional(s.txn)
	if s.stamp == 0 {
		s.stamp = testNow
	}
	key := []byte("key")
	if s.keyless {
		key = nil
	}
	for range max(1, s.n) {
		b.Append(s.stamp, key, bytes.Repeat([]byte("v"), s.size), nil)
	}
	batch, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

func mustAppend(t testing.TB, p *Partition, s shape) Appended {
	t.Helper()
	a, err := p.Append(s.build(t), AppendOptions{Acks: AcksLeader})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.WaitAcked(context.Background(), a.Last, AcksLeader); err != nil {
		t.Fatal(err)
	}
	return a
}

func query(from record.Offset) ReadQuery {
	return ReadQuery{From: from, MaxBytes: 1 << 20, MinOne: true, CurrentLeaderEpoch: record.NoLeaderEpoch,
		LastFetchedEpoch: record.NoLeaderEpoch}
}

// readAll returns every committed batch, checked.
func readAll(t testing.TB, p *Partition) []record.Batch {
	t.Helper()
	var out []record.Batch
	from, _, _, _ := p.Offsets()
	for {
		r, err := p.ReadInto(nil, query(from))
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Records) == 0 {
			return out
		}
		for rest := r.Records; len(rest) > 0; {
			b, next, err := record.Next(rest)
			if err != nil {
				t.Fatal(err)
			}
			if err := b.CheckCRC(); err != nil {
				t.Fatal(err)
			}
			out, rest, from = append(out, b), next, b.NextOffset()
		}
	}
}

// reopen closes p cleanly and opens it again as Options o say.
func reopen(t testing.TB, p *Partition, o Options) *Partition {
	t.Helper()
	mark, err := p.Close()
	if err != nil {
		t.Fatal(err)
	}
	o.Clean, o.RecoveryPoint = mark, mark.EndOffset
	q := New(o)
	if err := q.Failed(); err != nil {
		t.Fatal(err)
	}
	return q
}

type logCapture struct{ bytes.Buffer }

func (c *logCapture) logger() *slog.Logger { return slog.New(slog.NewTextHandler(c, nil)) }

var _ seglog.FS = unsynced{}
