package group

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/millrun/millrun/core/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The versions of keys, which tell the kinds of records apart, and the versions of values that are written. Older values
// are read too. (https://kafka.apache.org/documentation/#consumerconfigs knows nothing of them: they are defined by
// Kafka's OffsetCommitKey.json, OffsetCommitValue.json, GroupMetadataKey.json and GroupMetadataValue.json.)
const (
	offsetKeyOldest    = 0
	offsetKeyVersion   = 1
	groupKeyVersion    = 2
	offsetValueVersion = 4
	offsetValueExpires = 1 // the only version with an expiry of its own, which clients up to OffsetCommit v4 may ask for
	groupValueVersion  = 3
)

var errRecord = errors.New("group record is malformed")

// CommittedOffset is what a group has committed for one partition.
type CommittedOffset struct {
	Offset      int64
	LeaderEpoch int32 // -1: not told
	Metadata    string
	CommitMs    int64
	ExpireMs    int64 // -1: by the broker's retention
	TopicID     meta.TopicID
}

func appendOffsetKey(dst []byte, group, topic string, partition int32) []byte {
	k := kmsg.OffsetCommitKey{Version: offsetKeyVersion, Group: group, Topic: topic, Partition: partition}
	return k.AppendTo(dst)
}

func appendGroupKey(dst []byte, group string) []byte {
	k := kmsg.GroupMetadataKey{Version: groupKeyVersion, Group: group}
	return k.AppendTo(dst)
}

func appendOffsetValue(dst []byte, o CommittedOffset) []byte {
	v := kmsg.OffsetCommitValue{
		Version: offsetValueVersion, Offset: o.Offset, LeaderEpoch: o.LeaderEpoch, Metadata: o.Metadata,
		CommitTimestamp: o.CommitMs, ExpireTimestamp: o.ExpireMs, TopicID: o.TopicID,
	}
	if o.ExpireMs >= 0 {
		v.Version = offsetValueExpires
	}
	return v.AppendTo(dst)
}

// recordKey is a decoded key; topic and partition belong to offsets only. The fields are views.
type recordKey struct {
	version   int16
	group     []byte
	topic     []byte
	partition int32
}

func (k *recordKey) isOffset() bool { return k.version <= offsetKeyVersion }

// decodeKey reads a key. Of a version that is not known only the version is read.
func decodeKey(b []byte) (recordKey, error) {
	c := cursor{b: b}
	k := recordKey{version: c.int16()}
	switch {
	case c.bad || k.version < offsetKeyOldest:
		return k, fmt.Errorf("%w: key %x", errRecord, clip(b))
	case k.version > groupKeyVersion:
		return k, nil
	case k.isOffset():
		k.group, k.topic, k.partition = c.string(), c.string(), c.int32()
	default:
		k.group = c.string()
	}
	if c.bad || len(c.b) != 0 {
		return k, fmt.Errorf("%w: key %x", errRecord, clip(b))
	}
	return k, nil
}

// decodeOffset reads the value of an offset record, version 0 to 4.
func decodeOffset(b []byte) (CommittedOffset, error) {
	c := cursor{b: b}
	version := c.int16()
	if c.bad || version < 0 || version > offsetValueVersion {
		return CommittedOffset{}, fmt.Errorf("%w: offset value of version %d", errRecord, version)
	}
	o := CommittedOffset{LeaderEpoch: -1, ExpireMs: -1}
	o.Offset = c.int64()
	if version >= 3 {
		o.LeaderEpoch = c.int32()
	}
	if version >= 4 {
		o.Metadata = string(c.compact())
	} else {
		o.Metadata = string(c.string())
	}
	o.CommitMs = c.int64()
	if version == offsetValueExpires {
		o.ExpireMs = c.int64()
	}
	if version >= 4 {
		c.tags(func(tag uint64, value []byte) {
			if tag != 0 {
				return
			}
			if len(value) != len(o.TopicID) {
				c.bad = true
				return
			}
			copy(o.TopicID[:], value)
		})
	}
	if c.bad || len(c.b) != 0 {
		return CommittedOffset{}, fmt.Errorf("%w: offset value %x", errRecord, clip(b))
	}
	return o, nil
}

// groupValue is a decoded group record. Byte slices in it are views.
type groupValue struct {
	protocolType     string
	generation       int32
	protocol, leader *string
	sinceMs          int64
	members          []memberValue
}

type memberValue struct {
	id                       string
	instance                 *string
	clientID, clientHost     string
	rebalanceMs, sessionMs   int32
	subscription, assignment []byte
}

// memberValueMin is the least that one member takes in a group record.
const memberValueMin = 2 + 2 + 2 + 4 + 4 + 4

// decodeGroup reads the value of a group record, version 0 to 3.
func decodeGroup(b []byte) (groupValue, error) {
	c := cursor{b: b}
	version := c.int16()
	if c.bad || version < 0 || version > groupValueVersion {
		return groupValue{}, fmt.Errorf("%w: group value of version %d", errRecord, version)
	}
	v := groupValue{protocolType: string(c.string()), generation: c.int32(), sinceMs: -1}
	v.protocol, v.leader = c.nullable(), c.nullable()
	if version >= 2 {
		v.sinceMs = c.int64()
	}
	n := int(c.int32())
	if c.bad || n < 0 || n > len(c.b)/memberValueMin {
		return groupValue{}, fmt.Errorf("%w: group value with %d members", errRecord, n)
	}
	v.members = make([]memberValue, n)
	for i := range v.members {
		v.members[i].decode(&c, version)
	}
	if c.bad || len(c.b) != 0 {
		return groupValue{}, fmt.Errorf("%w: group value %x", errRecord, clip(b))
	}
	return v, nil
}

func (m *memberValue) decode(c *cursor, version int16) {
	m.id = string(c.string())
	if version >= 3 {
		m.instance = c.nullable()
	}
	m.clientID, m.clientHost = string(c.string()), string(c.string())
	m.rebalanceMs = -1
	if version >= 1 {
		m.rebalanceMs = c.int32()
	}
	m.sessionMs = c.int32()
	if m.rebalanceMs < 0 {
		m.rebalanceMs = m.sessionMs
	}
	m.subscription, m.assignment = c.bytes(), c.bytes()
}

// clip shortens bytes for an error message.
func clip(b []byte) []byte { return b[:min(len(b), 32)] }

// cursor reads fields off b. After the first that does not fit, bad is set and all others are zero.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.b, c.bad = nil, true
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

func (c *cursor) int16() int16 {
	if v := c.take(2); v != nil {
		return int16(binary.BigEndian.Uint16(v))
	}
	return 0
}

func (c *cursor) int32() int32 {
	if v := c.take(4); v != nil {
		return int32(binary.BigEndian.Uint32(v))
	}
	return 0
}

func (c *cursor) int64() int64 {
	if v := c.take(8); v != nil {
		return int64(binary.BigEndian.Uint64(v))
	}
	return 0
}

func (c *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.b, c.bad = nil, true
		return 0
	}
	c.b = c.b[n:]
	return v
}

func (c *cursor) string() []byte { return c.take(int(c.int16())) }
func (c *cursor) bytes() []byte  { return c.take(int(c.int32())) }

// compact reads a string of a flexible version: its length plus one, as an unsigned varint.
func (c *cursor) compact() []byte {
	n := c.uvarint()
	if n > uint64(len(c.b))+1 {
		n = 0
	}
	return c.take(int(n) - 1)
}

func (c *cursor) nullable() *string {
	n := c.int16()
	if n == -1 {
		return nil
	}
	s := string(c.take(int(n)))
	return &s
}

// tags reads a section of tagged fields.
func (c *cursor) tags(field func(tag uint64, value []byte)) {
	for n := c.uvarint(); n > 0 && !c.bad; n-- {
		tag, size := c.uvarint(), c.uvarint()
		if size > uint64(len(c.b)) {
			c.bad = true
			return
		}
		field(tag, c.take(int(size)))
	}
}
