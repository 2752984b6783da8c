package meta

import (
	"encoding/base64"
	"fmt"
)

// NodeID names a broker.
type NodeID int32

const (
	// NoNode stands for "no broker", as the leader of a partition that has none.
	NoNode NodeID = -1
	// ClusterDefault is the key of the broker settings that hold for every broker.
	ClusterDefault NodeID = -1
)

// TopicID is a topic's identity for as long as it lives: a topic created again under the same name has another.
// The zero TopicID is no topic.
type TopicID [16]byte

// NewTopicID makes a topic id of random bytes, in the form of a version 4 UUID. As Kafka's, its text never begins
// with a dash, so that it can be given on a command line.
func NewTopicID(random [16]byte) TopicID {
	id := TopicID(random)
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	if id[0]>>2 == 62 { // the base64 digit '-'
		id[0] ^= 0x80
	}
	return id
}

// ParseTopicID reads what String wrote.
func ParseTopicID(s string) (TopicID, error) {
	var id TopicID
	if len(s) != 22 {
		return id, fmt.Errorf("topic id %q: not 22 characters", s)
	}
	if _, err := base64.RawURLEncoding.Strict().Decode(id[:], []byte(s)); err != nil {
		return TopicID{}, fmt.Errorf("topic id %q: %w", s, err)
	}
	return id, nil
}

// String is the id as Kafka writes it: URL-safe base64 without padding.
func (id TopicID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// IsZero tells whether the id names no topic.
func (id TopicID) IsZero() bool { return id == TopicID{} }
