package meta

import (
	"math"
	"slices"
)

// ProducerIDBlock is how many producer ids a broker takes at a time.
const ProducerIDBlock = 1000

// DecideSetCluster names the cluster; nil if it has a name.
func DecideSetCluster(img *Image, clusterID string) Command {
	if img.clusterID != "" {
		return nil
	}
	return &SetCluster{clusterID}
}

// DecideRegisterBroker registers a broker's present incarnation. It is nil if the image holds it exactly so; Epoch does
// not count. The error is ErrInvalidBroker.
func DecideRegisterBroker(img *Image, b Broker) (Command, error) {
	if b.ID < 0 || b.Incarnation == "" {
		return nil, refuse(ErrInvalidBroker, "a broker needs an id that is not negative, and an incarnation; it has %d, %q", b.ID, b.Incarnation)
	}
	if old, ok := img.Broker(b.ID); ok && old.Incarnation == b.Incarnation && old.Rack == b.Rack &&
		old.Fenced == b.Fenced && slices.Equal(old.Endpoints, b.Endpoints) {
		return nil, nil
	}
	b.Endpoints = slices.Clone(b.Endpoints)
	return &RegisterBroker{b}, nil
}

// DecideFenceBroker takes a broker out of service or back in, in the name of the present controller; nil if it is so
// already. The errors are ErrStale (no controller) and ErrUnknownBroker.
func DecideFenceBroker(img *Image, id NodeID, fenced bool) (Command, error) {
	b, ok := img.Broker(id)
	if !ok {
		return nil, refuse(ErrUnknownBroker, "broker %d is not registered", id)
	}
	if img.controllerEpoch == 0 {
		return nil, refuse(ErrStale, "there is no controller")
	}
	if b.Fenced == fenced {
		return nil, nil
	}
	return &FenceBroker{ControllerEpoch: img.controllerEpoch, Broker: id, Incarnation: b.Incarnation, Fenced: fenced}, nil
}

// DecideClaimController makes a registered broker the controller; nil if this incarnation of it is. The errors are
// ErrUnknownBroker and ErrStale (another incarnation is registered).
func DecideClaimController(img *Image, id NodeID, incarnation string) (Command, error) {
	b, ok := img.Broker(id)
	if !ok {
		return nil, refuse(ErrUnknownBroker, "broker %d is not registered", id)
	}
	if b.Incarnation != incarnation {
		return nil, refuse(ErrStale, "broker %d has another incarnation", id)
	}
	if img.controllerEpoch > 0 && img.controller == id && img.controllerIncarnation == incarnation {
		return nil, nil
	}
	return &ClaimController{Broker: id, Incarnation: incarnation, ExpectedEpoch: img.controllerEpoch}, nil
}

// DecideAllocateProducerIDs gives the next block of producer ids to a broker: those from the command's First on. The
// errors are ErrUnknownBroker and ErrInvalidRequest (there are none left).
func DecideAllocateProducerIDs(img *Image, id NodeID) (*AllocateProducerIDs, error) {
	if _, ok := img.Broker(id); !ok {
		return nil, refuse(ErrUnknownBroker, "broker %d is not registered", id)
	}
	if img.nextProducerID > math.MaxInt64-ProducerIDBlock {
		return nil, refuse(ErrInvalidRequest, "all producer ids are given out")
	}
	return &AllocateProducerIDs{Broker: id, First: img.nextProducerID, Count: ProducerIDBlock}, nil
}

// DecideChangePartitions changes partitions in the name of the present controller. Each change says all of what the
// partition is to become, and the PartitionEpoch it was derived from. The errors, of the first change that cannot be,
// are ErrStale (no controller, or a partition that has changed), ErrUnknownTopicID, ErrUnknownPartition and
// ErrInvalidPartitionChange. The command is nil without changes.
func DecideChangePartitions(img *Image, changes []PartitionChange) (Command, error) {
	if len(changes) == 0 {
		return nil, nil
	}
	if img.controllerEpoch == 0 {
		return nil, refuse(ErrStale, "there is no controller")
	}
	type key struct {
		topic     TopicID
		partition int32
	}
	seen := map[key]bool{}
	for i := range changes {
		c := &changes[i]
		k := key{c.Topic, c.Partition}
		if seen[k] {
			return nil, refuse(ErrInvalidPartitionChange, "partition %d of %s is changed twice", c.Partition, c.Topic)
		}
		seen[k] = true
		if err := checkPartitionChange(img, c); err != nil {
			return nil, err
		}
	}
	return &ChangePartitions{ControllerEpoch: img.controllerEpoch, Changes: slices.Clone(changes)}, nil
}

func checkPartitionChange(img *Image, c *PartitionChange) error {
	t, ok := img.TopicByID(c.Topic)
	if !ok {
		return refuse(ErrUnknownTopicID, "there is no topic %s", c.Topic)
	}
	p, ok := t.Partition(c.Partition)
	if !ok {
		return refuse(ErrUnknownPartition, "there is no partition %s-%d", t.Name, c.Partition)
	}
	if p.PartitionEpoch != c.PartitionEpoch {
		return refuse(ErrStale, "partition %s-%d is at epoch %d, not %d", t.Name, c.Partition, p.PartitionEpoch, c.PartitionEpoch)
	}
	if p.LeaderEpoch == math.MaxInt32 || p.PartitionEpoch == math.MaxInt32 {
		return refuse(ErrInvalidPartitionChange, "partition %s-%d has no epoch left", t.Name, c.Partition)
	}
	if len(c.Replicas) == 0 || len(c.ISR) == 0 {
		return refuse(ErrInvalidPartitionChange, "partition %s-%d without replicas in sync", t.Name, c.Partition)
	}
	for i, r := range c.Replicas {
		if _, ok := img.Broker(r); !ok || slices.Contains(c.Replicas[:i], r) {
			return refuse(ErrInvalidPartitionChange, "partition %s-%d: replica %d is unknown or doubled", t.Name, c.Partition, r)
		}
	}
	for i, r := range c.ISR {
		if !slices.Contains(c.Replicas, r) || slices.Contains(c.ISR[:i], r) {
			return refuse(ErrInvalidPartitionChange, "partition %s-%d: %d in sync is no replica or doubled", t.Name, c.Partition, r)
		}
	}
	if c.Leader != NoNode && !slices.Contains(c.ISR, c.Leader) {
		return refuse(ErrInvalidPartitionChange, "partition %s-%d: leader %d is not in sync", t.Name, c.Partition, c.Leader)
	}
	return nil
}
