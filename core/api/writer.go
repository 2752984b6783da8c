package api

import (
	"encoding/binary"

	"github.com/millrun/millrun/core/meta"
)

// The writing counterpart of walk, for the keys that encode their own responses.

func appendLength(dst []byte, n int, width int, flexible bool) []byte {
	switch {
	case flexible:
		return binary.AppendUvarint(dst, uint64(n+1))
	case width == 2:
		return binary.BigEndian.AppendUint16(dst, uint16(n))
	}
	return binary.BigEndian.AppendUint32(dst, uint32(n))
}

// appendCount begins an array; -1 is null.
func appendCount(dst []byte, n int, flexible bool) []byte { return appendLength(dst, n, 4, flexible) }

func appendText[T string | []byte](dst []byte, s T, flexible bool) []byte {
	return append(appendLength(dst, len(s), 2, flexible), s...)
}

// appendNullText appends a nullable string.
func appendNullText(dst []byte, s *string, flexible bool) []byte {
	if s == nil {
		return appendLength(dst, -1, 2, flexible)
	}
	return appendText(dst, *s, flexible)
}

func appendInt16(dst []byte, v int16) []byte { return binary.BigEndian.AppendUint16(dst, uint16(v)) }
func appendInt32(dst []byte, v int32) []byte { return binary.BigEndian.AppendUint32(dst, uint32(v)) }
func appendInt64(dst []byte, v int64) []byte { return binary.BigEndian.AppendUint64(dst, uint64(v)) }

// appendNoTags ends a structure that has no tagged fields.
func appendNoTags(dst []byte, flexible bool) []byte {
	if flexible {
		return append(dst, 0)
	}
	return dst
}

// currentLeader is the tagged field of Produce and Fetch that tells a client who leads instead (KIP-951).
type currentLeader struct {
	node  meta.NodeID
	epoch int32
}

// appendTo appends the field under its tag.
func (l currentLeader) appendTo(dst []byte, tag byte) []byte {
	dst = append(dst, tag, 9)
	dst = appendInt32(dst, int32(l.node))
	dst = appendInt32(dst, l.epoch)
	return append(dst, 0)
}

// endpoint is a broker as the tagged field NodeEndpoints lists it.
type endpoint struct {
	node meta.NodeID
	host string
	port int32
	rack *string
}

// appendEndpoints appends the tagged field NodeEndpoints, and the number of tagged fields before it, to end a response.
func appendEndpoints(dst []byte, list []endpoint) []byte {
	if len(list) == 0 {
		return append(dst, 0)
	}
	body := appendCount(nil, len(list), true)
	for _, e := range list {
		body = appendInt32(body, int32(e.node))
		body = appendText(body, e.host, true)
		body = appendInt32(body, e.port)
		body = appendNullText(body, e.rack, true)
		body = append(body, 0)
	}
	dst = append(dst, 1, 0)
	dst = binary.AppendUvarint(dst, uint64(len(body)))
	return append(dst, body...)
}
