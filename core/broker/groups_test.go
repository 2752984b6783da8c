package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// startBroker starts a broker on a folder of its own, or on dir.
func startGroupBroker(t testing.TB, dir string, settings ...string) *Broker {
	t.Helper()
	set := map[string]string{
		"group.initial.rebalance.delay.ms": "0", "offsets.topic.replication.factor": "1", "default.replication.factor": "1",
		"num.partitions": "4", "group.min.session.timeout.ms": "100",
	}
	for _, s := range settings {
		k, v, _ := strings.Cut(s, "=")
		set[k] = v
	}
	if dir == "" {
		dir = t.TempDir()
	}
	b, err := Start(t.Context(), Config{DataDir: dir, Kafka: "127.0.0.1:0", HTTP: "127.0.0.1:0", Settings: set})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopGroupBroker(t, b) })
	return b
}

func stopGroupBroker(t testing.TB, b *Broker) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

func newClient(t testing.TB, b *Broker, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.KafkaAddr()), kgo.AllowAutoTopicCreation()}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func produceN(t testing.TB, cl *kgo.Client, topic string, from, n int) {
	t.Helper()
	for i := range n {
		cl.Produce(t.Context(), &kgo.Record{Topic: topic, Key: fmt.Append(nil, i), Value: fmt.Append(nil, from+i)}, nil)
	}
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestSmoke(t *testing.T) {
	b := startGroupBroker(t, "")
	cl := newClient(t, b)
	started := time.Now()
	produceN(t, cl, "t", 0, 100)
	t.Log("produced", time.Since(started))
	c := newClient(t, b, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"))
	n := 0
	for n < 100 {
		f := c.PollFetches(t.Context())
		if err := f.Err(); err != nil {
			t.Fatal(err)
		}
		n += f.NumRecords()
	}
	t.Log("consumed", time.Since(started))
	if err := c.CommitUncommittedOffsets(t.Context()); err != nil {
		t.Fatal(err)
	}
	adm := kadm.NewClient(cl)
	os, err := adm.FetchOffsets(t.Context(), "g")
	t.Log(os, err)
	_, _, _, _, _ = slices.Max([]int{1}), kerr.NotCoordinator, errors.Is, sync.Mutex{}, kmsg.NewPtrJoinGroupRequest
}
