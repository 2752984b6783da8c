package main

import (
	"errors"
	"structs"
	"unsafe"

	"github.com/millrun/millrun/plugins/sdk/go/jsonscan"
)

// The records of a call go through one function in C with SIMD (simd/scan.c), which
// plugins/build links into this module. It decides what is plain. What it is in doubt
// about is decided here: keys and strings with escapes, numbers with an exponent or
// many digits, regular expressions. A condition is what is meant, always.

// scanner gives a call's records to the function in C.
type scanner struct {
	cond   *condition
	job    job
	doubts []doubt
	steps  []step
	texts  [][]byte // what job and steps point at, as numbers: here, so that it stays
	search struct { // millrun__json of millrun.h
		objects [16]uint64
		index   [1001]int32
		state   [5]uint32
	}
	layout struct { // of simd/scan.c
		state  [5]uint32
		parts  [33]uint32
		pieces [1024 + 64]byte
	}
}

// What to do with the field, in simd/scan.c's words.
const (
	opText = iota
	opOrder
	opContains
	opPrefix
	opExists
	opAsk // the condition, each time
)

// fastOps are the ops, and for opOrder when they hold: 1 below, 2 the same, 4 above.
var fastOps = map[string]struct{ op, holds uint32 }{
	"eq": {opOrder, 2}, "ne": {opOrder, 5}, "lt": {opOrder, 1}, "le": {opOrder, 3}, "gt": {opOrder, 4}, "ge": {opOrder, 6},
	"contains": {op: opContains}, "prefix": {op: opPrefix}, "exists": {op: opExists}, "matches": {op: opAsk}, "": {op: opText},
}

// The layouts of simd/scan.c, whose addresses have 32 bits.
type (
	address uint32
	view    struct {
		p address
		n uint32
	}
	step struct {
		key   view
		index int32
	}
	decimal struct {
		whole          uint64
		part, negative uint32
	}
	doubt struct {
		index   uint32
		bytes   view
		isField uint32 // or else the whole value
	}
	job struct {
		_             structs.HostLayout
		records       view
		n             uint32
		bits          address
		path          view
		op, holds     uint32
		value         view
		numeric, fits uint32
		number        decimal
		invert        uint32
		doubts        address
		search        address
		layout        address
	}
)

var errRecords = errors.New("the records are not as they stand in a batch")

func addressOf[T any](p *T) address { return address(uintptr(unsafe.Pointer(p))) }

// text is a copy behind which there is something to read: SIMD loads 16 bytes at once.
func (s *scanner) text(of string) view {
	const slack = 64
	b := append(make([]byte, 0, len(of)+slack), of...)
	s.texts = append(s.texts, b)
	return view{addressOf(unsafe.SliceData(b)), uint32(len(b))}
}

func newScanner(c *condition) *scanner {
	fast := fastOps[c.op]
	s := &scanner{cond: c, job: job{op: fast.op, holds: fast.holds}}
	for _, part := range c.path {
		s.steps = append(s.steps, step{s.text(part.Key), int32(part.Index)})
	}
	s.job.path = view{addressOf(unsafe.SliceData(s.steps)), uint32(len(s.steps))}
	s.job.search = addressOf(&s.search)
	s.job.layout = addressOf(&s.layout)
	s.job.value = s.text(string(c.value))
	if c.op == "" {
		s.job.value = s.text(string(c.text))
	}
	if jsonscan.IsNumber(c.value) {
		s.job.numeric = 1
		if d, ok := decimalOf(string(c.value)); ok {
			s.job.fits, s.job.number = 1, d
		}
	}
	if c.invert {
		s.job.invert = 1
	}
	return s
}

// decimalOf reads a number that has no exponent, at most 15 digits before the point
// and 8 behind it.
func decimalOf(number string) (d decimal, ok bool) {
	if number[0] == '-' {
		d.negative, number = 1, number[1:]
	}
	whole, part := number, ""
	for i := range number {
		switch c := number[i]; {
		case c == '.':
			whole, part = number[:i], number[i+1:]
		case c == 'e' || c == 'E':
			return d, false
		}
	}
	if len(whole) > 15 || len(part) > 8 {
		return d, false
	}
	for i := range len(whole) {
		d.whole = d.whole*10 + uint64(whole[i]-'0')
	}
	for i := range 8 {
		d.part *= 10
		if i < len(part) {
			d.part += uint32(part[i] - '0')
		}
	}
	return d, true
}

// scan sets the bits of the records that go on.
func (s *scanner) scan(section []byte, n int, bits []byte) error {
	if len(s.doubts) < n {
		s.doubts = make([]doubt, n)
	}
	s.job.records, s.job.n = view{addressOf(unsafe.SliceData(section)), uint32(len(section))}, uint32(n)
	s.job.bits, s.job.doubts = addressOf(unsafe.SliceData(bits)), addressOf(unsafe.SliceData(s.doubts))
	inDoubt := s.run(section, bits)
	if inDoubt < 0 {
		return errRecords
	}
	for _, d := range s.doubts[:inDoubt] {
		value := s.bytes(section, d.bytes)
		var goesOn bool
		if d.isField != 0 {
			goesOn = s.cond.compare(value, s.cond.value) != s.cond.invert
		} else {
			goesOn = s.cond.holds(value)
		}
		if goesOn {
			bits[d.index>>3] |= 1 << (d.index & 7)
		}
	}
	return nil
}

// bytes are what a view of the section shows.
func (s *scanner) bytes(section []byte, v view) []byte {
	from := uint32(v.p - s.job.records.p)
	return section[from : from+v.n : from+v.n]
}
