package replica

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/millrun/millrun/core/config"
	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/seglog"
)

// The values of AppendOptions.Acks.
const (
	AcksNone   int16 = 0
	AcksLeader int16 = 1
	AcksAll    int16 = -1
)

// AppendOptions say on whose behalf a batch is appended.
type AppendOptions struct {
	Acks   int16
	Origin Origin
}

// Appended says where a batch went.
type Appended struct {
	Base, Last    record.Offset
	LogAppendTime int64 // ms; -1 where the records keep their own timestamps
	LogStart      record.Offset
	Duplicate     bool // it was there already, at these offsets
}

// Append checks a batch, gives it its offsets and leader epoch, and writes it to the log. The batch is the caller's again
// afterwards, changed. It is committed, and may be acknowledged, when AckedNow or WaitAcked say so: somebody who does not
// ask for AcksNone must call one of them.
func (p *Partition) Append(b record.Batch, o AppendOptions) (Appended, error) {
	if err := p.usable(); err != nil {
		return Appended{}, err
	}
	if _, err := p.leading(); err != nil {
		return Appended{}, err
	}
	c, now := p.settings.Load(), p.now().UnixMilli()
	b, err := admit(b, c, o.Origin, now)
	if err != nil {
		return Appended{}, err
	}
	p.mu.Lock()
	a, err := p.append(b, c, o, now)
	p.mu.Unlock()
	if err != nil || a.Duplicate {
		return a, err
	}
	if o.Acks == AcksNone && p.needsFlush(a.Last) {
		p.askLater()
	}
	if c.FlushMs < maxFlushMs && p.timerRuns.CompareAndSwap(false, true) {
		time.AfterFunc(time.Duration(c.FlushMs)*time.Millisecond, func() {
			p.timerRuns.Store(false)
			p.askLater()
		})
	}
	return a, nil
}

// maxFlushMs is a flush.ms that means never, as its default does.
const maxFlushMs = math.MaxInt64 / int64(time.Millisecond)

// append does what has to be done one batch after the other. mu held.
func (p *Partition) append(b record.Batch, c *config.TopicConfig, o AppendOptions, now int64) (Appended, error) {
	if p.closed.Load() {
		return Appended{}, fmt.Errorf("%w: %s", ErrClosed, p.name)
	}
	r, err := p.leading()
	if err != nil {
		return Appended{}, err
	}
	if need := min(c.MinInsyncReplicas, r.replicas); o.Acks == AcksAll && r.inSync < need {
		return Appended{}, fmt.Errorf("%w: %s has %d in sync, min.insync.replicas is %d", ErrNotEnough, p.name, r.inSync, c.MinInsyncReplicas)
	}
	if err := p.loadProducers(); err != nil {
		return Appended{}, p.storage(err)
	}
	if o.Origin == FromClient && b.HasProducerID() {
		known, again, err := p.producers.check(b)
		if err != nil {
			return Appended{}, err
		}
		if again {
			return p.duplicate(known, c), nil
		}
	}
	a := Appended{LogAppendTime: -1}
	if c.LogAppendTime {
		b.SetLogAppendTime(now)
		a.LogAppendTime = now
	}
	a.Base = p.log.EndOffset()
	a.Last = a.Base + record.Offset(b.LastOffsetDelta())
	b.SetBaseOffset(a.Base)
	b.SetLeaderEpoch(r.epoch)
	if a.Last < a.Base || a.Last > maxOffset {
		return Appended{}, fmt.Errorf("%w: no offsets are left behind %d", ErrInvalidRecord, a.Base)
	}
	if err := p.write(b, now); err != nil {
		return Appended{}, err
	}
	if a.Last+1-p.log.RecoveryPoint() >= record.Offset(c.FlushMessages) {
		p.mustFlush.Store(int64(a.Last) + 1)
	}
	a.LogStart = p.log.StartOffset()
	p.advance()
	return a, nil
}

func (p *Partition) duplicate(known batchMeta, c *config.TopicConfig) Appended {
	a := Appended{Base: known.first(), Last: known.last, LogAppendTime: -1, LogStart: p.log.StartOffset(), Duplicate: true}
	if c.LogAppendTime {
		a.LogAppendTime = known.timestamp
	}
	return a
}

// write appends b to the log and to what is known of its producers. mu held.
func (p *Partition) write(b record.Batch, now int64) error {
	if !p.born {
		if err := p.birth(); err != nil {
			return p.storage(err)
		}
	}
	if p.epochsDirty {
		if err := p.writeEpochs(); err != nil {
			return p.storage(err)
		}
	}
	done, err := p.log.Append(b)
	if err != nil {
		return p.appendError(err)
	}
	if done.Rolled {
		p.rolled(done.RolledAt)
	}
	p.producers.replay(b, now)
	return nil
}

func (p *Partition) appendError(err error) error {
	if damage := (*seglog.DamageError)(nil); errors.As(err, &damage) {
		p.logger.Error("partition is damaged", "partition", p.name, "error", damage)
	}
	return p.storage(err)
}

// rolled takes a producer snapshot for a new segment, and has the old ones synced. mu held; the state is that before base.
func (p *Partition) rolled(base record.Offset) {
	if err := p.saveProducers(base); err != nil {
		// The log is what counts; the next snapshot will do, at the price of a longer scan.
		p.logger.Warn("no producer snapshot was taken", "partition", p.name, "offset", int64(base), "error", err)
	}
	p.askLater()
}

// askLater has the log flushed by somebody who has the time.
func (p *Partition) askLater() {
	if p.later != nil && p.laterAsked.CompareAndSwap(false, true) {
		p.later(p)
	}
}
