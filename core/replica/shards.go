package replica

import (
	"hash/maphash"
	"maps"
	"sync"
	"sync/atomic"
)

const shardCount = 256

// shards is a map that is read without a lock and written by copying one of its many parts: a broker looks up a partition
// for every request, and creates ten thousand of them now and then.
type shards[K comparable, V any] struct {
	seed  maphash.Seed
	write sync.Mutex
	parts [shardCount]atomic.Pointer[map[K]V]
}

func newShards[K comparable, V any]() *shards[K, V] {
	return &shards[K, V]{seed: maphash.MakeSeed()}
}

func (s *shards[K, V]) part(k K) *atomic.Pointer[map[K]V] {
	return &s.parts[maphash.Comparable(s.seed, k)%shardCount]
}

func (s *shards[K, V]) get(k K) (v V, ok bool) {
	m := s.part(k).Load()
	if m == nil {
		return v, false
	}
	v, ok = (*m)[k]
	return v, ok
}

func (s *shards[K, V]) put(k K, v V) {
	s.change(k, func(m map[K]V) { m[k] = v })
}

func (s *shards[K, V]) remove(k K) {
	s.change(k, func(m map[K]V) { delete(m, k) })
}

func (s *shards[K, V]) change(k K, fn func(map[K]V)) {
	s.write.Lock()
	defer s.write.Unlock()
	part := s.part(k)
	changed := map[K]V{}
	if old := part.Load(); old != nil {
		changed = maps.Clone(*old)
	}
	fn(changed)
	part.Store(&changed)
}

// all calls fn for every entry that is there all the while.
func (s *shards[K, V]) all(fn func(K, V)) {
	for i := range s.parts {
		if m := s.parts[i].Load(); m != nil {
			for k, v := range *m {
				fn(k, v)
			}
		}
	}
}
