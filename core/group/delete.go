package group

import (
	"github.com/millrun/millrun/core/machine"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func (op Delete) decide(s *Shard, t machine.Ticket) {
	g := s.groups[op.Group]
	switch {
	case g == nil:
		s.answer(t, GroupIDNotFound)
		return
	case !g.is(Empty):
		s.answer(t, NonEmptyGroup)
		return
	}
	for id := range g.pending {
		g.removePending(id)
	}
	for _, o := range g.offsets.sorted() {
		s.putOffsetTombstone(g, o.topic, o.partition)
	}
	if g.stored != nil {
		s.putGroupTombstone(g)
	}
	s.dropIfUnused(g)
	s.answer(t, None)
}

func (op DeleteOffsets) decide(s *Shard, t machine.Ticket) {
	r := kmsg.NewPtrOffsetDeleteResponse()
	g := s.groups[op.Req.Group]
	switch {
	case op.Req.Group == "":
		r.ErrorCode = int16(InvalidGroupID)
	case g == nil:
		r.ErrorCode = int16(GroupIDNotFound)
	case !g.is(Empty) && g.protocolType != consumerProtocol:
		r.ErrorCode = int16(NonEmptyGroup)
	}
	if r.ErrorCode != 0 {
		s.answer(t, r)
		return
	}
	for i := range op.Req.Topics {
		r.Topics = append(r.Topics, s.deleteOffsets(g, &op.Req.Topics[i]))
	}
	s.answer(t, r)
}

func (s *Shard) deleteOffsets(g *Group, of *kmsg.OffsetDeleteRequestTopic) kmsg.OffsetDeleteResponseTopic {
	topic := kmsg.OffsetDeleteResponseTopic{Topic: of.Topic}
	for _, p := range of.Partitions {
		code := None
		if g.subscribes(of.Topic) {
			code = GroupSubscribedToTopic
		} else if _, ok := g.offsets.get(of.Topic, p.Partition); ok {
			s.putOffsetTombstone(g, of.Topic, p.Partition)
		}
		topic.Partitions = append(topic.Partitions, kmsg.OffsetDeleteResponseTopicPartition{
			Partition: p.Partition, ErrorCode: int16(code),
		})
	}
	return topic
}

func (op Sweep) decide(s *Shard, t machine.Ticket) {
	swept := 0
	for _, g := range s.sorted() {
		for _, o := range g.offsets.sorted() {
			topic, ok := op.Image.Topic(o.topic)
			if ok && (o.TopicID.IsZero() || o.TopicID == topic.ID) {
				continue
			}
			s.putOffsetTombstone(g, o.topic, o.partition)
			swept++
		}
	}
	s.answer(t, swept)
}
