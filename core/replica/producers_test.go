package replica

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/seglog"
	"github.com/millrun/millrun/core/seglog/faultfs"
)

// step is a batch of producer 7 and what must become of it.
type step struct {
	name     string
	epoch    int16
	sequence int32
	n        int
	want     error         // nil: appended, or repeated
	base     record.Offset // where it is, if repeated
	repeated bool
}

func runSteps(t *testing.T, p *Partition, steps []step) {
	t.Helper()
	for _, s := range steps {
		_, _, _, end := p.Offsets()
		a, err := p.Append(shape{pid: 7, epoch: s.epoch, sequence: s.sequence, n: s.n}.build(t), AppendOptions{Acks: AcksAll})
		switch {
		case !errors.Is(err, s.want):
			t.Errorf("%s: err %v, want %v", s.name, err, s.want)
		case err != nil:
		case a.Duplicate != s.repeated:
			t.Errorf("%s: repeated %v", s.name, a.Duplicate)
		case s.repeated && (a.Base != s.base || a.Last != s.base+record.Offset(s.n-1)):
			t.Errorf("%s: at %d to %d, want %d", s.name, a.Base, a.Last, s.base)
		case !s.repeated && a.Base != end:
			t.Errorf("%s: appended at %d, the log ended at %d", s.name, a.Base, end)
		}
	}
}

func TestSequencesAreCheckedAsKafkaDoes(t *testing.T) {
	tests := []struct {
		name  string
		steps []step
	}{
		{"batches follow one another", []step{
			{"first", 0, 0, 3, nil, 0, false},
			{"next", 0, 3, 2, nil, 0, false},
			{"a gap", 0, 6, 1, ErrOutOfOrderSequence, 0, false},
			{"next again", 0, 5, 1, nil, 0, false},
			{"from the start", 0, 0, 1, ErrOutOfOrderSequence, 0, false},
			{"a part of the last one", 0, 3, 1, ErrOutOfOrderSequence, 0, false},
		}},
		{"the last five are repeated with their offsets", []step{
			{"1", 0, 0, 1, nil, 0, false}, {"2", 0, 1, 2, nil, 0, false}, {"3", 0, 3, 1, nil, 0, false},
			{"4", 0, 4, 1, nil, 0, false}, {"5", 0, 5, 3, nil, 0, false}, {"6", 0, 8, 1, nil, 0, false},
			{"2 again", 0, 1, 2, nil, 1, true}, {"5 again", 0, 5, 3, nil, 5, true}, {"6 again", 0, 8, 1, nil, 8, true},
			{"1 is forgotten", 0, 0, 1, ErrOutOfOrderSequence, 0, false},
			{"2 in other pieces", 0, 1, 1, ErrOutOfOrderSequence, 0, false},
			{"7", 0, 9, 1, nil, 0, false},
		}},
		{"an unknown producer may begin anywhere", []step{
			{"in the middle", 3, 1000, 2, nil, 0, false},
			{"next", 3, 1002, 1, nil, 0, false},
		}},
		{"epochs rise and begin at zero", []step{
			{"epoch 1", 1, 10, 1, nil, 0, false},
			{"epoch 2 in the middle", 2, 11, 1, ErrOutOfOrderSequence, 0, false},
			{"epoch 2", 2, 0, 1, nil, 0, false},
			{"the old instance", 1, 11, 1, ErrInvalidProducerEpoch, 0, false},
			{"the old instance repeats", 1, 10, 1, ErrInvalidProducerEpoch, 0, false},
			{"epoch 2 again", 2, 0, 1, nil, 1, true},
		}},
		{"sequences wrap to zero", []step{
			{"before the wrap", 0, math.MaxInt32 - 1, 1, nil, 0, false},
			{"across it", 0, math.MaxInt32, 3, nil, 0, false},
			{"across it again", 0, math.MaxInt32, 3, nil, 1, true},
			{"behind it", 0, 2, 1, nil, 0, false},
		}},
		{"sequences wrap exactly", []step{
			{"up to the last number", 0, math.MaxInt32 - 1, 2, nil, 0, false},
			{"zero follows", 0, 0, 1, nil, 0, false},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { runSteps(t, newPartition(t, nil), test.steps) })
	}
}

// sixBatches fills a partition, of which afterSix must then hold.
func sixBatches(t *testing.T, p *Partition) {
	t.Helper()
	runSteps(t, p, []step{
		{"1", 0, 0, 1, nil, 0, false}, {"2", 0, 1, 2, nil, 0, false}, {"3", 0, 3, 1, nil, 0, false},
		{"4", 0, 4, 1, nil, 0, false}, {"5", 0, 5, 3, nil, 0, false}, {"6", 0, 8, 1, nil, 0, false},
	})
}

var afterSix = []step{
	{"2 again", 0, 1, 2, nil, 1, true}, {"6 again", 0, 8, 1, nil, 8, true}, {"1 is forgotten", 0, 0, 1, ErrOutOfOrderSequence, 0, false},
}

func TestARepetitionIsKnownAfterACleanStop(t *testing.T) {
	t.Run("a clean one", func(t *testing.T) {
		o := testOptions(t, nil)
		p := New(o)
		sixBatches(t, p)
		for range 3 {
			p = reopen(t, p, o)
			runSteps(t, p, afterSix)
		}
		p.Abandon()
	})
	t.Run("a clean one without the snapshot", func(t *testing.T) {
		o := testOptions(t, nil)
		p := New(o)
		sixBatches(t, p)
		mark, err := p.Close()
		if err != nil {
			t.Fatal(err)
		}
		if err := p.removeSnapshot(9); err != nil {
			t.Fatal(err)
		}
		o.Clean = mark
		p = New(o)
		runSteps(t, p, afterSix)
		p.Abandon()
	})
	t.Run("a clean one with a damaged snapshot", func(t *testing.T) {
		fs, o := faultOptions(t, nil)
		p := New(o)
		sixBatches(t, p)
		mark, err := p.Close()
		if err != nil {
			t.Fatal(err)
		}
		name := p.dir + "/" + seglog.FileName(9, seglog.SnapshotSuffix)
		b, ok := fs.ReadFile(name)
		if !ok {
			t.Fatal("no snapshot was taken")
		}
		b[20] ^= 1
		fs.WriteFile(name, b)
		o.Clean = mark
		p = New(o)
		runSteps(t, p, afterSix)
	})
}

func TestARepetitionIsKnownAfterACrash(t *testing.T) {
	t.Run("a crash", func(t *testing.T) {
		fs, o := faultOptions(t, nil)
		sixBatches(t, New(o))
		fs.Restart(faultfs.LoseNothing, nil)
		runSteps(t, New(o), afterSix)
	})
	t.Run("a crash after rolls", func(t *testing.T) {
		fs, o := faultOptions(t, map[string]string{"internal.segment.bytes": "200"})
		p := New(o)
		sixBatches(t, p)
		if err := p.Flush(); err != nil {
			t.Fatal(err)
		}
		o.RecoveryPoint = p.RecoveryPoint()
		fs.Restart(faultfs.LoseNothing, nil)
		runSteps(t, New(o), afterSix)
	})
}

func TestSilentProducersAreForgottenAndOthersAreNot(t *testing.T) {
	o := testOptions(t, nil)
	clock := newClock()
	o.Now = clock.now
	p := New(o)
	defer p.Close()
	mustAppend(t, p, shape{pid: 1, stamp: testNow - 10_000_000}) // its records are old, but it was heard now
	clock.ms.Add(500)
	mustAppend(t, p, shape{pid: 2})
	clock.ms.Add(500)
	if n := p.ExpireProducers(1000); n != 1 {
		t.Errorf("%d producers expired", n)
	}
	if _, err := p.Append(shape{pid: 1, sequence: 55}.build(t), AppendOptions{}); err != nil {
		t.Errorf("a forgotten producer may begin anywhere: %v", err)
	}
	if _, err := p.Append(shape{pid: 2, sequence: 55}.build(t), AppendOptions{}); !errors.Is(err, ErrOutOfOrderSequence) {
		t.Errorf("a known one may not: %v", err)
	}
}

// modelProducer is the obviously right state: every batch that was appended in the newest epoch.
type modelProducer struct {
	epoch   int16
	batches [][3]int64 // first sequence, records, base offset
}

func TestProducersAreAsInAModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(11, 12))
	fs, o := faultOptions(t, map[string]string{"internal.segment.bytes": "2000"})
	p := New(o)
	model := map[record.ProducerID]*modelProducer{}
	for i := range 4000 {
		if rnd.IntN(300) == 0 {
			p = restart(t, fs, p, &o, rnd.IntN(2) == 0)
		}
		pid := record.ProducerID(1 + rnd.IntN(4))
		m := model[pid]
		if m == nil {
			m = &modelProducer{epoch: -1}
			model[pid] = m
		}
		epoch, first, n := m.pick(rnd)
		wantErr, wantBase := m.expect(epoch, first, n)
		_, _, _, end := p.Offsets()
		a, err := p.Append(shape{pid: pid, epoch: epoch, sequence: first, n: n}.build(t), AppendOptions{})
		what := fmt.Sprintf("step %d: producer %d epoch %d sequence %d, %d records", i, pid, epoch, first, n)
		if !errors.Is(err, wantErr) {
			t.Fatalf("%s: err %v, want %v", what, err, wantErr)
		}
		if err != nil {
			continue
		}
		if a.Duplicate != (wantBase >= 0) || a.Duplicate && int64(a.Base) != wantBase || !a.Duplicate && a.Base != end {
			t.Fatalf("%s: %+v, want base %d", what, a, wantBase)
		}
		if !a.Duplicate {
			if epoch > m.epoch {
				*m = modelProducer{epoch: epoch}
			}
			m.batches = append(m.batches, [3]int64{int64(first), int64(n), int64(a.Base)})
		}
	}
}

// pick chooses what to try: mostly what follows, often a repetition, sometimes nonsense.
func (m *modelProducer) pick(rnd *rand.Rand) (epoch int16, first int32, n int) {
	n = 1 + rnd.IntN(4)
	if m.epoch < 0 {
		return 0, int32(rnd.IntN(2)) * (math.MaxInt32 - 20), n
	}
	last := m.batches[len(m.batches)-1]
	next := int32((last[0] + last[1]) & math.MaxInt32)
	switch rnd.IntN(10) {
	case 0:
		return m.epoch + 1, int32(rnd.IntN(2)), n
	case 1:
		return m.epoch - 1, next, n
	case 2:
		return m.epoch, (next + 1) & math.MaxInt32, n
	case 3, 4:
		b := m.batches[len(m.batches)-1-rnd.IntN(min(8, len(m.batches)))]
		return m.epoch, int32(b[0]), int(b[1]) + rnd.IntN(2)
	}
	return m.epoch, next, n
}

func (m *modelProducer) expect(epoch int16, first int32, n int) (error, int64) {
	if epoch < 0 { // not a batch that could be sent
		return ErrInvalidRecord, -1
	}
	if m.epoch < 0 {
		return nil, -1
	}
	if epoch == m.epoch {
		for _, b := range m.batches[max(0, len(m.batches)-5):] {
			if b[0] == int64(first) && b[1] == int64(n) {
				return nil, b[2]
			}
		}
	}
	last := m.batches[len(m.batches)-1]
	switch {
	case epoch < m.epoch:
		return ErrInvalidProducerEpoch, -1
	case epoch > m.epoch && first == 0, epoch == m.epoch && int64(first) == (last[0]+last[1])&math.MaxInt32:
		return nil, -1
	}
	return ErrOutOfOrderSequence, -1
}
