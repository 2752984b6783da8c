package meta

import (
	"cmp"
	"iter"
)

// ChangedTopics yields the topics in which two images differ, as they were (nil if there was none of that name) and as they
// are (nil if there is none any more). old may be nil, for an image without topics. What the images share, which is nearly
// everything if one was made from the other, is not looked at.
func ChangedTopics(old, img *Image) iter.Seq2[*Topic, *Topic] {
	var before table[*Topic]
	if old != nil {
		before = old.topics
	}
	after := img.topics
	return func(yield func(*Topic, *Topic) bool) {
		if before.shards == after.shards {
			return
		}
		for i := range tableShards {
			if !changedIn(before.shard(i), after.shard(i), yield) {
				return
			}
		}
	}
}

func (t table[V]) shard(i int) []entry[V] {
	if t.shards == nil {
		return nil
	}
	return t.shards[i]
}

// changedIn walks over two sorted shards side by side.
func changedIn(a, b []entry[*Topic], yield func(*Topic, *Topic) bool) bool {
	if len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) {
		return true
	}
	for len(a) > 0 || len(b) > 0 {
		var before, after *Topic
		order := 0
		switch {
		case len(a) == 0:
			order = 1
		case len(b) == 0:
			order = -1
		default:
			order = cmp.Compare(a[0].key, b[0].key)
		}
		if order <= 0 {
			before, a = a[0].value, a[1:]
		}
		if order >= 0 {
			after, b = b[0].value, b[1:]
		}
		if before != after && !yield(before, after) {
			return false
		}
	}
	return true
}
