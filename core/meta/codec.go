package meta

// The bodies of the commands. What encode writes is the version that kinds holds; a decoder is handed the version
// that was written.

func (*Noop) encode(*writer) {}

func decodeNoop(*reader, uint64) Command { return &Noop{} }

func (c *SetCluster) encode(w *writer) { w.str(c.ClusterID) }

func decodeSetCluster(r *reader, _ uint64) Command { return &SetCluster{ClusterID: r.str()} }

func (c *RegisterBroker) encode(w *writer) { c.Broker.encode(w) }

func decodeRegisterBroker(r *reader, _ uint64) Command {
	return &RegisterBroker{Broker: *decodeBroker(r)}
}

func (c *FenceBroker) encode(w *writer) {
	w.uvarint(c.ControllerEpoch)
	w.varint(int64(c.Broker))
	w.str(c.Incarnation)
	w.bool(c.Fenced)
}

func decodeFenceBroker(r *reader, _ uint64) Command {
	return &FenceBroker{ControllerEpoch: r.uvarint(), Broker: r.node(), Incarnation: r.str(), Fenced: r.bool()}
}

func (c *ClaimController) encode(w *writer) {
	w.varint(int64(c.Broker))
	w.str(c.Incarnation)
	w.uvarint(c.ExpectedEpoch)
}

func decodeClaimController(r *reader, _ uint64) Command {
	return &ClaimController{Broker: r.node(), Incarnation: r.str(), ExpectedEpoch: r.uvarint()}
}

func (c *AllocateProducerIDs) encode(w *writer) {
	w.varint(int64(c.Broker))
	w.varint(c.First)
	w.varint(c.Count)
}

func decodeAllocateProducerIDs(r *reader, _ uint64) Command {
	return &AllocateProducerIDs{Broker: r.node(), First: r.varint(), Count: r.varint()}
}

func (c *CreateTopics) encode(w *writer) {
	w.uvarint(uint64(len(c.Topics)))
	for _, t := range c.Topics {
		t.encode(w)
	}
}

func decodeCreateTopics(r *reader, _ uint64) Command {
	c := &CreateTopics{}
	for range r.count(minTopicSize) {
		c.Topics = append(c.Topics, decodeTopic(r))
	}
	return c
}

func (c *DeleteTopics) encode(w *writer) {
	w.uvarint(uint64(len(c.IDs)))
	for _, id := range c.IDs {
		w.raw(id[:])
	}
}

func decodeDeleteTopics(r *reader, _ uint64) Command {
	c := &DeleteTopics{}
	for range r.count(len(TopicID{})) {
		c.IDs = append(c.IDs, r.topicID())
	}
	return c
}

func (c *CreatePartitions) encode(w *writer) {
	w.uvarint(uint64(len(c.Topics)))
	for _, t := range c.Topics {
		first := int32(0)
		if len(t.Partitions) > 0 {
			first = t.Partitions[0].ID
		}
		w.raw(t.ID[:])
		w.varint(int64(first))
		encodePartitions(w, t.Partitions)
	}
}

func decodeCreatePartitions(r *reader, _ uint64) Command {
	c := &CreatePartitions{}
	for range r.count(18) {
		id, first := r.topicID(), r.int32()
		if first < 0 || first > maxTopicPartitions {
			r.fail("partition %d", first)
		}
		c.Topics = append(c.Topics, AddedPartitions{ID: id, Partitions: decodePartitions(r, first)})
	}
	return c
}

func (c *AlterTopicConfigs) encode(w *writer) {
	w.uvarint(uint64(len(c.Topics)))
	for _, t := range c.Topics {
		w.raw(t.ID[:])
		w.strMap(t.Configs)
	}
}

func decodeAlterTopicConfigs(r *reader, _ uint64) Command {
	c := &AlterTopicConfigs{}
	for range r.count(17) {
		c.Topics = append(c.Topics, TopicConfigs{ID: r.topicID(), Configs: r.strMap()})
	}
	return c
}

func (c *AlterBrokerConfigs) encode(w *writer) {
	w.varint(int64(c.Node))
	w.strMap(c.Configs)
}

func decodeAlterBrokerConfigs(r *reader, _ uint64) Command {
	return &AlterBrokerConfigs{Node: r.node(), Configs: r.strMap()}
}

func (c *ChangePartitions) encode(w *writer) {
	w.uvarint(c.ControllerEpoch)
	w.uvarint(uint64(len(c.Changes)))
	for _, p := range c.Changes {
		w.raw(p.Topic[:])
		w.varint(int64(p.Partition))
		w.varint(int64(p.PartitionEpoch))
		w.nodes(p.Replicas)
		w.nodes(p.ISR)
		w.varint(int64(p.Leader))
		w.bool(p.NewLeaderEpoch)
	}
}

func decodeChangePartitions(r *reader, _ uint64) Command {
	c := &ChangePartitions{ControllerEpoch: r.uvarint()}
	for range r.count(22) {
		c.Changes = append(c.Changes, PartitionChange{Topic: r.topicID(), Partition: r.int32(), PartitionEpoch: r.int32(),
			Replicas: r.nodes(), ISR: r.nodes(), Leader: r.node(), NewLeaderEpoch: r.bool()})
	}
	return c
}

func (c *PutDeployment) encode(w *writer) { c.Deployment.encode(w) }

func decodePutDeployment(r *reader, version uint64) Command {
	return &PutDeployment{Deployment: *decodeDeployment(r, version)}
}

func (c *UpdateDeployment) encode(w *writer) {
	w.str(c.Name)
	w.uvarint(c.CreatedSeq)
	w.str(string(c.State))
	w.str(c.Reason)
}

func decodeUpdateDeployment(r *reader, _ uint64) Command {
	return &UpdateDeployment{Name: r.str(), CreatedSeq: r.uvarint(), State: DeploymentState(r.str()), Reason: r.str()}
}

func (c *DeleteDeployment) encode(w *writer) {
	w.str(c.Name)
	w.uvarint(c.CreatedSeq)
}

func decodeDeleteDeployment(r *reader, _ uint64) Command {
	return &DeleteDeployment{Name: r.str(), CreatedSeq: r.uvarint()}
}

func (c *Batch) encode(w *writer) {
	w.uvarint(uint64(len(c.Commands)))
	var one []byte
	for _, command := range c.Commands {
		one = AppendCommand(one[:0], command)
		w.uvarint(uint64(len(one)))
		w.raw(one)
	}
}

func decodeBatch(r *reader, _ uint64) Command {
	c := &Batch{}
	for range r.count(4) {
		n := r.count(1)
		if r.err != nil {
			return c
		}
		command, err := decodeCommand(r.b[:n], false)
		if err != nil {
			r.err = err
			return c
		}
		r.b = r.b[n:]
		c.Commands = append(c.Commands, command)
	}
	return c
}
