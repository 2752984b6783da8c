package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// TopicConfig is what a topic's settings mean. It is a value: a change of settings makes another.
type TopicConfig struct {
	Compact, Delete bool   // cleanup.policy; neither keeps everything
	CompressionType string // producer, uncompressed, gzip, snappy, lz4, zstd
	GzipLevel       int
	LZ4Level        int
	ZstdLevel       int
	LogAppendTime   bool // message.timestamp.type

	SegmentBytes       int64 // internal.segment.bytes if that is set
	SegmentMs          int64
	SegmentJitterMs    int64
	SegmentIndexBytes  int64
	IndexIntervalBytes int64
	Preallocate        bool

	RetentionMs       int64 // -1: for ever
	RetentionBytes    int64 // -1: without a limit
	FileDeleteDelayMs int64
	FlushMessages     int64 // math.MaxInt64: never
	FlushMs           int64 // math.MaxInt64: never

	MaxMessageBytes        int64
	TimestampBeforeMaxMs   int64
	TimestampAfterMaxMs    int64
	MinInsyncReplicas      int
	UncleanLeaderElection  bool
	DeleteRetentionMs      int64
	MinCompactionLagMs     int64
	MaxCompactionLagMs     int64
	MinCleanableDirtyRatio float64
}

// TopicSettings returns what a topic's own settings mean on a broker with settings s. The settings must have been
// checked; one that is unknown or does not parse is passed over, as if it were not there.
func TopicSettings(s *BrokerSettings, overrides map[string]string) TopicConfig {
	c := s.topics
	for name, text := range overrides {
		if v, ok := parseTopic(name, text); ok {
			c.set(name, v)
		}
	}
	if v, ok := parseTopic(internalSegmentBytes, overrides[internalSegmentBytes]); ok {
		c.SegmentBytes = v.n // wins over segment.bytes
	}
	return c
}

const internalSegmentBytes = "internal.segment.bytes"

func parseTopic(name, text string) (value, bool) {
	d, ok := TopicDef(name)
	if !ok {
		return value{}, false
	}
	v, err := parse(d, text)
	return v, err == nil
}

// topicDefaults is the TopicConfig of a topic without settings of its own.
func (s *BrokerSettings) topicDefaults() TopicConfig {
	var c TopicConfig
	for i := range Topic {
		d := &Topic[i]
		if d.Nil {
			continue
		}
		c.set(d.Name, s.topicDefault(d))
	}
	return c
}

// topicDefault is the value of a topic's setting where the topic has none.
func (s *BrokerSettings) topicDefault(d *Def) value {
	number := func(n int64) value { return value{n: n, text: strconv.FormatInt(n, 10)} }
	switch d.Name {
	case "retention.ms":
		return number(s.retentionMs())
	case "segment.ms":
		return number(s.rollMs())
	case "segment.jitter.ms":
		return number(s.rollJitterMs())
	case "flush.ms":
		return number(s.flushMs())
	}
	if d.Synonym != "" {
		return s.settings[d.Synonym].value
	}
	v, err := parse(d, d.Default)
	if err != nil {
		panic("config: the default of " + d.Name + ": " + err.Error())
	}
	return v
}

func (c *TopicConfig) set(name string, v value) {
	if numbers := c.number(name); numbers != nil {
		*numbers = v.n
		return
	}
	switch name {
	case "cleanup.policy":
		c.Compact, c.Delete = false, false
		for _, policy := range v.list {
			c.Compact = c.Compact || policy == "compact"
			c.Delete = c.Delete || policy == "delete"
		}
	case "compression.type":
		c.CompressionType = v.text
	case "compression.gzip.level":
		c.GzipLevel = int(v.n)
	case "compression.lz4.level":
		c.LZ4Level = int(v.n)
	case "compression.zstd.level":
		c.ZstdLevel = int(v.n)
	case "message.timestamp.type":
		c.LogAppendTime = v.text == "LogAppendTime"
	case "preallocate":
		c.Preallocate = v.b
	case "min.insync.replicas":
		c.MinInsyncReplicas = int(v.n)
	case "unclean.leader.election.enable":
		c.UncleanLeaderElection = v.b
	case "min.cleanable.dirty.ratio":
		c.MinCleanableDirtyRatio = v.f
	}
}

// number is the field of a setting that is a plain int64.
func (c *TopicConfig) number(name string) *int64 {
	switch name {
	case "segment.bytes":
		return &c.SegmentBytes
	case "segment.ms":
		return &c.SegmentMs
	case "segment.jitter.ms":
		return &c.SegmentJitterMs
	case "segment.index.bytes":
		return &c.SegmentIndexBytes
	case "index.interval.bytes":
		return &c.IndexIntervalBytes
	case "retention.ms":
		return &c.RetentionMs
	case "retention.bytes":
		return &c.RetentionBytes
	case "file.delete.delay.ms":
		return &c.FileDeleteDelayMs
	case "flush.messages":
		return &c.FlushMessages
	case "flush.ms":
		return &c.FlushMs
	case "max.message.bytes":
		return &c.MaxMessageBytes
	case "message.timestamp.before.max.ms":
		return &c.TimestampBeforeMaxMs
	case "message.timestamp.after.max.ms":
		return &c.TimestampAfterMaxMs
	case "delete.retention.ms":
		return &c.DeleteRetentionMs
	case "min.compaction.lag.ms":
		return &c.MinCompactionLagMs
	case "max.compaction.lag.ms":
		return &c.MaxCompactionLagMs
	}
	return nil
}

// CheckTopicSet tells whether a topic may have all of these settings, each and together.
func CheckTopicSet(s *BrokerSettings, overrides map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(overrides)) {
		if err := CheckTopic(name, overrides[name]); err != nil {
			return err
		}
	}
	if v, ok := parseTopic("remote.storage.enable", overrides["remote.storage.enable"]); ok && v.b {
		return &ConflictError{"Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."}
	}
	c := TopicSettings(s, overrides)
	if c.MinCompactionLagMs > c.MaxCompactionLagMs {
		return &ConflictError{fmt.Sprintf("conflict topic config setting min.compaction.lag.ms (%d) > max.compaction.lag.ms (%d)",
			c.MinCompactionLagMs, c.MaxCompactionLagMs)}
	}
	return nil
}

// ConflictError is a setting whose value is well-formed, but which the broker or another setting does not allow.
type ConflictError struct{ Why string }

func (e *ConflictError) Error() string { return e.Why }
func (e *ConflictError) Unwrap() error { return ErrInvalid }
