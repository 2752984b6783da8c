package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrun/millrun/core/config"
	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/seglog"
)

// StoreConfig says where a broker's partitions are.
type StoreConfig struct {
	Dir      string
	FS       seglog.FS // nil: the machine's, and the directory is locked against other processes
	Settings *config.BrokerSettings
	NodeID   meta.NodeID
	// MaxOpenFiles bounds the segment files that are open at once; below 1 means half of what the process may open.
	MaxOpenFiles int
	Now          func() time.Time
	Logger       *slog.Logger
}

// Store is every partition of which this broker has a replica, in one data directory. It is made to agree with the
// metadata by Reconcile, and only by that.
type Store struct {
	cfg   StoreConfig // immutable, but for Settings: see settings
	fs    seglog.FS
	files *seglog.Files
	lock  *dirLock // nil without the machine's file system

	byName   *shards[string, *hosted]
	byID     *shards[meta.TopicID, *hosted]
	settings atomic.Pointer[config.BrokerSettings]

	reconciled atomic.Bool                 // the partitions are known
	marks      map[string]seglog.CloseMark // of the last stop, by directory name; owned by the first Reconcile

	checkpoint sync.Mutex // guards points, and the writing of the checkpoint files
	points     checkpoint // what the checkpoint files say

	upkeep upkeep
}

// hosted is one topic's partitions here. It is immutable; a change makes another.
type hosted struct {
	topic *meta.Topic
	parts []*Partition // by partition id; nil where this broker has no replica
}

// OpenStore takes a data directory, which is made if it does not exist. It fails if another process has it, or if it is
// another broker's. The partitions come with the first Reconcile.
func OpenStore(c StoreConfig) (*Store, error) {
	if c.Dir == "" || c.Settings == nil {
		return nil, errors.New("replica: a store needs a directory and settings")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.MaxOpenFiles < 1 {
		c.MaxOpenFiles = openFilesAllowed()
	}
	s := &Store{cfg: c, fs: c.FS, files: seglog.NewFiles(c.MaxOpenFiles), byName: newShards[string, *hosted](),
		byID: newShards[meta.TopicID, *hosted]()}
	s.settings.Store(c.Settings)
	if s.fs == nil {
		s.fs = seglog.OS()
	}
	if err := s.fs.MkdirAll(c.Dir); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if c.FS == nil {
		lock, err := lockDir(c.Dir)
		if err != nil {
			return nil, err
		}
		s.lock = lock
	}
	if err := s.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("data directory %s: %w", c.Dir, err), s.unlock())
	}
	s.upkeep.start(s)
	return s, nil
}

// open reads what the last stop has left. The mark of a clean one is removed, durably, before anything else happens.
func (s *Store) open() error {
	if err := s.checkProperties(); err != nil {
		return err
	}
	s.points = s.readCheckpoints()
	marks, err := s.takeMarks()
	s.marks = marks
	return err
}

func (s *Store) unlock() error {
	if s.lock == nil {
		return nil
	}
	return s.lock.release()
}

// Get returns the replica of a partition, if there is one here.
func (s *Store) Get(topic string, partition int32) (*Partition, bool) {
	h, ok := s.byName.get(topic)
	if !ok {
		return nil, false
	}
	return h.part(partition)
}

// GetByID is Get by the topic's id.
func (s *Store) GetByID(id meta.TopicID, partition int32) (*Partition, bool) {
	h, ok := s.byID.get(id)
	if !ok {
		return nil, false
	}
	return h.part(partition)
}

func (h *hosted) part(id int32) (*Partition, bool) {
	if id < 0 || int(id) >= len(h.parts) || h.parts[id] == nil {
		return nil, false
	}
	return h.parts[id], true
}

// All calls fn for every partition.
func (s *Store) All(fn func(*Partition)) {
	s.byName.all(func(_ string, h *hosted) {
		for _, p := range h.parts {
			if p != nil {
				fn(p)
			}
		}
	})
}

// Dir is the data directory.
func (s *Store) Dir() string { return s.cfg.Dir }

// OpenFiles is the number of segment files that are open.
func (s *Store) OpenFiles() int { return s.files.Open() }

// Settings are the broker's, with what the metadata changes in them.
func (s *Store) Settings() *config.BrokerSettings { return s.settings.Load() }

// DeleteRecords is Partition.DeleteRecords, with the log's start made durable before it returns.
func (s *Store) DeleteRecords(p *Partition, to record.Offset) (record.Offset, error) {
	start, err := p.DeleteRecords(to)
	if err != nil {
		return start, err
	}
	if err := s.saveLogStart(p, start); err != nil {
		return record.NoOffset, p.storage(err)
	}
	return start, nil
}

// closers is how many partitions are closed at once: each waits for the disk, which can sync several for the price of one.
const closers = 16

// Close closes every partition and marks the directory as cleanly stopped. Nothing may use the store any more. When ctx
// ends first the rest stays as after a crash, which the next start recovers from.
func (s *Store) Close(ctx context.Context) error {
	s.upkeep.stop()
	s.checkpoint.Lock()
	defer s.checkpoint.Unlock()
	marks, errs := s.closeAll(ctx)
	if ctx.Err() != nil {
		errs = append(errs, fmt.Errorf("%s: the partitions were not all closed in time (%d were), and the next start recovers them: %w", s.cfg.Dir,
			len(marks), context.Cause(ctx)))
	}
	if !s.reconciled.Load() {
		marks = s.marks // nothing has touched the logs
	} else {
		errs = append(errs, s.writeCheckpoints())
	}
	if ctx.Err() == nil {
		errs = append(errs, s.leaveMarks(marks))
	}
	return errors.Join(append(errs, s.unlock())...)
}

func (s *Store) closeAll(ctx context.Context) (map[string]seglog.CloseMark, []error) {
	var (
		mu    sync.Mutex
		marks = map[string]seglog.CloseMark{}
		errs  []error
		all   []*Partition
	)
	s.All(func(p *Partition) { all = append(all, p) })
	inParallel(closers, all, func(p *Partition) {
		if ctx.Err() != nil {
			return
		}
		failed := p.Failed() != nil
		mark, err := p.Close()
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			marks[p.name] = *mark
		case !failed: // else it has been said before
			errs = append(errs, err)
		}
	})
	return marks, errs
}

// inParallel calls fn for each item, n at a time.
func inParallel[T any](n int, items []T, fn func(T)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, len(items)) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(items) {
					return
				}
				fn(items[i])
			}
		})
	}
	wg.Wait()
}
