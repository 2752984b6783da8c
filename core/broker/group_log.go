package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millrun/millrun/core/machine"
	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/replica"
)

const (
	// groupReadBytes is how much of a partition is read at a time when it is loaded.
	groupReadBytes = 1 << 20
	// batchRoom is what a batch of one record takes besides the record's key and value, at most.
	batchRoom = 128
	// loadCommitWait bounds how long loading waits for the end of the log to be committed.
	loadCommitWait = 10 * time.Second
)

// groupLog is a partition as the log of a state machine.
type groupLog struct{ p *replica.Partition }

var _ machine.Log = groupLog{}

func (l groupLog) Append(b record.Batch) (record.Offset, error) {
	a, err := l.p.Append(b, replica.AppendOptions{Acks: replica.AcksAll, Origin: replica.FromCoordinator})
	return a.Last, machineError(err)
}

func (l groupLog) MaxBatchBytes() int {
	c := l.p.Config()
	return int(min(c.MaxMessageBytes, c.SegmentBytes))
}

func (l groupLog) Acked(last record.Offset) bool { return l.p.AckedNow(last, replica.AcksAll) }

func (l groupLog) WaitAcked(ctx context.Context, last record.Offset) error {
	return machineError(l.p.WaitAcked(ctx, last, replica.AcksAll))
}

func (l groupLog) Bounds() (start, end record.Offset, err error) {
	if err := l.p.Failed(); err != nil {
		return 0, 0, machineError(err) // its offsets say nothing
	}
	start, _, _, end = l.p.Offsets()
	return start, end, nil
}

// ReadInto reads what is committed. A leader has the whole log committed sooner or later: what is not yet is waited for.
func (l groupLog) ReadInto(dst []byte, from, end record.Offset) ([]byte, error) {
	q := replica.ReadQuery{
		From: from, MaxBytes: groupReadBytes, MinOne: true,
		CurrentLeaderEpoch: record.NoLeaderEpoch, LastFetchedEpoch: record.NoLeaderEpoch,
	}
	if l.p.HighWatermark() <= from {
		ctx, cancel := context.WithTimeout(context.Background(), loadCommitWait)
		defer cancel()
		if err := l.WaitAcked(ctx, end-1); err != nil {
			return dst, err
		}
	}
	before := len(dst)
	r, err := l.p.ReadInto(dst, q)
	if err == nil && len(r.Records) == before {
		return dst, fmt.Errorf("%w: nothing could be read at offset %d of a log that ends at %d", machine.ErrUnavailable, from, end)
	}
	return r.Records, machineError(err)
}

func (l groupLog) Trim(to record.Offset) error {
	_, err := l.p.Trim(to)
	return machineError(err)
}

// machineError gives a partition's error the meaning that it has for a state machine.
func machineError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, replica.ErrNotLeader), errors.Is(err, replica.ErrClosed):
		return fmt.Errorf("%w: %w", machine.ErrNotLeader, err)
	default:
		return fmt.Errorf("%w: %w", machine.ErrUnavailable, err)
	}
}
