//go:build cgo

package confluent

import (
	"errors"
	"testing"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/millrun/millrun/spec/conformance/go/target"
)

func TestAnUnknownTopicIsAnErrorUnlessItMayBeMade(t *testing.T) {
	t.Parallel()
	ctx, topic := target.Context(t), target.Name(t)
	c := consumer(t, kafka.ConfigMap{"allow.auto.create.topics": false})
	if err := c.Subscribe(topic, nil); err != nil {
		t.Fatal(err)
	}
	if m, err := next(ctx, c); !is(err, kafka.ErrUnknownTopicOrPart) {
		t.Errorf("without leave to make it: %v, %v", m, err)
	}
	if topics, err := target.Admin(t).ListTopics(ctx); err != nil || topics.Has(topic) {
		t.Errorf("the topic was made all the same (%v)", err)
	}
	if err := send(producer(t, nil), messages(topic, 0, []target.Record{{Value: []byte("v")}})...); err != nil {
		t.Errorf("a producer's topic: %v", err)
	}
	if m := read(t, topic, 0, 0, 1)[0]; string(m.Value) != "v" {
		t.Errorf("read %q", m.Value)
	}
}

func TestAnOffsetOutOfRangeFollowsThePolicy(t *testing.T) {
	t.Parallel()
	ctx, topic := target.Context(t), target.Topic(t, 1)
	if err := send(producer(t, nil), messages(topic, 0, target.Odd()[:20])...); err != nil {
		t.Fatal(err)
	}
	if _, err := admin(t).DeleteRecords(ctx, []kafka.TopicPartition{{Topic: &topic, Offset: 5}}); err != nil {
		t.Fatal(err)
	}
	for _, from := range []kafka.Offset{2, 400} {
		for policy, want := range map[string]kafka.Offset{"earliest": 5, "error": -1} {
			c := consumer(t, kafka.ConfigMap{"auto.offset.reset": policy})
			if err := c.Assign([]kafka.TopicPartition{{Topic: &topic, Offset: from}}); err != nil {
				t.Fatal(err)
			}
			m, err := next(ctx, c)
			switch {
			case want < 0 && !is(err, kafka.ErrAutoOffsetReset):
				t.Errorf("from %v, %s: %v", from, policy, err)
			case want >= 0 && (err != nil || m.TopicPartition.Offset != want):
				t.Errorf("from %v, %s: %v, %v", from, policy, m, err)
			}
		}
	}
}

func TestATransactionalIDIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	ctx, topic := target.Context(t), target.Topic(t, 1)
	p := producer(t, kafka.ConfigMap{"transactional.id": target.Name(t), "message.send.max.retries": 1, "transaction.timeout.ms": 60_000})
	began := time.Now()
	err := p.InitTransactions(ctx)
	if d := time.Since(began); d > 20*time.Second {
		t.Errorf("answered after %v", d)
	}
	var k kafka.Error
	if err != nil {
		if !errors.As(err, &k) || k.IsRetriable() || k.IsTimeout() {
			t.Errorf("refused with %v, which a client tries again", err)
		}
		return
	}
	if err := p.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := send(p, messages(topic, 0, target.Odd()[:3])...); err != nil {
		t.Error(err)
	}
	if err := p.CommitTransaction(ctx); err != nil {
		t.Error(err)
	}
}
