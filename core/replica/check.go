package replica

import (
	"errors"
	"fmt"

	"github.com/millrun/millrun/core/config"
	"github.com/millrun/millrun/core/record"
)

const (
	// maxUncompressed bounds what a compressed batch may expand to where the topic makes us look inside.
	maxUncompressed = 128 << 20
	// maxRecordErrors bounds how many records of a refused batch are named.
	maxRecordErrors = 1000
	// noTimestamp is the timestamp of a record that has none; no limit applies to it.
	noTimestamp = -1
)

// Origin says who appends a batch. Only clients are mistrusted.
type Origin int8

// The origins.
const (
	FromClient      Origin = iota
	FromCoordinator        // a state machine of this broker, over its internal topic
	FromTransform          // a Wasm consumer of this broker
)

// OneBatch takes a client's records field as the one batch of version 2 that it must be.
func OneBatch(records []byte) (record.Batch, error) {
	if len(records) == 0 {
		return nil, fmt.Errorf("%w: no records", ErrInvalidRecord)
	}
	b, rest, err := record.Next(records)
	switch {
	case errors.Is(err, record.ErrMagic):
		return nil, fmt.Errorf("%w: %w", ErrInvalidRecord, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	case len(rest) != 0:
		return nil, fmt.Errorf("%w: %d bytes behind the one batch that a request may hold for a partition", ErrInvalidRecord, len(rest))
	}
	return b, nil
}

// admission is the outcome of checking a batch against a topic's settings.
type admission struct {
	batch    record.Batch // what to append: the batch that came, or one packed anew
	contents record.Contents
}

// admit checks everything about a batch that does not depend on the partition's state, and does to it what the topic asks
// for. It reads and changes nothing but b, and may be called by many at once.
func admit(b record.Batch, c *config.TopicConfig, origin Origin, nowMs int64) (record.Batch, error) {
	if err := checkSize(b, c); err != nil {
		return nil, err
	}
	if err := b.CheckCRC(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	contents, err := b.Check()
	if err != nil {
		return nil, refuse(err)
	}
	if origin == FromClient {
		if err := checkClient(b, c); err != nil {
			return nil, err
		}
	}
	a := admission{batch: b, contents: contents}
	if err := a.open(c); err != nil {
		return nil, err
	}
	if origin == FromClient && !c.LogAppendTime {
		if err := a.checkTimestamps(c, nowMs); err != nil {
			return nil, err
		}
	}
	if a.contents.Known && a.contents.MaxTimestamp != a.batch.MaxTimestamp() && !c.LogAppendTime {
		a.batch.SetMaxTimestamp(a.contents.MaxTimestamp) // the time index believes it
	}
	return a.batch, nil
}

func checkSize(b record.Batch, c *config.TopicConfig) error {
	if int64(len(b)) > c.MaxMessageBytes {
		return fmt.Errorf("%w: %d bytes, max.message.bytes is %d", ErrMessageTooLarge, len(b), c.MaxMessageBytes)
	}
	if int64(len(b)) > c.SegmentBytes {
		return fmt.Errorf("%w: %d bytes, segment.bytes is %d", ErrRecordListTooLarge, len(b), c.SegmentBytes)
	}
	return nil
}

// refuse gives an error of package record the partition's meaning.
func refuse(err error) error {
	switch {
	case errors.Is(err, record.ErrCodec):
		return fmt.Errorf("%w: %w", ErrUnsupportedCodec, err)
	case errors.Is(err, record.ErrTooLarge):
		return fmt.Errorf("%w: %w", ErrMessageTooLarge, err)
	case errors.Is(err, record.ErrCompressed), errors.Is(err, record.ErrTruncated):
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return fmt.Errorf("%w: %w", ErrInvalidRecord, err)
}

func checkClient(b record.Batch, c *config.TopicConfig) error {
	switch {
	case b.IsControl():
		return fmt.Errorf("%w: clients may not write control records", ErrInvalidRecord)
	case b.IsTransactional():
		return fmt.Errorf("%w: producer %d", ErrInvalidTxnState, b.ProducerID())
	case b.IsLogAppendTime() && !c.LogAppendTime:
		return fmt.Errorf("%w: only the broker sets log append time", ErrInvalidTimestamp)
	}
	return nil
}

// open looks inside of the batch where the topic needs that: a compacted one refuses records without a key, and one with a
// codec of its own has others packed anew.
func (a *admission) open(c *config.TopicConfig) error {
	target, level := storedCodec(c, a.batch.Codec())
	repack := target != a.batch.Codec()
	if !repack && (!c.Compact || a.batch.IsControl()) {
		return nil
	}
	section, err := a.batch.Records(nil, maxUncompressed)
	if err != nil {
		return refuse(err)
	}
	if !a.contents.Known {
		if a.contents, err = a.batch.ScanRecords(section); err != nil {
			return refuse(err)
		}
	}
	if c.Compact && !a.batch.IsControl() && a.contents.Keyless >= 0 {
		return a.keyless(section)
	}
	if !repack {
		return nil
	}
	if a.batch, err = a.batch.Repack(nil, section, target, level); err != nil {
		return refuse(err)
	}
	return checkSize(a.batch, c)
}

// storedCodec is what the topic stores a batch with that came with codec c, and the level of that.
func storedCodec(t *config.TopicConfig, c record.Codec) (record.Codec, int) {
	switch t.CompressionType {
	case "uncompressed":
		return record.CodecNone, 0
	case "gzip":
		return record.CodecGzip, t.GzipLevel
	case "snappy":
		return record.CodecSnappy, 0
	case "lz4":
		return record.CodecLZ4, t.LZ4Level
	case "zstd":
		return record.CodecZstd, t.ZstdLevel
	}
	return c, 0
}

func (a *admission) keyless(section []byte) error {
	return a.recordErrors(section, ErrInvalidRecord, func(rec *record.Record) string {
		if rec.Key != nil {
			return ""
		}
		return "a compacted topic cannot accept a record without a key"
	})
}

// recordErrors names the records of section with which wrong finds fault; it returns nil if there is none.
func (a *admission) recordErrors(section []byte, cause error, wrong func(*record.Record) string) error {
	e := &RecordsError{Cause: cause}
	r := record.NewReader(section, int(a.batch.NumRecords()))
	var rec record.Record
	for len(e.Records) < maxRecordErrors {
		ok, err := r.Next(&rec)
		if err != nil {
			return refuse(err)
		}
		if !ok {
			break
		}
		if why := wrong(&rec); why != "" {
			e.Records = append(e.Records, RecordError{Index: rec.OffsetDelta, Why: why})
		}
	}
	if len(e.Records) == 0 {
		return nil
	}
	return e
}

// checkTimestamps holds the records' timestamps against the topic's limits; those of a compressed batch by its header.
func (a *admission) checkTimestamps(c *config.TopicConfig, nowMs int64) error {
	oldest, newest := a.batch.BaseTimestamp(), a.batch.MaxTimestamp()
	if a.contents.Known {
		oldest, newest = a.contents.MinTimestamp, a.contents.MaxTimestamp
	}
	outside := func(ts int64) bool { // written so that no timestamp overflows it
		return ts != noTimestamp && (ts < nowMs-c.TimestampBeforeMaxMs || ts > nowMs && ts-nowMs > c.TimestampAfterMaxMs)
	}
	// Records without a timestamp hide how old the oldest of the others is.
	if !outside(oldest) && !outside(newest) && (oldest != noTimestamp || newest == noTimestamp) {
		return nil
	}
	why := func(ts int64) string {
		return fmt.Sprintf("timestamp %d is not within %d ms before and %d ms after the broker's %d",
			ts, c.TimestampBeforeMaxMs, c.TimestampAfterMaxMs, nowMs)
	}
	if !a.contents.Known || a.batch.Codec() != record.CodecNone {
		switch {
		case outside(oldest):
			return &RecordsError{Cause: ErrInvalidTimestamp, Records: []RecordError{{Why: why(oldest)}}}
		case outside(newest):
			return &RecordsError{Cause: ErrInvalidTimestamp, Records: []RecordError{{Why: why(newest)}}}
		}
		return nil
	}
	base := a.batch.BaseTimestamp()
	return a.recordErrors(a.batch.StoredRecords(), ErrInvalidTimestamp, func(rec *record.Record) string {
		if ts := base + rec.TimestampDelta; outside(ts) {
			return why(ts)
		}
		return ""
	})
}
