package segmentio

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/millrun/millrun/spec/conformance/go/target"
	"github.com/segmentio/kafka-go"
)

// load produces n records of the ledger's to the topic, in equal parts by five writers of five codecs.
func load(t testing.TB, ctx context.Context, topic string, n, partitions int) {
	var wg sync.WaitGroup
	for p, codec := range target.Codecs {
		w := writer(t, topic, codec)
		wg.Go(func() {
			var ms []kafka.Message
			for i := p; i < n; i += len(target.Codecs) {
				ms = append(ms, kafka.Message{Key: target.Key(i), Value: target.Value(i), WriterData: i / 5 % partitions})
				if len(ms) == 4000 || i+len(target.Codecs) >= n {
					if err := w.WriteMessages(ctx, ms...); err != nil {
						t.Error(err)
					}
					ms = ms[:0]
				}
			}
		})
	}
	wg.Wait()
}

// member processes until `until` is closed, and leaves once `leave` is closed. It commits every 500 messages: kafka-go's Reader does not
// ask before it gives partitions away, so what was taken since may be taken again by the other.
func member(t testing.TB, ctx context.Context, l *target.Ledger, name, group, topic string, b kafka.GroupBalancer, until, leave <-chan struct{}) {
	r := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{target.Bootstrap(t)}, GroupID: group, Topic: topic, GroupBalancers: []kafka.GroupBalancer{b}, StartOffset: kafka.FirstOffset,
		HeartbeatInterval: 200 * time.Millisecond, MaxWait: 200 * time.Millisecond, MaxAttempts: 1, JoinGroupBackoff: 10 * time.Millisecond,
	})
	polling, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-until:
			stop()
		case <-polling.Done():
		}
	}()
	var taken []kafka.Message
	for !target.Closed(until) && ctx.Err() == nil {
		m, err := r.FetchMessage(polling)
		if errors.Is(err, context.Canceled) {
			break
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			break
		}
		if m.Key != nil && len(m.Key) == 0 {
			m.Key = nil // the Reader has no null
		}
		if err := l.Took(name, m.Key, m.Value); err != nil {
			t.Errorf("%s: partition %d offset %d: %v", name, m.Partition, m.Offset, err)
		}
		if taken = append(taken, m); len(taken) == 500 {
			commit(t, ctx, r, &taken)
		}
	}
	commit(t, ctx, r, &taken)
	select {
	case <-leave:
	case <-ctx.Done():
		t.Errorf("%s: %v", name, ctx.Err())
	}
	if err := r.Close(); err != nil {
		t.Errorf("%s: close: %v", name, err)
	}
}

func commit(t testing.TB, ctx context.Context, r *kafka.Reader, taken *[]kafka.Message) {
	if err := r.CommitMessages(ctx, *taken...); err != nil {
		t.Errorf("commit: %v", err)
	}
	*taken = (*taken)[:0]
}

// handover is the one of the franz-go suite: the second member joins at a quarter, the first stops at three eighths and leaves when the
// second has taken a twentieth.
func handover(t *testing.T, n int, b kafka.GroupBalancer) {
	const partitions = 6
	ctx, topic, group := target.Context(t), target.Topic(t, partitions), target.Name(t)
	l := target.NewLedger(n)
	var wg sync.WaitGroup
	wg.Go(func() { load(t, ctx, topic, n, partitions) })
	wg.Go(func() {
		member(t, ctx, l, "first", group, topic, b, l.Reached("first", n*3/8), l.Reached("second", n/20))
	})
	target.Await(t, ctx, "the first member takes a quarter", l.Reached("first", n/4))
	wg.Go(func() { member(t, ctx, l, "second", group, topic, b, l.All(), l.All()) })
	wg.Wait()
	l.Check(t, n/10)
	target.CheckCommitted(t, group, topic)
}

func TestAHundredThousandRecordsSurviveARebalance(t *testing.T) {
	t.Parallel()
	handover(t, 100_000, kafka.RangeGroupBalancer{})
}

func TestTheRoundRobinBalancerHandsOver(t *testing.T) {
	t.Parallel()
	handover(t, 10_000, kafka.RoundRobinGroupBalancer{})
}

func TestACommitOfAStaleGenerationIsRefused(t *testing.T) {
	t.Parallel()
	ctx, topic, group := target.Context(t), target.Topic(t, 1), target.Name(t)
	cg, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{ID: group, Brokers: []string{target.Bootstrap(t)}, Topics: []string{topic}})
	if err != nil {
		t.Fatal(err)
	}
	defer cg.Close()
	g, err := cg.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.CommitOffsets(map[string]map[int]int64{topic: {0: 0}}); err != nil {
		t.Errorf("its own: %v", err)
	}
	commit := func(member string, generation int) error {
		resp, err := client(t).OffsetCommit(ctx, &kafka.OffsetCommitRequest{
			GroupID: group, GenerationID: generation, MemberID: member, Topics: map[string][]kafka.OffsetCommit{topic: {{Partition: 0, Offset: 0}}},
		})
		if err != nil {
			return err
		}
		return resp.Topics[topic][0].Error
	}
	if err := commit(g.MemberID, int(g.ID)); err != nil {
		t.Errorf("its own, by the Client: %v", err)
	}
	if err := commit(g.MemberID, int(g.ID)-1); !errors.Is(err, kafka.IllegalGeneration) {
		t.Errorf("the last generation: %v", err)
	}
	if err := commit("nobody", int(g.ID)); !errors.Is(err, kafka.UnknownMemberId) {
		t.Errorf("an unknown member: %v", err)
	}
}
