package replica

import (
	"sync"
	"time"
)

// upkeep is what a store does in the background: flushes that nobody waits for, checkpoints, retention, expiry of
// producers, closing of files that lie idle, removal of deleted directories.
type upkeep struct {
	s    *Store
	quit chan struct{}
	wake chan struct{} // cap 1: the queue has something
	wg   sync.WaitGroup

	mu      sync.Mutex
	stopped bool
	queue   []*Partition // to be flushed
	trash   []trashDir
}

// trashDir is a deleted partition's directory, to be removed when it is due.
type trashDir struct {
	path string
	due  time.Time
}

// idleFilesEvery is how long a segment file may lie unused before it is closed.
const idleFilesEvery = 30 * time.Second

func (u *upkeep) start(s *Store) {
	u.s, u.quit, u.wake = s, make(chan struct{}), make(chan struct{}, 1)
	u.wg.Go(u.flushLoop)
	set := s.cfg.Settings
	every := func(name string) time.Duration { return time.Duration(max(1, set.Int(name))) * time.Millisecond }
	u.every(every("log.flush.offset.checkpoint.interval.ms"), func() {
		if err := s.Checkpoint(); err != nil {
			s.cfg.Logger.Error("checkpoints were not written", "dir", s.cfg.Dir, "error", err)
		}
	})
	u.every(every("log.retention.check.interval.ms"), u.retain)
	u.every(every("producer.id.expiration.check.interval.ms"), func() {
		expiration := s.Settings().Int("producer.id.expiration.ms")
		s.All(func(p *Partition) { p.ExpireProducers(expiration) })
	})
	u.every(idleFilesEvery, func() { s.files.CloseIdle() })
	u.every(trashEvery, u.removeTrash)
}

// trashEvery is how often deleted files and directories are looked at.
const trashEvery = 10 * time.Second

func (u *upkeep) every(d time.Duration, fn func()) {
	u.wg.Go(func() {
		t := time.NewTicker(d)
		defer t.Stop()
		for {
			select {
			case <-u.quit:
				return
			case <-t.C:
				fn()
			}
		}
	})
}

// stop ends the background work, and waits for what is under way.
func (u *upkeep) stop() {
	u.mu.Lock()
	if !u.stopped {
		u.stopped = true
		close(u.quit)
	}
	u.mu.Unlock()
	u.wg.Wait()
}

// ending tells that stop waits: what can be left for the close or the next start has to be.
func (u *upkeep) ending() bool {
	select {
	case <-u.quit:
		return true
	default:
		return false
	}
}

// flushLater is given to partitions.
func (u *upkeep) flushLater(p *Partition) {
	u.mu.Lock()
	u.queue = append(u.queue, p)
	u.mu.Unlock()
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

func (u *upkeep) flushLoop() {
	for {
		select {
		case <-u.quit:
			return
		case <-u.wake:
		}
		u.mu.Lock()
		queue := u.queue
		u.queue = nil
		u.mu.Unlock()
		for _, p := range queue {
			if u.ending() {
				return // closing a partition flushes it
			}
			if err := p.Flush(); err != nil && !p.isClosed() {
				u.s.cfg.Logger.Error("flush failed", "partition", p.name, "error", err)
			}
		}
	}
}

func (u *upkeep) retain() {
	u.s.All(func(p *Partition) {
		if u.ending() {
			return
		}
		if p.Failed() != nil || p.isClosed() {
			return
		}
		n, err := p.Retain()
		if err != nil && !p.isClosed() {
			u.s.cfg.Logger.Error("retention failed", "partition", p.name, "error", err)
		}
		if n > 0 {
			u.s.cfg.Logger.Info("segments deleted", "partition", p.name, "segments", n, "start", int64(p.log.StartOffset()))
		}
	})
}

// discard has a directory removed after a delay.
func (u *upkeep) discard(path string, delay time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.trash = append(u.trash, trashDir{path, u.s.cfg.Now().Add(delay)})
}

func (u *upkeep) removeTrash() {
	u.s.All(func(p *Partition) {
		if p.log != nil {
			p.log.RemoveDeleted()
		}
	})
	now := u.s.cfg.Now()
	var due []string
	u.mu.Lock()
	rest := u.trash[:0]
	for _, t := range u.trash {
		if t.due.After(now) {
			rest = append(rest, t)
		} else {
			due = append(due, t.path)
		}
	}
	u.trash = rest
	u.mu.Unlock()
	for _, dir := range due {
		if u.ending() {
			return
		}
		// What stays is removed after the next start.
		if err := removeTree(u.s.fs, dir); err != nil {
			u.s.cfg.Logger.Warn("deleted partition's directory was not removed", "dir", dir, "error", err)
		}
	}
}
