package replica

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/millrun/millrun/core/config"
	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/seglog"
)

// Reconcile makes the store what img says, given that it is what old says; the first time, when old is not looked at, what
// the directory holds. It is for one goroutine at a time. When it returns, new partitions serve, and deleted ones do not.
//
// Nothing of it fails as a whole: a partition that cannot be opened answers ErrStorage. A directory that the metadata does
// not know is set aside, never deleted.
func (s *Store) Reconcile(old, img *meta.Image) {
	if !s.reconciled.Load() {
		old = nil
		s.tidy(img)
	}
	s.takeSettings(old, img)
	var opens []opening
	for before, after := range meta.ChangedTopics(old, img) {
		if before != nil && (after == nil || after.ID != before.ID) {
			s.drop(before)
			before = nil
		}
		if after != nil {
			opens = append(opens, s.update(before, after)...)
		}
	}
	s.openAll(opens)
	s.marks = nil
	s.reconciled.Store(true)
}

// opening is a partition that is to be opened.
type opening struct {
	topic  *meta.Topic
	state  *meta.Partition
	config *config.TopicConfig
	parts  []*Partition // where it goes
}

// update takes a topic's new state into account, and returns the partitions to be opened for it, which are served once
// publish was called.
func (s *Store) update(before, after *meta.Topic) []opening {
	h, known := s.byName.get(after.Name)
	parts := make([]*Partition, len(after.Partitions))
	if known {
		copy(parts, h.parts)
	}
	c := s.topicConfig(after)
	var opens []opening
	for i := range after.Partitions {
		state := &after.Partitions[i]
		switch p := parts[i]; {
		case p == nil && state.HasReplica(s.cfg.NodeID):
			opens = append(opens, opening{after, state, c, parts})
		case p != nil && !state.HasReplica(s.cfg.NodeID):
			parts[i] = nil
			s.remove(p)
		case p != nil:
			p.setRole(roleOf(state, s.cfg.NodeID))
			if before == nil || !maps.Equal(before.Configs, after.Configs) {
				p.SetConfig(c)
			}
		}
	}
	if len(opens) == 0 {
		s.publish(&hosted{after, parts})
	}
	return opens
}

// topicConfig is one value for all of a topic's partitions.
func (s *Store) topicConfig(t *meta.Topic) *config.TopicConfig {
	c := config.TopicSettings(s.Settings(), t.Configs)
	return &c
}

func (s *Store) publish(h *hosted) {
	s.byName.put(h.topic.Name, h)
	s.byID.put(h.topic.ID, h)
}

// openAll opens partitions, several at a time, and serves them.
func (s *Store) openAll(opens []opening) {
	if len(opens) == 0 {
		return
	}
	if s.reconciled.Load() { // else the files are about these partitions
		if err := s.forgetCheckpoints(opens); err != nil {
			s.cfg.Logger.Error("checkpoints were not written", "dir", s.cfg.Dir, "error", err)
		}
	}
	inParallel(max(2, runtime.GOMAXPROCS(0)), opens, func(o opening) {
		o.parts[o.state.ID] = s.openPartition(o.topic, o.state, o.config)
	})
	for i, o := range opens {
		if i+1 == len(opens) || opens[i+1].topic != o.topic {
			s.publish(&hosted{o.topic, o.parts})
		}
	}
}

func (s *Store) openPartition(t *meta.Topic, state *meta.Partition, c *config.TopicConfig) *Partition {
	k := seglog.TopicPartition{Topic: t.Name, Partition: state.ID}
	o := Options{
		FS: s.fs, Dir: s.cfg.Dir, Topic: t.Name, TopicID: t.ID, ID: state.ID, Node: s.cfg.NodeID, State: *state,
		Config: c, Files: s.files, Now: s.cfg.Now, Logger: s.cfg.Logger,
		Later: s.upkeep.flushLater,
	}
	if !s.reconciled.Load() {
		o.RecoveryPoint, o.LogStart = s.points.recovery[k], s.points.start[k]
		if mark, ok := s.marks[dirName(t.Name, state.ID)]; ok {
			o.Clean = &mark
		}
	}
	p := New(o)
	if foreign := (*foreignError)(nil); p.log == nil && errors.As(p.Failed(), &foreign) {
		if err := s.setAside(p.name, "it is of topic id "+foreign.got); err != nil {
			return p
		}
		o.Clean, o.RecoveryPoint, o.LogStart = nil, 0, 0
		p = New(o)
	}
	if !s.reconciled.Load() {
		s.warnOfLoss(p)
	}
	return p
}

// warnOfLoss says what an unclean stop has cost: records that were committed, as the checkpoint knows, and that had not
// reached the disk when the machine went down, or were taken away since.
func (s *Store) warnOfLoss(p *Partition) {
	was := s.points.highWatermark[keyOf(p)]
	if was == 0 || p.Failed() != nil {
		return
	}
	if _, _, _, end := p.Offsets(); end < was {
		s.cfg.Logger.Warn("committed records are gone: they were not flushed before an unclean stop, or their files were removed",
			"partition", p.name, "end", int64(end), "high watermark at the last checkpoint", int64(was))
	}
}

// drop removes a topic's partitions.
func (s *Store) drop(t *meta.Topic) {
	h, ok := s.byName.get(t.Name)
	if !ok {
		return
	}
	s.byName.remove(t.Name)
	s.byID.remove(t.ID)
	for _, p := range h.parts {
		if p != nil {
			s.remove(p)
		}
	}
}

// remove ends a partition, and has its directory removed after the topic's file.delete.delay.ms.
func (s *Store) remove(p *Partition) {
	p.Abandon()
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	to := join(s.cfg.Dir, deletedDirName(p.topic, p.id, hex.EncodeToString(random[:])))
	if err := s.fs.Rename(p.dir, to); err != nil {
		if !isNotExist(err) {
			s.cfg.Logger.Error("deleted partition's directory stays", "dir", p.dir, "error", err)
		}
		return
	}
	s.upkeep.discard(to, time.Duration(p.Config().FileDeleteDelayMs)*time.Millisecond)
}

// takeSettings applies what the metadata changes in the broker's settings, and with them in every topic's.
func (s *Store) takeSettings(old, img *meta.Image) {
	cluster, own := img.BrokerConfigs(meta.ClusterDefault), img.BrokerConfigs(s.cfg.NodeID)
	if old != nil && maps.Equal(old.BrokerConfigs(meta.ClusterDefault), cluster) && maps.Equal(old.BrokerConfigs(s.cfg.NodeID), own) {
		return
	}
	s.settings.Store(s.cfg.Settings.WithDynamic(cluster, own))
	s.byName.all(func(_ string, h *hosted) {
		c := s.topicConfig(h.topic)
		for _, p := range h.parts {
			if p != nil {
				p.SetConfig(c)
			}
		}
	})
}

// tidy looks through the directory before the first partition is opened: what was deleted before the last stop is removed
// for good, and partitions that the metadata does not know are set aside.
func (s *Store) tidy(img *meta.Image) {
	names, err := s.fs.ReadDir(s.cfg.Dir)
	if err != nil {
		s.cfg.Logger.Error("data directory cannot be listed", "dir", s.cfg.Dir, "error", err)
		return
	}
	for _, name := range names {
		if isDeletedDirName(name) {
			s.upkeep.discard(join(s.cfg.Dir, name), 0)
			continue
		}
		topic, id, ok := parseDirName(name)
		if !ok || !s.isPartitionDir(name) {
			continue
		}
		t, ok := img.Topic(topic)
		if !ok {
			_ = s.setAside(name, "the metadata has no such topic")
		} else if state, ok := t.Partition(id); !ok || !state.HasReplica(s.cfg.NodeID) {
			_ = s.setAside(name, "the metadata has no such replica on this broker")
		}
	}
}

// isPartitionDir tells a partition's directory from others whose name looks like one.
func (s *Store) isPartitionDir(name string) bool {
	dir := join(s.cfg.Dir, name)
	if st, err := s.fs.Stat(dir); err != nil || !st.IsDir {
		return false
	}
	files, err := s.fs.ReadDir(dir)
	return err == nil && slices.ContainsFunc(files, func(f string) bool {
		_, suffix, ok := seglog.ParseFileName(f)
		return f == seglog.PartitionMetaFile || ok && suffix == seglog.LogSuffix
	})
}

// setAside moves a directory into the quarantine, where nothing looks at it any more but people.
func (s *Store) setAside(name, why string) error {
	quarantine := join(s.cfg.Dir, quarantineDir)
	err := s.fs.MkdirAll(quarantine)
	to := join(quarantine, name)
	for i := 1; err == nil; i++ {
		if _, serr := s.fs.Stat(to); isNotExist(serr) {
			break
		}
		to = join(quarantine, name+"."+strconv.Itoa(i))
	}
	if err == nil {
		err = s.fs.Rename(join(s.cfg.Dir, name), to)
	}
	if err != nil {
		s.cfg.Logger.Error("directory could not be set aside", "dir", join(s.cfg.Dir, name), "why", why, "error", err)
		return err
	}
	s.cfg.Logger.Warn("directory was set aside", "dir", to, "why", why)
	return errors.Join(s.fs.SyncDir(quarantine), s.fs.SyncDir(s.cfg.Dir))
}
