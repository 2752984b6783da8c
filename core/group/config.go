package group

import "errors"

// Config is what a shard is made with, by Kafka's settings. It is immutable.
type Config struct {
	MinSessionTimeoutMs     int32 // group.min.session.timeout.ms
	MaxSessionTimeoutMs     int32 // group.max.session.timeout.ms
	InitialRebalanceDelayMs int32 // group.initial.rebalance.delay.ms
	MaxSize                 int   // group.max.size
	OffsetMetadataMaxBytes  int   // offset.metadata.max.bytes
	OffsetsRetentionMs      int64 // offsets.retention.minutes
	RetentionCheckMs        int64 // offsets.retention.check.interval.ms
	MaxRecordBytes          int   // the largest record that the partition takes: its key and its value
}

// The limits that are not settings.
const (
	// newMemberJoinTimeoutMs is how long a member that has never had an answer may wait in a join: its client may have
	// gone, and cannot be told from one that waits.
	newMemberJoinTimeoutMs = 5 * 60 * 1000
	// maxNameBytes bounds the names that clients choose (groups, instances, protocols): a record counts them in 15 bits.
	maxNameBytes = 16 << 10
	// maxClientIDBytes is how much of a client id goes into a member's id, and into its record.
	maxClientIDBytes = 1 << 10
	// maxRetentionMs bounds the retention that a client may ask for its offsets.
	maxRetentionMs = 1 << 53
	// scratchBytes is how much memory for encoding a shard keeps between decisions.
	scratchBytes = 64 << 10
	// consumerProtocol is the protocol type whose metadata the broker understands.
	consumerProtocol = "consumer"
)

func (c Config) check() error {
	switch {
	case c.MinSessionTimeoutMs < 1 || c.MaxSessionTimeoutMs < c.MinSessionTimeoutMs:
		return errors.New("group: session timeouts must satisfy 1 <= min <= max")
	case c.InitialRebalanceDelayMs < 0:
		return errors.New("group: InitialRebalanceDelayMs must not be negative")
	case c.MaxSize < 1:
		return errors.New("group: MaxSize must be at least 1")
	case c.OffsetMetadataMaxBytes < 0:
		return errors.New("group: OffsetMetadataMaxBytes must not be negative")
	case c.OffsetsRetentionMs < 1 || c.RetentionCheckMs < 1:
		return errors.New("group: OffsetsRetentionMs and RetentionCheckMs must be positive")
	case c.MaxRecordBytes < 1:
		return errors.New("group: MaxRecordBytes must be positive")
	}
	return nil
}
