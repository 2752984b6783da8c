package replica

import (
	"errors"
	"maps"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/seglog"
)

type offsets = map[seglog.TopicPartition]record.Offset

// checkpoint is what the three checkpoint files in the data directory say.
type checkpoint struct {
	recovery, start, highWatermark offsets
}

func (s *Store) readCheckpoints() checkpoint {
	read := func(name string) offsets {
		list, err := seglog.ReadOffsetCheckpoint(s.fs, s.cfg.Dir, name)
		if err != nil && !isNotExist(err) {
			s.cfg.Logger.Warn("checkpoint is unreadable, recovering more than needed", "file", join(s.cfg.Dir, name), "error", err)
		}
		if err != nil {
			return offsets{}
		}
		return list
	}
	return checkpoint{read(seglog.RecoveryPointFile), read(seglog.LogStartFile), read(seglog.HighWatermarkFile)}
}

func keyOf(p *Partition) seglog.TopicPartition {
	return seglog.TopicPartition{Topic: p.topic, Partition: p.id}
}

// writeCheckpoints writes where the partitions are. A partition that could not be opened keeps what was said of it: that is
// what its files are to be held against. s.checkpoint held.
func (s *Store) writeCheckpoints() error {
	now := checkpoint{offsets{}, offsets{}, offsets{}}
	s.All(func(p *Partition) {
		k := keyOf(p)
		if p.log == nil {
			keep(now.recovery, s.points.recovery, k)
			keep(now.start, s.points.start, k)
			keep(now.highWatermark, s.points.highWatermark, k)
			return
		}
		now.recovery[k] = p.log.RecoveryPoint()
		now.highWatermark[k] = p.HighWatermark()
		if start := p.log.StartOffset(); start > 0 && start > p.log.Segments()[0].Base {
			now.start[k] = start
		}
	})
	old := s.points
	s.points = now
	return errors.Join(
		s.writeCheckpoint(seglog.LogStartFile, old.start, now.start),
		s.writeCheckpoint(seglog.RecoveryPointFile, old.recovery, now.recovery),
		s.writeCheckpoint(seglog.HighWatermarkFile, old.highWatermark, now.highWatermark))
}

func keep(to, from offsets, k seglog.TopicPartition) {
	if o, ok := from[k]; ok {
		to[k] = o
	}
}

func (s *Store) writeCheckpoint(name string, old, now offsets) error {
	if maps.Equal(old, now) {
		return nil
	}
	return seglog.WriteOffsetCheckpoint(s.fs, s.cfg.Dir, name, now)
}

// Checkpoint writes where the partitions are, by which the next start knows what to recover.
func (s *Store) Checkpoint() error {
	s.checkpoint.Lock()
	defer s.checkpoint.Unlock()
	if !s.reconciled.Load() {
		return nil // what the files say is still to be used
	}
	return s.writeCheckpoints()
}

// saveLogStart makes a log's new start durable. Several that come at the same time share a write.
func (s *Store) saveLogStart(p *Partition, start record.Offset) error {
	s.checkpoint.Lock()
	defer s.checkpoint.Unlock()
	if s.points.start[keyOf(p)] >= start {
		return nil
	}
	return s.writeCheckpoints()
}

// forgetCheckpoints makes sure that the files say nothing of partitions that are about to be made anew under a name that
// was used before: it would be held against them.
func (s *Store) forgetCheckpoints(opens []opening) error {
	s.checkpoint.Lock()
	defer s.checkpoint.Unlock()
	for _, o := range opens {
		k := seglog.TopicPartition{Topic: o.topic.Name, Partition: o.state.ID}
		_, recovery := s.points.recovery[k]
		_, start := s.points.start[k]
		_, hw := s.points.highWatermark[k]
		if recovery || start || hw {
			return s.writeCheckpoints() // they are not hosted now
		}
	}
	return nil
}
