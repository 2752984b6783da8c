package transform

import (
	"cmp"
	"slices"
)

// assignSticky shares the partitions as evenly as the subscriptions allow and moves as few as that takes. Everything is
// handed over at once: members own nothing while an eager group rebalances.
func assignSticky(members []groupMember, partitions map[string]int32) plan {
	return newStickyTable(members, partitions).balanced()
}

// assignCooperative is assignSticky with what changes hands held back: a partition that somebody else may still be
// consuming is assigned to nobody, its owner gives it up when it sees that, joins again, and the next round hands it over.
func assignCooperative(members []groupMember, partitions map[string]int32) plan {
	out := assignSticky(members, partitions)
	claims := make(map[TopicPartition][]int)
	newest := make(map[TopicPartition]int32)
	for i := range members {
		for _, tp := range members[i].owned {
			if g, ok := newest[tp]; !ok || members[i].generation > g {
				newest[tp] = members[i].generation
			}
			claims[tp] = append(claims[tp], i)
		}
	}
	for m := range out {
		out[m] = slices.DeleteFunc(out[m], func(tp TopicPartition) bool {
			claimed := claims[tp]
			// A claim that another member's newer one has overtaken does not make its holder the owner.
			mine := slices.Contains(claimed, m) && members[m].generation == newest[tp]
			return len(claimed) > 0 && !mine && slices.ContainsFunc(claimed, func(c int) bool { return c != m })
		})
	}
	return out
}

// stickyTable is the state of one balancing. Topics and members are indexes.
type stickyTable struct {
	topics      []string
	subscribers [][]int   // of each topic
	parts       [][]int32 // of each topic: which member has the partition, -1 nobody
	held        []map[int][]int32
	load        []int
}

func newStickyTable(members []groupMember, partitions map[string]int32) *stickyTable {
	t := &stickyTable{topics: sortedTopics(partitions), load: make([]int, len(members))}
	index := make(map[string]int, len(t.topics))
	for i, topic := range t.topics {
		index[topic] = i
		t.subscribers = append(t.subscribers, subscribersOf(members, topic))
		owners := make([]int32, max(partitions[topic], 0))
		for p := range owners {
			owners[p] = -1
		}
		t.parts = append(t.parts, owners)
	}
	for m := range members {
		for _, tp := range members[m].owned {
			topic, known := index[tp.Topic]
			if !known || int(tp.Partition) >= len(t.parts[topic]) || !subscribes(&members[m], tp.Topic) {
				continue
			}
			owner := t.parts[topic][tp.Partition]
			if owner < 0 || members[m].generation > members[owner].generation {
				t.parts[topic][tp.Partition] = int32(m)
			}
		}
	}
	t.held = make([]map[int][]int32, len(members))
	for m := range t.held {
		t.held[m] = make(map[int][]int32)
	}
	for topic, owners := range t.parts {
		for p, m := range owners {
			if m >= 0 {
				t.give(int(m), topic, int32(p))
			}
		}
	}
	return t
}

func (t *stickyTable) give(m, topic int, p int32) {
	t.parts[topic][p] = int32(m)
	t.held[m][topic] = append(t.held[m][topic], p)
	t.load[m]++
}

// take removes the partition that the member got last from what it holds of a topic.
func (t *stickyTable) take(m, topic int) int32 {
	held := t.held[m][topic]
	p := held[len(held)-1]
	if held = held[:len(held)-1]; len(held) == 0 {
		delete(t.held[m], topic)
	} else {
		t.held[m][topic] = held
	}
	t.load[m]--
	return p
}

func (t *stickyTable) balanced() plan {
	t.assignFree()
	t.relieve()
	out := make(plan, len(t.held))
	for topic, owners := range t.parts {
		for p, m := range owners {
			if m >= 0 {
				out[m] = append(out[m], TopicPartition{t.topics[topic], int32(p)})
			}
		}
	}
	return out
}

// assignFree gives each partition that nobody holds to the subscriber with the least.
func (t *stickyTable) assignFree() {
	for topic, owners := range t.parts {
		if len(t.subscribers[topic]) == 0 {
			continue
		}
		for p, owner := range owners {
			if owner < 0 {
				least := slices.MinFunc(t.subscribers[topic], func(a, b int) int { return cmp.Compare(t.load[a], t.load[b]) })
				t.give(least, topic, int32(p))
			}
		}
	}
}

// relieve moves partitions, one at a time, from the most loaded member that can be relieved to the least loaded one that it
// can reach. It ends, as each move makes the sum of the squared loads less.
func (t *stickyTable) relieve() {
	stuck := make([]bool, len(t.load))
	for {
		most := -1
		for m, load := range t.load {
			if !stuck[m] && (most < 0 || load > t.load[most]) {
				most = m
			}
		}
		if most < 0 {
			return
		}
		if t.shift(most) {
			clear(stuck) // what moved may have opened a way for others
		} else {
			stuck[most] = true
		}
	}
}

// shift finds the least loaded member that can be reached from a loaded one, where a step from one member to another is a
// partition that the first holds and the second subscribes to, and moves one partition along each step.
func (t *stickyTable) shift(from int) bool {
	type step struct{ from, topic int }
	reached := make([]*step, len(t.load))
	reached[from] = &step{from, -1}
	seen := make([]bool, len(t.topics))
	queue, best := []int{from}, from
	for len(queue) > 0 {
		m := queue[0]
		queue = queue[1:]
		if t.load[m] < t.load[best] {
			best = m
		}
		for topic := range t.topics {
			if seen[topic] || len(t.held[m][topic]) == 0 {
				continue
			}
			seen[topic] = true
			for _, next := range t.subscribers[topic] {
				if reached[next] == nil {
					reached[next] = &step{m, topic}
					queue = append(queue, next)
				}
			}
		}
	}
	if t.load[best]+2 > t.load[from] {
		return false
	}
	for m := best; m != from; m = reached[m].from {
		s := reached[m]
		t.give(m, s.topic, t.take(s.from, s.topic))
	}
	return true
}
