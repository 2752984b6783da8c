package binary

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

var (
	errShort  = errors.New("unexpected end")
	errNumber = errors.New("malformed number")
)

// Reader walks over bytes. Its first error sticks, and every later read gives
// zero, so that callers check once.
type Reader struct {
	b   []byte
	at  int
	err error
}

// NewReader walks over b.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Err is the first error.
func (r *Reader) Err() error { return r.err }

// At is where the next read starts; the end after an error.
func (r *Reader) At() int { return r.at }

// From are the bytes from at to here.
func (r *Reader) From(at int) []byte { return r.b[at:r.at] }

// Left is how many bytes there are to read.
func (r *Reader) Left() int { return len(r.b) - r.at }

// Fail makes err the reader's error, if it is the first.
func (r *Reader) Fail(err error) {
	if err != nil && r.err == nil {
		r.err = err
		r.at = len(r.b)
	}
}

// Failf is Fail with a text.
func (r *Reader) Failf(format string, args ...any) { r.Fail(fmt.Errorf(format, args...)) }

// Byte reads a byte.
func (r *Reader) Byte() byte {
	if r.at >= len(r.b) {
		r.Fail(errShort)
		return 0
	}
	b := r.b[r.at]
	r.at++
	return b
}

// Bytes is a view of the next n bytes, or nil.
func (r *Reader) Bytes(n uint32) []byte {
	if uint64(n) > uint64(r.Left()) {
		r.Fail(errShort)
		return nil
	}
	b := r.b[r.at : r.at+int(n) : r.at+int(n)]
	r.at += int(n)
	return b
}

// U32 reads an unsigned number of at most 32 bits.
func (r *Reader) U32() uint32 {
	var v uint64
	for shift := uint(0); shift < 35; shift += 7 {
		b := r.Byte()
		v |= uint64(b&0x7f) << shift
		if b&0x80 == 0 {
			if v > 0xffffffff {
				break
			}
			return uint32(v)
		}
	}
	r.Fail(errNumber)
	return 0
}

// Sleb reads a signed number of at most the given bits (32, 33 or 64) and checks
// only its length: its value is the compiler's business.
func (r *Reader) Sleb(bits int) int64 {
	var v int64
	for shift := 0; shift < bits; shift += 7 {
		b := r.Byte()
		v |= int64(b&0x7f) << shift
		if b&0x80 == 0 {
			if shift+7 < 64 && b&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
	r.Fail(errNumber)
	return 0
}

// Name reads a string of UTF-8 with its length before it.
func (r *Reader) Name() string {
	b := r.Bytes(r.U32())
	if !utf8.Valid(b) {
		r.Failf("a name that is not UTF-8")
		return ""
	}
	return string(b)
}

// Count reads how many entries follow, each of at least one byte, and holds the
// number to a limit that has a name.
func (r *Reader) Count(limit int, of string) int {
	n := r.U32()
	if uint64(n) > uint64(limit) {
		r.Failf("%d %s, at most %d are allowed", n, of, limit)
		return 0
	}
	if uint64(n) > uint64(r.Left()) {
		r.Failf("%d %s in %d bytes", n, of, r.Left())
		return 0
	}
	return int(n)
}
