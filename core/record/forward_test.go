package record

import "testing"

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
