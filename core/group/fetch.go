package group

import "github.com/millrun/millrun/core/machine"

// NoOffset is fetched where nothing was committed.
const NoOffset = -1

// A group that does not exist has committed nothing: that is no error.
func (op Fetch) decide(s *Shard, t machine.Ticket) {
	var os offsets
	if g := s.groups[op.Group]; g != nil {
		os = g.offsets
	}
	if op.All {
		s.answer(t, os.fetchAll())
		return
	}
	fetched := make([]FetchedTopic, len(op.Topics))
	for i, topic := range op.Topics {
		fetched[i] = FetchedTopic{Topic: topic.Topic, Partitions: make([]FetchedPartition, len(topic.Partitions))}
		for j, p := range topic.Partitions {
			o, ok := os.get(topic.Topic, p)
			if !ok {
				o = CommittedOffset{Offset: NoOffset, LeaderEpoch: -1}
			}
			fetched[i].Partitions[j] = fetchedPartition(p, o)
		}
	}
	s.answer(t, fetched)
}

func (os *offsets) fetchAll() []FetchedTopic {
	fetched := make([]FetchedTopic, 0, len(os.topics))
	for _, o := range os.sorted() {
		last := len(fetched) - 1
		if last < 0 || fetched[last].Topic != o.topic {
			fetched = append(fetched, FetchedTopic{Topic: o.topic})
			last++
		}
		fetched[last].Partitions = append(fetched[last].Partitions, fetchedPartition(o.partition, o.CommittedOffset))
	}
	return fetched
}

func fetchedPartition(p int32, o CommittedOffset) FetchedPartition {
	return FetchedPartition{Partition: p, LeaderEpoch: o.LeaderEpoch, Offset: o.Offset, Metadata: o.Metadata}
}
