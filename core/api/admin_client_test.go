package api

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// adminClient is franz-go's, over a socket.
func adminClient(t *testing.T, b *testBroker) (*kadm.Client, context.Context) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return kadm.NewClient(client), ctx
}

func TestATopicLivesItsLifeByAdminClient(t *testing.T) {
	b := startBroker(t)
	adm, ctx := adminClient(t, b)
	made, err := adm.CreateTopic(ctx, 3, 1, map[string]*string{"retention.ms": kadm.StringPtr("60000")}, "orders")
	if err != nil || made.NumPartitions != 3 || *made.Configs["retention.ms"].Value != "60000" {
		t.Fatalf("created: %+v, %v", made, err)
	}
	if _, err := adm.CreateTopic(ctx, 1, 1, nil, "orders"); !errors.Is(err, kerr.TopicAlreadyExists) {
		t.Errorf("created again: %v", err)
	}
	grown, err := adm.UpdatePartitions(ctx, 5, "orders")
	if err != nil || grown.Error() != nil {
		t.Fatalf("grown: %v, %v", err, grown.Error())
	}
	topics, err := adm.ListTopics(ctx, "orders")
	if err != nil || len(topics["orders"].Partitions) != 5 || [16]byte(topics["orders"].ID) != [16]byte(made.ID) {
		t.Fatalf("listed: %+v, %v", topics, err)
	}
	for i := range int32(5) { // what is acknowledged is served
		if _, ok := b.Get("orders", i); !ok {
			t.Errorf("partition %d is not served", i)
		}
	}
	gone, err := adm.DeleteTopic(ctx, "orders")
	if err != nil || gone.Err != nil {
		t.Fatalf("deleted: %v, %v", err, gone.Err)
	}
	if _, ok := b.Get("orders", 0); ok {
		t.Error("a deleted topic is served")
	}
}

func TestSettingsAreChangedByAdminClient(t *testing.T) {
	b := startBroker(t)
	adm, ctx := adminClient(t, b)
	b.createTopic("a", 1)
	changed, err := adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{
		{Op: kadm.SetConfig, Name: "segment.bytes", Value: kadm.StringPtr("2000000")},
		{Op: kadm.AppendConfig, Name: "cleanup.policy", Value: kadm.StringPtr("compact")},
	}, "a")
	if err != nil || changed[0].Err != nil {
		t.Fatalf("%v, %+v", err, changed)
	}
	described, err := adm.DescribeTopicConfigs(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, c := range described[0].Configs {
		got[c.Key] = c.MaybeValue()
	}
	if got["segment.bytes"] != "2000000" || got["cleanup.policy"] != "delete,compact" || len(got) != 33 {
		t.Errorf("%d settings: %v", len(got), got)
	}
	brokers, err := adm.DescribeBrokerConfigs(ctx, 1)
	if err != nil || brokers[0].Err != nil {
		t.Fatalf("%v, %+v", err, brokers)
	}
	if i := slices.IndexFunc(brokers[0].Configs, func(c kadm.Config) bool { return c.Key == "num.partitions" }); i < 0 || brokers[0].Configs[i].MaybeValue() != "4" {
		t.Errorf("num.partitions is not described")
	}
}

func TestRecordsAreDeletedByAdminClient(t *testing.T) {
	b := startBroker(t)
	adm, ctx := adminClient(t, b)
	b.createTopic("a", 1)
	p, _ := b.Get("a", 0)
	for range 5 {
		if _, err := p.Append(batch("x", "y"), appendOptions); err != nil {
			t.Fatal(err)
		}
	}
	offsets := kadm.Offsets{}
	offsets.AddOffset("a", 0, 7, -1)
	deleted, err := adm.DeleteRecords(ctx, offsets)
	if err != nil || deleted["a"][0].LowWatermark != 7 {
		t.Fatalf("%+v, %v", deleted, err)
	}
	if start, _, _, _ := p.Offsets(); start != 7 {
		t.Errorf("the log starts at %d", start)
	}
	offsets = kadm.Offsets{}
	offsets.AddOffset("a", 0, 11, -1)
	deleted, err = adm.DeleteRecords(ctx, offsets)
	if err != nil || !errors.Is(deleted["a"][0].Err, kerr.OffsetOutOfRange) {
		t.Errorf("beyond the end: %+v, %v", deleted, err)
	}
	dirs, err := adm.DescribeAllLogDirs(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	found, ok := dirs[1].Lookup(b.Dir(), "a", 0)
	if !ok || found.Size != p.Size() || found.Size == 0 {
		t.Errorf("log directories: %+v", dirs)
	}
}

func TestTheClusterIsDescribedToAdminClient(t *testing.T) {
	b := startBroker(t)
	adm, ctx := adminClient(t, b)
	m, err := adm.BrokerMetadata(ctx)
	if err != nil || m.Cluster != testClusterID || m.Controller != 1 || len(m.Brokers) != 1 {
		t.Fatalf("%+v, %v", m, err)
	}
}
