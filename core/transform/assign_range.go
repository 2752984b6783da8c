package transform

import "slices"

// assignRange gives each topic's partitions to its subscribers in runs, the first ones getting one more if it does not
// come out even.
func assignRange(members []groupMember, partitions map[string]int32) plan {
	out := make(plan, len(members))
	for _, topic := range sortedTopics(partitions) {
		subscribers := subscribersOf(members, topic)
		if len(subscribers) == 0 {
			continue
		}
		n, next := partitions[topic], int32(0)
		each, more := n/int32(len(subscribers)), n%int32(len(subscribers))
		for i, m := range subscribers {
			run := each
			if int32(i) < more {
				run++
			}
			for range run {
				out[m] = append(out[m], TopicPartition{topic, next})
				next++
			}
		}
	}
	return out
}

// assignRoundRobin deals all partitions of all topics out one by one, passing over members that do not subscribe.
func assignRoundRobin(members []groupMember, partitions map[string]int32) plan {
	out := make(plan, len(members))
	next := 0
	for _, topic := range sortedTopics(partitions) {
		if len(subscribersOf(members, topic)) == 0 {
			continue
		}
		for p := range partitions[topic] {
			for !subscribes(&members[next%len(members)], topic) {
				next++
			}
			m := next % len(members)
			out[m] = append(out[m], TopicPartition{topic, p})
			next++
		}
	}
	return out
}

func sortedTopics(partitions map[string]int32) []string {
	topics := make([]string, 0, len(partitions))
	for topic := range partitions {
		topics = append(topics, topic)
	}
	slices.Sort(topics)
	return topics
}

func subscribes(m *groupMember, topic string) bool {
	_, ok := slices.BinarySearch(m.topics, topic)
	return ok
}

// subscribersOf returns the indexes of the members that subscribe to topic.
func subscribersOf(members []groupMember, topic string) []int {
	var out []int
	for i := range members {
		if subscribes(&members[i], topic) {
			out = append(out, i)
		}
	}
	return out
}
