package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// Offset is a record's position in a partition.
type Offset int64

// NoOffset stands for "none" where a protocol field has to be filled.
const NoOffset Offset = -1

// LeaderEpoch counts the leaders that a partition has had.
type LeaderEpoch int32

// NoLeaderEpoch stands for "unknown".
const NoLeaderEpoch LeaderEpoch = -1

// ProducerID names an idempotent producer; NoProducerID stands for a producer that is not one.
type ProducerID int64

// NoProducerID is the producer id of a batch without idempotence.
const NoProducerID ProducerID = -1

// HeaderSize is the size in bytes of a batch before its records section.
const HeaderSize = 61

// lengthPrefix is the size of the two fields (base offset, length) that the length field does not count.
const lengthPrefix = 12

const (
	attributesAt = 21
	magicV2      = 2
)

// The attribute bits of a batch.
const (
	attrCodec         = 0x07
	attrLogAppendTime = 0x08
	attrTransactional = 0x10
	attrControl       = 0x20
	attrDeleteHorizon = 0x40
	attrKnown         = attrCodec | attrLogAppendTime | attrTransactional | attrControl | attrDeleteHorizon
)

// Errors of a batch's shape. They are wrapped with the place; test with errors.Is.
var (
	ErrTruncated = errors.New("batch is cut off")                // fewer bytes than the length field says
	ErrLength    = errors.New("batch length is impossible")      // a length that no batch can have
	ErrMagic     = errors.New("batch magic is not 2")            // formats 0 and 1, or garbage
	ErrCRC       = errors.New("batch checksum does not match")   // CRC-32C differs
	ErrInvalid   = errors.New("batch contradicts itself")        // counts, deltas or attributes that cannot be
	ErrTooLarge  = errors.New("records expand beyond the limit") // a decompression bound was met
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Batch is one whole record batch. A Batch made by [Next] has a sound length and magic; nothing else is checked until
// [Batch.CheckCRC] and [Batch.Validate].
type Batch []byte

// Next splits the first batch off b. It returns ErrTruncated if b ends before the batch does, ErrLength or ErrMagic if
// b does not begin with a batch of version 2.
func Next(b []byte) (Batch, []byte, error) {
	size, err := PeekSize(b)
	if err != nil {
		return nil, b, err
	}
	if size > len(b) {
		return nil, b, fmt.Errorf("%w: %d bytes of %d", ErrTruncated, len(b), size)
	}
	return Batch(b[:size:size]), b[size:], nil
}

// PeekSize returns the size in bytes of the batch that b begins with, of which b needs to hold only the first 17 bytes.
func PeekSize(b []byte) (int, error) {
	if len(b) < attributesAt-4 {
		return 0, fmt.Errorf("%w: %d bytes do not hold a header", ErrTruncated, len(b))
	}
	length := int32(binary.BigEndian.Uint32(b[8:]))
	if length < HeaderSize-lengthPrefix {
		return 0, fmt.Errorf("%w: %d", ErrLength, length)
	}
	if b[16] != magicV2 {
		return 0, fmt.Errorf("%w: %d", ErrMagic, int8(b[16]))
	}
	return int(length) + lengthPrefix, nil
}

func (b Batch) BaseOffset() Offset       { return Offset(binary.BigEndian.Uint64(b)) }
func (b Batch) LeaderEpoch() LeaderEpoch { return LeaderEpoch(binary.BigEndian.Uint32(b[12:])) }
func (b Batch) CRC() uint32              { return binary.BigEndian.Uint32(b[17:]) }
func (b Batch) attributes() uint16       { return binary.BigEndian.Uint16(b[attributesAt:]) }
func (b Batch) LastOffsetDelta() int32   { return int32(binary.BigEndian.Uint32(b[23:])) }

// BaseTimestamp is in milliseconds since 1970.
func (b Batch) BaseTimestamp() int64 { return int64(binary.BigEndian.Uint64(b[27:])) }

// MaxTimestamp is in milliseconds since 1970.
func (b Batch) MaxTimestamp() int64    { return int64(binary.BigEndian.Uint64(b[35:])) }
func (b Batch) ProducerID() ProducerID { return ProducerID(binary.BigEndian.Uint64(b[43:])) }
func (b Batch) ProducerEpoch() int16   { return int16(binary.BigEndian.Uint16(b[51:])) }

// BaseSequence is the sequence number of the first record, -1 without a producer id.
func (b Batch) BaseSequence() int32 { return int32(binary.BigEndian.Uint32(b[53:])) }

// NumRecords is what the header says; a compressed batch may hold fewer.
func (b Batch) NumRecords() int32 { return int32(binary.BigEndian.Uint32(b[57:])) }

// LastOffset is the offset of the batch's last record.
func (b Batch) LastOffset() Offset { return b.BaseOffset() + Offset(b.LastOffsetDelta()) }

// NextOffset is the offset that follows the batch.
func (b Batch) NextOffset() Offset { return b.LastOffset() + 1 }

// LastSequence is the sequence number of the last record; sequences wrap from 2^31-1 to 0.
func (b Batch) LastSequence() int32 {
	if b.BaseSequence() < 0 {
		return -1
	}
	return int32((int64(b.BaseSequence()) + int64(b.LastOffsetDelta())) & 0x7fffffff)
}

func (b Batch) Codec() Codec           { return Codec(b.attributes() & attrCodec) }
func (b Batch) IsLogAppendTime() bool  { return b.attributes()&attrLogAppendTime != 0 }
func (b Batch) IsTransactional() bool  { return b.attributes()&attrTransactional != 0 }
func (b Batch) IsControl() bool        { return b.attributes()&attrControl != 0 }
func (b Batch) HasDeleteHorizon() bool { return b.attributes()&attrDeleteHorizon != 0 }
func (b Batch) HasProducerID() bool    { return b.ProducerID() != NoProducerID }
func (b Batch) StoredRecords() []byte  { return b[HeaderSize:] }
func (b Batch) computeCRC() uint32     { return crc32.Checksum(b[attributesAt:], castagnoli) }
func (b Batch) setCRC()                { binary.BigEndian.PutUint32(b[17:], b.computeCRC()) }
func (b Batch) SetBaseOffset(o Offset) { binary.BigEndian.PutUint64(b, uint64(o)) }
func (b Batch) SetLeaderEpoch(e LeaderEpoch) {
	binary.BigEndian.PutUint32(b[12:], uint32(e))
}

// CheckCRC returns ErrCRC if the bytes from the attributes to the end are not those that were checksummed.
func (b Batch) CheckCRC() error {
	if got := b.computeCRC(); got != b.CRC() {
		return fmt.Errorf("%w: stored %08x, computed %08x", ErrCRC, b.CRC(), got)
	}
	return nil
}

// SetLogAppendTime marks the batch as stamped by the broker at ms and renews its checksum. The records inside are not
// touched: a reader takes the batch's max timestamp for all of them.
func (b Batch) SetLogAppendTime(ms int64) {
	binary.BigEndian.PutUint16(b[attributesAt:], b.attributes()|attrLogAppendTime)
	binary.BigEndian.PutUint64(b[35:], uint64(ms))
	b.setCRC()
}

// SetMaxTimestamp corrects the header's max timestamp and renews the checksum.
func (b Batch) SetMaxTimestamp(ms int64) {
	binary.BigEndian.PutUint64(b[35:], uint64(ms))
	b.setCRC()
}

// Repack appends to dst a copy of b whose records, given uncompressed as section, are compressed by c at level (see
// [Compress]); everything else in the header stays, and the checksum is new.
func (b Batch) Repack(dst []byte, section []byte, c Codec, level int) (Batch, error) {
	start := len(dst)
	dst = append(dst, b[:HeaderSize]...)
	dst, err := Compress(dst, c, section, level)
	if err != nil {
		return nil, err
	}
	size := len(dst) - start - lengthPrefix
	if size > math.MaxInt32 {
		return nil, fmt.Errorf("%w: %d bytes", ErrLength, size)
	}
	out := Batch(dst[start:len(dst):len(dst)])
	binary.BigEndian.PutUint32(out[8:], uint32(size))
	binary.BigEndian.PutUint16(out[attributesAt:], out.attributes()&^attrCodec|uint16(c))
	out.setCRC()
	return out, nil
}
