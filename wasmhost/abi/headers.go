package abi

import "encoding/binary"

// Header is one header of a record. A nil value is null.
type Header struct {
	Key   string
	Value []byte
}

// HeaderLike is any type with Header's shape, so that the broker's own records
// can be appended without a copy of their headers.
type HeaderLike interface {
	~struct {
		Key   string
		Value []byte
	}
}

// Headers is an encoded block of headers that has been checked, or empty. It is a
// view of the bytes it was read from.
type Headers []byte

// Len is the number of headers.
func (h Headers) Len() int {
	if len(h) == 0 {
		return 0
	}
	return int(binary.LittleEndian.Uint32(h))
}

// All calls yield with each header's key and value (nil: null), views of the
// block, until it returns false. It is an iter.Seq2.
func (h Headers) All(yield func(key, value []byte) bool) {
	le := binary.LittleEndian
	n := h.Len()
	for p := h[min(4, len(h)):]; n > 0; n-- {
		keyLen := le.Uint32(p)
		key := p[4 : 4+keyLen : 4+keyLen]
		p = p[4+keyLen:]
		valueLen := int32(le.Uint32(p))
		p = p[4:]
		var value []byte
		if valueLen >= 0 {
			value = p[:valueLen:valueLen]
			p = p[valueLen:]
		}
		if !yield(key, value) {
			return
		}
	}
}

// checkHeaders reports whether p is exactly one block of headers.
func checkHeaders(p []byte) bool {
	le := binary.LittleEndian
	if len(p) < 4 {
		return false
	}
	n := le.Uint32(p)
	p = p[4:]
	for ; n > 0; n-- {
		if len(p) < 4 {
			return false
		}
		keyLen := uint64(le.Uint32(p))
		if uint64(len(p)) < 4+keyLen+4 {
			return false
		}
		p = p[4+keyLen:]
		valueLen := int64(int32(le.Uint32(p)))
		p = p[4:]
		if valueLen == lenNull {
			continue
		}
		if valueLen < 0 || valueLen > int64(len(p)) {
			return false
		}
		p = p[valueLen:]
	}
	return len(p) == 0
}

func appendHeaders[H HeaderLike](dst []byte, headers []H) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, uint32(len(headers)))
	for i := range headers {
		h := Header(headers[i])
		dst = le.AppendUint32(dst, uint32(len(h.Key)))
		dst = append(dst, h.Key...)
		dst = le.AppendUint32(dst, uint32(fieldLen(h.Value)))
		dst = append(dst, h.Value...)
	}
	return dst
}
