package server

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Errors of framing. They end the connection.
var (
	errHeader   = errors.New("request header is malformed")
	errTooLarge = errors.New("frame exceeds its limit")
	errUnserved = errors.New("request is of a key or version that is not served")
)

// fixedHeader is key, version and correlation id: what every request header begins with.
const fixedHeader = 8

// parseHeader fills r from a whole frame: key int16, version int16, correlation id int32, client id (nullable string of at most
// 32767 bytes) and, for flexible versions, tagged fields, which are skipped.
func parseHeader(r *Request, frame []byte, shape Shape, maxTags int) error {
	if len(frame) < fixedHeader {
		return fmt.Errorf("%w: %d bytes", errHeader, len(frame))
	}
	r.Key = int16(binary.BigEndian.Uint16(frame))
	r.Version = int16(binary.BigEndian.Uint16(frame[2:]))
	r.CorrelationID = int32(binary.BigEndian.Uint32(frame[4:]))
	r.Flexible = shape.Flexible
	rest := frame[fixedHeader:]
	if shape.Opaque {
		r.ClientIDNull = true
		return nil
	}
	if len(rest) < 2 {
		return fmt.Errorf("%w: no client id", errHeader)
	}
	n := int16(binary.BigEndian.Uint16(rest))
	rest = rest[2:]
	switch {
	case n == -1:
		r.ClientIDNull = true
	case n < 0 || int(n) > len(rest):
		return fmt.Errorf("%w: client id of %d bytes, %d left", errHeader, n, len(rest))
	default:
		r.ClientID = r.Conn.internClientID(rest[:n])
		rest = rest[n:]
	}
	if shape.Flexible {
		var err error
		if rest, err = skipTags(rest, maxTags); err != nil {
			return err
		}
	}
	r.Body = rest
	return nil
}

// skipTags returns what follows the tagged fields that b begins with: a count, then for each a tag, a size and the bytes.
func skipTags(b []byte, maxTags int) ([]byte, error) {
	count, n := binary.Uvarint(b)
	if n <= 0 || count > uint64(maxTags) || count > uint64(len(b)) {
		return nil, fmt.Errorf("%w: %d tagged fields", errHeader, count)
	}
	b = b[n:]
	for range count {
		_, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, fmt.Errorf("%w: tagged fields are cut off", errHeader)
		}
		b = b[n:]
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return nil, fmt.Errorf("%w: tagged field of %d bytes, %d left", errHeader, size, len(b))
		}
		b = b[n+int(size):]
	}
	return b, nil
}
