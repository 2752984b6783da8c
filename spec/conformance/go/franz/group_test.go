package franz

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrun/millrun/spec/conformance/go/target"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// load produces n records of the ledger's to the topic, in equal parts by five producers of five codecs.
func load(t testing.TB, ctx context.Context, topic string, n, partitions int) {
	var wg sync.WaitGroup
	for p, codec := range target.Codecs {
		cl := client(t, kgo.ProducerBatchCompression(codecs[codec]), kgo.ProducerBatchMaxBytes(50_000))
		wg.Go(func() {
			for i := p; i < n; i += len(target.Codecs) {
				cl.Produce(ctx, &kgo.Record{Topic: topic, Partition: int32(i / 5 % partitions), Key: target.Key(i), Value: target.Value(i)}, func(_ *kgo.Record, err error) {
					if err != nil {
						t.Errorf("record %d: %v", i, err)
					}
				})
			}
			if err := cl.Flush(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// member joins the group and processes until `until` is closed, then stops taking, and leaves once `leave` is closed. It commits what
// it has processed whenever it loses partitions and when it leaves, so that nothing is processed twice.
func member(t testing.TB, ctx context.Context, l *target.Ledger, name, group, topic string, until, leave <-chan struct{}, opts ...kgo.Opt) {
	commit := func(ctx context.Context, cl *kgo.Client, _ map[string][]int32) {
		if err := cl.CommitUncommittedOffsets(ctx); err != nil {
			t.Errorf("%s: commit: %v", name, err)
		}
	}
	cl := client(t, append([]kgo.Opt{
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(), kgo.HeartbeatInterval(200 * time.Millisecond),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.OnPartitionsRevoked(commit),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) { t.Errorf("%s lost %v", name, lost) }),
	}, opts...)...)
	polling, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-until:
			stop()
		case <-polling.Done():
		}
	}()
	for !target.Closed(until) && ctx.Err() == nil {
		fs := cl.PollRecords(polling, 100)
		if err := fs.Err(); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
			return
		}
		fs.EachRecord(func(r *kgo.Record) {
			if err := l.Took(name, r.Key, r.Value); err != nil {
				t.Errorf("%s: partition %d offset %d: %v", name, r.Partition, r.Offset, err)
			}
		})
		cl.AllowRebalance()
	}
	select {
	case <-leave:
	case <-ctx.Done():
		t.Errorf("%s: the other member took too few: %v", name, ctx.Err())
	}
	cl.CloseAllowingRebalance()
}

// handover lets two members share a load of n records: the second joins when the first has taken a quarter; the first stops at three
// eighths, so that there is something left in any half of the partitions, and leaves when the second has taken a twentieth.
func handover(t *testing.T, n int, opts ...kgo.Opt) {
	const partitions = 6
	ctx, topic, group := target.Context(t), target.Topic(t, partitions), target.Name(t)
	l := target.NewLedger(n)
	var wg sync.WaitGroup
	wg.Go(func() { load(t, ctx, topic, n, partitions) })
	wg.Go(func() {
		member(t, ctx, l, "first", group, topic, l.Reached("first", n*3/8), l.Reached("second", n/20), opts...)
	})
	target.Await(t, ctx, "the first member takes a quarter", l.Reached("first", n/4))
	wg.Go(func() { member(t, ctx, l, "second", group, topic, l.All(), l.All(), opts...) })
	wg.Wait()
	l.Check(t, 0)
	target.CheckCommitted(t, group, topic)
}

func TestAHundredThousandRecordsSurviveACooperativeRebalance(t *testing.T) {
	t.Parallel()
	handover(t, 100_000, kgo.Balancers(kgo.CooperativeStickyBalancer()))
}

func TestEachEagerBalancerHandsOver(t *testing.T) {
	for name, b := range map[string]kgo.GroupBalancer{"range": kgo.RangeBalancer(), "roundrobin": kgo.RoundRobinBalancer(), "sticky": kgo.StickyBalancer()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handover(t, 10_000, kgo.Balancers(b))
		})
	}
}

// watched is a member that tells of each change of what it holds.
type watched struct {
	*kgo.Client
	changes chan []int32 // the partitions held after each change

	mu   sync.Mutex
	held map[int32]bool // guarded by mu
}

func watch(t testing.TB, group, topic string, opts ...kgo.Opt) *watched {
	w := &watched{changes: make(chan []int32, 100), held: map[int32]bool{}}
	change := func(hold bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, m map[string][]int32) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if len(m[topic]) == 0 {
				return
			}
			for _, p := range m[topic] {
				w.held[p] = hold
				if !hold {
					delete(w.held, p)
				}
			}
			w.changes <- slices.Sorted(maps.Keys(w.held))
		}
	}
	w.Client = client(t, append([]kgo.Opt{
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.HeartbeatInterval(50 * time.Millisecond),
		kgo.OnPartitionsAssigned(change(true)), kgo.OnPartitionsRevoked(change(false)), kgo.OnPartitionsLost(change(false)),
	}, opts...)...)
	return w
}

// holds waits until the member has n partitions.
func (w *watched) holds(t testing.TB, ctx context.Context, n int) []int32 {
	t.Helper()
	for {
		select {
		case now := <-w.changes:
			if len(now) == n {
				return now
			}
		case <-ctx.Done():
			t.Fatalf("a member does not come to hold %d partitions: %v", n, ctx.Err())
		}
	}
}

func TestCooperativeMembersKeepWhatTheyNeedNotGive(t *testing.T) {
	t.Parallel()
	ctx, topic, group := target.Context(t), target.Topic(t, 4), target.Name(t)
	first := watch(t, group, topic)
	all := first.holds(t, ctx, 4)
	second := watch(t, group, topic)
	theirs := second.holds(t, ctx, 2)
	for { // nothing but the two given away may ever be missing
		kept := <-first.changes
		if len(kept) < 2 {
			t.Fatalf("of %v the first member kept %v while the second took %v", all, kept, theirs)
		}
		if len(kept) == 2 {
			break
		}
	}
	second.LeaveGroup()
	first.holds(t, ctx, 4)
}

func TestAStaticMemberRestartsWithoutARebalance(t *testing.T) {
	t.Parallel()
	ctx, topic, group := target.Context(t), target.Topic(t, 4), target.Name(t)
	opts := []kgo.Opt{kgo.Balancers(kgo.RangeBalancer()), kgo.SessionTimeout(30 * time.Second)}
	leader := watch(t, group, topic, opts...)
	leader.holds(t, ctx, 4)
	static := append(opts, kgo.InstanceID("static-1"))
	one := watch(t, group, topic, static...)
	held := one.holds(t, ctx, 2)
	leader.holds(t, ctx, 2)
	_, generation := leader.GroupMetadata()
	one.Close() // a static member does not leave
	two := watch(t, group, topic, static...)
	if again := two.holds(t, ctx, 2); !slices.Equal(again, held) {
		t.Errorf("after the restart the member holds %v, before %v", again, held)
	}
	if _, now := two.GroupMetadata(); now != generation {
		t.Errorf("generation %d after the restart, %d before", now, generation)
	}
	select {
	case c := <-leader.changes:
		t.Errorf("the other member was moved: it holds %v", c)
	default:
	}
	described, err := target.Admin(t).DescribeGroups(ctx, group)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, m := range described[group].Members {
		if m.InstanceID != nil && *m.InstanceID == "static-1" {
			found++
		}
	}
	if found != 1 || len(described[group].Members) != 2 {
		t.Errorf("the group has %d members, %d of them are static-1", len(described[group].Members), found)
	}
}

func TestAStaticMemberIsFencedByItsReplacement(t *testing.T) {
	t.Parallel()
	ctx, topic, group := target.Context(t), target.Topic(t, 1), target.Name(t)
	fenced := make(chan error, 10)
	one := watch(t, group, topic, kgo.InstanceID("one"))
	one.holds(t, ctx, 1)
	go func() {
		for {
			fs := one.PollFetches(ctx)
			if err := fs.Err(); err != nil {
				fenced <- err
				return
			}
		}
	}()
	two := watch(t, group, topic, kgo.InstanceID("one"))
	two.holds(t, ctx, 1)
	select {
	case err := <-fenced:
		if !errors.Is(err, kerr.FencedInstanceID) {
			t.Errorf("the replaced member ends with %v, want FENCED_INSTANCE_ID", err)
		}
	case <-ctx.Done():
		t.Error("the replaced member is not fenced")
	}
}

func TestACommitOfAStaleGenerationIsRefused(t *testing.T) {
	t.Parallel()
	ctx, topic, group := target.Context(t), target.Topic(t, 2), target.Name(t)
	first := watch(t, group, topic)
	first.holds(t, ctx, 2)
	member, generation := first.GroupMetadata()
	commit := func(member string, generation int32) error {
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Group, req.MemberID, req.Generation = group, member, generation
		topics := kmsg.NewOffsetCommitRequestTopic()
		topics.Topic = topic
		partition := kmsg.NewOffsetCommitRequestTopicPartition()
		topics.Partitions = append(topics.Partitions, partition)
		req.Topics = append(req.Topics, topics)
		req.SetVersion(8)
		cl := client(t, kgo.MaxVersions(atMost(8, 8)))
		resp, err := req.RequestWith(ctx, cl)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
	}
	for _, c := range []struct {
		what       string
		member     string
		generation int32
		want       error
	}{
		{"its own", member, generation, nil}, {"the last generation", member, generation - 1, kerr.IllegalGeneration},
		{"a later generation", member, generation + 1, kerr.IllegalGeneration}, {"an unknown member", "nobody", generation, kerr.UnknownMemberID},
		{"no member, of a group that has some", "", -1, kerr.UnknownMemberID},
	} {
		if err := commit(c.member, c.generation); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
}

func TestAutomaticCommitsAndARegularExpression(t *testing.T) {
	t.Parallel()
	ctx, topic, group := target.Context(t), target.Topic(t, 2), target.Name(t)
	produce(t, ctx, client(t), &kgo.Record{Topic: topic, Value: []byte("1")}, &kgo.Record{Topic: topic, Partition: 1, Value: []byte("2")})
	cl := client(t, kgo.ConsumerGroup(group), kgo.ConsumeRegex(), kgo.ConsumeTopics("^"+strings.ReplaceAll(topic, ".", `\.`)+"$"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	read(t, ctx, cl, 2)
	cl.PollFetches(nil) // says that the records before are done with, and waits for nothing
	cl.Close()
	target.CheckCommitted(t, group, topic)
}
