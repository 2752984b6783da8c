package machine

import (
	"context"
	"errors"

	"github.com/millrun/millrun/core/record"
)

// Why an operation got no answer from its shard. Each may be retried by the client, after it has asked anew where the
// shard lives in the case of ErrNotLeader.
var (
	ErrNotLeader   = errors.New("this broker does not lead the partition") // a Log returns it, wrapped or not
	ErrLoading     = errors.New("the partition's state is still being loaded")
	ErrUnavailable = errors.New("the partition's log cannot be written or read") // a failed append, a time-out
	ErrClosed      = errors.New("the broker is stopping")
)

// Log is the partition under a loop. Append is called by one goroutine at a time.
type Log interface {
	// Append writes one batch, patched in place, and returns the offset of its last record. After an error the log may
	// hold the batch or not. An error that is ErrNotLeader says that this broker may not append any more.
	Append(b record.Batch) (record.Offset, error)
	// MaxBatchBytes is the size of the largest batch that Append takes.
	MaxBatchBytes() int
	// Acked tells, without waiting, whether everything up to last is committed.
	Acked(last record.Offset) bool
	// WaitAcked returns when it is, or with ctx.
	WaitAcked(ctx context.Context, last record.Offset) error
	// Bounds are the first offset that the log still holds and the one that follows its last record. A log that cannot be
	// read says so: taken for an empty one it would make a state that has forgotten everything.
	Bounds() (start, end record.Offset, err error)
	// ReadInto appends whole batches to dst, from the one that holds from, at least one if there is any before end.
	ReadInto(dst []byte, from, end record.Offset) ([]byte, error)
	// Trim drops records below to from the log, in part or wholly.
	Trim(to record.Offset) error
}
