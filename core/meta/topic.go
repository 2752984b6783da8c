package meta

import "slices"

// Topic is one topic of an image. It is shared between images: treat it, and all that it refers to, as immutable.
type Topic struct {
	Name       string
	ID         TopicID
	Partitions []Partition       // index is the partition's id
	Configs    map[string]string // only what was set on the topic; nil if nothing was
	Internal   bool
}

// Partition is the state of one partition that brokers agree on.
type Partition struct {
	ID       int32
	Replicas []NodeID // in order of preference
	ISR      []NodeID
	Leader   NodeID // NoNode if there is none
	// LeaderEpoch counts the leaders, PartitionEpoch every change of this struct.
	LeaderEpoch    int32
	PartitionEpoch int32
}

// HasReplica tells whether the broker holds a copy of the partition.
func (p *Partition) HasReplica(n NodeID) bool { return slices.Contains(p.Replicas, n) }

// ReplicationFactor is that of the topic's first partition.
func (t *Topic) ReplicationFactor() int {
	if len(t.Partitions) == 0 {
		return 0
	}
	return len(t.Partitions[0].Replicas)
}

// Partition returns the partition with this id.
func (t *Topic) Partition(id int32) (*Partition, bool) {
	if id < 0 || int(id) >= len(t.Partitions) {
		return nil, false
	}
	return &t.Partitions[id], true
}

// newPartition is a partition as it is created: led by the first replica that is in sync.
func newPartition(id int32, replicas, isr []NodeID) Partition {
	p := Partition{ID: id, Replicas: replicas, ISR: isr, Leader: NoNode}
	if len(isr) > 0 {
		p.Leader = isr[0]
	}
	return p
}

func (p *Partition) encode(w *writer) {
	const sameISR, firstLeads = 1, 2
	var flags byte
	if slices.Equal(p.ISR, p.Replicas) {
		flags |= sameISR
	}
	if len(p.Replicas) > 0 && p.Leader == p.Replicas[0] {
		flags |= firstLeads
	}
	w.nodes(p.Replicas)
	w.byte(flags)
	if flags&sameISR == 0 {
		w.nodes(p.ISR)
	}
	if flags&firstLeads == 0 {
		w.varint(int64(p.Leader))
	}
	w.varint(int64(p.LeaderEpoch))
	w.varint(int64(p.PartitionEpoch))
}

func decodePartition(r *reader, id int32) Partition {
	p := Partition{ID: id, Replicas: r.nodes()}
	flags := r.byte()
	if flags > 3 || flags&2 != 0 && len(p.Replicas) == 0 {
		r.fail("partition flags %#x", flags)
		return p
	}
	if p.ISR = p.Replicas; flags&1 == 0 {
		p.ISR = r.nodes()
	}
	if flags&2 != 0 {
		p.Leader = p.Replicas[0]
	} else {
		p.Leader = r.node()
	}
	p.LeaderEpoch = r.int32()
	p.PartitionEpoch = r.int32()
	return p
}

func encodePartitions(w *writer, ps []Partition) {
	w.uvarint(uint64(len(ps)))
	for i := range ps {
		ps[i].encode(w)
	}
}

// decodePartitions reads partitions whose ids count up from first.
func decodePartitions(r *reader, first int32) []Partition {
	n := r.count(4)
	if n == 0 {
		return nil
	}
	ps := make([]Partition, n)
	for i := range ps {
		ps[i] = decodePartition(r, first+int32(i))
	}
	return ps
}

func (t *Topic) encode(w *writer) {
	w.str(t.Name)
	w.raw(t.ID[:])
	w.bool(t.Internal)
	w.strMap(t.Configs)
	encodePartitions(w, t.Partitions)
}

func decodeTopic(r *reader) *Topic {
	t := &Topic{Name: r.str(), ID: r.topicID(), Internal: r.bool(), Configs: r.strMap()}
	t.Partitions = decodePartitions(r, 0)
	return t
}
