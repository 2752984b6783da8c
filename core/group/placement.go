package group

import "unicode/utf16"

// Topic holds the groups of all clients, each in one of its partitions.
const Topic = "__consumer_offsets"

// PartitionFor is the partition that holds a group, of n. It is that of Kafka: Java's hash of the group's id.
func PartitionFor(groupID string, n int32) int32 {
	var h int32
	for _, unit := range utf16.Encode([]rune(groupID)) {
		h = 31*h + int32(unit)
	}
	if h == -1<<31 {
		return 0 // Java's Math.abs has no positive value for it; Kafka takes 0
	}
	if h < 0 {
		h = -h
	}
	return h % n
}
