package transform

import (
	"context"
	"errors"

	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Caller answers Kafka requests in-process, as the listener answers those of clients. The request's version is set.
type Caller interface {
	Call(ctx context.Context, clientID, host string, req kmsg.Request) (kmsg.Response, error)
}

// Cluster is the metadata log.
type Cluster interface {
	Image() *meta.Image
	// Change decides on the newest image and returns once this node has applied, and reconciled itself with, the command.
	// decide may return meta.ErrNothing.
	Change(ctx context.Context, decide func(*meta.Image) (meta.Command, error)) (*meta.Image, error)
}

// Modules keeps modules by the hexadecimal SHA-256 of their bytes.
type Modules interface {
	PutModule(ctx context.Context, sha256 string, wasm []byte) error
	Module(ctx context.Context, sha256 string) ([]byte, error)
	DeleteModule(ctx context.Context, sha256 string) error
	// ModuleHashes returns the hashes of all that are kept.
	ModuleHashes(ctx context.Context) ([]string, error)
}

// Errors that a Source or Sink wraps so that the package can tell them from passing trouble, which is tried again.
var (
	ErrNotHere    = errors.New("partition is not on this node")         // unknown, deleted, or led by another node
	ErrOutOfRange = errors.New("offset is out of range")                // of a read: below the log start, or past the end
	ErrTooLarge   = errors.New("batch is larger than the topic allows") // of an append: it is tried again in halves
	ErrRefused    = errors.New("topic does not take such records")      // of an append: it would be refused again
)

// Source reads the partitions that this node leads.
type Source interface {
	// Read appends to dst whole batches, from the one that holds from on: committed ones only, maxBytes of them at most,
	// but one if there is any. Nothing appended means that from is the end. The bytes are the caller's.
	Read(dst []byte, tp TopicPartition, from record.Offset, maxBytes int) ([]byte, error)
	// Offsets returns where the log starts, and its end as consumers see it.
	Offsets(tp TopicPartition) (start, end record.Offset, err error)
	// Watch returns a watch over no partition. It is used by one goroutine.
	Watch() Watch
}

// Watch tells when there may be something new to read.
type Watch interface {
	// C is signalled, without blocking anybody, when the end or the start of a watched partition moves, or its leader.
	C() <-chan struct{}
	// Add begins to watch a partition; ErrNotHere if this node does not lead it.
	Add(tp TopicPartition) error
	Remove(tp TopicPartition)
	Close()
}

// Sink writes to partitions.
type Sink interface {
	// Append appends one batch, whose bytes it may change until it returns, and returns the offset of its last record.
	Append(ctx context.Context, tp TopicPartition, b record.Batch) (record.Offset, error)
	// Wait returns when everything up to last is as durable as acks=all makes it.
	Wait(ctx context.Context, tp TopicPartition, last record.Offset) error
}
