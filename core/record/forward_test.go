package record

import (
	"bytes"
	"testing"
)

func TestABatchWithoutItsProducerIsSoundAndHoldsTheSameRecords(t *testing.T) {
	b := NewBuilder(nil)
	b.SetProducer(7, 3, 41)
	b.SetTransactional(true)
	b.Append(1000, []byte("k"), []byte("v"), nil)
	batch, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	records := string(batch.StoredRecords())
	batch.ClearProducer()
	if err := batch.CheckCRC(); err != nil {
		t.Error(err)
	}
	if err := batch.Validate(); err != nil {
		t.Error(err)
	}
	if batch.HasProducerID() || batch.ProducerEpoch() != -1 || batch.BaseSequence() != -1 || batch.IsTransactional() {
		t.Errorf("producer %d, epoch %d, sequence %d, transactional %t",
			batch.ProducerID(), batch.ProducerEpoch(), batch.BaseSequence(), batch.IsTransactional())
	}
	if string(batch.StoredRecords()) != records {
		t.Error("the records changed")
	}
}

func TestARecycledBuilderMakesAnotherBatchInTheSameMemory(t *testing.T) {
	b := NewBuilder(nil)
	b.Append(1, nil, make([]byte, 4096), nil)
	first, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	b.Recycle()
	b.Append(2, nil, []byte("x"), nil)
	second, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	if &first[0] != &second[0] {
		t.Error("memory was not used again")
	}
	if err := second.Validate(); err != nil || second.BaseTimestamp() != 2 {
		t.Errorf("second batch: %v, timestamp %d", err, second.BaseTimestamp())
	}
}

func TestRecordsAreCopiedWithoutBeingRead(t *testing.T) {
	all, want, got := NewBuilder(nil), NewBuilder(nil), NewBuilder(nil)
	for i := range 400 {
		var key, value []byte
		if i%3 != 0 {
			key = bytes.Repeat([]byte("k"), i)
		}
		if i%5 != 0 {
			value = bytes.Repeat([]byte("v"), 300-i%300)
		}
		var headers []Header
		if i%7 == 0 {
			headers = []Header{{"h", nil}, {"i", []byte("x")}}
		}
		at := int64(1_000_000 - i*i*(i%2))
		all.Append(at, key, value, headers)
		if i%2 == 1 {
			want.Append(at, key, value, headers)
		}
	}
	b, err := all.Build()
	if err != nil {
		t.Fatal(err)
	}
	r := NewReader(b.StoredRecords(), int(b.NumRecords()))
	for i := range 400 {
		if i%2 == 0 {
			if err := r.Skip(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		delta, rest, err := r.NextStored()
		if err != nil {
			t.Fatal(err)
		}
		got.AppendStored(b.BaseTimestamp()+delta, rest)
	}
	if r.Skip() == nil {
		t.Error("there is a record behind the last")
	}
	first, err := got.Build()
	if err != nil {
		t.Fatal(err)
	}
	second, err := want.Build()
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("%d bytes, want %d, %v", len(first), len(second), err)
	}
	for _, broken := range [][]byte{{}, {0}, {20, 0}, {2, 0}, {4, 0, 0x80}, {6, 0, 0, 0x80}} {
		r := NewReader(broken, 1)
		if _, rest, err := r.NextStored(); err == nil {
			t.Errorf("% x: %x", broken, rest)
		}
	}
}
