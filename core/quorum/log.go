package quorum

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/millrun/millrun/core/meta"
)

// Log is a broker's end of the metadata log. Its methods may be called from any goroutine.
type Log struct {
	cfg   Config
	dir   string // of the log
	node  *node
	inbox string                          // answers to appends come to inbox.<serial>
	free  func(dir string) (int64, error) // freeBytes, but in tests
	image atomic.Pointer[meta.Image]      // the newest that was reconciled
	stats counters

	notices chan *nats.Msg // what the stream republishes
	kick    chan struct{}  // capacity 1: the append in flight was refused
	follow  chan followRequest
	closing chan struct{} // closed by Close
	stopped chan struct{} // closed when the apply goroutine has ended
	once    sync.Once
	tasks   sync.WaitGroup // the snapshot being written, or none

	mu      sync.Mutex
	top     *step  // the newest that is committed; never nil
	flying  *batch // appended, and not known to be committed
	open    *batch // gathered while flying is under way
	serial  uint64 // of the last append
	prefix  string // of message ids: another at every start
	failed  error  // why the log has stopped
	reserve reserve

	run runState // owned by the apply goroutine, and by Open before that starts
}

// step is the state after one sequence of the log, guarded by Log.mu. Done is closed when the reconciler has seen the
// state, or when it will never be reached: then err, which is set before, says why.
type step struct {
	seq   uint64
	chain chainHash
	img   *meta.Image
	done  chan struct{}
	err   error
}

// Open starts the embedded server on the folder and replays the log: when it returns, the image is that of the newest
// command. The context bounds the opening alone. The error is ErrDamaged if the folder does not hold all that it once
// held, or meta.ErrUnknownCommand if a newer binary wrote to it.
func Open(ctx context.Context, cfg Config) (*Log, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	dir := filepath.Join(cfg.Dir, "meta", "solo")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("metadata log: %w", err)
	}
	l := &Log{
		cfg:     cfg,
		dir:     dir,
		free:    freeBytes,
		reserve: openReserve(cfg),
		prefix:  rand.Text(),
		notices: make(chan *nats.Msg, 1024),
		kick:    make(chan struct{}, 1),
		follow:  make(chan followRequest),
		closing: make(chan struct{}),
		stopped: make(chan struct{}),
	}
	if err := l.recover(ctx); err != nil {
		l.release()
		return nil, err
	}
	go l.apply()
	if _, err := l.Change(ctx, func(img *meta.Image) (meta.Command, error) {
		return meta.DecideSetCluster(img, newClusterID()), nil
	}); err != nil {
		return nil, errors.Join(fmt.Errorf("metadata log: first command: %w", err), l.Close())
	}
	return l, nil
}

// newClusterID is random, and of the form that Kafka's have.
func newClusterID() string {
	var b [16]byte
	rand.Read(b[:])
	return meta.NewTopicID(b).String()
}

// release frees what Open had taken, or what is left when the apply goroutine has ended.
func (l *Log) release() error {
	l.tasks.Wait()
	if l.node != nil {
		l.node.close()
	}
	if l.run.tail != nil {
		return l.run.tail.close()
	}
	return nil
}

// Image is the newest image that the reconciler has seen.
func (l *Log) Image() *meta.Image { return l.image.Load() }

// Stopped is closed when the log follows no longer: it was closed, or met something that it cannot go on from, which
// Err tells. The broker has to stop then.
func (l *Log) Stopped() <-chan struct{} { return l.stopped }

// Err is why the log has stopped: ErrClosed after Close, nil while it runs.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// Close waits for the append in flight, but not long, takes a snapshot if much has happened since the last, and stops
// the server. Changes that wait are answered with ErrClosed or ErrUnknownOutcome.
func (l *Log) Close() error {
	first := false
	l.once.Do(func() {
		first = true
		l.drain(300 * time.Millisecond)
		close(l.closing)
	})
	<-l.stopped
	if !first {
		return nil
	}
	return errors.Join(l.lastSnapshot(), l.release())
}

// drain refuses new changes and waits for those that are under way.
func (l *Log) drain(limit time.Duration) {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	l.mu.Lock()
	if l.failed == nil {
		l.failed = ErrClosed
	}
	l.mu.Unlock()
	for {
		l.mu.Lock()
		last := l.flying
		if l.open != nil {
			last = l.open
		}
		l.mu.Unlock()
		if last == nil {
			return
		}
		select {
		case <-last.done:
		case <-deadline.C:
			return
		case <-l.stopped:
			return
		}
	}
}
