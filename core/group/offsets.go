package group

import (
	"cmp"
	"slices"
)

// offsets are what one group has committed. They change in Replay only. The zero offsets are empty.
type offsets struct {
	topics map[string]map[int32]CommittedOffset
	n      int
}

type partitionOffset struct {
	topic     string
	partition int32
	CommittedOffset
}

// put stores an offset and returns how many more there are now.
func (os *offsets) put(topic []byte, partition int32, o CommittedOffset) int {
	if os.topics == nil {
		os.topics = make(map[string]map[int32]CommittedOffset)
	}
	of := os.topics[string(topic)]
	if of == nil {
		of = make(map[int32]CommittedOffset)
		os.topics[string(topic)] = of
	}
	before := len(of)
	of[partition] = o
	os.n += len(of) - before
	return len(of) - before
}

// remove forgets an offset and returns how many fewer there are now.
func (os *offsets) remove(topic []byte, partition int32) int {
	of := os.topics[string(topic)]
	if _, ok := of[partition]; !ok {
		return 0
	}
	delete(of, partition)
	if len(of) == 0 {
		delete(os.topics, string(topic))
	}
	os.n--
	return 1
}

func (os *offsets) get(topic string, partition int32) (CommittedOffset, bool) {
	o, ok := os.topics[topic][partition]
	return o, ok
}

// sorted returns all offsets by topic and partition.
func (os *offsets) sorted() []partitionOffset {
	all := make([]partitionOffset, 0, os.n)
	for topic, of := range os.topics {
		for p, o := range of {
			all = append(all, partitionOffset{topic, p, o})
		}
	}
	slices.SortFunc(all, func(a, b partitionOffset) int {
		return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.partition, b.partition))
	})
	return all
}
