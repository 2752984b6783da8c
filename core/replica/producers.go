package replica

import (
	"fmt"
	"math"

	"github.com/millrun/millrun/core/record"
)

// keptBatches is how many of a producer's last batches are known by their offsets, so that a repetition of one is answered
// as the first time. It is also how many an idempotent producer has in flight at most.
const keptBatches = 5

// batchMeta is one batch of a producer.
type batchMeta struct {
	lastSequence int32
	delta        int32 // last minus first, of sequences and offsets alike
	last         record.Offset
	timestamp    int64 // the batch's max timestamp
}

func (b batchMeta) first() record.Offset { return b.last - record.Offset(b.delta) }

// firstSequence goes back from the last one over the wrap from 2^31-1 to 0.
func (b batchMeta) firstSequence() int32 {
	return int32((int64(b.lastSequence) - int64(b.delta)) & math.MaxInt32)
}

// producer is what a partition knows of one producer id.
type producer struct {
	epoch            int16
	coordinatorEpoch int32
	n                int8                   // batches known
	batches          [keptBatches]batchMeta // the oldest first
	timestamp        int64                  // of its last batch
	seen             int64                  // when this process saw it last, by the broker's clock; 0 if only on disk
}

// noSequence is the last sequence of a producer without a batch in its epoch: the next must be 0.
const noSequence = -1

func (p *producer) lastSequence() int32 {
	if p.n == 0 {
		return noSequence
	}
	return p.batches[p.n-1].lastSequence
}

// find returns the known batch with these sequences.
func (p *producer) find(epoch int16, first, last int32) (batchMeta, bool) {
	if epoch != p.epoch {
		return batchMeta{}, false
	}
	for _, b := range p.batches[:p.n] {
		if b.lastSequence == last && b.firstSequence() == first {
			return b, true
		}
	}
	return batchMeta{}, false
}

// setEpoch begins a new epoch, which has no batches yet.
func (p *producer) setEpoch(epoch int16) {
	if epoch != p.epoch {
		p.epoch, p.n = epoch, 0
	}
}

func (p *producer) add(b batchMeta) {
	if p.n == keptBatches {
		copy(p.batches[:], p.batches[1:])
		p.n--
	}
	p.batches[p.n] = b
	p.n++
}

// producers is the state of a partition's idempotent producers. It is what Kafka's ProducerStateManager is: a function of
// the batches in the log, of which a snapshot is taken now and then. Guarded by the partition's mu.
type producers struct {
	byID map[record.ProducerID]*producer
	next record.Offset // the state is that before this offset
}

// check decides on a batch of a client before it is appended: appended already (the batch returned), refused, or welcome.
//
//   - an older epoch than the producer's newest is refused: a newer instance has taken over
//   - the sequences of one of the last batches are a repetition
//   - a new epoch begins at sequence 0; otherwise the first sequence follows the last one
//   - a producer of which nothing is known may begin anywhere: what it wrote has expired or been deleted
func (s *producers) check(b record.Batch) (batchMeta, bool, error) {
	p := s.byID[b.ProducerID()]
	if p == nil {
		return batchMeta{}, false, nil
	}
	first, epoch := b.BaseSequence(), b.ProducerEpoch()
	if known, ok := p.find(epoch, first, b.LastSequence()); ok {
		return known, true, nil
	}
	switch {
	case epoch < p.epoch:
		return batchMeta{}, false, fmt.Errorf("%w: producer %d, epoch %d, newest %d", ErrInvalidProducerEpoch, b.ProducerID(), epoch, p.epoch)
	case epoch > p.epoch && first != 0:
		return batchMeta{}, false, fmt.Errorf("%w: producer %d begins epoch %d at sequence %d", ErrOutOfOrderSequence, b.ProducerID(), epoch, first)
	case epoch == p.epoch && !follows(p.lastSequence(), first):
		return batchMeta{}, false, fmt.Errorf("%w: producer %d, sequence %d after %d", ErrOutOfOrderSequence, b.ProducerID(), first, p.lastSequence())
	}
	return batchMeta{}, false, nil
}

func follows(last, next int32) bool {
	return int64(next) == int64(last)+1 || next == 0 && last == math.MaxInt32
}

// replay takes a batch of the log into account, whoever wrote it. now is 0 for one that is read back.
func (s *producers) replay(b record.Batch, now int64) {
	s.next = b.NextOffset()
	if !b.HasProducerID() {
		return
	}
	p := s.byID[b.ProducerID()]
	if p == nil {
		p = &producer{epoch: b.ProducerEpoch()}
		if s.byID == nil {
			s.byID = map[record.ProducerID]*producer{}
		}
		s.byID[b.ProducerID()] = p
	}
	p.setEpoch(b.ProducerEpoch())
	if !b.IsControl() {
		p.add(batchMeta{lastSequence: b.LastSequence(), delta: b.LastOffsetDelta(), last: b.LastOffset(), timestamp: b.MaxTimestamp()})
	}
	p.timestamp = b.MaxTimestamp()
	p.seen = max(p.seen, now)
}

// expire forgets the producers that were silent for as long as expiration, by their own timestamps as Kafka has it, but
// not one that this broker has heard meanwhile.
func (s *producers) expire(now, expiration int64) int {
	n := 0
	for id, p := range s.byID {
		if now-max(p.timestamp, p.seen) >= expiration {
			delete(s.byID, id)
			n++
		}
	}
	return n
}
