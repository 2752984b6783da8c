package meta

import (
	"cmp"
	"iter"
	"slices"
)

// tableShards splits a table so that a change copies one small shard and the list of shards: at 50,000 entries a shard
// holds about 200.
const tableShards = 256

type entry[V any] struct {
	key   string
	value V
}

// table is an immutable map from strings. A shard is sorted by key, so that everything about a table but its speed is
// the same on every broker. The zero table is empty.
type table[V any] struct {
	shards *[tableShards][]entry[V]
	n      int
}

func shardOf(key string) int {
	h := uint32(2166136261) // FNV-1a
	for i := range len(key) {
		h = (h ^ uint32(key[i])) * 16777619
	}
	return int((h ^ h>>16) % tableShards)
}

func search[V any](s []entry[V], key string) (int, bool) {
	return slices.BinarySearchFunc(s, key, func(e entry[V], k string) int { return cmp.Compare(e.key, k) })
}

func (t table[V]) get(key string) (v V, ok bool) {
	if t.shards == nil {
		return v, false
	}
	s := t.shards[shardOf(key)]
	i, ok := search(s, key)
	if !ok {
		return v, false
	}
	return s[i].value, true
}

// all yields the values in an order that is the same for equal tables, which is not the order of keys.
func (t table[V]) all() iter.Seq[V] {
	return func(yield func(V) bool) {
		if t.shards == nil {
			return
		}
		for _, s := range t.shards {
			for i := range s {
				if !yield(s[i].value) {
					return
				}
			}
		}
	}
}

// sorted returns the values by ascending key.
func (t table[V]) sorted() []V {
	es := make([]entry[V], 0, t.n)
	if t.shards != nil {
		for _, s := range t.shards {
			es = append(es, s...)
		}
	}
	slices.SortFunc(es, func(a, b entry[V]) int { return cmp.Compare(a.key, b.key) })
	vs := make([]V, len(es))
	for i := range es {
		vs[i] = es[i].value
	}
	return vs
}

// tableEdit makes a new table of an old one; it copies each shard it touches once, however many changes follow.
type tableEdit[V any] struct {
	t     table[V]
	own   bool // t.shards is ours
	owned [tableShards]bool
}

func (e *tableEdit[V]) shard(i int) []entry[V] {
	if !e.own {
		shards := new([tableShards][]entry[V])
		if e.t.shards != nil {
			*shards = *e.t.shards
		}
		e.t.shards, e.own = shards, true
	}
	if !e.owned[i] {
		s := e.t.shards[i]
		e.t.shards[i] = append(make([]entry[V], 0, len(s)+1), s...)
		e.owned[i] = true
	}
	return e.t.shards[i]
}

func (e *tableEdit[V]) put(key string, v V) {
	i := shardOf(key)
	s := e.shard(i)
	at, found := search(s, key)
	if found {
		s[at].value = v
		return
	}
	e.t.shards[i] = slices.Insert(s, at, entry[V]{key, v})
	e.t.n++
}

func (e *tableEdit[V]) remove(key string) {
	i := shardOf(key)
	s := e.shard(i)
	if at, found := search(s, key); found {
		e.t.shards[i] = slices.Delete(s, at, at+1)
		e.t.n--
	}
}
