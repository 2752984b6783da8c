package api

import (
	"encoding/binary"

	"github.com/millrun/millrun/core/meta"
)

// The reading half of walk, for the keys that decode their own bodies. Values read after a failure are zero; a body that has
// passed its shape does not fail.

func (w *walk) take(n int) []byte {
	if n < 0 || n > len(w.b) {
		w.failed = true
		w.b = nil
		return nil
	}
	b := w.b[:n:n]
	w.b = w.b[n:]
	return b
}

func (w *walk) int8() int8 {
	if b := w.take(1); b != nil {
		return int8(b[0])
	}
	return 0
}

func (w *walk) int16() int16 {
	if b := w.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (w *walk) int32() int32 {
	if b := w.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (w *walk) int64() int64 {
	if b := w.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (w *walk) topicID() (id meta.TopicID) {
	copy(id[:], w.take(len(id)))
	return id
}

// text returns a string's bytes, a view of the body; null is nil.
func (w *walk) text() []byte { return w.counted(w.length(2)) }

// bytes returns a view of the body; null is nil, which no bytes are not.
func (w *walk) bytes() []byte { return w.counted(w.length(4)) }

func (w *walk) counted(n int) []byte {
	if n < 0 {
		return nil
	}
	return w.take(n)
}

// count returns an array's length; null is 0.
func (w *walk) count() int { return max(w.length(4), 0) }

// end skips the tagged fields that end a structure of a flexible version.
func (w *walk) end() {
	if w.flexible {
		w.tags()
	}
}
