package replica

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/seglog/faultfs"
)

func TestAppendGivesOffsetsAndTheLeaderEpochAndChangesNothingElse(t *testing.T) {
	o := testOptions(t, nil)
	o.State.LeaderEpoch = 4
	p := New(o)
	defer p.Close()
	var wanted []string
	for i, n := range []int{1, 3, 1, 20} {
		b := shape{n: n, size: 50, codec: record.Codec(i)}.build(t)
		wanted = append(wanted, string(b[17:])) // what is not patched
		a, err := p.Append(b, AppendOptions{Acks: AcksAll})
		if err != nil {
			t.Fatal(err)
		}
		if a.Last-a.Base != record.Offset(n-1) || a.LogAppendTime != -1 || a.LogStart != 0 || a.Duplicate {
			t.Errorf("batch %d: %+v", i, a)
		}
		if !p.AckedNow(a.Last, AcksAll) || p.HighWatermark() != a.Last+1 {
			t.Errorf("batch %d is not committed: high watermark %d", i, p.HighWatermark())
		}
	}
	next := record.Offset(0)
	for i, b := range readAll(t, p) {
		if b.BaseOffset() != next || b.LeaderEpoch() != 4 || string(b[17:]) != wanted[i] {
			t.Errorf("batch %d: offset %d, epoch %d, changed %v", i, b.BaseOffset(), b.LeaderEpoch(), string(b[17:]) != wanted[i])
		}
		next = b.NextOffset()
	}
	if next != 25 {
		t.Errorf("read up to %d", next)
	}
}

func TestAppendRefusesWhatClientsMustNotWrite(t *testing.T) {
	be := binary.BigEndian
	// rewrite changes header fields and makes the checksum fit again.
	rewrite := func(b record.Batch, change func(record.Batch)) record.Batch {
		change(b)
		b.SetMaxTimestamp(b.MaxTimestamp())
		return b
	}
	tests := []struct {
		name  string
		set   map[string]string
		batch func() record.Batch
		want  error
	}{
		{"a flipped bit", nil, func() record.Batch { b := shape{}.build(t); b[70] ^= 1; return b }, record.ErrCRC},
		{"a flipped bit, as the partition has it", nil, func() record.Batch { b := shape{}.build(t); b[70] ^= 1; return b }, ErrCorrupt},
		{"a count that lies", nil, func() record.Batch {
			return rewrite(shape{n: 2}.build(t), func(b record.Batch) { be.PutUint32(b[57:], 3) })
		}, ErrInvalidRecord},
		{"codec 5", nil, func() record.Batch {
			return rewrite(shape{}.build(t), func(b record.Batch) { b[22] = 5 })
		}, ErrUnsupportedCodec},
		{"a producer without sequence", nil, func() record.Batch {
			return rewrite(shape{pid: 5}.build(t), func(b record.Batch) { be.PutUint32(b[53:], 0xffffffff) })
		}, ErrInvalidRecord},
		{"a control batch", nil, func() record.Batch { return shape{pid: 5, control: true}.build(t) }, ErrInvalidRecord},
		{"a transactional batch", nil, func() record.Batch { return shape{pid: 5, txn: true}.build(t) }, ErrInvalidTxnState},
		{"log append time from a client", nil, func() record.Batch {
			b := shape{}.build(t)
			b.SetLogAppendTime(testNow)
			return b
		}, ErrInvalidTimestamp},
		{"too large a batch", map[string]string{"max.message.bytes": "200"}, func() record.Batch { return shape{size: 200}.build(t) }, ErrMessageTooLarge},
		{"a batch larger than a segment", map[string]string{"internal.segment.bytes": "300"}, func() record.Batch { return shape{size: 300}.build(t) }, ErrRecordListTooLarge},
		{"the future", nil, func() record.Batch { return shape{stamp: testNow + 3600_001}.build(t) }, ErrInvalidTimestamp},
		{"the future, compressed", nil, func() record.Batch { return shape{stamp: testNow + 3600_001, codec: record.CodecZstd}.build(t) }, ErrInvalidTimestamp},
		{"the past", map[string]string{"message.timestamp.before.max.ms": "1000"}, func() record.Batch { return shape{stamp: testNow - 1001}.build(t) }, ErrInvalidTimestamp},
		{"the beginning of time", map[string]string{"message.timestamp.before.max.ms": "1000"}, func() record.Batch { return shape{stamp: -1 << 63}.build(t) }, ErrInvalidTimestamp},
		{"the end of time", nil, func() record.Batch { return shape{stamp: 1<<63 - 1}.build(t) }, ErrInvalidTimestamp},
		{"no key on a compacted topic", map[string]string{"cleanup.policy": "compact"}, func() record.Batch { return shape{keyless: true}.build(t) }, ErrInvalidRecord},
		{"no key on a compacted topic, compressed", map[string]string{"cleanup.policy": "compact"}, func() record.Batch { return shape{keyless: true, codec: record.CodecLZ4}.build(t) }, ErrInvalidRecord},
		{"damaged compression on a compacted topic", map[string]string{"cleanup.policy": "compact"}, func() record.Batch {
			return rewrite(shape{codec: record.CodecGzip, size: 100}.build(t), func(b record.Batch) { b[len(b)-5] ^= 1 })
		}, ErrCorrupt},
		{"a compressed lie to be packed anew", map[string]string{"compression.type": "zstd"}, func() record.Batch {
			return rewrite(shape{n: 2, codec: record.CodecGzip}.build(t), func(b record.Batch) { be.PutUint32(b[57:], 3); be.PutUint32(b[23:], 2) })
		}, ErrInvalidRecord},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newPartition(t, test.set)
			_, err := p.Append(test.batch(), AppendOptions{Acks: AcksLeader})
			if !errors.Is(err, test.want) {
				t.Errorf("err %v, want %v", err, test.want)
			}
			if _, _, _, end := p.Offsets(); end != 0 {
				t.Errorf("the log ends at %d", end)
			}
		})
	}
}

func TestRecordsWithoutATimestampHaveNoTimestampLimit(t *testing.T) {
	p := newPartition(t, map[string]string{"message.timestamp.before.max.ms": "1000"})
	mustAppend(t, p, shape{stamp: noTimestamp})
	mixed := record.NewBuilder(nil)
	mixed.Append(noTimestamp, nil, nil, nil)
	mixed.Append(testNow-5000, nil, nil, nil)
	b, err := mixed.Build()
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Append(b, AppendOptions{})
	var refused *RecordsError
	if !errors.As(err, &refused) || !errors.Is(err, ErrInvalidTimestamp) || len(refused.Records) != 1 || refused.Records[0].Index != 1 {
		t.Errorf("err %v, records %+v", err, refused)
	}
}

func TestARefusedBatchNamesItsRecords(t *testing.T) {
	p := newPartition(t, map[string]string{"cleanup.policy": "compact"})
	for _, codec := range []record.Codec{record.CodecNone, record.CodecSnappy} {
		bld := record.NewBuilder(nil)
		bld.SetCodec(codec)
		for i := range 5 {
			var key []byte
			if i%2 == 0 {
				key = []byte{byte(i)}
			}
			bld.Append(testNow, key, nil, nil)
		}
		b, err := bld.Build()
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Append(b, AppendOptions{})
		var refused *RecordsError
		if !errors.As(err, &refused) {
			t.Fatalf("%s: err %v", codec, err)
		}
		if len(refused.Records) != 2 || refused.Records[0].Index != 1 || refused.Records[1].Index != 3 {
			t.Errorf("%s: %+v", codec, refused.Records)
		}
	}
}

func TestLogAppendTimeIsTheBrokersAndTold(t *testing.T) {
	o := testOptions(t, map[string]string{"message.timestamp.type": "LogAppendTime"})
	clock := newClock()
	o.Now = clock.now
	p := New(o)
	defer p.Close()
	clock.ms.Store(testNow + 77)
	a := mustAppend(t, p, shape{n: 3, stamp: 5, pid: 9})
	again := mustAppend(t, p, shape{n: 3, stamp: 5, pid: 9})
	b := readAll(t, p)[0]
	if a.LogAppendTime != testNow+77 || b.MaxTimestamp() != testNow+77 || !b.IsLogAppendTime() {
		t.Errorf("told %d, stored %d, marked %v", a.LogAppendTime, b.MaxTimestamp(), b.IsLogAppendTime())
	}
	if !again.Duplicate || again.LogAppendTime != a.LogAppendTime || again.Base != a.Base {
		t.Errorf("the repetition heard %+v", again)
	}
}

func TestTheTopicsCompressionWinsUnlessItIsTheProducers(t *testing.T) {
	for _, stored := range []string{"producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"} {
		t.Run(stored, func(t *testing.T) {
			p := newPartition(t, map[string]string{"compression.type": stored})
			for came := record.CodecNone; came <= record.CodecZstd; came++ {
				sent := shape{n: 10, size: 100, codec: came, pid: 3, sequence: int32(came) * 10}.build(t)
				before := string(sent[17:])
				if _, err := p.Append(sent, AppendOptions{}); err != nil {
					t.Fatal(err)
				}
				all := readAll(t, p)
				b := all[len(all)-1]
				want := came
				if stored != "producer" {
					want, _ = record.ParseCodec(stored)
				}
				if b.Codec() != want || b.BaseSequence() != int32(came)*10 {
					t.Errorf("%s is stored as %s, sequence %d", came, b.Codec(), b.BaseSequence())
				}
				if want == came && string(b[17:]) != before {
					t.Errorf("%s was changed", came)
				}
				section, err := b.Records(nil, 1<<20)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := b.ScanRecords(section); err != nil {
					t.Errorf("%s as %s: %v", came, b.Codec(), err)
				}
			}
		})
	}
}

func TestALyingMaxTimestampIsCorrectedWhereTheRecordsAreSeen(t *testing.T) {
	p := newPartition(t, nil)
	b := shape{n: 2, stamp: testNow - 50}.build(t)
	b.SetMaxTimestamp(testNow + 1000)
	if _, err := p.Append(b, AppendOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, p)[0].MaxTimestamp(); got != testNow-50 {
		t.Errorf("max timestamp %d", got-testNow)
	}
}

func TestAppendNeedsTheLeaderAndEnoughReplicas(t *testing.T) {
	p := newPartition(t, map[string]string{"min.insync.replicas": "2"})
	// With fewer replicas than min.insync.replicas all of them are enough, as in Kafka.
	if _, err := p.Append(shape{}.build(t), AppendOptions{Acks: AcksAll}); err != nil {
		t.Errorf("one replica of one: %v", err)
	}
	state := meta.Partition{Replicas: []meta.NodeID{1, 2}, ISR: []meta.NodeID{1}, Leader: 1, LeaderEpoch: 1}
	p.setRole(roleOf(&state, 1))
	if _, err := p.Append(shape{}.build(t), AppendOptions{Acks: AcksAll}); !errors.Is(err, ErrNotEnough) {
		t.Errorf("one replica of two: %v", err)
	}
	if _, err := p.Append(shape{}.build(t), AppendOptions{Acks: AcksLeader}); err != nil {
		t.Errorf("acks=1: %v", err)
	}
	state.Leader, state.LeaderEpoch = 2, 2
	p.setRole(roleOf(&state, 1))
	if _, err := p.Append(shape{}.build(t), AppendOptions{Acks: AcksLeader}); !errors.Is(err, ErrNotLeader) {
		t.Errorf("as a follower: %v", err)
	}
	if _, err := p.ReadInto(nil, query(0)); !errors.Is(err, ErrNotLeader) {
		t.Errorf("read as a follower: %v", err)
	}
}

func TestCoordinatorsMayWriteWhatClientsMayNot(t *testing.T) {
	p := newPartition(t, map[string]string{"cleanup.policy": "compact"})
	if _, err := p.Append(shape{pid: 4, control: true, sequence: -1}.build(t), AppendOptions{Origin: FromCoordinator}); err != nil {
		t.Error(err)
	}
	if _, err := p.Append(shape{stamp: 5}.build(t), AppendOptions{Origin: FromCoordinator}); err != nil {
		t.Error(err)
	}
	if _, err := p.Append(shape{keyless: true}.build(t), AppendOptions{Origin: FromTransform}); !errors.Is(err, ErrInvalidRecord) {
		t.Errorf("a compacted topic takes no keyless record from anybody: %v", err)
	}
}

func TestOneBatchIsAllThatAClientMaySend(t *testing.T) {
	b := shape{n: 2}.build(t)
	old := append([]byte(nil), b...)
	old[16] = 1
	tests := []struct {
		name string
		in   []byte
		want error
	}{
		{"one", b, nil},
		{"null", nil, ErrInvalidRecord},
		{"empty", []byte{}, ErrInvalidRecord},
		{"two", append(append([]byte(nil), b...), b...), ErrInvalidRecord},
		{"magic 1", old, ErrInvalidRecord},
		{"cut off", b[:len(b)-1], ErrCorrupt},
		{"ten bytes", b[:10], ErrCorrupt},
	}
	for _, test := range tests {
		got, err := OneBatch(test.in)
		if !errors.Is(err, test.want) || err == nil && len(got) != len(b) {
			t.Errorf("%s: %d bytes, err %v", test.name, len(got), err)
		}
	}
}

func TestAFullDiskRefusesAndRecovers(t *testing.T) {
	fs, o := faultOptions(t, nil)
	p := New(o)
	mustAppend(t, p, shape{size: 100})
	fs.SetSpace(10)
	if _, err := p.Append(shape{size: 1000}.build(t), AppendOptions{}); !errors.Is(err, ErrStorage) {
		t.Fatalf("err %v", err)
	}
	if p.Failed() != nil {
		t.Errorf("a full disk must not stop the partition: %v", p.Failed())
	}
	fs.SetSpace(-1)
	if a := mustAppend(t, p, shape{size: 100}); a.Base != 1 {
		t.Errorf("appended at %d", a.Base)
	}
	if n := len(readAll(t, p)); n != 2 {
		t.Errorf("%d batches", n)
	}
}

func TestAWriteThatFailsStopsThePartition(t *testing.T) {
	fs, o := faultOptions(t, nil)
	p := New(o)
	mustAppend(t, p, shape{})
	fs.Fail(faultfs.Write, 0, 5, fmt.Errorf("input/output error"))
	if _, err := p.Append(shape{}.build(t), AppendOptions{}); !errors.Is(err, ErrStorage) {
		t.Fatalf("err %v", err)
	}
	if _, err := p.Append(shape{}.build(t), AppendOptions{}); !errors.Is(err, ErrStorage) || !errors.Is(p.Failed(), ErrStorage) {
		t.Errorf("later: %v, failed %v", err, p.Failed())
	}
}
