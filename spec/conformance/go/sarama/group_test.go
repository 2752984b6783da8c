package sarama_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/millrun/millrun/spec/conformance/go/target"
)

// load produces n records of the ledger's to the topic, in equal parts by five producers of five codecs.
func load(t testing.TB, topic string, n, partitions int) {
	var wg sync.WaitGroup
	for p, codec := range target.Codecs {
		c := config(t)
		c.Producer.Compression, c.Producer.Flush.MaxMessages, c.Producer.Return.Successes = codecs[codec], 500, false
		async, err := sarama.NewAsyncProducer([]string{target.Bootstrap(t)}, c)
		if err != nil {
			t.Error(err)
			return
		}
		wg.Go(func() {
			for err := range async.Errors() {
				t.Error(err)
			}
		})
		wg.Go(func() {
			for i := p; i < n; i += len(target.Codecs) {
				async.Input() <- message(topic, int32(i/5%partitions), target.Record{Key: target.Key(i), Value: target.Value(i)})
			}
			async.AsyncClose()
		})
	}
	wg.Wait()
}

// taker processes until `until` is closed, and takes nothing afterwards.
type taker struct {
	t     testing.TB
	l     *target.Ledger
	name  string
	until <-chan struct{}
}

func (*taker) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (*taker) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (k *taker) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for m := range claim.Messages() {
		if target.Closed(k.until) || s.Context().Err() != nil {
			continue // not marked: whoever has the partition next takes it
		}
		if err := k.l.Took(k.name, m.Key, m.Value); err != nil {
			k.t.Errorf("%s: partition %d offset %d: %v", k.name, m.Partition, m.Offset, err)
		}
		s.MarkMessage(m, "")
	}
	return nil
}

// member is in the group until `leave` is closed.
func member(t testing.TB, ctx context.Context, c *sarama.Config, group, topic string, h sarama.ConsumerGroupHandler, leave <-chan struct{}) {
	g, err := sarama.NewConsumerGroup([]string{target.Bootstrap(t)}, group, c)
	if err != nil {
		t.Error(err)
		return
	}
	within, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-leave:
		case <-ctx.Done():
			t.Errorf("%s: %v", group, ctx.Err())
		}
		cancel()
	})
	wg.Go(func() {
		for err := range g.Errors() {
			t.Errorf("%s: %v", group, err)
		}
	})
	for within.Err() == nil {
		if err := g.Consume(within, []string{topic}, h); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", group, err)
			break
		}
	}
	if err := g.Close(); err != nil {
		t.Errorf("%s: close: %v", group, err)
	}
	wg.Wait()
}

// handover is the one of the franz-go suite: the second member joins at a quarter, the first stops at three eighths and leaves when the
// second has taken a twentieth.
func handover(t *testing.T, n int, strategy sarama.BalanceStrategy) {
	const partitions = 6
	ctx, topic, group := target.Context(t), target.Topic(t, partitions), target.Name(t)
	l, c := target.NewLedger(n), config(t)
	c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy}
	var wg sync.WaitGroup
	wg.Go(func() { load(t, topic, n, partitions) })
	wg.Go(func() {
		member(t, ctx, c, group, topic, &taker{t, l, "first", l.Reached("first", n*3/8)}, l.Reached("second", n/20))
	})
	target.Await(t, ctx, "the first member takes a quarter", l.Reached("first", n/4))
	wg.Go(func() { member(t, ctx, c, group, topic, &taker{t, l, "second", l.All()}, l.All()) })
	wg.Wait()
	l.Check(t, 0)
	target.CheckCommitted(t, group, topic)
}

func TestAHundredThousandRecordsSurviveARebalance(t *testing.T) {
	t.Parallel()
	handover(t, 100_000, sarama.NewBalanceStrategyRange())
}

func TestEachBalancerHandsOver(t *testing.T) {
	for name, s := range map[string]sarama.BalanceStrategy{
		"roundrobin": sarama.NewBalanceStrategyRoundRobin(), "sticky": sarama.NewBalanceStrategySticky(), "cooperative": sarama.NewBalanceStrategyCooperativeSticky(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handover(t, 10_000, s)
		})
	}
}

// holder tells of each session what it holds.
type holder struct{ sessions chan held }

type held struct {
	generation int32
	partitions []int32
}

func (h *holder) Setup(s sarama.ConsumerGroupSession) error {
	var ps []int32
	for _, claimed := range s.Claims() {
		ps = append(ps, claimed...)
	}
	slices.Sort(ps)
	h.sessions <- held{s.GenerationID(), ps}
	return nil
}
func (*holder) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (*holder) ConsumeClaim(s sarama.ConsumerGroupSession, _ sarama.ConsumerGroupClaim) error {
	<-s.Context().Done()
	return nil
}

func (h *holder) holds(t testing.TB, ctx context.Context, n int) held {
	t.Helper()
	for {
		select {
		case s := <-h.sessions:
			if len(s.partitions) == n {
				return s
			}
		case <-ctx.Done():
			t.Fatalf("a member does not come to hold %d partitions: %v", n, ctx.Err())
		}
	}
}

// join runs a member; stop makes it leave, and waits until it has.
func join(t testing.TB, ctx context.Context, c *sarama.Config, group, topic string) (h *holder, stop func()) {
	h = &holder{make(chan held, 100)}
	leave, left := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(left)
		member(t, ctx, c, group, topic, h, leave)
	}()
	stop = sync.OnceFunc(func() { close(leave); <-left })
	t.Cleanup(stop)
	return h, stop
}

func TestAStaticMemberRestartsWithoutARebalance(t *testing.T) {
	t.Parallel()
	ctx, topic, group := target.Context(t), target.Topic(t, 4), target.Name(t)
	static := config(t)
	static.Consumer.Group.InstanceId = "static-1"
	static.Consumer.Group.Session.Timeout = 30 * time.Second
	leader, _ := join(t, ctx, config(t), group, topic)
	leader.holds(t, ctx, 4)
	one, stop := join(t, ctx, static, group, topic)
	before := one.holds(t, ctx, 2)
	leader.holds(t, ctx, 2)
	stop() // a static member does not leave
	two, _ := join(t, ctx, static, group, topic)
	if after := two.holds(t, ctx, 2); after.generation != before.generation || !slices.Equal(after.partitions, before.partitions) {
		t.Errorf("after the restart %+v, before %+v", after, before)
	}
	select {
	case s := <-leader.sessions:
		t.Errorf("the other member was moved: %+v", s)
	default:
	}
	// taken out by an administrator, by its instance: now the other has everything
	gone, err := admin(t).RemoveMemberFromConsumerGroup(group, []string{"static-1"})
	if err != nil || gone.Err != sarama.ErrNoError || gone.Members[0].Err != sarama.ErrNoError {
		t.Fatalf("%v, %+v", err, gone)
	}
	leader.holds(t, ctx, 4)
}

func TestACommitOfAStaleGenerationIsRefused(t *testing.T) {
	t.Parallel()
	ctx, topic, group := target.Context(t), target.Topic(t, 1), target.Name(t)
	h, _ := join(t, ctx, config(t), group, topic)
	now := h.holds(t, ctx, 1)
	coordinator, err := dial(t, config(t)).Coordinator(group)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := admin(t).DescribeConsumerGroups([]string{group})
	if err != nil {
		t.Fatal(err)
	}
	id := slices.Collect(maps.Keys(groups[0].Members))[0]
	for _, c := range []struct {
		member     string
		generation int32
		want       sarama.KError
	}{{id, now.generation, sarama.ErrNoError}, {id, now.generation - 1, sarama.ErrIllegalGeneration}, {"nobody", now.generation, sarama.ErrUnknownMemberId}} {
		for _, version := range []int16{2, 5, 7} {
			req := &sarama.OffsetCommitRequest{Version: version, ConsumerGroup: group, ConsumerID: c.member, ConsumerGroupGeneration: c.generation, RetentionTime: -1}
			req.AddBlock(topic, 0, 0, 0, "")
			resp, err := coordinator.CommitOffset(req)
			if err != nil || resp.Errors[topic][0] != c.want {
				t.Errorf("member %q generation %d, version %d: %v, %v; want %v", c.member, c.generation, version, err, resp, c.want)
			}
		}
	}
}
