package replica

import "errors"

// What a partition answers instead of doing what it was asked. They come wrapped with the place; test with errors.Is.
var (
	ErrNotLeader   = errors.New("this broker does not lead the partition")
	ErrStorage     = errors.New("the partition's storage has failed")
	ErrClosed      = errors.New("the partition is closed")
	ErrTimeout     = errors.New("not acknowledged in time")
	ErrPolicy      = errors.New("the topic's cleanup policy does not allow it")
	ErrNotEnough   = errors.New("too few replicas are in sync")
	ErrOutOfRange  = errors.New("offset is out of range")
	ErrFencedEpoch = errors.New("leader epoch is older than the partition's")
	// ErrUnknownEpoch: the asker knows of a newer leader epoch than this broker does.
	ErrUnknownEpoch = errors.New("leader epoch is newer than the partition's")

	ErrCorrupt            = errors.New("batch is damaged")
	ErrInvalidRecord      = errors.New("batch is invalid")
	ErrInvalidTimestamp   = errors.New("timestamp is not allowed")
	ErrUnsupportedCodec   = errors.New("compression codec is not supported")
	ErrMessageTooLarge    = errors.New("batch is larger than the topic allows")
	ErrRecordListTooLarge = errors.New("batch is larger than a segment")

	ErrOutOfOrderSequence   = errors.New("sequence number is out of order")
	ErrInvalidProducerEpoch = errors.New("producer epoch is older than the producer's newest")
	// ErrInvalidTxnState: transactions are not served yet.
	ErrInvalidTxnState = errors.New("no transaction is open")
)

// RecordError is what is wrong with one record of a batch that was refused for it.
type RecordError struct {
	Index int32 // in the batch
	Why   string
}

// RecordsError refuses a batch for some of its records. It wraps ErrInvalidRecord or ErrInvalidTimestamp.
type RecordsError struct {
	Cause   error
	Records []RecordError
}

func (e *RecordsError) Error() string {
	if len(e.Records) == 0 {
		return e.Cause.Error()
	}
	return e.Cause.Error() + ": " + e.Records[0].Why
}

func (e *RecordsError) Unwrap() error { return e.Cause }
