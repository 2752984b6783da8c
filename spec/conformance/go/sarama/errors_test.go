package sarama_test

import (
	"errors"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/millrun/millrun/spec/conformance/go/target"
)

func TestAnUnknownTopicIsAnErrorUnlessItMayBeMade(t *testing.T) {
	t.Parallel()
	topic := target.Name(t)
	send := func(make bool) error {
		c := config(t)
		c.Metadata.AllowAutoTopicCreation = make
		_, _, err := producer(t, c).SendMessage(message(topic, 0, target.Record{Value: []byte("v")}))
		return err
	}
	if err := send(false); !errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
		t.Errorf("without leave to make it: %v", err)
	}
	if err := send(true); err != nil {
		t.Errorf("with leave: %v", err)
	}
	if m := read(t, config(t), topic, 0, 0, 1)[0]; string(m.Value) != "v" {
		t.Errorf("read %q", m.Value)
	}
}

func TestAnOffsetOutOfRangeIsAnError(t *testing.T) {
	t.Parallel()
	topic := target.Topic(t, 1)
	if err := producer(t, config(t)).SendMessages(messages(topic, 0, target.Odd()[:20])); err != nil {
		t.Fatal(err)
	}
	if err := admin(t).DeleteRecords(topic, map[int32]int64{0: 5}); err != nil {
		t.Fatal(err)
	}
	consumer, err := sarama.NewConsumerFromClient(dial(t, config(t)))
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []int64{2, 400} {
		if _, err := consumer.ConsumePartition(topic, 0, from); !errors.Is(err, sarama.ErrOffsetOutOfRange) {
			t.Errorf("from %d: %v", from, err)
		}
	}
	// in a group, an offset that is gone follows the policy
	ctx, group := target.Context(t), target.Name(t)
	if _, err := admin(t).AlterConsumerGroupOffsets(group, map[string]map[int32]sarama.OffsetAndMetadata{topic: {0: {Offset: 2}}}, nil); err != nil {
		t.Fatal(err)
	}
	first := &firstOffset{make(chan int64, 1)}
	got := make(chan struct{})
	go member(t, ctx, config(t), group, topic, first, got)
	select {
	case o := <-first.offset:
		if o != 5 {
			t.Errorf("the group goes on at %d, the oldest is 5", o)
		}
	case <-ctx.Done():
		t.Error("the group reads nothing")
	}
	close(got)
}

// firstOffset tells the offset of the first message.
type firstOffset struct{ offset chan int64 }

func (*firstOffset) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (*firstOffset) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (f *firstOffset) ConsumeClaim(_ sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim) error {
	for m := range c.Messages() {
		select {
		case f.offset <- m.Offset:
		default:
		}
	}
	return nil
}

func TestATransactionalIDIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	topic, c := target.Topic(t, 1), config(t)
	c.Producer.Idempotent, c.Producer.Retry.Max, c.Net.MaxOpenRequests = true, 1, 1
	c.Producer.Transaction.ID, c.Producer.Transaction.Retry.Max = target.Name(t), 1
	began := time.Now()
	p, err := sarama.NewSyncProducer([]string{target.Bootstrap(t)}, c)
	if d := time.Since(began); d > 20*time.Second {
		t.Errorf("answered after %v", d)
	}
	if err != nil { // transactions are not served: it must say so, in a way that is not tried again
		if !errors.Is(err, sarama.ErrInvalidRequest) && !errors.Is(err, sarama.ErrTransactionalIDAuthorizationFailed) {
			t.Errorf("refused with %v", err)
		}
		return
	}
	defer p.Close()
	if err := p.BeginTxn(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.SendMessage(message(topic, 0, target.Record{Value: []byte("v")})); err != nil {
		t.Error(err)
	}
	if err := p.CommitTxn(); err != nil {
		t.Error(err)
	}
}
