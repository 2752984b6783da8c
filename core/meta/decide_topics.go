package meta

import (
	"encoding/binary"
	"slices"
)

// MaxPartitionsPerRequest bounds how many partitions one decision creates, as Kafka does.
const MaxPartitionsPerRequest = 10_000

// NewTopic is a topic that somebody asks for.
type NewTopic struct {
	Name              string
	ID                TopicID // chosen by the caller at random; it also spreads the replicas over the brokers
	Partitions        int32   // -1: the default, or as many as Assignments has
	ReplicationFactor int16   // -1: the default, or as Assignments says
	Assignments       []Assignment
	Configs           map[string]string // checked by the caller
	Internal          bool
}

// Assignment places one partition by hand.
type Assignment struct {
	Partition int32
	Replicas  []NodeID
}

// TopicDefaults stand in for what a NewTopic leaves at -1.
type TopicDefaults struct {
	Partitions        int32
	ReplicationFactor int16
}

// DecideCreateTopics decides on each topic by itself. The errors are one per topic, in order, nil for those that the
// command creates: ErrInvalidRequest, ErrInvalidTopic, ErrTopicExists, ErrInvalidPartitions, ErrInvalidReplicationFactor,
// ErrInvalidAssignment, ErrTooManyPartitions. The command is nil if there are none.
func DecideCreateTopics(img *Image, topics []NewTopic, def TopicDefaults) (Command, []error) {
	var created []*Topic
	errs := make([]error, len(topics))
	asked := make(map[string]int, len(topics))
	for i := range topics {
		asked[topics[i].Name]++
	}
	taken := map[string]string{} // collisionKey to the name, of this request's topics
	ids := map[TopicID]bool{}
	partitions := 0
	for i := range topics {
		n := &topics[i]
		if asked[n.Name] > 1 {
			errs[i] = refuse(ErrInvalidRequest, "Duplicate topic name.")
			continue
		}
		if _, ok := img.TopicByID(n.ID); ok || ids[n.ID] || n.ID.IsZero() {
			errs[i] = refuse(ErrInvalidRequest, "The topic id %s cannot be used.", n.ID)
			continue
		}
		t, err := decideTopic(img, n, def, taken, MaxPartitionsPerRequest-partitions)
		if errs[i] = err; err != nil {
			continue
		}
		partitions += len(t.Partitions)
		ids[n.ID] = true
		created = append(created, t)
	}
	if len(created) == 0 {
		return nil, errs
	}
	return &CreateTopics{created}, errs
}

func decideTopic(img *Image, n *NewTopic, def TopicDefaults, taken map[string]string, room int) (*Topic, error) {
	if err := CheckTopicName(n.Name); err != nil {
		return nil, err
	}
	if _, ok := img.Topic(n.Name); ok {
		return nil, refuse(ErrTopicExists, "Topic '%s' already exists.", n.Name)
	}
	key := collisionKey(n.Name)
	other, ok := img.collisions.get(key)
	if !ok {
		other, ok = taken[key]
	}
	if ok && key != "" {
		return nil, refuse(ErrInvalidTopic, "Topic '%s' collides with existing topic: %s", n.Name, other)
	}
	ps, err := decidePlacement(img, n, def, room)
	if err != nil {
		return nil, err
	}
	taken[key] = n.Name
	t := &Topic{Name: n.Name, ID: n.ID, Partitions: ps, Internal: n.Internal}
	if len(n.Configs) > 0 {
		t.Configs = n.Configs
	}
	return t, nil
}

func decidePlacement(img *Image, n *NewTopic, def TopicDefaults, room int) ([]Partition, error) {
	if len(n.Assignments) > 0 {
		return decideAssigned(img, n, room)
	}
	count, factor := n.Partitions, n.ReplicationFactor
	if count < -1 || count == 0 {
		return nil, refuse(ErrInvalidPartitions, "Number of partitions was set to an invalid non-positive value.")
	}
	if factor < -1 || factor == 0 {
		return nil, refuse(ErrInvalidReplicationFactor, "Replication factor must be larger than 0, or -1 to use the default value.")
	}
	if count == -1 {
		count = def.Partitions
	}
	if factor == -1 {
		factor = def.ReplicationFactor
	}
	if int(count) > room {
		return nil, tooMany()
	}
	return place(img, n.ID, 0, int(count), int(factor))
}

func tooMany() error {
	return refuse(ErrTooManyPartitions, "Excessively large number of partitions per request.")
}

func decideAssigned(img *Image, n *NewTopic, room int) ([]Partition, error) {
	if n.Partitions != -1 {
		return nil, refuse(ErrInvalidRequest, "A manual partition assignment was specified, but numPartitions was not set to -1.")
	}
	if n.ReplicationFactor != -1 {
		return nil, refuse(ErrInvalidRequest, "A manual partition assignment was specified, but replication factor was not set to -1.")
	}
	if len(n.Assignments) > room {
		return nil, tooMany()
	}
	ps := make([]Partition, len(n.Assignments))
	seen := make([]bool, len(ps))
	factor := len(n.Assignments[0].Replicas)
	for _, a := range n.Assignments {
		if a.Partition < 0 || int(a.Partition) >= len(ps) {
			return nil, refuse(ErrInvalidAssignment, "partitions should be a consecutive 0-based integer sequence")
		}
		if seen[a.Partition] {
			return nil, refuse(ErrInvalidAssignment, "Found multiple manual partition assignments for partition %d", a.Partition)
		}
		seen[a.Partition] = true
		p, err := assigned(img, a.Partition, a.Replicas, factor)
		if err != nil {
			return nil, err
		}
		ps[a.Partition] = p
	}
	return ps, nil
}

// assigned makes a partition of replicas that were placed by hand.
func assigned(img *Image, id int32, replicas []NodeID, factor int) (Partition, error) {
	if len(replicas) == 0 {
		return Partition{}, refuse(ErrInvalidAssignment, "The manual partition assignment includes an empty replica list.")
	}
	var isr []NodeID
	for i, r := range replicas {
		b, ok := img.Broker(r)
		if !ok {
			return Partition{}, refuse(ErrInvalidAssignment, "The manual partition assignment includes broker %d, but no such broker is registered.", r)
		}
		if slices.Contains(replicas[:i], r) {
			return Partition{}, refuse(ErrInvalidAssignment, "The manual partition assignment includes the broker %d more than once.", r)
		}
		if !b.Fenced {
			isr = append(isr, r)
		}
	}
	if len(replicas) != factor {
		return Partition{}, refuse(ErrInvalidAssignment, "The manual partition assignment includes a partition with %d replica(s), but this is not consistent with previous partitions, which have %d replica(s).", len(replicas), factor)
	}
	if len(isr) == 0 {
		return Partition{}, refuse(ErrInvalidAssignment, "All brokers specified in the manual partition assignment for partition %d are fenced or in controlled shutdown.", id)
	}
	return newPartition(id, slices.Clone(replicas), isr), nil
}

// place spreads the replicas of the partitions first, first+1, ... over the brokers that are not fenced: leaders go
// round from a broker that the topic's id picks, followers are shifted once more each round.
func place(img *Image, id TopicID, first, count, factor int) ([]Partition, error) {
	var nodes []NodeID
	for _, b := range img.Brokers() {
		if !b.Fenced {
			nodes = append(nodes, b.ID)
		}
	}
	if factor < 1 || factor > len(nodes) {
		return nil, refuse(ErrInvalidReplicationFactor, "Unable to replicate the partition %d time(s): The target replication factor of %d cannot be reached because only %d broker(s) are registered.", factor, factor, len(nodes))
	}
	if count < 1 {
		return nil, refuse(ErrInvalidPartitions, "Number of partitions was set to an invalid non-positive value.")
	}
	start := int(binary.BigEndian.Uint32(id[:]) % uint32(len(nodes)))
	rows := placementRows(nodes, factor)
	ps := make([]Partition, count)
	for i := range ps {
		at := first + i
		replicas := rows[(start+at)%len(nodes)][at/len(nodes)%max(len(nodes)-1, 1)]
		ps[i] = newPartition(int32(at), replicas, replicas)
	}
	return ps, nil
}

// placementRows holds, for each leader and each shift, the list of replicas: partitions share them.
func placementRows(nodes []NodeID, factor int) [][][]NodeID {
	n := len(nodes)
	rows := make([][][]NodeID, n)
	for leader := range rows {
		rows[leader] = make([][]NodeID, max(n-1, 1))
		for shift := range rows[leader] {
			replicas := make([]NodeID, 1, factor)
			replicas[0] = nodes[leader]
			for j := range factor - 1 {
				replicas = append(replicas, nodes[(leader+1+(shift+j)%(n-1))%n])
			}
			rows[leader][shift] = replicas
		}
	}
	return rows
}

// DecideDeleteTopics deletes the topics with these ids. The errors are one per id, in order: ErrUnknownTopicID, or
// ErrInvalidRequest for an id given twice. The command is nil if there is nothing to delete.
func DecideDeleteTopics(img *Image, ids []TopicID) (Command, []error) {
	errs := make([]error, len(ids))
	c := &DeleteTopics{}
	seen := make(map[TopicID]bool, len(ids))
	for i, id := range ids {
		if _, ok := img.TopicByID(id); !ok {
			errs[i] = refuse(ErrUnknownTopicID, "This server does not host this topic ID.")
		} else if seen[id] {
			errs[i] = refuse(ErrInvalidRequest, "Duplicate topic id.")
		} else {
			seen[id] = true
			c.IDs = append(c.IDs, id)
		}
	}
	if len(c.IDs) == 0 {
		return nil, errs
	}
	return c, errs
}

// MorePartitions asks for a topic to have Count partitions.
type MorePartitions struct {
	Topic string
	Count int32
	// Assignments, if not nil, holds the replicas of each new partition.
	Assignments [][]NodeID
}

// DecideCreatePartitions decides on each topic by itself. The errors are one per topic, in order: ErrInvalidRequest,
// ErrUnknownTopic, ErrInvalidPartitions, ErrInvalidReplicationFactor, ErrInvalidAssignment, ErrTooManyPartitions. The
// command is nil if there is nothing to do.
func DecideCreatePartitions(img *Image, topics []MorePartitions) (Command, []error) {
	errs := make([]error, len(topics))
	c := &CreatePartitions{}
	asked := make(map[string]int, len(topics))
	for i := range topics {
		asked[topics[i].Topic]++
	}
	room := MaxPartitionsPerRequest
	for i := range topics {
		if asked[topics[i].Topic] > 1 {
			errs[i] = refuse(ErrInvalidRequest, "Duplicate topic name.")
			continue
		}
		added, err := decideMore(img, &topics[i], room)
		if errs[i] = err; err == nil {
			room -= len(added.Partitions)
			c.Topics = append(c.Topics, added)
		}
	}
	if len(c.Topics) == 0 {
		return nil, errs
	}
	return c, errs
}

func decideMore(img *Image, n *MorePartitions, room int) (AddedPartitions, error) {
	var none AddedPartitions
	t, ok := img.Topic(n.Topic)
	if !ok {
		return none, refuse(ErrUnknownTopic, "The topic '%s' does not exist.", n.Topic)
	}
	has := len(t.Partitions)
	if int(n.Count) == has {
		return none, refuse(ErrInvalidPartitions, "Topic already has %d partition(s).", has)
	}
	if int(n.Count) < has {
		return none, refuse(ErrInvalidPartitions, "The topic %s currently has %d partition(s); %d would not be an increase.", t.Name, has, n.Count)
	}
	more := int(n.Count) - has
	if n.Assignments != nil && len(n.Assignments) != more {
		return none, refuse(ErrInvalidAssignment, "Attempted to add %d additional partition(s), but only %d assignment(s) were specified.", more, len(n.Assignments))
	}
	if more > room || int(n.Count) > maxTopicPartitions {
		return none, tooMany()
	}
	added := AddedPartitions{ID: t.ID}
	if n.Assignments == nil {
		var err error
		added.Partitions, err = place(img, t.ID, has, more, t.ReplicationFactor())
		return added, err
	}
	for i, replicas := range n.Assignments {
		p, err := assigned(img, int32(has+i), replicas, t.ReplicationFactor())
		if err != nil {
			return none, err
		}
		added.Partitions = append(added.Partitions, p)
	}
	return added, nil
}
