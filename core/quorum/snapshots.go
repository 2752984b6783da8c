package quorum

import (
	"context"
	"errors"
	"fmt"

	"github.com/millrun/millrun/core/meta"
)

func (l *Log) snapshotDir() snapshotDir { return snapshotDir(l.dir + "/snapshots") }

// snapshotIfDue begins to write a snapshot if there has been enough since the last was begun.
func (l *Log) snapshotIfDue() {
	r := &l.run
	if r.saving != nil || r.seq-r.tried < l.cfg.SnapshotEvery && r.bytes < l.cfg.SnapshotBytes {
		return
	}
	s := &snapshot{r.seq, r.chain, r.img}
	keep := r.keep(s.seq)
	r.tried, r.bytes = r.seq, 0
	saving := make(chan []uint64, 1)
	r.saving = saving
	l.tasks.Go(func() {
		if err := l.saveSnapshot(s, keep); err != nil {
			l.cfg.Logger.Error("metadata snapshot not written", "sequence", s.seq, "error", err)
			keep = nil
		}
		saving <- keep
	})
}

// keep is which snapshots are to stay when the one of seq is there, newest first.
func (r *runState) keep(seq uint64) []uint64 {
	return append([]uint64{seq}, r.snapshots[:min(len(r.snapshots), keptSnapshots-1)]...)
}

// saveSnapshot writes a snapshot, and then removes older ones and the part of the log that none of the kept ones needs.
func (l *Log) saveSnapshot(s *snapshot, keep []uint64) error {
	if err := l.snapshotDir().save(s); err != nil {
		return err
	}
	l.stats.snapshotSeq.Store(s.seq)
	if err := l.snapshotDir().prune(keep); err != nil {
		return err
	}
	if len(keep) < keptSnapshots {
		return nil
	}
	return l.node.purge(context.Background(), keep[len(keep)-1]+1)
}

// saved takes note of which snapshots there are; nil if the last one failed.
func (l *Log) saved(snapshots []uint64) {
	l.run.saving = nil
	if snapshots != nil {
		l.run.snapshots = snapshots
	}
}

// lastSnapshot is taken when the log is closed, so that the next start need not replay.
func (l *Log) lastSnapshot() error {
	l.tasks.Wait()
	r := &l.run
	if r.saving != nil {
		l.saved(<-r.saving)
	}
	newest := uint64(0)
	if len(r.snapshots) > 0 {
		newest = r.snapshots[0]
	}
	if !errors.Is(l.Err(), ErrClosed) || r.seq-newest < min(closeSnapshotAfter, l.cfg.SnapshotEvery) {
		return nil
	}
	return l.saveSnapshot(&snapshot{r.seq, r.chain, r.img}, r.keep(r.seq))
}

// loadSnapshots puts the newest whole snapshot into the run state. One that is damaged is passed over: the one before it
// and the log behind that give the same image. known says that there has been any.
func (l *Log) loadSnapshots() (known bool, err error) {
	l.run.img = &meta.Image{}
	seqs, err := l.snapshotDir().list()
	if err != nil {
		return false, fmt.Errorf("metadata log: snapshots: %w", err)
	}
	for _, seq := range seqs {
		s, err := l.snapshotDir().load(seq)
		if errors.Is(err, ErrDamaged) || errors.Is(err, meta.ErrCorrupt) {
			l.cfg.Logger.Warn("metadata snapshot passed over", "error", err)
			continue
		}
		if err != nil {
			return true, fmt.Errorf("metadata log: snapshot: %w", err)
		}
		if len(l.run.snapshots) == 0 {
			l.run.seq, l.run.chain, l.run.img, l.run.tried = s.seq, s.chain, s.img, s.seq
			l.stats.snapshotSeq.Store(s.seq)
		}
		l.run.snapshots = append(l.run.snapshots, seq)
	}
	return len(seqs) > 0, nil
}
