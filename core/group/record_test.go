package group

import (
	"bytes"
	"os"
	"testing"

	"github.com/millrun/millrun/core/machine"
	"github.com/millrun/millrun/core/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// kafkaRecords are the records of a segment that Kafka wrote.
func kafkaRecords(t testing.TB) []machine.Record {
	log, err := os.ReadFile("../../spec/vectors/group/consumer-offsets-kafka-4.3.1.log")
	if err != nil {
		t.Fatal(err)
	}
	var records []machine.Record
	for len(log) > 0 {
		b, rest, err := record.Next(log)
		if err != nil {
			t.Fatal(err)
		}
		section, err := b.Records(nil, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		r := record.NewReader(section, int(b.NumRecords()))
		for rec := (record.Record{}); ; {
			ok, err := r.Next(&rec)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			records = append(records, machine.Record{Key: rec.Key, Value: rec.Value})
		}
		log = rest
	}
	return records
}

func TestRecordsAreThoseOfKafka(t *testing.T) {
	s, err := New(testConfig())
	if err != nil {
		t.Fatal(err)
	}
	last := map[string][]byte{}
	for i, r := range kafkaRecords(t) {
		if err := s.Replay(r); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
		last[string(r.Key)] = r.Value
	}
	s.Loaded(0)
	n := 0
	for r := range s.Durable() {
		n++
		want, ok := last[string(r.Key)]
		if !ok || !bytes.Equal(want, r.Value) {
			t.Errorf("key %x: wrote %x, Kafka %x", r.Key, r.Value, want)
		}
	}
	if n != len(last) || n != s.Len() || n != 3 {
		t.Errorf("%d records of %d keys, Len %d", n, len(last), s.Len())
	}
}

// TestMemberRecordIsThatOfKafka makes the record of a group with members from live state.
func TestMemberRecordIsThatOfKafka(t *testing.T) {
	withMembers := kafkaRecords(t)[1]
	s, err := New(testConfig())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Replay(withMembers); err != nil {
		t.Fatal(err)
	}
	s.Loaded(0)
	g := s.groups["g1"]
	if g.state != Stable || len(g.members) != 1 || !g.subscribes("t") || g.subscribes("u") {
		t.Errorf("group: %s with %d members, subscribed to %v", g.state, len(g.members), g.subscribed)
	}
	got := g.value(nil, func(m *Member) []byte { return m.assignment })
	if !bytes.Equal(got, withMembers.Value) {
		t.Errorf("wrote %x\nKafka %x", got, withMembers.Value)
	}
}

func TestOlderOffsetVersionsAreRead(t *testing.T) {
	for version := int16(0); version <= 4; version++ {
		v := kmsg.OffsetCommitValue{
			Version: version, Offset: 5, LeaderEpoch: 3, Metadata: "m", CommitTimestamp: 9, ExpireTimestamp: 11, TopicID: [16]byte{1},
		}
		want := CommittedOffset{Offset: 5, LeaderEpoch: -1, Metadata: "m", CommitMs: 9, ExpireMs: -1}
		switch version {
		case 1:
			want.ExpireMs = 11
		case 3:
			want.LeaderEpoch = 3
		case 4:
			want.LeaderEpoch, want.TopicID = 3, [16]byte{1}
		}
		got, err := decodeOffset(v.AppendTo(nil))
		if err != nil || got != want {
			t.Errorf("version %d: %+v, %v", version, got, err)
		}
	}
	for _, value := range [][]byte{nil, {0}, {0, 5}, {0xff, 0xff}, {0, 3, 0}, {0, 4, 0, 0, 0, 0, 0, 0, 0, 0}} {
		if got, err := decodeOffset(value); err == nil {
			t.Errorf("%x was read as %+v", value, got)
		}
	}
}

func TestOlderGroupVersionsAreRead(t *testing.T) {
	name := "range"
	for version := int16(0); version <= 3; version++ {
		v := kmsg.GroupMetadataValue{
			Version: version, ProtocolType: "consumer", Generation: 4, Protocol: &name, Leader: &name, CurrentStateTimestamp: 8,
			Members: []kmsg.GroupMetadataValueMember{{
				MemberID: "m", InstanceID: &name, ClientID: "c", ClientHost: "h", RebalanceTimeoutMillis: 5, SessionTimeoutMillis: 6,
				Subscription: []byte("s"), Assignment: []byte("a"),
			}},
		}
		got, err := decodeGroup(v.AppendTo(nil))
		if err != nil || len(got.members) != 1 {
			t.Fatalf("version %d: %+v, %v", version, got, err)
		}
		m := got.members[0]
		wantRebalance := int32(5)
		if version == 0 {
			wantRebalance = 6
		}
		if got.generation != 4 || *got.protocol != name || (got.sinceMs == 8) != (version >= 2) || m.id != "m" ||
			(m.instance != nil) != (version >= 3) || m.rebalanceMs != wantRebalance || m.sessionMs != 6 || string(m.assignment) != "a" {
			t.Errorf("version %d: %+v", version, got)
		}
	}
}

func TestKeysOfOtherKindsArePassedOver(t *testing.T) {
	s, err := New(testConfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range [][]byte{{0, 3, 0, 1, 'g'}, {0, 99}, {0x7f, 0xff, 1, 2, 3}} {
		if err := s.Replay(machine.Record{Key: key, Value: []byte{1, 2, 3}}); err != nil {
			t.Errorf("key %x: %v", key, err)
		}
	}
	for _, key := range [][]byte{nil, {0}, {0xff, 0xff}, {0, 1}, {0, 2, 0, 9, 'g'}, {0, 2, 0, 1, 'g', 0}, {0, 2, 0xff, 0xff}} {
		if err := s.Replay(machine.Record{Key: key, Value: []byte{1}}); err == nil {
			t.Errorf("key %x was taken", key)
		}
	}
	if s.Len() != 0 || len(s.groups) != 0 {
		t.Errorf("%d records, %d groups", s.Len(), len(s.groups))
	}
}

// FuzzReplay feeds records to a shard: it may refuse them, and must write the ones it takes so that it takes them again.
func FuzzReplay(f *testing.F) {
	for _, r := range kafkaRecords(f) {
		f.Add(r.Key, r.Value)
	}
	f.Add(appendOffsetKey(nil, "g", "t", 1), appendOffsetValue(nil, CommittedOffset{ExpireMs: 5}))
	f.Add(appendGroupKey(nil, "g"), []byte{0, 3, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff})
	f.Add(appendOffsetKey(nil, "g", "t", 1), append([]byte{0, 4}, bytes.Repeat([]byte{0xff}, 40)...))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		s, err := New(testConfig())
		if err != nil {
			t.Fatal(err)
		}
		if s.Replay(machine.Record{Key: key, Value: value}) != nil {
			return
		}
		s.Loaded(0)
		fresh, _ := New(testConfig())
		for r := range s.Durable() {
			if err := fresh.Replay(r); err != nil {
				t.Fatalf("our own record %x=%x: %v", r.Key, r.Value, err)
			}
		}
		if fresh.Len() != s.Len() {
			t.Fatalf("%d records became %d", s.Len(), fresh.Len())
		}
	})
}

// FuzzSubscription reads what clients send as a subscription.
func FuzzSubscription(f *testing.F) {
	f.Add(subscription("a", "b"))
	f.Add([]byte("garbage"))
	f.Add([]byte{0, 0, 0x7f, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, metadata []byte) {
		n := 0
		known, sound := subscribedTopics(metadata, func([]byte) { n++ })
		if known && !sound || n > len(metadata) {
			t.Errorf("known %v, sound %v, %d topics in %d bytes", known, sound, n, len(metadata))
		}
	})
}
