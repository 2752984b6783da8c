package api

import (
	"math"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/meta"
)

// sessionFetch asks within a session.
func sessionFetch(t *meta.Topic, id, epoch int32, offsets ...int64) *kmsg.FetchRequest {
	req := fetchRequestFrom(t, offsets...)
	req.SessionID, req.SessionEpoch = id, epoch
	if len(offsets) == 0 {
		req.Topics = nil
	}
	return req
}

func TestASessionIsToldOnlyWhatIsNew(t *testing.T) {
	for _, version := range []int16{7, 12, 13, 18} {
		b := startBroker(t)
		topic := b.createTopic("orders", 3)
		c := b.dial()
		b.produce(topic, 0, "a")
		full := do[*kmsg.FetchResponse](c, sessionFetch(topic, 0, 0, 0, 0, 0), version)
		id := full.SessionID
		if id == 0 || len(full.Topics) != 1 || len(full.Topics[0].Partitions) != 3 {
			t.Fatalf("v%d: %+v", version, full)
		}
		// Partition 0 was not fetched further: its record comes again.
		next := do[*kmsg.FetchResponse](c, sessionFetch(topic, id, 1), version)
		if next.SessionID != id || len(next.Topics) != 1 || len(next.Topics[0].Partitions) != 1 || next.Topics[0].Partitions[0].Partition != 0 {
			t.Fatalf("v%d: %+v", version, next)
		}
		// Now it is: nothing is new.
		next = do[*kmsg.FetchResponse](c, sessionFetch(topic, id, 2, 1), version)
		if len(next.Topics) != 0 {
			t.Fatalf("v%d: %+v", version, next)
		}
		b.produce(topic, 2, "b")
		next = do[*kmsg.FetchResponse](c, sessionFetch(topic, id, 3), version)
		if len(next.Topics) != 1 || len(next.Topics[0].Partitions) != 1 || next.Topics[0].Partitions[0].Partition != 2 {
			t.Fatalf("v%d: %+v", version, next)
		}
		forget := sessionFetch(topic, id, 4)
		forget.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{Topic: topic.Name, TopicID: topic.ID, Partitions: []int32{0, 2}}}
		do[*kmsg.FetchResponse](c, forget, version)
		b.produce(topic, 0, "c")
		b.produce(topic, 1, "d")
		next = do[*kmsg.FetchResponse](c, sessionFetch(topic, id, 5), version)
		if len(next.Topics) != 1 || len(next.Topics[0].Partitions) != 1 || next.Topics[0].Partitions[0].Partition != 1 {
			t.Fatalf("v%d: %+v", version, next)
		}
	}
}

func TestASessionWaitsForItsPartitions(t *testing.T) {
	b := startBroker(t)
	topic := b.createTopic("orders", 2)
	c := b.dial()
	id := do[*kmsg.FetchResponse](c, sessionFetch(topic, 0, 0, 0, 0), 12).SessionID
	req := sessionFetch(topic, id, 1)
	req.SetVersion(12)
	req.MaxWaitMillis = 15_000
	began := time.Now()
	c.send(req)
	time.Sleep(10 * time.Millisecond)
	b.produce(topic, 1, "a")
	resp := c.receive(req).(*kmsg.FetchResponse)
	if len(resp.Topics) != 1 || resp.Topics[0].Partitions[0].Partition != 1 || time.Since(began) > 10*time.Second {
		t.Fatalf("%+v after %v", resp, time.Since(began))
	}
}

func TestAnErrorIsToldToASessionAgainAndAgain(t *testing.T) {
	b := startBroker(t)
	topic := b.createTopic("orders", 1)
	c := b.dial()
	id := do[*kmsg.FetchResponse](c, sessionFetch(topic, 0, 0, 0, 0), 12).SessionID // partition 1 does not exist
	for epoch := int32(1); epoch < 4; epoch++ {
		resp := do[*kmsg.FetchResponse](c, sessionFetch(topic, id, epoch), 12)
		if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 || resp.Topics[0].Partitions[0].ErrorCode != codeUnknownTopicOrPartition {
			t.Fatalf("epoch %d: %+v", epoch, resp)
		}
	}
}

func TestPartitionsThatHadRecordsGoToTheEndOfTheLine(t *testing.T) {
	b := startBroker(t)
	topic := b.createTopic("orders", 3)
	for p := range int32(3) {
		b.produce(topic, p, string(make([]byte, 1000)))
	}
	c := b.dial()
	one := func(req *kmsg.FetchRequest) *kmsg.FetchRequest {
		req.MaxBytes = 10
		return req
	}
	id := do[*kmsg.FetchResponse](c, one(sessionFetch(topic, 0, 0, 0, 0, 0)), 12).SessionID
	for i, want := range []int32{1, 2, 0, 1} { // nobody moves on: each takes its turn
		resp := do[*kmsg.FetchResponse](c, one(sessionFetch(topic, id, int32(i)+1)), 12)
		if got := resp.Topics[0].Partitions[0]; got.Partition != want || len(got.RecordBatches) == 0 {
			t.Fatalf("turn %d: %+v", i, resp)
		}
	}
}

func TestSessionsAreChecked(t *testing.T) {
	b := startBroker(t)
	topic := b.createTopic("orders", 1)
	c := b.dial()
	id := do[*kmsg.FetchResponse](c, sessionFetch(topic, 0, 0, 0), 12).SessionID
	for _, step := range []struct {
		name      string
		id, epoch int32
		version   int16
		want      int16
	}{
		{"unknown", id + 1, 1, 12, codeFetchSessionIDNotFound},
		{"an epoch too late", id, 2, 12, codeInvalidFetchSessionEpoch},
		{"the epoch", id, 1, 12, codeNone},
		{"the same epoch again", id, 1, 12, codeInvalidFetchSessionEpoch},
		{"by topic ids", id, 2, 13, codeFetchSessionTopicIDError},
		{"the next epoch", id, 2, 12, codeNone},
		{"no session at all", 0, 5, 12, codeFetchSessionIDNotFound},
		{"its end", id, -1, 12, codeNone},
		{"after its end", id, 3, 12, codeFetchSessionIDNotFound},
	} {
		resp := do[*kmsg.FetchResponse](c, sessionFetch(topic, step.id, step.epoch), step.version)
		if resp.ErrorCode != step.want {
			t.Fatalf("%s: code %d", step.name, resp.ErrorCode)
		}
	}
}

func TestASessionWithoutPartitionsEnds(t *testing.T) {
	b := startBroker(t)
	topic := b.createTopic("orders", 1)
	c := b.dial()
	id := do[*kmsg.FetchResponse](c, sessionFetch(topic, 0, 0, 0), 12).SessionID
	forget := sessionFetch(topic, id, 1)
	forget.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{Topic: topic.Name, Partitions: []int32{0}}}
	if resp := do[*kmsg.FetchResponse](c, forget, 12); resp.ErrorCode != 0 || resp.SessionID != 0 {
		t.Fatalf("%+v", resp)
	}
	if n := len(b.handler.sessions.byID); n != 0 || b.handler.sessions.cached != 0 {
		t.Fatalf("%d sessions with %d partitions are left", n, b.handler.sessions.cached)
	}
}

func TestSessionEpochsWrapToOne(t *testing.T) {
	if nextEpoch(math.MaxInt32) != 1 || nextEpoch(1) != 2 {
		t.Fatal("they do not")
	}
}

func TestSessionsAreFewAndTheOldestGoFirst(t *testing.T) {
	now := time.Now()
	s := newFetchSessions(2, time.Minute, func() time.Time { return now })
	begin := func() *fetchRequest {
		q := &fetchRequest{sessionEpoch: initialEpoch, parts: []fetchPart{{at: place{topic: "t"}}, {at: place{topic: "t", partition: 1}}}}
		if code := s.begin(q, false); code != codeNone {
			t.Fatalf("code %d", code)
		}
		return q
	}
	first, second := begin().session, begin().session
	if first == nil || second == nil || begin().session != nil {
		t.Fatal("there are not two sessions")
	}
	now = now.Add(30 * time.Second)
	if s.find(first.id) == nil {
		t.Fatal("the first has gone")
	}
	now = now.Add(31 * time.Second)
	if begin().session == nil || s.byID[second.id] != nil || s.byID[first.id] == nil {
		t.Fatal("the unused session was not the one that went")
	}
	if s.cached != 4 {
		t.Fatalf("%d partitions are counted", s.cached)
	}
	none := newFetchSessions(0, 0, time.Now)
	q := &fetchRequest{sessionEpoch: initialEpoch, parts: []fetchPart{{}}}
	if none.begin(q, false); q.session != nil {
		t.Fatal("a cache without slots made a session")
	}
}

func TestASessionThatGrowsTooLargeStartsAgain(t *testing.T) {
	s := newFetchSessions(10, 0, time.Now)
	parts := make([]fetchPart, maxSessionParts)
	for i := range parts {
		parts[i].at = place{topic: "t", partition: int32(i)}
	}
	q := &fetchRequest{sessionEpoch: initialEpoch, parts: parts}
	s.begin(q, false)
	if q.session == nil {
		t.Fatal("no session")
	}
	more := &fetchRequest{sessionID: q.session.id, sessionEpoch: 1, parts: []fetchPart{{at: place{topic: "u"}}}}
	if code := s.begin(more, false); code != codeFetchSessionIDNotFound {
		t.Fatalf("code %d", code)
	}
	if len(s.byID) != 0 || s.cached != 0 {
		t.Fatalf("%d sessions, %d partitions", len(s.byID), s.cached)
	}
}
