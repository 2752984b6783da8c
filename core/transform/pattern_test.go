package transform_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrun/millrun/core/transform"
	"github.com/twmb/franz-go/pkg/kgo"
)

// reads tells that the only member has so many partitions and has read them.
func reads(partitions int) func(s transform.Status) bool {
	return func(s transform.Status) bool {
		return s.State == "running" && s.Lag == 0 && len(s.Partitions) == partitions && len(s.Members) == 1 && len(s.Members[0].Partitions) == partitions
	}
}

func TestTopicsThatAppearLaterJoinAPatternFromTheirFirstRecord(t *testing.T) {
	n := startNode(t, "")
	spec := filterSpec("f")
	spec.Input, spec.CreateOutputs = []string{"/in-.*/", "plain"}, true
	if got := n.refused("/v1/deployments", spec); !strings.HasPrefix(got, "400 input topic plain does not exist") {
		t.Errorf("%s", got)
	}
	spec.Input = []string{"/in-.*/"}
	n.deploy(spec) // matches nothing yet
	if s := n.until("f", "no topics", reads(0)); !slices.Equal(s.Inputs, spec.Input) {
		t.Errorf("inputs: %q", s.Inputs)
	}
	n.createTopic("in-a", 2) // more than out has: it is widened
	n.createTopic("not-in-a", 1)
	n.produce("in-a", 2, "yes1")
	n.produce("not-in-a", 1, "yes no")
	n.until("f", "in-a", reads(2))
	n.createTopic("in-b", 3)
	n.produce("in-b", 3, "yes2")
	n.until("f", "in-a and in-b", reads(5))
	if got := n.read("out"); !slices.Equal(got, []string{"yes1", "yes1", "yes2", "yes2", "yes2"}) {
		t.Errorf("out: %q", got)
	}
	if _, err := n.admin.DeleteTopic(t.Context(), "in-a"); err != nil {
		t.Fatal(err)
	}
	n.until("f", "in-b alone", reads(3))
	n.produce("in-b", 3, "yes3")
	n.until("f", "in-b read", reads(3))
	if got := n.read("out"); len(got) != 8 {
		t.Errorf("out: %q", got)
	}
}

func TestATopicThatIsDeletedAndCreatedAgainIsReadFromItsFirstRecord(t *testing.T) {
	for _, paused := range []bool{false, true} {
		t.Run(fmt.Sprint("paused ", paused), func(t *testing.T) {
			n := startNode(t, "")
			n.createTopic("in-a", 1)
			n.createTopic("out", 1)
			n.produce("in-a", 1, "1", "2", "3", "4", "5")
			spec := filterSpec("f")
			spec.Input = []string{"/in-.*/"}
			n.deploy(spec)
			n.until("f", "the old topic", reads(1))
			if paused {
				n.http("POST", "/v1/deployments/f/pause", nil, nil)
			}
			if _, err := n.admin.DeleteTopic(t.Context(), "in-a"); err != nil {
				t.Fatal(err)
			}
			if !paused {
				n.until("f", "nothing", reads(0))
			}
			n.createTopic("in-a", 1)
			n.client = n.newClient(kgo.RecordPartitioner(kgo.ManualPartitioner())) // one that has not known the topic before
			n.produce("in-a", 1, "yes1", "yes2")
			if paused {
				n.until("f", "forgotten offsets", func(s transform.Status) bool { return s.Lag == 2 })
				n.http("POST", "/v1/deployments/f/resume", nil, nil)
			}
			n.until("f", "the new topic", reads(1))
			if got := n.read("out"); !slices.Equal(got, []string{"yes1", "yes2"}) {
				t.Errorf("out: %q", got)
			}
		})
	}
}

func TestAPatternBesideNamesBeginsAtTheLatestOfWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir)
	for _, topic := range []string{"in-a", "plain", "out"} {
		n.createTopic(topic, 1)
		n.produce(topic, 1, "yes before")
	}
	spec := filterSpec("f")
	spec.Input = []string{"plain", "/.*/"} // all but its own output
	n.deploy(spec)
	n.produce("in-a", 1, "yes1")
	n.produce("plain", 1, "yes2")
	n.until("f", "both", reads(2))
	n.stop()
	n = startNode(t, dir)
	n.createTopic("in-late", 1)
	n.produce("in-late", 1, "yes3")
	n.until("f", "three after a restart", reads(3))
	if got := n.read("out"); !slices.Equal(got, []string{"yes before", "yes1", "yes2", "yes3"}) {
		t.Errorf("out: %q", got)
	}
}

func TestAnOutsideConsumerSharesWhatMatchesAPattern(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 2)
	spec := filterSpec("f")
	spec.Input, spec.CreateOutputs = []string{"/in.*/"}, true
	n.deploy(spec)
	n.until("f", "in", reads(2))
	o := n.join("f", kgo.CooperativeStickyBalancer()) // reads in alone
	n.until("f", "one each", func(s transform.Status) bool {
		return len(s.Members) == 2 && len(s.Members[0].Partitions) == 1 && len(s.Members[1].Partitions) == 1
	})
	n.createTopic("in2", 2)
	n.until("f", "in2 too", func(s transform.Status) bool {
		total := 0
		for _, m := range s.Members {
			total += len(m.Partitions)
			if !m.Local && slices.ContainsFunc(m.Partitions, func(p transform.MemberPartition) bool { return p.Topic == "in2" }) {
				t.Errorf("the outside consumer was given %+v", m.Partitions)
			}
		}
		return len(s.Members) == 2 && total == 4
	})
	n.produce("in", 2, "yes1")
	n.produce("in2", 2, "yes2")
	n.until("f", "all read", func(s transform.Status) bool { return s.Lag == 0 })
	o.client.Close()
	seen := n.read("out")
	for v := range o.values {
		seen = append(seen, v)
	}
	slices.Sort(seen)
	if !slices.Equal(seen, []string{"yes1", "yes1", "yes2", "yes2"}) {
		t.Errorf("seen: %q", seen)
	}
}

func TestAnOutputThatIsTooNarrowForALaterTopicStopsTheDeploymentWithAReason(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in-a", 1)
	n.createTopic("out", 1)
	spec := filterSpec("f")
	spec.Input = []string{"/in-.*/"}
	n.deploy(spec)
	n.createTopic("in-b", 2)
	n.produce("in-b", 2, "yes")
	s := n.until("f", "stopped", func(s transform.Status) bool { return s.State == "stopped" })
	if !strings.Contains(s.Reason, "output topic out has 1 partitions") || !strings.Contains(s.Reason, "in-b/1") {
		t.Errorf("reason: %s", s.Reason)
	}
	if got := n.refused("/v1/deployments/f/upgrade", transform.UpgradeSpec{Module: "contains2"}); !strings.Contains(got, "output topic out has 1 partitions and input topic in-b has 2") {
		t.Errorf("%s", got)
	}
	n.upgraded("f", transform.UpgradeSpec{Partition: transform.PartitionKey})
	n.until("f", "running again", reads(3))
	if got := n.read("out"); !slices.Equal(got, []string{"yes", "yes"}) {
		t.Errorf("out: %q", got)
	}
}

func TestACycleThroughSeveralDeploymentsIsRefused(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 1)
	a := filterSpec("a")
	a.CreateOutputs = true
	n.deploy(a)
	b := a
	b.Name, b.Input, b.Output = "b", []string{"/ou.*/"}, []string{"in"}
	if got := n.refused("/v1/deployments", b); !strings.HasSuffix(got, ": b writes in, which a reads; a writes out, which b reads") {
		t.Errorf("%s", got)
	}
	b.Output = []string{"end"}
	n.deploy(b)
	create := true
	if got := n.refused("/v1/deployments/a/upgrade", transform.UpgradeSpec{Input: []string{"in", "end"}, CreateOutputs: &create}); !strings.HasSuffix(got, ": a writes out, which b reads; b writes end, which a reads") {
		t.Errorf("%s", got)
	}
}

func TestHeadersTimestampsAndKeysAreKeptFromSeveralInputs(t *testing.T) {
	for _, partition := range []string{transform.PartitionSame, transform.PartitionKey} {
		t.Run(partition, func(t *testing.T) {
			n := startNode(t, "")
			n.createTopic("in", 3)
			n.createTopic("in2", 5)
			spec := filterSpec("f")
			spec.Input, spec.Partition, spec.CreateOutputs = []string{"in", "in2"}, partition, true
			n.deploy(spec)
			at := time.UnixMilli(1_600_000_000_000)
			want := map[string]kgo.Record{}
			for topic, partitions := range map[string]int{"in": 3, "in2": 5} {
				for i := range 20 {
					r := kgo.Record{Topic: topic, Partition: int32(i % partitions), Key: fmt.Appendf(nil, "key %d", i), Value: fmt.Appendf(nil, "yes %s %d", topic, i),
						Headers: []kgo.RecordHeader{{Key: "h", Value: fmt.Append(nil, i)}, {Key: "h", Value: nil}}, Timestamp: at.Add(time.Duration(i) * time.Hour)}
					want[string(r.Value)] = r
					if err := n.client.ProduceSync(t.Context(), &r).FirstErr(); err != nil {
						t.Fatal(err)
					}
				}
			}
			n.untilDone("f")
			hash := kgo.StickyKeyPartitioner(nil).ForTopic("out")
			c := n.newClient(kgo.ConsumeTopics("out"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
			partitions := map[int32]bool{}
			for len(want) > 0 {
				fetches := c.PollFetches(t.Context())
				if err := fetches.Err(); err != nil {
					t.Fatal(err)
				}
				fetches.EachRecord(func(got *kgo.Record) {
					in, ok := want[string(got.Value)]
					delete(want, string(got.Value))
					to := in.Partition
					if partition == transform.PartitionKey {
						to = int32(hash.Partition(got, 5)) // five, as the widest input has
					}
					if !ok || got.Partition != to || string(got.Key) != string(in.Key) || !got.Timestamp.Equal(in.Timestamp) ||
						len(got.Headers) != 2 || string(got.Headers[0].Value) != string(in.Headers[0].Value) || got.Headers[1].Value != nil {
						t.Errorf("%+v came out as %+v, not in partition %d", in, got, to)
					}
					partitions[got.Partition] = true
				})
			}
			if len(partitions) != 5 {
				t.Errorf("%d partitions of the output are in use", len(partitions))
			}
		})
	}
}
