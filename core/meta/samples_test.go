package meta

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// samples holds a command of each kind with every field set.
func samples() []Command {
	id := NewTopicID([16]byte{1, 2, 3})
	ps := []Partition{newPartition(0, []NodeID{1, 2}, []NodeID{1, 2}), newPartition(1, []NodeID{2, 1}, []NodeID{1}),
		{ID: 2, Replicas: []NodeID{3}, Leader: NoNode, LeaderEpoch: 7, PartitionEpoch: 9}}
	d := Deployment{Name: "big-orders", Group: "g", Inputs: []string{"orders"}, Outputs: []string{"big", "small"},
		Config: map[string]string{"field": "total", "op": "gt"}, From: "latest",
		FromOffsets: []PartitionOffset{{Topic: "orders", Partition: 3, Offset: 12345}}, Partition: "same", Guarantee: "at-least-once",
		OnError: "dlq", DLQ: "dead", Retries: 3, TimeoutMs: 1000, MemoryBytes: 64 << 20, Members: 2, CreateOutputs: true,
		Module: ModuleRef{Name: "filter", SHA256: sha('b'), Version: 2, Size: 4711, DeployedMs: 1700000000001},
		State:  DeploymentStopped, Reason: "it trapped", CreatedMs: 1700000000000, CreatedSeq: 5, ChangedSeq: 6}
	before := d.Version() // form 1 remembers modules alone, with these settings
	before.Module = ModuleRef{Name: "filter", SHA256: sha('a'), Version: 1, Size: 4710, DeployedMs: 1700000000000}
	d.History = []Version{before}
	upgraded := d
	upgraded.SetVersion(Version{Module: ModuleRef{Name: "route", SHA256: sha('c'), Version: 3, Size: 9, DeployedMs: 1700000000002}, Restores: 1,
		TookOver: []PartitionOffset{{Topic: "orders", Partition: 2, Offset: 99}}, Inputs: []string{"/or.*/"}, Outputs: []string{"all"},
		Config: map[string]string{"routes": "x:all"}, Partition: "key", Guarantee: "at-least-once", OnError: "skip", DLQ: "none", Retries: 9,
		TimeoutMs: 2000, MemoryBytes: 1 << 20, Members: 4})
	upgraded.History = []Version{upgraded.Version(), before}
	tied := upgraded
	tied.FromTopics = map[string]TopicID{"orders": id, "others": NewTopicID([16]byte{4})}
	return []Command{
		&Noop{},
		&SetCluster{ClusterID: "cluster"},
		&RegisterBroker{Broker{ID: 1, Epoch: 3, Incarnation: "one", Rack: "r", Fenced: true,
			Endpoints: []Endpoint{{Listener: "PLAINTEXT", Host: "localhost", Port: 9092, Security: "PLAINTEXT"}}}},
		&FenceBroker{ControllerEpoch: 9, Broker: 1, Incarnation: "one", Fenced: true},
		&ClaimController{Broker: 1, Incarnation: "one", ExpectedEpoch: 9},
		&AllocateProducerIDs{Broker: 1, First: 2000, Count: 1000},
		&CreateTopics{[]*Topic{{Name: "orders", ID: id, Partitions: ps, Configs: map[string]string{"retention.ms": "1"}, Internal: true}}},
		&DeleteTopics{[]TopicID{id}},
		&CreatePartitions{[]AddedPartitions{{ID: id, Partitions: []Partition{newPartition(3, []NodeID{1}, []NodeID{1})}}}},
		&AlterTopicConfigs{[]TopicConfigs{{ID: id, Configs: map[string]string{"a": "b", "c": ""}}}},
		&AlterBrokerConfigs{Node: ClusterDefault, Configs: map[string]string{"log.retention.ms": "5"}},
		&ChangePartitions{ControllerEpoch: 9, Changes: []PartitionChange{{Topic: id, Partition: 1, PartitionEpoch: 2,
			Replicas: []NodeID{1, 2}, ISR: []NodeID{2}, Leader: 2, NewLeaderEpoch: true}}},
		&PutDeployment{d},
		&UpdateDeployment{Name: "big-orders", CreatedSeq: 5, State: DeploymentFailed, Reason: "no such import"},
		&DeleteDeployment{Name: "big-orders", CreatedSeq: 5},
		&Batch{[]Command{&Noop{}, &SetCluster{ClusterID: "cluster"}}},
		&PutDeployment{upgraded},
		&PutDeployment{tied},
	}
}

func sha(c byte) string { return string(slices.Repeat([]byte{c}, 64)) }

// broker returns an image with n brokers, numbered from 1.
func withBrokers(t testing.TB, n int) *Image {
	t.Helper()
	img := &Image{}
	for i := range n {
		c, err := DecideRegisterBroker(img, Broker{ID: NodeID(i + 1), Incarnation: "first"})
		img = apply(t, img, c, err)
	}
	return img
}

// apply applies what a decision returned; it has to be a command that applies.
func apply(t testing.TB, img *Image, c Command, err error) *Image {
	t.Helper()
	if err != nil || c == nil {
		t.Fatalf("decided on %v, %v", c, err)
	}
	next, err := Apply(img, img.Seq()+1, c)
	if err != nil {
		t.Fatalf("apply %#v: %v", c, err)
	}
	return next
}

func randomID(r *rand.Rand) TopicID {
	var b [16]byte
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return NewTopicID(b)
}

// world makes random decisions on an image: most are sensible, some are not.
type world struct {
	r   *rand.Rand
	img *Image
}

func (w *world) topicName() string { return fmt.Sprintf("t%c%d", "._-x"[w.r.IntN(4)], w.r.IntN(40)) }
func (w *world) node() NodeID      { return NodeID(w.r.IntN(5)) }
func (w *world) configs() map[string]string {
	m := map[string]string{}
	for range w.r.IntN(3) {
		m[fmt.Sprintf("k%d", w.r.IntN(5))] = fmt.Sprint(w.r.IntN(3))
	}
	return m
}

func (w *world) topicID() TopicID {
	ts := w.img.SortedTopics()
	if len(ts) == 0 || w.r.IntN(10) == 0 {
		return randomID(w.r)
	}
	return ts[w.r.IntN(len(ts))].ID
}

func (w *world) newTopics() (ts []NewTopic) {
	for range 1 + w.r.IntN(3) {
		n := NewTopic{Name: w.topicName(), ID: randomID(w.r), Partitions: int32(w.r.IntN(6) - 1), ReplicationFactor: int16(w.r.IntN(5) - 1), Configs: w.configs()}
		if w.r.IntN(4) == 0 {
			n.Partitions, n.ReplicationFactor = -1, -1
			for p := range 1 + w.r.IntN(3) {
				n.Assignments = append(n.Assignments, Assignment{int32(p), []NodeID{w.node(), w.node()}})
			}
		}
		ts = append(ts, n)
	}
	return ts
}

func (w *world) changes() (cs []PartitionChange) {
	for range 1 + w.r.IntN(3) {
		id := w.topicID()
		c := PartitionChange{Topic: id, Partition: int32(w.r.IntN(3)), Leader: NoNode, NewLeaderEpoch: w.r.IntN(4) == 0}
		if t, ok := w.img.TopicByID(id); ok {
			if p, ok := t.Partition(c.Partition); ok {
				c.PartitionEpoch, c.Replicas = p.PartitionEpoch, p.Replicas
				c.ISR = p.Replicas[:1+w.r.IntN(len(p.Replicas))]
				if w.r.IntN(3) > 0 {
					c.Leader = c.ISR[w.r.IntN(len(c.ISR))]
				}
			}
		}
		cs = append(cs, c)
	}
	return cs
}

// decide returns nil if the decision was a refusal, or that nothing is to be done.
func (w *world) decide() (c Command) {
	name := fmt.Sprintf("d%d", w.r.IntN(6))
	switch w.r.IntN(14) {
	case 0:
		c = DecideSetCluster(w.img, "c")
	case 1:
		c, _ = DecideRegisterBroker(w.img, Broker{ID: w.node(), Incarnation: fmt.Sprint(w.r.IntN(3)), Endpoints: []Endpoint{{Port: int32(w.r.IntN(9))}}})
	case 2:
		c, _ = DecideFenceBroker(w.img, w.node(), w.r.IntN(3) == 0)
	case 3:
		c, _ = DecideClaimController(w.img, w.node(), fmt.Sprint(w.r.IntN(3)))
	case 4:
		if a, err := DecideAllocateProducerIDs(w.img, w.node()); err == nil {
			c = a
		}
	case 5, 6:
		c, _ = DecideCreateTopics(w.img, w.newTopics(), TopicDefaults{2, 1})
	case 7:
		c, _ = DecideDeleteTopics(w.img, []TopicID{w.topicID(), w.topicID()})
	case 8:
		c, _ = DecideCreatePartitions(w.img, []MorePartitions{{Topic: w.topicName(), Count: int32(w.r.IntN(9))}, {Topic: w.topicName(), Count: 8}})
	case 9:
		c, _ = DecideAlterTopicConfigs(w.img, w.topicName(), w.configs())
	case 10:
		c, _ = DecideAlterBrokerConfigs(w.img, w.node()-1, w.configs())
	case 11:
		c, _ = DecideChangePartitions(w.img, w.changes())
	case 12:
		module := ModuleRef{SHA256: sha("abcdef"[w.r.IntN(6)])}
		c, _ = DecidePutDeployment(w.img, Deployment{Name: name, Group: "g", Inputs: []string{"t"}, Module: module, Config: w.configs()}, w.r.IntN(2) == 0)
	case 13:
		if c, _ = DecideUpdateDeployment(w.img, name, DeploymentPaused, ""); w.r.IntN(3) == 0 {
			c, _ = DecideDeleteDeployment(w.img, name)
		}
	}
	return c
}
