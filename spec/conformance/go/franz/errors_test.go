package franz

import (
	"errors"
	"testing"
	"time"

	"github.com/millrun/millrun/spec/conformance/go/target"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestAnUnknownTopicIsAnErrorUnlessItMayBeMade(t *testing.T) {
	t.Parallel()
	ctx, topic := target.Context(t), target.Name(t)
	err := client(t).ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("v")}).FirstErr()
	if !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Errorf("without leave to make it: %v", err)
	}
	if topics, err := target.Admin(t).ListTopics(ctx); err != nil || topics.Has(topic) {
		t.Errorf("the topic was made all the same (%v)", err)
	}
	produce(t, ctx, client(t, kgo.AllowAutoTopicCreation()), &kgo.Record{Topic: topic, Value: []byte("v")})
	if got := read(t, ctx, client(t, direct(topic, 0, kgo.NewOffset().AtStart())), 1); string(got[0].Value) != "v" {
		t.Errorf("read %q", got[0].Value)
	}
	if err := client(t, kgo.AllowAutoTopicCreation()).ProduceSync(ctx, &kgo.Record{Topic: "no spaces", Value: nil}).FirstErr(); !errors.Is(err, kerr.InvalidTopicException) {
		t.Errorf("a name that cannot be: %v", err)
	}
}

func TestAnOffsetOutOfRangeFollowsThePolicy(t *testing.T) {
	t.Parallel()
	ctx, adm, topic := target.Context(t), target.Admin(t), target.Topic(t, 1)
	produce(t, ctx, client(t), toKgo(topic, 0, target.Odd()[:20])...)
	var os kadm.Offsets
	os.Add(kadm.Offset{Topic: topic, At: 5})
	if _, err := adm.DeleteRecords(ctx, os); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		at    int64
		reset kgo.Offset
		want  int64 // -1: an error
	}{
		"below, earliest": {2, kgo.NewOffset().AtStart(), 5}, "above, earliest": {400, kgo.NewOffset().AtStart(), 5},
		"below, none": {2, kgo.NoResetOffset(), -1}, "above, none": {400, kgo.NoResetOffset(), -1},
		"in range, none": {9, kgo.NoResetOffset(), 9},
	} {
		cl := client(t, direct(topic, 0, kgo.NewOffset().At(c.at)), kgo.ConsumeResetOffset(c.reset))
		fs := cl.PollFetches(ctx)
		switch err := fs.Err(); {
		case c.want < 0 && !errors.Is(err, kerr.OffsetOutOfRange):
			t.Errorf("%s: %v, want OFFSET_OUT_OF_RANGE", what, err)
		case c.want >= 0 && (err != nil || fs.Records()[0].Offset != c.want):
			t.Errorf("%s: %v, want the record at %d", what, err, c.want)
		}
	}
	reset := client(t, direct(topic, 0, kgo.NewOffset().At(400)), kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd().Relative(-2)))
	if got := read(t, ctx, reset, 1); got[0].Offset != 18 {
		t.Errorf("above, two before the latest: offset %d", got[0].Offset)
	}
}

func TestATransactionalIDIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	ctx, topic := target.Context(t), target.Topic(t, 1)
	cl := client(t, kgo.TransactionalID(target.Name(t)))
	began := time.Now()
	err := cl.BeginTransaction()
	if err == nil {
		err = cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("v")}).FirstErr()
	}
	if d := time.Since(began); d > 20*time.Second {
		t.Errorf("answered after %v", d)
	}
	if err != nil {
		if kerr.IsRetriable(err) {
			t.Errorf("%v: a client tries this again and again", err)
		}
		return
	}
	if err := cl.EndTransaction(ctx, kgo.TryCommit); err != nil { // a broker that takes the id must take the transaction
		t.Error(err)
	}
}

func TestAKeylessRecordOnACompactedTopicIsRefused(t *testing.T) {
	t.Parallel()
	ctx, topic := target.Context(t), target.Topic(t, 1, "cleanup.policy", "compact")
	cl := client(t)
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("v")}).FirstErr(); !errors.Is(err, kerr.InvalidRecord) {
		t.Errorf("without a key: %v", err)
	}
	produce(t, ctx, client(t), &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte("v")})
}

func TestATimestampTooFarAheadIsRefused(t *testing.T) {
	t.Parallel()
	ctx, topic := target.Context(t), target.Topic(t, 1)
	err := client(t).ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("v"), Timestamp: time.Now().Add(3 * time.Hour)}).FirstErr()
	if !errors.Is(err, kerr.InvalidTimestamp) {
		t.Errorf("three hours ahead: %v", err)
	}
	produce(t, ctx, client(t), &kgo.Record{Topic: topic, Value: []byte("v"), Timestamp: time.Now().Add(50 * time.Minute)})
}
