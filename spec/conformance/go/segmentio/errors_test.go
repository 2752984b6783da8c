package segmentio

import (
	"errors"
	"testing"
	"time"

	"github.com/millrun/millrun/spec/conformance/go/target"
	"github.com/segmentio/kafka-go"
)

func TestAnUnknownTopicIsAnErrorUnlessItMayBeMade(t *testing.T) {
	t.Parallel()
	ctx, topic := target.Context(t), target.Name(t)
	err := writer(t, topic, "none").WriteMessages(ctx, kafka.Message{Value: []byte("v")})
	if !errors.Is(err, kafka.UnknownTopicOrPartition) {
		t.Errorf("without leave to make it: %v", err)
	}
	made := writer(t, topic, "none")
	made.AllowAutoTopicCreation = true
	write(t, ctx, made, kafka.Message{Value: []byte("v")})
	if m := read(t, ctx, reader(t, topic, 0), 1)[0]; string(m.Value) != "v" {
		t.Errorf("read %q", m.Value)
	}
}

func TestAnOffsetOutOfRangeIsAnError(t *testing.T) {
	t.Parallel()
	ctx, topic := target.Context(t), target.Topic(t, 1)
	write(t, ctx, writer(t, topic, "none"), messages(target.Odd()[:20])...)
	for _, from := range []int64{21, 400} {
		if _, err := reader(t, topic, from).ReadMessage(ctx); !errors.Is(err, kafka.OffsetOutOfRange) {
			t.Errorf("from %d: %v", from, err)
		}
	}
	resp, err := client(t).Fetch(ctx, &kafka.FetchRequest{Topic: topic, Offset: 400, MinBytes: 1, MaxBytes: 1000, MaxWait: time.Second})
	if err != nil || !errors.Is(resp.Error, kafka.OffsetOutOfRange) {
		t.Errorf("by the Client: %v, %+v", err, resp)
	}
}

func TestProducerIDsAreGivenAndTransactionalOnesAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	ctx, cl := target.Context(t), client(t)
	plain, err := cl.InitProducerID(ctx, &kafka.InitProducerIDRequest{ProducerID: -1, ProducerEpoch: -1})
	if err != nil || plain.Error != nil || plain.Producer.ProducerID < 0 || plain.Producer.ProducerEpoch != 0 {
		t.Errorf("%v, %+v", err, plain)
	}
	began := time.Now()
	id := target.Name(t)
	resp, err := cl.InitProducerID(ctx, &kafka.InitProducerIDRequest{TransactionalID: id, TransactionTimeoutMs: 10_000, ProducerID: -1, ProducerEpoch: -1})
	if d := time.Since(began); d > 20*time.Second {
		t.Errorf("answered after %v", d)
	}
	if err == nil {
		err = resp.Error
	}
	var code kafka.Error
	if err != nil && (!errors.As(err, &code) || code.Temporary()) {
		t.Errorf("refused with %v, which a client tries again", err)
	}
}
