package seglog_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/seglog"
	"github.com/millrun/millrun/core/seglog/faultfs"
)

// model is a log as a slice of batches, and the real one beside it.
type model struct {
	t       *testing.T
	rng     *rand.Rand
	fs      *faultfs.FS
	o       seglog.Options
	c       seglog.Config
	l       *seglog.Log
	batches []record.Batch
	start   record.Offset
	flushed record.Offset
}

func (m *model) end() record.Offset {
	if n := len(m.batches); n > 0 {
		return m.batches[n-1].NextOffset()
	}
	return m.l.Segments()[0].Base
}

// expect is what a read has to return.
func (m *model) expect(from, upTo record.Offset, max int, minOne bool) (out []byte, segmentEnds map[int]bool) {
	segmentEnds = map[int]bool{}
	for _, b := range m.batches {
		if b.LastOffset() < from {
			continue
		}
		for _, s := range m.l.Segments() {
			if s.Base == b.BaseOffset() && len(out) > 0 {
				segmentEnds[len(out)] = true
			}
		}
		if b.BaseOffset() >= upTo || len(out)+len(b) > max && !(minOne && len(out) == 0) {
			break
		}
		out = append(out, b...)
	}
	return out, segmentEnds
}

func (m *model) read() {
	end := int64(m.end())
	from := record.Offset(m.rng.Int64N(end+3) - 1)
	upTo := record.Offset(m.rng.Int64N(end + 1))
	if m.rng.IntN(2) == 0 {
		upTo = record.Offset(end)
	}
	size, minOne := m.rng.IntN(3000), m.rng.IntN(2) == 0
	got, err := m.l.ReadInto([]byte("before"), from, upTo, size, minOne)
	if from < m.start || from > m.end() {
		if !errors.Is(err, seglog.ErrOutOfRange) {
			m.t.Fatalf("read at %d of %d..%d: %v", from, m.start, end, err)
		}
		return
	}
	if err != nil || !bytes.HasPrefix(got, []byte("before")) {
		m.t.Fatalf("read at %d of %d..%d: %v", from, m.start, end, err)
	}
	got = got[len("before"):]
	want, ends := m.expect(from, upTo, size, minOne)
	// A read may end early with its segment, or where the index says that a batch ends, but not for nothing.
	if !bytes.HasPrefix(want, got) || len(want) > 0 && len(got) == 0 {
		m.t.Fatalf("read at %d up to %d, %d bytes: got %d bytes, want %d", from, upTo, size, len(got), len(want))
	}
	if len(got) < len(want) && !ends[len(got)] && len(want)-len(got) > 2*int(m.c.IndexIntervalBytes)+400 {
		m.t.Fatalf("read at %d up to %d, %d bytes: got only %d bytes of %d", from, upTo, size, len(got), len(want))
	}
}

func (m *model) append() {
	base := m.end()
	if m.c.Gaps && m.rng.IntN(3) == 0 {
		base += record.Offset(m.rng.IntN(10))
	}
	b := batchAt(base, 1+m.rng.IntN(5), testTime+int64(base), m.rng.IntN(60))
	if _, err := m.l.Append(b); err != nil {
		m.t.Fatal(err)
	}
	m.batches = append(m.batches, b)
}

func (m *model) truncate() {
	to := record.Offset(m.rng.Int64N(int64(m.end()) + 2))
	if to < m.start {
		return
	}
	if err := m.l.Truncate(to); err != nil {
		m.t.Fatal(err)
	}
	for len(m.batches) > 0 && m.batches[len(m.batches)-1].LastOffset() >= to {
		m.batches = m.batches[:len(m.batches)-1]
	}
	m.start = min(m.start, m.l.EndOffset())
	m.flushed = min(m.flushed, m.l.EndOffset())
}

func (m *model) setStart() {
	to := m.start + record.Offset(m.rng.Int64N(int64(m.end()-m.start)+1))/4
	if err := m.l.SetStartOffset(to); err != nil {
		m.t.Fatal(err)
	}
	m.start = max(m.start, to)
	first := m.l.Segments()[0].Base
	for len(m.batches) > 0 && m.batches[0].BaseOffset() < first {
		m.batches = m.batches[1:]
	}
}

func (m *model) flush() {
	p, err := m.l.Flush()
	if err != nil || p != m.l.EndOffset() {
		m.t.Fatal(p, err)
	}
	m.flushed = p
}

func (m *model) reopen() {
	m.o.LogStart, m.o.Clean, m.o.RecoveryPoint = m.start, nil, m.l.RecoveryPoint()
	switch m.rng.IntN(4) {
	case 0:
		m.o.Clean = mustClose(m.t, m.l)
	case 1:
		mustClose(m.t, m.l)
		m.fs.Restart(faultfs.LoseNothing, nil)
	case 2:
		m.fs.Restart(faultfs.LoseNothing, nil)
	case 3:
		for _, s := range m.l.Segments() {
			_ = m.fs.Remove("/log/" + seglog.FileName(s.Base, seglog.IndexSuffix))
		}
		m.fs.Restart(faultfs.LoseNothing, nil)
	}
	m.o.Files = seglog.NewFiles(3)
	m.l = mustOpen(m.t, m.o, m.c)
}

func (m *model) check() {
	if m.l.EndOffset() != m.end() || m.l.StartOffset() != m.start {
		m.t.Fatalf("log is %d..%d instead of %d..%d", m.l.StartOffset(), m.l.EndOffset(), m.start, m.end())
	}
	size := int64(0)
	for _, b := range m.batches {
		size += int64(len(b))
	}
	if m.l.Size() != size {
		m.t.Fatalf("log has %d bytes instead of %d", m.l.Size(), size)
	}
}

func (m *model) findings() {
	mustClose(m.t, m.l)
	_, err := seglog.Verify(m.fs, "/log", func(f seglog.Finding) {
		if f.Derived || !m.c.Gaps {
			m.t.Errorf("verify: %+v", f)
		}
	})
	if err != nil {
		m.t.Fatal(err)
	}
}

func TestRandomOperationsMatchASliceOfBatches(t *testing.T) {
	for seed := range uint64(32) {
		m := &model{t: t, rng: rand.New(rand.NewPCG(seed, 1)), fs: faultfs.New(), c: testConfig()}
		m.o = testOptions("/log")
		m.o.FS, m.o.Files = m.fs, seglog.NewFiles(3)
		m.c.SegmentBytes = 500 + m.rng.Int64N(4000)
		m.c.IndexIntervalBytes = m.rng.Int64N(800)
		m.c.Gaps = seed%4 == 3
		m.l = mustOpen(t, m.o, m.c)
		for range 400 {
			switch n := m.rng.IntN(100); {
			case n < 45:
				m.append()
			case n < 90:
				m.read()
			case n < 92:
				m.flush()
			case n < 94:
				m.truncate()
			case n < 96:
				m.setStart()
			default:
				m.reopen()
			}
			m.check()
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
		m.findings()
	}
}
