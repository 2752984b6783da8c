package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrEmpty is returned by [Builder.Build] when no record was appended.
var ErrEmpty = errors.New("batch has no records")

// Builder makes one batch of the records that are appended to it: base offset 0, no leader epoch, offset deltas 0, 1, 2, ...
// It may be used again after Reset. The zero Builder is not usable; use [NewBuilder].
type Builder struct {
	start   int    // where the batch begins in buf
	buf     []byte // header and uncompressed records
	packed  []byte // scratch of Build
	codec   Codec
	level   int
	control bool
	txn     bool

	pid      ProducerID
	epoch    int16
	sequence int32

	count                   int32
	baseTimestamp, maxStamp int64
}

// NewBuilder returns a builder that appends its batch to dst, which may be nil.
func NewBuilder(dst []byte) *Builder {
	b := new(Builder)
	b.Reset(dst)
	return b
}

// Reset forgets the records and every setting but the codec, and takes dst as NewBuilder does.
func (b *Builder) Reset(dst []byte) {
	b.start = len(dst)
	b.buf = append(dst, make([]byte, HeaderSize)...)
	b.count, b.baseTimestamp, b.maxStamp = 0, 0, 0
	b.control, b.txn = false, false
	b.pid, b.epoch, b.sequence = NoProducerID, -1, -1
}

// SetProducer makes the batch one of an idempotent producer.
func (b *Builder) SetProducer(pid ProducerID, epoch int16, baseSequence int32) {
	b.pid, b.epoch, b.sequence = pid, epoch, baseSequence
}

// SetCodec chooses the compression, at the codec's default level.
func (b *Builder) SetCodec(c Codec) { b.SetCodecLevel(c, DefaultLevel) }

// SetCodecLevel chooses the compression and its level, as [Compress] understands it.
func (b *Builder) SetCodecLevel(c Codec, level int) { b.codec, b.level = c, level }

// SetTransactional makes the batch part of its producer's open transaction.
func (b *Builder) SetTransactional(on bool) { b.txn = on }

// SetControl makes the batch one of markers, which brokers write.
func (b *Builder) SetControl(on bool) { b.control = on }

// Append adds a record. A nil key or value is null. timestamp is in milliseconds since 1970.
func (b *Builder) Append(timestamp int64, key, value []byte, headers []Header) {
	delta := b.stamp(timestamp)
	b.appendHead(recordSize(delta, b.count, key, value, headers), delta)
	b.buf = appendNullable(b.buf, key)
	b.buf = appendNullable(b.buf, value)
	b.buf = appendVarint(b.buf, int64(len(headers)))
	for _, h := range headers {
		b.buf = appendVarint(b.buf, int64(len(h.Key)))
		b.buf = append(b.buf, h.Key...)
		b.buf = appendNullable(b.buf, h.Value)
	}
	b.count++
}

// AppendStored adds a record of another batch: rest is what [Reader.NextStored] gave. Nothing in it is decoded.
func (b *Builder) AppendStored(timestamp int64, rest []byte) {
	delta := b.stamp(timestamp)
	b.appendHead(1+varintSize(delta)+varintSize(int64(b.count))+len(rest), delta)
	b.buf = append(b.buf, rest...)
	b.count++
}

// stamp takes a record's timestamp and returns its delta.
func (b *Builder) stamp(timestamp int64) int64 {
	if b.count == 0 {
		b.baseTimestamp, b.maxStamp = timestamp, timestamp
	}
	b.maxStamp = max(b.maxStamp, timestamp)
	return timestamp - b.baseTimestamp
}

// appendHead writes what stands before a record's key.
func (b *Builder) appendHead(size int, timestampDelta int64) {
	b.buf = appendVarint(b.buf, int64(size))
	b.buf = append(b.buf, 0)
	b.buf = appendVarint(b.buf, timestampDelta)
	b.buf = appendVarint(b.buf, int64(b.count))
}

// Len is the number of records appended.
func (b *Builder) Len() int { return int(b.count) }

// Size is the size in bytes of the batch so far, before compression.
func (b *Builder) Size() int { return len(b.buf) - b.start }

// Build returns the batch. It is the builder's memory until Reset, and must not be built twice.
func (b *Builder) Build() (Batch, error) {
	if b.count == 0 {
		return nil, ErrEmpty
	}
	if b.codec != CodecNone {
		packed, err := Compress(b.packed[:0], b.codec, b.buf[b.start+HeaderSize:], b.level)
		if err != nil {
			return nil, err
		}
		b.packed = packed
		b.buf = append(b.buf[:b.start+HeaderSize], packed...)
	}
	if b.Size()-lengthPrefix > math.MaxInt32 {
		return nil, fmt.Errorf("%w: %d bytes", ErrLength, b.Size())
	}
	batch := Batch(b.buf[b.start:len(b.buf):len(b.buf)])
	b.writeHeader(batch)
	return batch, nil
}

func (b *Builder) writeHeader(h Batch) {
	attributes := uint16(b.codec)
	if b.txn {
		attributes |= attrTransactional
	}
	if b.control {
		attributes |= attrControl
	}
	be := binary.BigEndian
	h.SetBaseOffset(0)
	be.PutUint32(h[8:], uint32(len(h)-lengthPrefix))
	h.SetLeaderEpoch(NoLeaderEpoch)
	h[16] = magicV2
	be.PutUint16(h[attributesAt:], attributes)
	be.PutUint32(h[23:], uint32(b.count-1))
	be.PutUint64(h[27:], uint64(b.baseTimestamp))
	be.PutUint64(h[35:], uint64(b.maxStamp))
	be.PutUint64(h[43:], uint64(b.pid))
	be.PutUint16(h[51:], uint16(b.epoch))
	be.PutUint32(h[53:], uint32(b.sequence))
	be.PutUint32(h[57:], uint32(b.count))
	h.setCRC()
}

func recordSize(timestampDelta int64, offsetDelta int32, key, value []byte, headers []Header) int {
	n := 1 + varintSize(timestampDelta) + varintSize(int64(offsetDelta)) + nullableSize(key) + nullableSize(value) +
		varintSize(int64(len(headers)))
	for _, h := range headers {
		n += varintSize(int64(len(h.Key))) + len(h.Key) + nullableSize(h.Value)
	}
	return n
}

func nullableSize(b []byte) int {
	if b == nil {
		return 1
	}
	return varintSize(int64(len(b))) + len(b)
}

func appendNullable(dst, b []byte) []byte {
	if b == nil {
		return appendVarint(dst, -1)
	}
	dst = appendVarint(dst, int64(len(b)))
	return append(dst, b...)
}
