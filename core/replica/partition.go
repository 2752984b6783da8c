package replica

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrun/millrun/core/config"
	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/seglog"
)

// Options say which partition a replica is of, where it is, and what is known of it.
type Options struct {
	FS  seglog.FS // nil: the machine's
	Dir string    // the data directory; the partition's own is <topic>-<id> in it

	Topic   string
	TopicID meta.TopicID
	ID      int32
	Node    meta.NodeID         // this broker
	State   meta.Partition      // as the metadata has it
	Config  *config.TopicConfig // shared, and not changed

	// Clean, RecoveryPoint and LogStart are what the last stop and the last checkpoint have left, as seglog.Options
	// explains them.
	Clean         *seglog.CloseMark
	RecoveryPoint record.Offset
	LogStart      record.Offset

	Files  *seglog.Files
	Now    func() time.Time
	Logger *slog.Logger
	// Later is told of a partition that needs a Flush which nobody waits for. Nil: it is left to the next Flush.
	Later func(*Partition)
}

// Partition is one partition's replica on this broker: its log, its producers, its leader epochs and its high watermark.
//
// Invariants: log start <= high watermark <= log end; none of them goes back but the log's end, in a truncation.
type Partition struct {
	// Immutable.
	topic   string
	topicID meta.TopicID
	id      int32
	name    string // <topic>-<id>: the directory's name
	dir     string
	fs      seglog.FS
	now     func() time.Time
	logger  *slog.Logger
	later   func(*Partition)
	log     *seglog.Log // nil if it could not be opened: failure says why

	settings atomic.Pointer[config.TopicConfig] // replaced by SetConfig
	role     atomic.Pointer[role]               // replaced by setRole, under mu
	failure  atomic.Pointer[error]              // why there is no log
	watchers watchers

	highWatermark atomic.Int64
	mustFlush     atomic.Int64 // records before this offset are acknowledged only once they are on disk
	laterAsked    atomic.Bool  // later was told, and has not flushed yet
	closed        atomic.Bool  // set under mu
	timerRuns     atomic.Bool  // a flush is due after flush.ms

	mu             sync.Mutex // serialises appends; guards what follows
	epochs         epochHistory
	epochsDirty    bool // the epochs are not those of the file
	producers      producers
	loaded         bool          // producers are those of the log's end
	snapshotAt     record.Offset // of the newest producer snapshot on disk, NoOffset if there is none
	born           bool          // there is a directory, with partition.metadata in it
	metadataSynced bool          // partition.metadata is on disk
	epochsUnsynced bool          // the epochs' file may not be on disk
}

// New opens the replica's log. If there is none, the first append makes it, and its directory: a partition that nobody
// writes to takes nothing of the disk. A log that turns out to be damaged, or cannot be read, is
// not an error of New: the partition then answers everything with ErrStorage, and Failed says why.
func New(o Options) *Partition {
	p := &Partition{
		topic: o.Topic, topicID: o.TopicID, id: o.ID, name: dirName(o.Topic, o.ID), fs: o.FS, now: o.Now, logger: o.Logger,
		later: o.Later, snapshotAt: record.NoOffset,
	}
	if p.fs == nil {
		p.fs = seglog.OS()
	}
	if p.now == nil {
		p.now = time.Now
	}
	if p.logger == nil {
		p.logger = slog.New(slog.DiscardHandler)
	}
	p.dir = join(o.Dir, p.name)
	p.settings.Store(o.Config)
	r := roleOf(&o.State, o.Node)
	p.role.Store(&r)
	if err := p.open(o); err != nil {
		err = fmt.Errorf("opening partition %s: %w", p.name, err)
		p.failure.Store(&err)
		p.logger.Error("partition cannot be served", "partition", p.name, "error", err)
	}
	return p
}

func (p *Partition) open(o Options) error {
	known, err := p.checkIdentity()
	if err != nil {
		return err
	}
	so := seglog.Options{FS: p.fs, Dir: p.dir, Clean: o.Clean, RecoveryPoint: o.RecoveryPoint, LogStart: o.LogStart,
		Lazy: true, Files: o.Files, Now: p.now, Logger: p.logger}
	if err := p.readEpochs(); err != nil {
		return err
	}
	p.metadataSynced = known && o.Clean != nil && o.Clean.Size > 0
	if o.Clean != nil { // else the file may be older than the log
		so.Epochs = p.epochs.list
	}
	log, found, err := seglog.Open(so, logConfig(o.Config))
	if err != nil {
		return err
	}
	if err := p.adopt(log, found, o.Clean != nil, known); err != nil {
		return errors.Join(err, closeLog(log))
	}
	if durable(o.Config) && log.RecoveryPoint() < found.EndOffset {
		if _, err := log.Flush(); err != nil {
			return errors.Join(err, closeLog(log))
		}
	}
	p.log = log
	p.producers.next = found.EndOffset
	if r := p.role.Load(); r.leads {
		p.beginEpoch(r.epoch)
	}
	// One replica has committed everything that it has. (With followers this is the last checkpoint's.)
	p.highWatermark.Store(int64(found.EndOffset))
	return nil
}

func closeLog(log *seglog.Log) error {
	_, err := log.Close()
	return err
}

// adopt makes the partition's state that of the log that was found, or made.
func (p *Partition) adopt(log *seglog.Log, found seglog.Recovered, clean, known bool) error {
	if found.TruncatedBytes > 0 {
		p.logger.Warn("log was cut off behind its last whole batch", "partition", p.name, "bytes", found.TruncatedBytes,
			"end", int64(found.EndOffset))
	}
	p.born = known || !found.Created
	if !known && p.born {
		if err := p.writeIdentity(); err != nil {
			return err
		}
	}
	lost := len(p.epochs.list) == 0 && found.EndOffset > found.StartOffset
	switch {
	case found.Created:
		p.loaded = true
		return nil
	case clean && !lost:
		return nil
	}
	return p.recover(log, found)
}

// logConfig is what the topic's settings mean to its log.
func logConfig(c *config.TopicConfig) seglog.Config {
	lc := seglog.Config{
		SegmentBytes: c.SegmentBytes, SegmentMs: c.SegmentMs, SegmentJitterMs: c.SegmentJitterMs, IndexBytes: c.SegmentIndexBytes,
		IndexIntervalBytes: c.IndexIntervalBytes, RetentionMs: -1, RetentionBytes: -1, FileDeleteDelayMs: c.FileDeleteDelayMs,
	}
	lc.IndexBytes = max(lc.IndexBytes, minIndexBytes)
	if c.Delete {
		lc.RetentionMs, lc.RetentionBytes = c.RetentionMs, c.RetentionBytes
	}
	return lc
}

// minIndexBytes is the smallest index that a log can do with; Kafka allows smaller settings.
const minIndexBytes = 24

func (p *Partition) Topic() string         { return p.topic }
func (p *Partition) TopicID() meta.TopicID { return p.topicID }
func (p *Partition) ID() int32             { return p.id }

// Config is the topic's settings. Do not change it.
func (p *Partition) Config() *config.TopicConfig { return p.settings.Load() }

// SetConfig makes the topic's settings those of c, which must not be changed afterwards.
func (p *Partition) SetConfig(c *config.TopicConfig) {
	p.settings.Store(c)
	if p.log == nil {
		return
	}
	if err := p.log.SetConfig(logConfig(c)); err != nil {
		p.logger.Error("log cannot take the topic's settings", "partition", p.name, "error", err)
	}
	p.advance() // flush.messages may have been what the high watermark waited for
}

// Failed returns why the partition answers ErrStorage, nil while it works.
func (p *Partition) Failed() error {
	if err := p.failure.Load(); err != nil {
		return fmt.Errorf("%w: %w", ErrStorage, *err)
	}
	if err := p.log.Failed(); err != nil {
		return fmt.Errorf("%w: %w", ErrStorage, err)
	}
	return nil
}

// usable is Failed, or ErrClosed once the partition is closed.
func (p *Partition) usable() error {
	if p.isClosed() {
		return fmt.Errorf("%w: %s", ErrClosed, p.name)
	}
	return p.Failed()
}

// storage gives an error of the log the partition's meaning.
func (p *Partition) storage(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, seglog.ErrClosed):
		return fmt.Errorf("%w: %s", ErrClosed, p.name)
	case errors.Is(err, seglog.ErrOutOfRange):
		return fmt.Errorf("%w: %s", ErrOutOfRange, p.name)
	}
	return fmt.Errorf("%w: %s: %w", ErrStorage, p.name, err)
}

// Offsets returns where the log starts, up to where it is committed and stable, and where it ends. They are all 0 if the
// partition has failed to open.
func (p *Partition) Offsets() (logStart, highWatermark, lastStable, end record.Offset) {
	if p.log == nil {
		return 0, 0, 0, 0
	}
	hw := p.HighWatermark()
	return min(p.log.StartOffset(), hw), hw, hw, p.log.EndOffset()
}

// HighWatermark is the offset before which every record is committed.
func (p *Partition) HighWatermark() record.Offset { return record.Offset(p.highWatermark.Load()) }

// Size is the size in bytes of the log.
func (p *Partition) Size() int64 {
	if p.log == nil {
		return 0
	}
	return p.log.Size()
}

// RecoveryPoint is the offset before which the log is known to be on disk.
func (p *Partition) RecoveryPoint() record.Offset {
	if p.log == nil {
		return 0
	}
	return p.log.RecoveryPoint()
}

// durable tells whether nothing may be seen before it is on disk.
func durable(c *config.TopicConfig) bool { return c.FlushMessages <= 1 }

// advance moves the high watermark to what every replica in sync has: with one, to its log's end, or to what it has on
// disk where flush.messages asks for that. (Followers' ends come in here: the least of them is the high watermark.)
func (p *Partition) advance() {
	to := p.log.EndOffset()
	if durable(p.settings.Load()) {
		to = p.log.RecoveryPoint()
	}
	for {
		hw := p.highWatermark.Load()
		if int64(to) <= hw {
			return
		}
		if p.highWatermark.CompareAndSwap(hw, int64(to)) {
			p.watchers.wakeAll()
			return
		}
	}
}

// Close takes a producer snapshot, flushes, and closes the log. The mark makes the next open cheap; there is none after
// an error.
func (p *Partition) Close() (*seglog.CloseMark, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed.Load() {
		return nil, fmt.Errorf("%w: %s", ErrClosed, p.name)
	}
	p.closed.Store(true)
	defer p.watchers.wakeAll()
	if p.log == nil {
		return nil, *p.failure.Load()
	}
	err := p.log.Failed()
	if err == nil && p.log.Size() > 0 {
		err = errors.Join(p.saveProducers(p.log.EndOffset()), p.saveEpochs(), p.syncMetadata())
	}
	mark, cerr := p.log.Close()
	if err = errors.Join(err, cerr); err != nil {
		return nil, fmt.Errorf("closing partition %s: %w", p.name, err)
	}
	return &mark, nil
}

// maxOffset is the last offset that a record may have.
const maxOffset = math.MaxInt64 - 1

// Abandon ends the partition without saving anything: its directory is going to be deleted.
func (p *Partition) Abandon() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed.Load() {
		return
	}
	p.closed.Store(true)
	if p.log != nil {
		p.log.Discard()
	}
	p.watchers.wakeAll()
}
