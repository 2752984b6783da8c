package api

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A shape says what the body of a request looks like at every version, just well enough to walk it without allocating. Every
// body is walked before kmsg decodes it, because kmsg believes counts: it makes an array of as many elements as there are
// bytes left, and reads as many tagged fields as are announced, up to four thousand million. After the walk every count is
// known to be true, and decoding takes at most decodedFactor times the body's bytes.
//
// The notation, one string per key (see shapes): fields in order, each with the versions that have it (@2, @2+, @2-5; all if
// nothing is said):
//
//	1 2 4 8 16   so many bytes
//	s            string, null allowed
//	B            bytes, null allowed
//	[x]          array of the plain type x
//	{...}        array of structures
//	?(...)       structure or null
//
// Where the version is flexible, lengths are compact and every structure ends with tagged fields.
type shape struct {
	fields []field
	// bytes is true if a decoded request holds slices of the body.
	bytes bool
}

type field struct {
	kind     fieldKind
	size     int     // of fieldFixed
	fields   []field // of the structures
	min, max int16
}

type fieldKind int8

const (
	fieldFixed fieldKind = iota
	fieldString
	fieldBytes
	fieldArray   // of plain elements
	fieldStructs // array of structures
	fieldStruct  // one, or null
)

// decodedFactor is what decoding may take: the worst are arrays of empty structures, and of tagged fields.
const decodedFactor = 32

var errShape = errors.New("request body is malformed")

// shapes are the bodies of all served keys.
var shapes = map[int16]string{
	0:  "s@3+ 2 4 {s@0-12 16@13+ {4 B}}",
	1:  "4@0-14 4 4 4@3+ 1@4+ 4@7+ 4@7+ {s@0-12 16@13+ {4 4@9+ 8 4@12+ 8@5+ 4}} {s@0-12 16@13+ [4]}@7+ s@11+",
	2:  "4 1@2+ {s {4 4@4+ 8 4@0}} 4@10+",
	3:  "{16@10+ s} 1@4+ 1@8-10 1@8+",
	8:  "s 4@1+ s@1+ s@7+ 8@2-4 {s@0-9 16@10+ {4 8 8@1 4@6+ s}}",
	9:  "s@0-7 {s [4]}@0-7 {s s@9+ 4@9+ {s@0-9 16@10+ [4]}}@8+ 1@7+",
	10: "s@0-3 1@1+ [s]@4+",
	11: "s 4 4@1+ s s@5+ s {s B} s@8+",
	12: "s 4 s s@3+",
	13: "s s@0-2 {s s s@5+}@3+",
	14: "s 4 s s@3+ s@5+ s@5+ {s B}",
	15: "[s] 1@3+",
	16: "[s]@4+ [s]@5+",
	18: "s@3+ s@3+ s@5+ 4@5+",
	19: "{s 4 2 {4 [4]} {s s}} 4 1@1+",
	20: "{s 16}@6+ [s]@0-5 4",
	21: "{s {4 8}} 4",
	22: "s 4 8@3+ 2@3+",
	23: "4@3+ {s {4 4@2+ 4}}",
	32: "{1 s [s]} 1@1+ 1@3+",
	33: "{1 s {s s}} 1",
	35: "{s [4]}",
	37: "{s 4 {[4]}} 4 1",
	42: "[s]",
	44: "{1 s {s 1 s}} 1",
	47: "s {s {4}}",
	60: "1 1@1+ 1@2+",
	75: "{s} 4 ?(s 4)",
}

// shapeOf returns the shape of a key's body.
func shapeOf(key int16) (*shape, error) {
	text, ok := shapes[key]
	if !ok {
		return nil, fmt.Errorf("no shape for key %d", key)
	}
	fields, rest, err := parseShape(text, 0)
	if err != nil || rest != "" {
		return nil, fmt.Errorf("shape %q: %w at %q", text, err, rest)
	}
	return &shape{fields: fields, bytes: strings.ContainsRune(text, 'B')}, nil
}

// parseShape reads fields up to the closing character, or to the end if that is 0.
func parseShape(text string, closing byte) ([]field, string, error) {
	var fields []field
	for {
		text = strings.TrimLeft(text, " ")
		if text == "" {
			if closing != 0 {
				return nil, text, fmt.Errorf("no %c", closing)
			}
			return fields, "", nil
		}
		if text[0] == closing {
			return fields, text[1:], nil
		}
		f, rest, err := parseField(text)
		if err != nil {
			return nil, rest, err
		}
		fields = append(fields, f)
		text = rest
	}
}

func parseField(text string) (f field, rest string, err error) {
	f.max = 1<<15 - 1
	switch c := text[0]; {
	case c == 's':
		f.kind, rest = fieldString, text[1:]
	case c == 'B':
		f.kind, rest = fieldBytes, text[1:]
	case c == '[':
		f.kind = fieldArray
		f.fields, rest, err = parseShape(text[1:], ']')
	case c == '{':
		f.kind = fieldStructs
		f.fields, rest, err = parseShape(text[1:], '}')
	case strings.HasPrefix(text, "?("):
		f.kind = fieldStruct
		f.fields, rest, err = parseShape(text[2:], ')')
	default:
		rest = strings.TrimLeft(text, "0123456789")
		f.size, err = strconv.Atoi(text[:len(text)-len(rest)])
	}
	if err == nil && strings.HasPrefix(rest, "@") {
		rest, err = parseVersions(&f, rest[1:])
	}
	return f, rest, err
}

func parseVersions(f *field, text string) (rest string, err error) {
	rest = strings.TrimLeft(text, "0123456789")
	low, err := strconv.Atoi(text[:len(text)-len(rest)])
	if err != nil {
		return rest, err
	}
	f.min, f.max = int16(low), int16(low)
	switch {
	case strings.HasPrefix(rest, "+"):
		f.max, rest = 1<<15-1, rest[1:]
	case strings.HasPrefix(rest, "-"):
		text = rest[1:]
		rest = strings.TrimLeft(text, "0123456789")
		high, err := strconv.Atoi(text[:len(text)-len(rest)])
		if err != nil {
			return rest, err
		}
		f.max = int16(high)
	}
	return rest, nil
}

// check walks body, which has to bear its shape, and to have no more than maxTags tagged fields in a structure, and tells how
// many bytes are left behind it. Kafka does not look at those, and librdkafka 2.16 sends three when it asks for all topics
// (Metadata v9 and up, a null array written as four bytes).
func (s *shape) check(body []byte, version int16, flexible bool, maxTags uint64) (left int, err error) {
	w := walk{b: body, version: version, flexible: flexible, maxTags: maxTags}
	w.structure(s.fields)
	if w.failed {
		return 0, fmt.Errorf("%w: %d bytes before its end", errShape, len(w.b))
	}
	return len(w.b), nil
}

// walk is a position in a body. After a failure it stays where it is.
type walk struct {
	b        []byte
	version  int16
	flexible bool
	maxTags  uint64 // of one structure; what has passed its shape is read with checkedTags
	failed   bool
}

// checkedTags is the bound on tagged fields in a body that was checked.
const checkedTags = 1<<64 - 1

func (w *walk) skip(n int) {
	if n < 0 || n > len(w.b) {
		w.failed = true
		return
	}
	w.b = w.b[n:]
}

func (w *walk) uvarint() uint64 {
	v, n := binary.Uvarint(w.b)
	if n <= 0 || v > 1<<32-1 {
		w.failed = true
		return 0
	}
	w.b = w.b[n:]
	return v
}

// length reads a length of the given width in bytes, or a compact one; null is -1.
func (w *walk) length(width int) int {
	if w.flexible {
		return int(w.uvarint()) - 1
	}
	if len(w.b) < width {
		w.failed = true
		return -1
	}
	var n int
	if width == 2 {
		n = int(int16(binary.BigEndian.Uint16(w.b)))
	} else {
		n = int(int32(binary.BigEndian.Uint32(w.b)))
	}
	w.b = w.b[width:]
	if n < -1 {
		w.failed = true
	}
	return n
}

func (w *walk) structure(fields []field) {
	for i := range fields {
		if f := &fields[i]; f.min <= w.version && w.version <= f.max && !w.failed {
			w.field(f)
		}
	}
	if w.flexible && !w.failed {
		w.tags()
	}
}

func (w *walk) field(f *field) {
	switch f.kind {
	case fieldFixed:
		w.skip(f.size)
	case fieldString:
		w.skip(max(w.length(2), 0))
	case fieldBytes:
		w.skip(max(w.length(4), 0))
	case fieldArray:
		for n := w.length(4); n > 0 && !w.failed; n-- {
			w.field(&f.fields[0])
		}
	case fieldStructs:
		for n := w.length(4); n > 0 && !w.failed; n-- {
			w.structure(f.fields)
		}
	case fieldStruct:
		if len(w.b) == 0 {
			w.failed = true
			return
		}
		present := int8(w.b[0]) >= 0
		w.b = w.b[1:]
		if present {
			w.structure(f.fields)
		}
	}
}

func (w *walk) tags() {
	n := w.uvarint()
	if n > w.maxTags {
		w.failed = true
	}
	for ; n > 0 && !w.failed; n-- {
		w.uvarint()
		w.skip(int(w.uvarint()))
	}
}
