package replica

import (
	"fmt"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/seglog"
)

// ReadQuery says what to read. The epochs are NoLeaderEpoch where the asker does not say; their zero value is an epoch.
type ReadQuery struct {
	From     record.Offset
	MaxBytes int
	// MinOne makes the first batch be read whatever its size.
	MinOne bool
	// Committed leaves out what belongs to transactions that are not committed.
	Committed          bool
	CurrentLeaderEpoch record.LeaderEpoch // which the asker believes in
	LastFetchedEpoch   record.LeaderEpoch // of the record before From, by which a diverging log is found out
}

// AbortedTxn is a transaction whose records, from First on, a committed read has to leave out.
type AbortedTxn struct {
	Producer record.ProducerID
	First    record.Offset
}

// ReadResult is what was read. The offsets are given with an error too, if the partition has them.
type ReadResult struct {
	Records       []byte // dst, longer by whole batches
	HighWatermark record.Offset
	LastStable    record.Offset
	LogStart      record.Offset
	Aborted       []AbortedTxn
	// Diverging is set, and nothing is read, if the asker's log is not a beginning of this one: it ends as given here.
	Diverging *EpochEnd
}

// ReadInto appends to dst whole batches from the one on that holds q.From, as they are stored, none beyond the high
// watermark. It reads nothing if From is at the high watermark or between it and the log's end.
func (p *Partition) ReadInto(dst []byte, q ReadQuery) (ReadResult, error) {
	r := ReadResult{Records: dst, HighWatermark: record.NoOffset, LastStable: record.NoOffset, LogStart: record.NoOffset}
	if _, err := p.checkLeader(q.CurrentLeaderEpoch); err != nil {
		return r, err
	}
	var end record.Offset
	r.LogStart, r.HighWatermark, r.LastStable, end = p.Offsets()
	if q.From < r.LogStart || q.From > end {
		return r, fmt.Errorf("%w: %d of %s, which has %d to %d", ErrOutOfRange, q.From, p.name, r.LogStart, end)
	}
	if q.LastFetchedEpoch != record.NoLeaderEpoch {
		diverging, err := p.diverging(q, end)
		if err != nil || diverging != nil {
			r.Diverging = diverging
			return r, err
		}
	}
	upTo := r.HighWatermark
	if q.Committed {
		upTo = r.LastStable
	}
	if q.From >= upTo {
		return r, nil
	}
	out, err := p.log.ReadInto(dst, q.From, upTo, q.MaxBytes, q.MinOne)
	if err != nil {
		return r, p.storage(err)
	}
	r.Records = out
	return r, nil
}

// diverging compares the asker's last record with this log, by its leader epoch.
func (p *Partition) diverging(q ReadQuery, end record.Offset) (*EpochEnd, error) {
	at, ok, err := p.endOfEpoch(q.LastFetchedEpoch, end)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("%w: %s knows no leader epoch up to %d", ErrOutOfRange, p.name, q.LastFetchedEpoch)
	}
	if at.Epoch < q.LastFetchedEpoch || at.End < q.From {
		return &at, nil
	}
	return nil, nil
}

// EndOffsetForEpoch returns the largest leader epoch that is not beyond the asked one, and the offset after its last
// record; NoLeaderEpoch and NoOffset if the asked one is not known here.
func (p *Partition) EndOffsetForEpoch(epoch record.LeaderEpoch) (EpochEnd, error) {
	if err := p.Failed(); err != nil {
		return EpochEnd{record.NoLeaderEpoch, record.NoOffset}, err
	}
	at, _, err := p.endOfEpoch(epoch, p.log.EndOffset())
	return at, err
}

func (p *Partition) endOfEpoch(epoch record.LeaderEpoch, end record.Offset) (EpochEnd, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.epochs.endOf(epoch, end)
	return at, ok, nil
}

// OffsetForTimestamp returns the first record with a timestamp of at least ts, in ms; false if no committed record has.
func (p *Partition) OffsetForTimestamp(ts int64) (seglog.TimestampOffset, bool, error) {
	if err := p.Failed(); err != nil {
		return seglog.TimestampOffset{}, false, err
	}
	at, ok, err := p.log.OffsetForTimestamp(ts, p.HighWatermark())
	return at, ok, p.storage(err)
}

// MaxTimestamp returns the record with the largest timestamp, the first of several; false if the log is empty.
func (p *Partition) MaxTimestamp() (seglog.TimestampOffset, bool, error) {
	if err := p.Failed(); err != nil {
		return seglog.TimestampOffset{}, false, err
	}
	at, ok, err := p.log.MaxTimestamp()
	return at, ok, p.storage(err)
}

// EpochAt returns the leader epoch under which the record at an offset was written, that of the next record at the log's
// end, NoLeaderEpoch if it is not known.
func (p *Partition) EpochAt(offset record.Offset) record.LeaderEpoch {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.epochs.at(offset)
}
