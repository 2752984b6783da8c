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

// reader walks over bytes. Its first error sticks, and every later read gives
// zero, so that callers check once.
type reader struct {
	b   []byte
	at  int
	err error
}

func (r *reader) left() int { return len(r.b) - r.at }

func (r *reader) fail(err error) {
	if err != nil && r.err == nil {
		r.err = err
		r.at = len(r.b)
	}
}

func (r *reader) failf(format string, args ...any) { r.fail(fmt.Errorf(format, args...)) }

func (r *reader) byte() byte {
	if r.at >= len(r.b) {
		r.fail(errShort)
		return 0
	}
	b := r.b[r.at]
	r.at++
	return b
}

// bytes is a view of the next n bytes, or nil.
func (r *reader) bytes(n uint32) []byte {
	if uint64(n) > uint64(r.left()) {
		r.fail(errShort)
		return nil
	}
	b := r.b[r.at : r.at+int(n) : r.at+int(n)]
	r.at += int(n)
	return b
}

func (r *reader) u32() uint32 {
	var v uint64
	for shift := uint(0); shift < 35; shift += 7 {
		b := r.byte()
		v |= uint64(b&0x7f) << shift
		if b&0x80 == 0 {
			if v > 0xffffffff {
				break
			}
			return uint32(v)
		}
	}
	r.fail(errNumber)
	return 0
}

// sleb reads a signed number of at most the given bits (32, 33 or 64) and checks
// only its length: its value is the compiler's business.
func (r *reader) sleb(bits int) int64 {
	var v int64
	for shift := 0; shift < bits; shift += 7 {
		b := r.byte()
		v |= int64(b&0x7f) << shift
		if b&0x80 == 0 {
			if shift+7 < 64 && b&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
	r.fail(errNumber)
	return 0
}

func (r *reader) name() string {
	b := r.bytes(r.u32())
	if !utf8.Valid(b) {
		r.failf("a name that is not UTF-8")
		return ""
	}
	return string(b)
}

// count reads how many entries follow, each of at least one byte, and holds the
// number to a limit that has a name.
func (r *reader) count(limit int, of string) int {
	n := r.u32()
	if uint64(n) > uint64(limit) {
		r.failf("%d %s, at most %d are allowed", n, of, limit)
		return 0
	}
	if uint64(n) > uint64(r.left()) {
		r.failf("%d %s in %d bytes", n, of, r.left())
		return 0
	}
	return int(n)
}
