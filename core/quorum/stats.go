package quorum

import "sync/atomic"

// counters are what Stats reads without asking anybody.
type counters struct {
	applied, ignored, conflicts, resends, snapshotSeq atomic.Uint64
	commandBytes                                      atomic.Int64
}

// Stats is how a log is doing.
type Stats struct {
	Seq          uint64 // of the newest command reconciled
	Committed    uint64 // of the newest command known to be on disk
	Chain        [32]byte
	SnapshotSeq  uint64 // of the newest snapshot, 0 without one
	Applied      uint64 // commands (a batch counts as one) since the start, without those replayed by Open
	CommandBytes int64  // theirs
	Ignored      uint64 // commands that contradicted what came before them
	Conflicts    uint64 // changes decided again
	Resends      uint64 // appends that were slow to be answered
	Pending      int    // changes that wait to be committed
}

// Stats takes the numbers now.
func (l *Log) Stats() Stats {
	s := Stats{
		Seq:          l.Image().Seq(),
		SnapshotSeq:  l.stats.snapshotSeq.Load(),
		Applied:      l.stats.applied.Load(),
		CommandBytes: l.stats.commandBytes.Load(),
		Ignored:      l.stats.ignored.Load(),
		Conflicts:    l.stats.conflicts.Load(),
		Resends:      l.stats.resends.Load(),
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Committed, s.Chain = l.top.seq, l.top.chain
	for _, b := range []*batch{l.flying, l.open} {
		if b != nil {
			s.Pending += len(b.commands)
		}
	}
	return s
}
