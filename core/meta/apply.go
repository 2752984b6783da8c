package meta

import (
	"fmt"
	"slices"
)

// Apply makes the image that follows img when the command at seq is applied. An error, which is ErrStale or says what
// the command contradicts, means that the command is ignored: the image returned differs from img in its sequence alone,
// on every broker alike. seq has to be greater than the image's. The image keeps
// what the command refers to: it must not be changed afterwards.
func Apply(img *Image, seq uint64, c Command) (*Image, error) {
	if seq <= img.seq {
		return img, refuse(ErrStale, "command %d is applied to the image of %d", seq, img.seq)
	}
	e := newEdit(img)
	e.img.seq = seq
	if err := c.apply(e); err != nil {
		ignored := *img
		ignored.seq = seq
		return &ignored, fmt.Errorf("command at %d: %w", seq, err)
	}
	return e.image(), nil
}

// ApplyMore makes the image that follows img when c is applied at img's own sequence, as the next command of a [Batch]
// that img is the outcome of so far. If it returns an error there is no such image.
func ApplyMore(img *Image, c Command) (*Image, error) {
	e := newEdit(img)
	if err := c.apply(e); err != nil {
		return nil, fmt.Errorf("command at %d: %w", img.seq, err)
	}
	return e.image(), nil
}

func (c *Batch) apply(e *edit) error {
	for i, command := range c.Commands {
		if err := command.apply(e); err != nil {
			return fmt.Errorf("%d of %d: %w", i+1, len(c.Commands), err)
		}
	}
	return nil
}

func (*Noop) apply(*edit) error { return nil }

func (c *SetCluster) apply(e *edit) error {
	if e.img.clusterID != "" {
		return refuse(ErrStale, "the cluster is %s already", e.img.clusterID)
	}
	e.img.clusterID = c.ClusterID
	return nil
}

func (c *RegisterBroker) apply(e *edit) error {
	b := c.Broker
	b.Epoch = e.img.seq
	e.putBroker(&b)
	return nil
}

func (e *edit) checkController(epoch uint64) error {
	if epoch != e.img.controllerEpoch || epoch == 0 {
		return refuse(ErrStale, "controller epoch %d, not %d", epoch, e.img.controllerEpoch)
	}
	return nil
}

func (e *edit) incarnation(id NodeID, incarnation string) (*Broker, error) {
	b, ok := e.img.Broker(id)
	if !ok {
		return nil, refuse(ErrUnknownBroker, "broker %d is not registered", id)
	}
	if b.Incarnation != incarnation {
		return nil, refuse(ErrStale, "broker %d has another incarnation", id)
	}
	return b, nil
}

func (c *FenceBroker) apply(e *edit) error {
	if err := e.checkController(c.ControllerEpoch); err != nil {
		return err
	}
	b, err := e.incarnation(c.Broker, c.Incarnation)
	if err != nil {
		return err
	}
	fenced := *b
	fenced.Fenced = c.Fenced
	e.putBroker(&fenced)
	return nil
}

func (c *ClaimController) apply(e *edit) error {
	if c.ExpectedEpoch != e.img.controllerEpoch {
		return refuse(ErrStale, "controller epoch %d, not %d", c.ExpectedEpoch, e.img.controllerEpoch)
	}
	if _, err := e.incarnation(c.Broker, c.Incarnation); err != nil {
		return err
	}
	e.img.controller, e.img.controllerIncarnation, e.img.controllerEpoch = c.Broker, c.Incarnation, e.img.seq
	return nil
}

func (c *AllocateProducerIDs) apply(e *edit) error {
	if c.First != e.img.nextProducerID || c.Count <= 0 || c.First+c.Count < 0 {
		return refuse(ErrStale, "producer ids from %d, not %d", c.First, e.img.nextProducerID)
	}
	e.img.nextProducerID = c.First + c.Count
	return nil
}

func (c *CreateTopics) apply(e *edit) error {
	for _, t := range c.Topics {
		if _, ok := e.topics.t.get(t.Name); ok {
			return refuse(ErrTopicExists, "Topic '%s' already exists.", t.Name)
		}
		if _, ok := e.topicByID(t.ID); ok {
			return refuse(ErrTopicExists, "The topic id %s already exists.", t.ID)
		}
		e.putTopic(t)
	}
	return nil
}

func (c *DeleteTopics) apply(e *edit) error {
	for _, id := range c.IDs {
		t, ok := e.topicByID(id)
		if !ok {
			return refuse(ErrUnknownTopicID, "There is no topic %s.", id)
		}
		e.removeTopic(t)
	}
	return nil
}

func (c *CreatePartitions) apply(e *edit) error {
	for _, added := range c.Topics {
		old, ok := e.topicByID(added.ID)
		if !ok {
			return refuse(ErrUnknownTopicID, "There is no topic %s.", added.ID)
		}
		if len(added.Partitions) > 0 && int(added.Partitions[0].ID) != len(old.Partitions) {
			return refuse(ErrStale, "topic %s has %d partitions", old.Name, len(old.Partitions))
		}
		t := *old
		t.Partitions = slices.Concat(old.Partitions, added.Partitions)
		e.putTopic(&t)
	}
	return nil
}

func (c *AlterTopicConfigs) apply(e *edit) error {
	for _, changed := range c.Topics {
		old, ok := e.topicByID(changed.ID)
		if !ok {
			return refuse(ErrUnknownTopicID, "There is no topic %s.", changed.ID)
		}
		t := *old
		if t.Configs = changed.Configs; len(t.Configs) == 0 {
			t.Configs = nil
		}
		e.putTopic(&t)
	}
	return nil
}

func (c *AlterBrokerConfigs) apply(e *edit) error {
	e.setBrokerConfigs(c.Node, c.Configs)
	return nil
}

func (c *ChangePartitions) apply(e *edit) error {
	if err := e.checkController(c.ControllerEpoch); err != nil {
		return err
	}
	fresh := map[TopicID]*Topic{} // topics that this command has copied: never iterated
	for i := range c.Changes {
		change := &c.Changes[i]
		t := fresh[change.Topic]
		if t == nil {
			old, ok := e.topicByID(change.Topic)
			if !ok {
				return refuse(ErrUnknownTopicID, "There is no topic %s.", change.Topic)
			}
			copied := *old
			copied.Partitions = slices.Clone(old.Partitions)
			t = &copied
			fresh[change.Topic] = t
			e.putTopic(t)
		}
		p, ok := t.Partition(change.Partition)
		if !ok {
			return refuse(ErrUnknownPartition, "There is no partition %s-%d.", t.Name, change.Partition)
		}
		if err := change.applyTo(p); err != nil {
			return err
		}
	}
	return nil
}

func (c *PartitionChange) applyTo(p *Partition) error {
	if p.PartitionEpoch != c.PartitionEpoch {
		return refuse(ErrStale, "partition epoch %d, not %d", c.PartitionEpoch, p.PartitionEpoch)
	}
	if c.Leader != p.Leader || c.NewLeaderEpoch {
		p.LeaderEpoch++
	}
	p.Leader, p.ISR, p.Replicas = c.Leader, c.ISR, c.Replicas
	p.PartitionEpoch++
	return nil
}

func (c *PutDeployment) apply(e *edit) error {
	d := c.Deployment
	d.ChangedSeq = e.img.seq
	d.CreatedSeq = e.img.seq
	if old, ok := e.deploys.t.get(d.Name); ok {
		d.CreatedSeq = old.CreatedSeq
	}
	e.deploys.put(d.Name, &d)
	return nil
}

func (e *edit) deployment(name string, createdSeq uint64) (*Deployment, error) {
	d, ok := e.deploys.t.get(name)
	if !ok {
		return nil, refuse(ErrUnknownDeployment, "there is no deployment %s", name)
	}
	if d.CreatedSeq != createdSeq {
		return nil, refuse(ErrStale, "deployment %s was replaced by another", name)
	}
	return d, nil
}

func (c *UpdateDeployment) apply(e *edit) error {
	old, err := e.deployment(c.Name, c.CreatedSeq)
	if err != nil {
		return err
	}
	d := *old
	d.State, d.Reason, d.ChangedSeq = c.State, c.Reason, e.img.seq
	e.deploys.put(d.Name, &d)
	return nil
}

func (c *DeleteDeployment) apply(e *edit) error {
	if _, err := e.deployment(c.Name, c.CreatedSeq); err != nil {
		return err
	}
	e.deploys.remove(c.Name)
	return nil
}
