package meta

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
)

// writer appends the primitive forms of the encoding to b.
type writer struct{ b []byte }

func (w *writer) byte(v byte)      { w.b = append(w.b, v) }
func (w *writer) raw(v []byte)     { w.b = append(w.b, v...) }
func (w *writer) uvarint(v uint64) { w.b = binary.AppendUvarint(w.b, v) }
func (w *writer) varint(v int64)   { w.b = binary.AppendVarint(w.b, v) }

func (w *writer) bool(v bool) {
	if v {
		w.byte(1)
	} else {
		w.byte(0)
	}
}

func (w *writer) str(s string) {
	w.uvarint(uint64(len(s)))
	w.b = append(w.b, s...)
}

func (w *writer) strs(v []string) {
	w.uvarint(uint64(len(v)))
	for _, s := range v {
		w.str(s)
	}
}

func (w *writer) strMap(m map[string]string) {
	w.uvarint(uint64(len(m)))
	if len(m) == 0 {
		return
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		w.str(k)
		w.str(m[k])
	}
}

func (w *writer) nodes(v []NodeID) {
	w.uvarint(uint64(len(v)))
	for _, n := range v {
		w.varint(int64(n))
	}
}

// reader takes the primitive forms off b. After the first error every read returns a zero value; err holds the error.
type reader struct {
	b    []byte
	size int // of b at the start, for the place in errors
	err  error
	// The list of nodes read last, and its bytes: most partitions of a topic have the same replicas, which are then shared.
	lastNodes []NodeID
	lastBytes []byte
}

func newReader(b []byte) *reader { return &reader{b: b, size: len(b)} }

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: at byte %d: %s", ErrCorrupt, r.size-len(r.b), fmt.Sprintf(format, args...))
		r.b = nil
	}
}

// done returns the error, or one for bytes that are left over.
func (r *reader) done() error {
	if r.err == nil && len(r.b) > 0 {
		r.fail("%d bytes too many", len(r.b))
	}
	return r.err
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail("cut off")
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) bool() bool {
	v := r.byte()
	if v > 1 {
		r.fail("%d is no truth value", v)
	}
	return v == 1
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail("bad number")
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail("bad number")
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int32() int32 {
	v := r.varint()
	if v < math.MinInt32 || v > math.MaxInt32 {
		r.fail("%d does not fit 32 bits", v)
		return 0
	}
	return int32(v)
}

func (r *reader) node() NodeID { return NodeID(r.int32()) }

// count reads the length of a list whose elements take at least min bytes each, so that a lying length cannot make the
// caller allocate more than a small multiple of the input.
func (r *reader) count(min int) int {
	v := r.uvarint()
	if v > uint64(len(r.b)/min) {
		r.fail("a list of %d does not fit %d bytes", v, len(r.b))
		return 0
	}
	return int(v)
}

func (r *reader) str() string {
	n := r.count(1)
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *reader) strs() []string {
	var v []string
	for range r.count(1) {
		v = append(v, r.str())
	}
	return v
}

func (r *reader) strMap() map[string]string {
	n := r.count(2)
	if n == 0 {
		return nil
	}
	m := make(map[string]string, n)
	last := ""
	for i := range n {
		k := r.str()
		if i > 0 && k <= last {
			r.fail("key %q after %q", k, last)
			return nil
		}
		m[k], last = r.str(), k
	}
	return m
}

func (r *reader) nodes() []NodeID {
	if len(r.lastBytes) > 0 && bytes.HasPrefix(r.b, r.lastBytes) { // no list's encoding begins another's
		r.b = r.b[len(r.lastBytes):]
		return r.lastNodes
	}
	start := r.b
	n := r.count(1)
	if n == 0 {
		return nil
	}
	v := make([]NodeID, n)
	for i := range v {
		v[i] = r.node()
	}
	if r.err == nil {
		r.lastNodes, r.lastBytes = v, start[:len(start)-len(r.b)]
	}
	return v
}

func (r *reader) topicID() (id TopicID) {
	if len(r.b) < len(id) {
		r.fail("cut off")
		return id
	}
	copy(id[:], r.b)
	r.b = r.b[len(id):]
	return id
}
