//go:build cgo

package confluent

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/millrun/millrun/spec/conformance/go/target"
)

// load produces n records of the ledger's to the topic, in equal parts by five producers of five codecs.
func load(t testing.TB, topic string, n, partitions int) {
	var wg sync.WaitGroup
	for p, codec := range target.Codecs {
		cl := producer(t, kafka.ConfigMap{"compression.type": codec, "batch.num.messages": 500})
		wg.Go(func() {
			var ms []*kafka.Message
			for i := p; i < n; i += len(target.Codecs) {
				ms = append(ms, messages(topic, int32(i/5%partitions), []target.Record{{Key: target.Key(i), Value: target.Value(i)}})...)
			}
			if err := send(cl, ms...); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// member processes until `until` is closed, then goes on polling (librdkafka answers rebalances only there) without taking anything, and
// leaves once `leave` is closed. What it has taken it commits whenever it loses partitions.
func member(t testing.TB, ctx context.Context, l *target.Ledger, name, topic string, own kafka.ConfigMap, until, leave <-chan struct{}) {
	c := consumer(t, own)
	commit := func(c *kafka.Consumer, e kafka.Event) error {
		if _, revoked := e.(kafka.RevokedPartitions); revoked {
			if c.AssignmentLost() {
				t.Errorf("%s lost its partitions", name)
			}
			if _, err := c.Commit(); err != nil && !is(err, kafka.ErrNoOffset) {
				t.Errorf("%s: commit: %v", name, err)
			}
		}
		return nil
	}
	if err := c.Subscribe(topic, commit); err != nil {
		t.Error(err)
	}
	for !target.Closed(leave) {
		if ctx.Err() != nil {
			t.Errorf("%s: %v", name, ctx.Err())
			break
		}
		switch e := c.Poll(50).(type) {
		case kafka.Error:
			t.Errorf("%s: %v", name, e)
		case *kafka.Message:
			if target.Closed(until) {
				continue
			}
			if err := l.Took(name, e.Key, e.Value); err != nil {
				t.Errorf("%s: %v: %v", name, e.TopicPartition, err)
			}
			if _, err := c.StoreMessage(e); err != nil {
				t.Errorf("%s: store: %v", name, err)
			}
		}
	}
	if err := c.Close(); err != nil {
		t.Errorf("%s: close: %v", name, err)
	}
}

// handover is the one of the franz-go suite: the second member joins at a quarter, the first stops at three eighths and leaves when the
// second has taken a twentieth.
func handover(t *testing.T, n int, assignor string) {
	const partitions = 6
	ctx, topic, group := target.Context(t), target.Topic(t, partitions), target.Name(t)
	own := kafka.ConfigMap{"group.id": group, "partition.assignment.strategy": assignor, "auto.offset.reset": "earliest", "enable.auto.offset.store": false}
	l := target.NewLedger(n)
	var wg sync.WaitGroup
	wg.Go(func() { load(t, topic, n, partitions) })
	wg.Go(func() { member(t, ctx, l, "first", topic, own, l.Reached("first", n*3/8), l.Reached("second", n/20)) })
	target.Await(t, ctx, "the first member takes a quarter", l.Reached("first", n/4))
	wg.Go(func() { member(t, ctx, l, "second", topic, own, l.All(), l.All()) })
	wg.Wait()
	l.Check(t, 0)
	target.CheckCommitted(t, group, topic)
}

func TestAHundredThousandRecordsSurviveARebalance(t *testing.T) {
	t.Parallel()
	handover(t, 100_000, "range")
}

func TestEachAssignorHandsOver(t *testing.T) {
	for _, assignor := range []string{"roundrobin", "cooperative-sticky"} {
		t.Run(assignor, func(t *testing.T) {
			t.Parallel()
			handover(t, 10_000, assignor)
		})
	}
}

// holder polls a subscribed consumer and tells what it holds after each change.
type holder struct {
	c       *kafka.Consumer
	changes chan []int32
	stop    func()
}

func join(t testing.TB, ctx context.Context, topic string, own kafka.ConfigMap) *holder {
	t.Helper()
	polling, cancel := context.WithCancel(ctx)
	h := &holder{c: consumer(t, own), changes: make(chan []int32, 100)}
	if err := h.c.Subscribe(topic, func(_ *kafka.Consumer, e kafka.Event) error {
		held := []int32{}
		if a, ok := e.(kafka.AssignedPartitions); ok { // with an eager assignor this is everything
			for _, p := range a.Partitions {
				held = append(held, p.Partition)
			}
		}
		slices.Sort(held)
		h.changes <- held
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for polling.Err() == nil {
			if e, bad := h.c.Poll(50).(kafka.Error); bad {
				t.Error(e)
			}
		}
		h.c.Close()
	}()
	h.stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(h.stop)
	return h
}

func (h *holder) holds(t testing.TB, ctx context.Context, n int) []int32 {
	t.Helper()
	for {
		select {
		case held := <-h.changes:
			if len(held) == n {
				return held
			}
		case <-ctx.Done():
			t.Fatalf("a member does not come to hold %d partitions: %v", n, ctx.Err())
		}
	}
}

func TestAStaticMemberRestartsWithoutARebalance(t *testing.T) {
	t.Parallel()
	ctx, topic, group := target.Context(t), target.Topic(t, 4), target.Name(t)
	dynamic := kafka.ConfigMap{"group.id": group, "auto.offset.reset": "earliest"}
	static := kafka.ConfigMap{"group.id": group, "auto.offset.reset": "earliest", "group.instance.id": "static-1", "session.timeout.ms": 30_000}
	leader := join(t, ctx, topic, dynamic)
	leader.holds(t, ctx, 4)
	one := join(t, ctx, topic, static)
	before := one.holds(t, ctx, 2)
	leader.holds(t, ctx, 2)
	one.stop() // a static member does not leave
	two := join(t, ctx, topic, static)
	if after := two.holds(t, ctx, 2); !slices.Equal(after, before) {
		t.Errorf("after the restart it holds %v, before %v", after, before)
	}
	select {
	case held := <-leader.changes:
		t.Errorf("the other member was moved: it holds %v", held)
	default:
	}
}

func TestCommittedOffsetsAndMetadataAreKept(t *testing.T) {
	t.Parallel()
	topic, group, note := target.Topic(t, 2), target.Name(t), "a note"
	c := consumer(t, kafka.ConfigMap{"group.id": group})
	if _, err := c.CommitOffsets([]kafka.TopicPartition{{Topic: &topic, Partition: 0, Offset: 3, Metadata: &note}}); err != nil {
		t.Fatal(err)
	}
	got, err := consumer(t, kafka.ConfigMap{"group.id": group}).Committed([]kafka.TopicPartition{{Topic: &topic, Partition: 0}, {Topic: &topic, Partition: 1}}, 30_000)
	if err != nil || got[0].Offset != 3 || got[0].Metadata == nil || *got[0].Metadata != note || got[1].Offset != kafka.OffsetInvalid {
		t.Errorf("%v, %v", got, err)
	}
}
