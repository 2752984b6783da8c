package meta

import (
	"cmp"
	"iter"
	"slices"
)

// Image is all that the cluster agrees on at one sequence of the command log. It is immutable, and cheap to make from
// the one before: what did not change is shared. The zero Image is an empty cluster at sequence 0.
type Image struct {
	seq        uint64
	clusterID  string
	topics     table[*Topic] // by name
	topicsByID table[*Topic] // by the id's bytes
	collisions table[string] // by collisionKey: the topic that has it
	partitions int
	brokers    []*Broker // by ascending id
	configs    []brokerConfigs
	deploys    table[*Deployment] // by name

	controller            NodeID // meaningful if controllerEpoch > 0
	controllerIncarnation string
	controllerEpoch       uint64
	nextProducerID        int64
}

// brokerConfigs are the settings of one broker, or of all (ClusterDefault). A list of them ascends by node.
type brokerConfigs struct {
	node    NodeID
	configs map[string]string
}

// Seq is the sequence of the last command that the image contains.
func (m *Image) Seq() uint64 { return m.seq }

// ClusterID is "" until a SetCluster command was applied.
func (m *Image) ClusterID() string { return m.clusterID }

// Topic returns the topic with this name.
func (m *Image) Topic(name string) (*Topic, bool) { return m.topics.get(name) }

// TopicByID returns the topic with this id.
func (m *Image) TopicByID(id TopicID) (*Topic, bool) { return m.topicsByID.get(string(id[:])) }

// Topics yields every topic, in no useful order.
func (m *Image) Topics() iter.Seq[*Topic] { return m.topics.all() }

// SortedTopics returns every topic by name.
func (m *Image) SortedTopics() []*Topic { return m.topics.sorted() }

func (m *Image) NumTopics() int     { return m.topics.n }
func (m *Image) NumPartitions() int { return m.partitions }

// Broker returns the registered broker with this id, fenced or not.
func (m *Image) Broker(id NodeID) (*Broker, bool) {
	i, ok := slices.BinarySearchFunc(m.brokers, id, func(b *Broker, id NodeID) int { return cmp.Compare(b.ID, id) })
	if !ok {
		return nil, false
	}
	return m.brokers[i], true
}

// Brokers returns every registered broker by ascending id. The slice is shared: do not change it.
func (m *Image) Brokers() []*Broker { return m.brokers }

// BrokerConfigs returns the settings stored for one broker, or with ClusterDefault those for all of them: only what was
// set there, without the other's. The map is shared: do not change it.
func (m *Image) BrokerConfigs(id NodeID) map[string]string {
	i, ok := m.findConfigs(id)
	if !ok {
		return nil
	}
	return m.configs[i].configs
}

func (m *Image) findConfigs(id NodeID) (int, bool) {
	return slices.BinarySearchFunc(m.configs, id, func(c brokerConfigs, id NodeID) int { return cmp.Compare(c.node, id) })
}

// Controller is the broker that leads the cluster, NoNode before the first was elected.
func (m *Image) Controller() NodeID {
	if m.controllerEpoch == 0 {
		return NoNode
	}
	return m.controller
}

// ControllerEpoch is the sequence of the command that elected the controller, 0 before the first.
func (m *Image) ControllerEpoch() uint64 { return m.controllerEpoch }

// NextProducerID is the first producer id that was given to no broker.
func (m *Image) NextProducerID() int64 { return m.nextProducerID }

// Deployment returns the deployment with this name.
func (m *Image) Deployment(name string) (*Deployment, bool) { return m.deploys.get(name) }

// Deployments returns every deployment by name.
func (m *Image) Deployments() []*Deployment { return m.deploys.sorted() }

// ModuleInUse tells whether a deployment runs, or could roll back to, the module with this SHA-256.
func (m *Image) ModuleInUse(sha256 string) bool {
	for d := range m.deploys.all() {
		if d.Module.SHA256 == sha256 ||
			slices.ContainsFunc(d.History, func(v Version) bool { return v.Module.SHA256 == sha256 }) {
			return true
		}
	}
	return false
}

// edit is an image in the making. Its methods are the only code that changes one.
type edit struct {
	img        Image // everything but the tables
	topics     tableEdit[*Topic]
	topicsByID tableEdit[*Topic]
	collisions tableEdit[string]
	deploys    tableEdit[*Deployment]
}

func newEdit(img *Image) *edit {
	return &edit{
		img:        *img,
		topics:     tableEdit[*Topic]{t: img.topics},
		topicsByID: tableEdit[*Topic]{t: img.topicsByID},
		collisions: tableEdit[string]{t: img.collisions},
		deploys:    tableEdit[*Deployment]{t: img.deploys},
	}
}

func (e *edit) image() *Image {
	img := e.img
	img.topics, img.topicsByID, img.collisions = e.topics.t, e.topicsByID.t, e.collisions.t
	img.deploys = e.deploys.t
	return &img
}

// putTopic adds a topic, or puts it in place of the one with the same name and id.
func (e *edit) putTopic(t *Topic) {
	if old, ok := e.topics.t.get(t.Name); ok {
		e.img.partitions -= len(old.Partitions)
	}
	e.img.partitions += len(t.Partitions)
	e.topics.put(t.Name, t)
	e.topicsByID.put(string(t.ID[:]), t)
	if key := collisionKey(t.Name); key != "" {
		e.collisions.put(key, t.Name)
	}
}

func (e *edit) removeTopic(t *Topic) {
	e.img.partitions -= len(t.Partitions)
	e.topics.remove(t.Name)
	e.topicsByID.remove(string(t.ID[:]))
	if key := collisionKey(t.Name); key != "" {
		e.collisions.remove(key)
	}
}

func (e *edit) topicByID(id TopicID) (*Topic, bool) { return e.topicsByID.t.get(string(id[:])) }

func (e *edit) putBroker(b *Broker) {
	i, found := slices.BinarySearchFunc(e.img.brokers, b.ID, func(b *Broker, id NodeID) int { return cmp.Compare(b.ID, id) })
	brokers := slices.Clone(e.img.brokers)
	if found {
		brokers[i] = b
	} else {
		brokers = slices.Insert(brokers, i, b)
	}
	e.img.brokers = brokers
}

// setBrokerConfigs replaces the settings of one node; an empty map leaves no trace, so that equal states are equal.
func (e *edit) setBrokerConfigs(node NodeID, configs map[string]string) {
	i, found := e.img.findConfigs(node)
	list := slices.Clone(e.img.configs)
	switch {
	case found && len(configs) == 0:
		list = slices.Delete(list, i, i+1)
	case found:
		list[i].configs = configs
	case len(configs) > 0:
		list = slices.Insert(list, i, brokerConfigs{node, configs})
	}
	e.img.configs = list
}
