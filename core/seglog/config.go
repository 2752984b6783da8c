package seglog

import (
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/millrun/millrun/core/record"
)

// maxRelative is the largest offset that an index entry can hold, relative to its segment's base.
const maxRelative = math.MaxInt32

// Config is what a topic's settings say about its logs. It may be changed while the log is open.
type Config struct {
	SegmentBytes       int64 // segment.bytes: a batch that would pass it goes to a new segment
	SegmentMs          int64 // segment.ms: a batch this much younger than the segment's first goes to a new segment
	SegmentJitterMs    int64 // segment.jitter.ms: at most this is taken off SegmentMs, by chance for each segment
	IndexBytes         int64 // segment.index.bytes
	IndexIntervalBytes int64 // index.interval.bytes
	RetentionMs        int64 // retention.ms; negative: for ever, which is also what a compact-only topic wants
	RetentionBytes     int64 // retention.bytes; negative: no bound
	FileDeleteDelayMs  int64 // file.delete.delay.ms
	// Gaps says that offsets may be missing between batches, as compaction leaves them (a follower's too). Without it a
	// batch that leaves one out is refused, and one on disk is damage.
	Gaps bool
}

// DefaultConfig has Kafka's defaults.
func DefaultConfig() Config {
	return Config{
		SegmentBytes: 1 << 30, SegmentMs: 7 * 24 * 3600 * 1000, IndexBytes: 10 << 20, IndexIntervalBytes: 4096,
		RetentionMs: 7 * 24 * 3600 * 1000, RetentionBytes: -1, FileDeleteDelayMs: 60_000,
	}
}

func (c Config) check() error {
	switch {
	case c.SegmentBytes < record.HeaderSize || c.SegmentBytes > math.MaxInt32:
		return fmt.Errorf("seglog: segment.bytes %d is not within %d and %d", c.SegmentBytes, record.HeaderSize, math.MaxInt32)
	case c.SegmentMs < 1:
		return fmt.Errorf("seglog: segment.ms %d is not positive", c.SegmentMs)
	case c.SegmentJitterMs < 0:
		return fmt.Errorf("seglog: segment.jitter.ms %d is negative", c.SegmentJitterMs)
	case c.IndexBytes < 2*timeEntrySize:
		return fmt.Errorf("seglog: segment.index.bytes %d is too small", c.IndexBytes)
	case c.IndexIntervalBytes < 0:
		return fmt.Errorf("seglog: index.interval.bytes %d is negative", c.IndexIntervalBytes)
	case c.FileDeleteDelayMs < 0:
		return fmt.Errorf("seglog: file.delete.delay.ms %d is negative", c.FileDeleteDelayMs)
	}
	return nil
}

// Options say where a log is and what is known of it.
type Options struct {
	FS  FS // nil: OS()
	Dir string
	// Clean is what Close returned at the last stop, if that was a clean one and nothing has touched the log since. Nil
	// makes Open recover: scan past the recovery point, and cut a torn tail.
	Clean *CloseMark
	// RecoveryPoint is the offset up to which the log was flushed, from the last checkpoint. It must be lowered durably
	// before Truncate is called with less.
	RecoveryPoint record.Offset
	// LogStart is the log start offset from the last checkpoint, 0 if unknown.
	LogStart record.Offset
	// Epochs are the leader epochs from leader-epoch-checkpoint, by which batches found on disk are judged. Nil: not
	// judged. Give them only if the file is made durable before the first append in a new epoch.
	Epochs []EpochEntry
	// Lazy leaves it to the first Append to make a directory that does not exist, and the first segment in it: a partition
	// that nobody writes to takes nothing of the disk.
	Lazy   bool
	Files  *Files // nil: a bound of its own
	Now    func() time.Time
	Logger *slog.Logger
}

func (o *Options) fill() error {
	if o.Dir == "" {
		return fmt.Errorf("seglog: no directory given")
	}
	if o.FS == nil {
		o.FS = OS()
	}
	if o.Files == nil {
		o.Files = NewFiles(0)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}
