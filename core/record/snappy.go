package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/compress/snappy"
)

// Kafka's snappy is the framing of the xerial Java library: a header of 16 bytes, then blocks of a big-endian int32 length
// and as many bytes of plain snappy. Some clients write one plain snappy block without any framing; Kafka reads both.
//
//	 0  8 bytes  0x82 'S' 'N' 'A' 'P' 'P' 'Y' 0
//	 8  int32    version (1)
//	12  int32    oldest version that can read it (1)
//	16           blocks
var xerialHeader = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1}

const (
	xerialMagicSize = 8
	xerialBlockSize = 32 << 10
	// snappyMaxExpansion bounds what a byte of snappy can become: a copy of 64 bytes takes three.
	snappyMaxExpansion = 22
)

func compressSnappy(dst, src []byte) []byte {
	dst = append(dst, xerialHeader...)
	for len(src) > 0 {
		block := src[:min(len(src), xerialBlockSize)]
		src = src[len(block):]
		at := len(dst) + 4
		dst = grow(dst, 4+snappy.MaxEncodedLen(len(block)))
		encoded := snappy.Encode(dst[at:cap(dst)], block)
		dst = dst[:at+len(encoded)]
		binary.BigEndian.PutUint32(dst[at-4:], uint32(len(encoded)))
	}
	return dst
}

func decompressSnappy(dst, src []byte, limit int) ([]byte, error) {
	end := len(dst) + limit
	if !bytes.HasPrefix(src, xerialHeader[:xerialMagicSize]) {
		return appendSnappyBlock(dst, src, end)
	}
	for len(src) > 0 {
		// Streams may be concatenated, each with its header: a block cannot begin with the magic, whose first bit would
		// make its length negative.
		if bytes.HasPrefix(src, xerialHeader[:xerialMagicSize]) {
			if len(src) < len(xerialHeader) {
				return dst, errors.New("xerial header is cut off")
			}
			src = src[len(xerialHeader):]
			continue
		}
		if len(src) < 4 {
			return dst, errors.New("xerial block length is cut off")
		}
		size := int64(int32(binary.BigEndian.Uint32(src)))
		src = src[4:]
		if size < 0 || size > int64(len(src)) {
			return dst, fmt.Errorf("xerial block of %d bytes, %d left", size, len(src))
		}
		var err error
		if dst, err = appendSnappyBlock(dst, src[:size], end); err != nil {
			return dst, err
		}
		src = src[size:]
	}
	return dst, nil
}

// appendSnappyBlock appends one block of plain snappy to dst, which may not become longer than end.
func appendSnappyBlock(dst, block []byte, end int) ([]byte, error) {
	size, err := snappy.DecodedLen(block)
	if err != nil {
		return dst, err
	}
	if size > len(block)*snappyMaxExpansion {
		return dst, fmt.Errorf("snappy block of %d bytes claims to hold %d", len(block), size)
	}
	if size > end-len(dst) {
		return dst, fmt.Errorf("%w: snappy, %d bytes and more", ErrTooLarge, size)
	}
	at := len(dst)
	dst = grow(dst, size)
	if _, err := snappy.Decode(dst[at:at+size], block); err != nil {
		return dst[:at], err
	}
	return dst[:at+size], nil
}
