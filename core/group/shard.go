package group

import (
	"iter"
	"slices"

	"github.com/millrun/millrun/core/machine"
)

// Effects are what a decision about groups wants done.
type Effects = machine.Effects[Reply]

// Shard holds the groups of one partition. It is a machine.Shard, owned by its loop.
type Shard struct {
	cfg    Config
	groups map[string]*Group
	timers timers
	expiry timer
	// sizes, for Len
	numOffsets, numStored int

	// of the decision at hand
	now int64
	fx  *Effects
	// scratch of encoding
	key, value []byte
}

var _ machine.Shard[Op, Reply] = (*Shard)(nil)

// New makes an empty shard.
func New(cfg Config) (*Shard, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Shard{cfg: cfg, groups: make(map[string]*Group)}
	s.expiry = newTimer(s.expireAll)
	return s, nil
}

// Decide judges one operation.
func (s *Shard) Decide(now int64, t machine.Ticket, op Op, fx *Effects) {
	s.now, s.fx = now, fx
	op.decide(s, t)
	s.fx = nil
}

// Wake carries out what is due.
func (s *Shard) Wake(now int64, fx *Effects) {
	s.now, s.fx = now, fx
	s.timers.run(now)
	s.fx = nil
}

// NextWake is when Wake has something to do.
func (s *Shard) NextWake() int64 { return s.timers.next() }

// Replay applies a record. Kinds that are not known are passed over.
func (s *Shard) Replay(r machine.Record) error {
	k, err := decodeKey(r.Key)
	if err != nil {
		return err
	}
	switch {
	case k.version > groupKeyVersion:
		return nil
	case k.isOffset():
		return s.replayOffset(k, r.Value)
	default:
		return s.replayGroup(k, r.Value)
	}
}

func (s *Shard) replayOffset(k recordKey, value []byte) error {
	if value == nil {
		if g := s.groups[string(k.group)]; g != nil {
			s.numOffsets -= g.offsets.remove(k.topic, k.partition)
			s.dropIfUnused(g)
		}
		return nil
	}
	o, err := decodeOffset(value)
	if err != nil {
		return err
	}
	s.numOffsets += s.groupOf(k).offsets.put(k.topic, k.partition, o)
	return nil
}

func (s *Shard) replayGroup(k recordKey, value []byte) error {
	if value == nil {
		if g := s.groups[string(k.group)]; g != nil && g.stored != nil {
			g.stored = nil
			s.numStored--
			s.dropIfUnused(g)
		}
		return nil
	}
	if _, err := decodeGroup(value); err != nil {
		return err
	}
	g := s.groupOf(k)
	if g.stored == nil {
		s.numStored++
	}
	g.stored = append(g.stored[:0], value...)
	g.writing = false
	return nil
}

// groupOf returns the group that a record belongs to, and makes it if need be.
func (s *Shard) groupOf(k recordKey) *Group {
	if g := s.groups[string(k.group)]; g != nil {
		return g
	}
	return s.create(string(k.group))
}

// Loaded makes live groups of the records: their members are taken to be there, with sessions that begin now.
func (s *Shard) Loaded(now int64) {
	s.now = now
	for _, g := range s.sorted() {
		if g.stored == nil {
			continue
		}
		// Replay has read the same bytes before: they can be decoded.
		if v, err := decodeGroup(g.stored); err == nil {
			s.activate(g, v)
		}
	}
	s.timers.set(&s.expiry, now+s.cfg.RetentionCheckMs)
}

// Len is the number of records of the durable state.
func (s *Shard) Len() int { return s.numOffsets + s.numStored }

// Durable yields the durable state as records.
func (s *Shard) Durable() iter.Seq[machine.Record] {
	return func(yield func(machine.Record) bool) {
		for _, g := range s.sorted() {
			if g.stored != nil {
				s.key = appendGroupKey(s.key[:0], g.id)
				if !yield(machine.Record{Key: s.key, Value: g.stored}) {
					return
				}
			}
			for _, o := range g.offsets.sorted() {
				s.key = appendOffsetKey(s.key[:0], g.id, o.topic, o.partition)
				s.value = appendOffsetValue(s.value[:0], o.CommittedOffset)
				if !yield(machine.Record{Key: s.key, Value: s.value}) {
					return
				}
			}
		}
	}
}

// sorted returns the groups by id: what is done to all of them is done in the same order everywhere.
func (s *Shard) sorted() []*Group {
	ids := make([]string, 0, len(s.groups))
	for id := range s.groups {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	groups := make([]*Group, len(ids))
	for i, id := range ids {
		groups[i] = s.groups[id]
	}
	return groups
}

func (s *Shard) create(id string) *Group {
	g := &Group{
		id: id, state: Empty, since: -1,
		members: make(map[string]*Member), static: make(map[string]string), pending: make(map[string]*timer),
		protocols: make(map[string]int),
	}
	g.joinTimer = newTimer(func() { s.joinDue(g) })
	g.syncTimer = newTimer(func() { s.syncDue(g) })
	s.groups[id] = g
	return g
}

// dropIfUnused forgets a group that nothing refers to and that the log does not hold.
func (s *Shard) dropIfUnused(g *Group) {
	if g.stored != nil || g.writing || g.offsets.n > 0 || len(g.members) > 0 || len(g.pending) > 0 || g.state != Empty {
		return
	}
	g.joinTimer.cancel()
	g.syncTimer.cancel()
	delete(s.groups, g.id)
}

func (s *Shard) answer(t machine.Ticket, r Reply) { s.fx.Answer(t, r) }

// putGroupTombstone asks for the deletion of a group's record.
func (s *Shard) putGroupTombstone(g *Group) {
	s.key = appendGroupKey(s.key[:0], g.id)
	s.fx.Put(s.key, nil)
}

func (s *Shard) putOffsetTombstone(g *Group, topic string, partition int32) {
	s.key = appendOffsetKey(s.key[:0], g.id, topic, partition)
	s.fx.Put(s.key, nil)
}
