package abi

import (
	"encoding/binary"
	"errors"
	"math"
)

// Call says where the records of one call come from: the topic and partition, and
// the bases that their offsets (and in a raw section their timestamps) are deltas of.
type Call struct {
	Topic         string
	Partition     int32
	BaseOffset    int64
	BaseTimestamp int64 // ms; also the guest's clock during the call
}

const contextHead = 26

// ErrContext is returned for bytes that are no context.
var ErrContext = errors.New("malformed context")

// ContextSize is the size of c's encoding.
func (c Call) ContextSize() int { return contextHead + len(c.topic()) }

// topic is the name as far as its length field can say; Kafka allows 249 bytes.
func (c Call) topic() string {
	if len(c.Topic) > math.MaxUint16 {
		return c.Topic[:math.MaxUint16]
	}
	return c.Topic
}

// AppendContext appends what millrun.context writes.
func (c Call) AppendContext(dst []byte) []byte {
	le := binary.LittleEndian
	topic := c.topic()
	dst = le.AppendUint32(dst, uint32(contextHead+len(topic)))
	dst = le.AppendUint32(dst, uint32(c.Partition))
	dst = le.AppendUint64(dst, uint64(c.BaseOffset))
	dst = le.AppendUint64(dst, uint64(c.BaseTimestamp))
	dst = le.AppendUint16(dst, uint16(len(topic)))
	return append(dst, topic...)
}

// ParseContext reads a context as a guest does. Bytes after the topic that size
// covers are fields of a later version and are skipped.
func ParseContext(p []byte) (Call, error) {
	le := binary.LittleEndian
	if len(p) < contextHead {
		return Call{}, ErrContext
	}
	size, topicLen := uint64(le.Uint32(p)), uint64(le.Uint16(p[24:]))
	if size > uint64(len(p)) || contextHead+topicLen > size {
		return Call{}, ErrContext
	}
	return Call{
		Partition:     int32(le.Uint32(p[4:])),
		BaseOffset:    int64(le.Uint64(p[8:])),
		BaseTimestamp: int64(le.Uint64(p[16:])),
		Topic:         string(p[contextHead : contextHead+topicLen]),
	}, nil
}
