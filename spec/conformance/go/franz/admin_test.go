package franz

import (
	"cmp"
	"errors"
	"slices"
	"testing"

	"github.com/millrun/millrun/spec/conformance/go/target"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
)

// atMost pins one key to a version and leaves the others as they are.
func atMost(key, version int16) *kversion.Versions {
	v := kversion.Stable()
	v.SetMaxKeyVersion(key, version)
	return v
}

func TestTopicsAreMadeSeenGrownAndDeleted(t *testing.T) {
	t.Parallel()
	ctx, adm := target.Context(t), target.Admin(t)
	a, b := target.Name(t), target.Name(t)
	retention := "3600000"
	made, err := adm.CreateTopics(ctx, 3, 1, map[string]*string{"retention.ms": &retention}, a, b)
	if err != nil || made.Error() != nil || made[a].NumPartitions != 3 || made[a].ReplicationFactor != 1 || made[a].ID == (kadm.TopicID{}) {
		t.Fatalf("%v, %+v", err, made)
	}
	if c := made[a].Configs["retention.ms"]; c.Value == nil || *c.Value != retention {
		t.Errorf("the answer has retention.ms %v", c.Value)
	}
	for what, c := range map[string]struct {
		partitions int32
		factor     int16
		name       string
		want       error
	}{
		"again": {1, 1, a, kerr.TopicAlreadyExists}, "a bad name": {1, 1, "no spaces", kerr.InvalidTopicException},
		"no partitions": {0, 1, a + "x", kerr.InvalidPartitions}, "three replicas": {1, 3, a + "x", kerr.InvalidReplicationFactor},
	} {
		if _, err := adm.CreateTopic(ctx, c.partitions, c.factor, nil, c.name); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
	if r, err := adm.ValidateCreateTopics(ctx, 1, 1, nil, a+"-only-asked"); err != nil || r.Error() != nil {
		t.Errorf("validate: %v, %v", err, r.Error())
	}
	grown, err := adm.UpdatePartitions(ctx, 5, a)
	if err != nil || grown.Error() != nil {
		t.Fatalf("grow: %v, %v", err, grown.Error())
	}
	if r, err := adm.UpdatePartitions(ctx, 2, a); err != nil || !errors.Is(r[a].Err, kerr.InvalidPartitions) {
		t.Errorf("shrink: %v, %v", err, r[a].Err)
	}
	seen, err := adm.ListTopics(ctx)
	if err != nil || len(seen[a].Partitions) != 5 || len(seen[b].Partitions) != 3 || seen[a].ID != made[a].ID || seen.Has(a+"-only-asked") {
		t.Errorf("listed: %v, %d and %d partitions", err, len(seen[a].Partitions), len(seen[b].Partitions))
	}
	produce(t, ctx, client(t), &kgo.Record{Topic: a, Partition: 4, Value: []byte("v")})
	gone, err := adm.DeleteTopics(ctx, a, b, a+"-never")
	if err != nil || gone[a].Err != nil || gone[b].Err != nil || !errors.Is(gone[a+"-never"].Err, kerr.UnknownTopicOrPartition) {
		t.Errorf("delete: %v, %v", err, gone)
	}
	adm = target.Admin(t) // kadm answers from what it has heard within the last seconds
	if seen, err := adm.ListTopics(ctx); err != nil || seen.Has(a) || seen.Has(b) {
		t.Errorf("after the deletion: %v, %v", err, seen.Names())
	}
	again, err := adm.CreateTopic(ctx, 1, 1, nil, a)
	if err != nil || again.ID == made[a].ID {
		t.Errorf("made again: %v, the id is the old one: %t", err, again.ID == made[a].ID)
	}
	if ends, err := target.Admin(t).ListEndOffsets(ctx, a); err != nil || ends.Error() != nil || ends[a][0].Offset != 0 {
		t.Errorf("the new topic ends at %+v, %v", ends[a], err)
	}
}

func TestConfigsAreSetAppendedAndTakenBack(t *testing.T) {
	t.Parallel()
	ctx, adm, topic := target.Context(t), target.Admin(t), target.Topic(t, 1, "retention.ms", "1000000")
	get := func() map[string]kadm.Config {
		rs, err := adm.DescribeTopicConfigs(ctx, topic)
		if err != nil || len(rs) != 1 || rs[0].Err != nil {
			t.Fatalf("describe: %v, %+v", err, rs)
		}
		m := map[string]kadm.Config{}
		for _, c := range rs[0].Configs {
			m[c.Key] = c
		}
		return m
	}
	value := func(m map[string]kadm.Config, k string) string { c := m[k]; return c.MaybeValue() }
	before := get()
	if value(before, "retention.ms") != "1000000" || before["retention.ms"].Source.String() != "DYNAMIC_TOPIC_CONFIG" || len(before) < 25 {
		t.Errorf("%d configs, retention.ms = %s by %v", len(before), value(before, "retention.ms"), before["retention.ms"].Source)
	}
	if value(before, "max.message.bytes") != "1048588" || value(before, "cleanup.policy") != "delete" || value(before, "compression.type") != "producer" {
		t.Errorf("defaults: %s, %s, %s", value(before, "max.message.bytes"), value(before, "cleanup.policy"), value(before, "compression.type"))
	}
	v := func(s string) *string { return &s }
	alter := func(cs ...kadm.AlterConfig) error {
		rs, err := adm.AlterTopicConfigs(ctx, cs, topic)
		if err != nil {
			return err
		}
		return rs[0].Err
	}
	if err := alter(kadm.AlterConfig{Op: kadm.SetConfig, Name: "max.message.bytes", Value: v("2000000")},
		kadm.AlterConfig{Op: kadm.AppendConfig, Name: "cleanup.policy", Value: v("compact")},
		kadm.AlterConfig{Op: kadm.DeleteConfig, Name: "retention.ms"}); err != nil {
		t.Fatal(err)
	}
	if m := get(); value(m, "max.message.bytes") != "2000000" || value(m, "cleanup.policy") != "delete,compact" || value(m, "retention.ms") != "604800000" {
		t.Errorf("altered: %s, %s, %s", value(m, "max.message.bytes"), value(m, "cleanup.policy"), value(m, "retention.ms"))
	}
	if err := alter(kadm.AlterConfig{Op: kadm.SubtractConfig, Name: "cleanup.policy", Value: v("compact")}); err != nil || value(get(), "cleanup.policy") != "delete" {
		t.Errorf("subtract: %v, cleanup.policy = %s", err, value(get(), "cleanup.policy"))
	}
	if err := alter(kadm.AlterConfig{Op: kadm.SetConfig, Name: "max.message.bytes", Value: v("many")}); !errors.Is(err, kerr.InvalidConfig) {
		t.Errorf("a value that is no number: %v", err)
	}
	if err := alter(kadm.AlterConfig{Op: kadm.SetConfig, Name: "no.such.config", Value: v("1")}); !errors.Is(err, kerr.InvalidConfig) {
		t.Errorf("an unknown name: %v", err)
	}
	if rs, err := adm.AlterTopicConfigsState(ctx, []kadm.AlterConfig{{Name: "segment.bytes", Value: v("1048576")}}, topic); err != nil || rs[0].Err != nil {
		t.Errorf("alter the whole set: %v, %v", err, rs)
	}
	if m := get(); value(m, "segment.bytes") != "1048576" || value(m, "max.message.bytes") != "1048588" {
		t.Errorf("after the whole set: segment.bytes %s, max.message.bytes %s", value(m, "segment.bytes"), value(m, "max.message.bytes"))
	}
	md, err := adm.BrokerMetadata(ctx)
	if err != nil || len(md.Brokers) != 1 || md.Cluster == "" || md.Controller != md.Brokers[0].NodeID {
		t.Fatalf("brokers: %v, %+v", err, md)
	}
	if rs, err := adm.DescribeBrokerConfigs(ctx, md.Brokers[0].NodeID); err != nil || rs[0].Err != nil || len(rs[0].Configs) < 100 {
		t.Errorf("broker configs: %v, %d of them", err, len(rs[0].Configs))
	}
	if _, err := adm.DescribeTopicConfigs(ctx, topic+"-never"); err != nil {
		t.Errorf("describe a topic that is not there: %v", err)
	}
}

func TestRecordsAreDeletedUpToAnOffset(t *testing.T) {
	t.Parallel()
	ctx, adm, topic := target.Context(t), target.Admin(t), target.Topic(t, 1)
	produce(t, ctx, client(t), toKgo(topic, 0, target.Odd()[:20])...)
	remove := func(at int64) (int64, error) {
		var os kadm.Offsets
		os.Add(kadm.Offset{Topic: topic, At: at})
		rs, err := adm.DeleteRecords(ctx, os)
		if err != nil {
			return 0, err
		}
		r, _ := rs.Lookup(topic, 0)
		return r.LowWatermark, r.Err
	}
	if low, err := remove(7); err != nil || low != 7 {
		t.Errorf("delete to 7: %d, %v", low, err)
	}
	if got := read(t, ctx, client(t, direct(topic, 0, kgo.NewOffset().AtStart())), 1); got[0].Offset != 7 {
		t.Errorf("the first record left has offset %d", got[0].Offset)
	}
	if _, err := remove(21); !errors.Is(err, kerr.OffsetOutOfRange) {
		t.Errorf("delete past the end: %v", err)
	}
	if low, err := remove(-1); err != nil || low != 20 {
		t.Errorf("delete all: %d, %v", low, err)
	}
	starts, err := adm.ListStartOffsets(ctx, topic)
	if err != nil || starts[topic][0].Offset != 20 {
		t.Errorf("the start is %+v, %v", starts[topic][0], err)
	}
}

func TestGroupsAreListedDescribedAndDeleted(t *testing.T) {
	t.Parallel()
	ctx, adm, topic, group := target.Context(t), target.Admin(t), target.Topic(t, 2), target.Name(t)
	produce(t, ctx, client(t), toKgo(topic, 0, target.Odd()[:10])...)
	m := watch(t, group, topic, kgo.ClientID("the-client"), kgo.DisableAutoCommit())
	m.holds(t, ctx, 2)
	groups, err := adm.ListGroups(ctx)
	if err != nil || groups[group].State != "Stable" || groups[group].ProtocolType != "consumer" {
		t.Errorf("listed: %v, %+v", err, groups[group])
	}
	if only, err := adm.ListGroups(ctx, "Empty"); err != nil || slices.Contains(only.Groups(), group) {
		t.Errorf("listed among the empty: %v", err)
	}
	d, err := adm.DescribeGroups(ctx, group)
	if err != nil || d[group].State != "Stable" || len(d[group].Members) != 1 || d[group].Members[0].ClientID != "the-client" || d[group].Protocol != "cooperative-sticky" {
		t.Fatalf("described: %v, %+v", err, d[group])
	}
	if a, ok := d[group].Members[0].Assigned.AsConsumer(); !ok || len(a.Topics) != 1 || len(a.Topics[0].Partitions) != 2 {
		t.Errorf("assigned: %+v", a)
	}
	if err := m.CommitRecords(ctx, &kgo.Record{Topic: topic, Offset: 3}); err != nil {
		t.Fatal(err)
	}
	lags, err := adm.Lag(ctx, group)
	lag := lags[group]
	if err != nil || lag.Error() != nil || lag.Lag.Total() != 6 {
		t.Errorf("lag: %v, %v, %d", err, lag.Error(), lag.Lag.Total())
	}
	if r, err := adm.DeleteGroup(ctx, group); !errors.Is(cmp.Or(err, r.Err), kerr.NonEmptyGroup) {
		t.Errorf("deleting a group with a member: %v, %v", err, r.Err)
	}
	set := kadm.TopicsSet{}
	set.Add(topic, 0)
	if rs, err := adm.DeleteOffsets(ctx, group, set); err != nil || !errors.Is(rs[topic][0], kerr.GroupSubscribedToTopic) {
		t.Errorf("deleting offsets of a subscribed topic: %v, %v", err, rs)
	}
	m.LeaveGroup()
	var os kadm.Offsets
	os.Add(kadm.Offset{Topic: topic, Partition: 1, At: 0, LeaderEpoch: -1, Metadata: "a note"})
	if rs, err := adm.CommitOffsets(ctx, group, os); err != nil || rs.Error() != nil {
		t.Errorf("commit from outside: %v, %v", err, rs.Error())
	}
	got, err := adm.FetchOffsets(ctx, group)
	o0, _ := got.Lookup(topic, 0)
	o1, _ := got.Lookup(topic, 1)
	if err != nil || o0.At != 4 || o1.At != 0 || o1.Metadata != "a note" {
		t.Errorf("fetched: %v, %+v, %+v", err, o0, o1)
	}
	if rs, err := adm.DeleteOffsets(ctx, group, set); err != nil || rs.Error() != nil {
		t.Errorf("deleting offsets: %v, %v", err, rs.Error())
	}
	if r, err := adm.DeleteGroup(ctx, group); cmp.Or(err, r.Err) != nil {
		t.Errorf("deleting the empty group: %v, %v", err, r.Err)
	}
	if groups, err := adm.ListGroups(ctx); err != nil || slices.Contains(groups.Groups(), group) {
		t.Errorf("after the deletion: %v, %v", err, groups.Groups())
	}
	if r, err := adm.DeleteGroup(ctx, group); !errors.Is(cmp.Or(err, r.Err), kerr.GroupIDNotFound) {
		t.Errorf("deleting it again: %v, %v", err, r.Err)
	}
	if got, err := adm.FetchOffsets(ctx, group); err != nil || got.Error() != nil || len(got) != 0 {
		t.Errorf("offsets of no group: %v, %v", err, got)
	}
}

func TestOffsetsAreListedByTimeAndEpoch(t *testing.T) {
	t.Parallel()
	ctx, adm, topic := target.Context(t), target.Admin(t), target.Topic(t, 1)
	sent := target.Odd()[:30]
	slices.Reverse(sent) // the newest time is the first record's
	produce(t, ctx, client(t), toKgo(topic, 0, sent)...)
	most, err := adm.ListMaxTimestampOffsets(ctx, topic)
	if err != nil || most.Error() != nil || most[topic][0].Offset != 0 || most[topic][0].Timestamp != sent[0].Time.UnixMilli() {
		t.Errorf("the latest time: %v, %+v", err, most[topic][0])
	}
	after, err := adm.ListOffsetsAfterMilli(ctx, sent[10].Time.UnixMilli(), topic)
	if err != nil || after[topic][0].Offset != 0 {
		t.Errorf("the first record at or after a time: %v, %+v", err, after[topic][0])
	}
	var req kadm.OffsetForLeaderEpochRequest
	req.Add(topic, 0, 0)
	epochs, err := adm.OffsetForLeaderEpoch(ctx, req)
	if err != nil || epochs[topic][0].Err != nil || epochs[topic][0].EndOffset != 30 {
		t.Errorf("the end of epoch 0: %v, %+v", err, epochs[topic][0])
	}
	if _, err := adm.ListEndOffsets(ctx, topic+"-never"); err != nil {
		t.Errorf("a topic that is not there: %v", err)
	}
}
