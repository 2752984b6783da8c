package quorum

import (
	"errors"
	"log/slog"
	"time"

	"github.com/millrun/millrun/core/meta"
)

const (
	// DefaultSnapshotEvery and DefaultSnapshotBytes say after how much of the log a snapshot is taken.
	DefaultSnapshotEvery = 10_000
	DefaultSnapshotBytes = 64 << 20

	// MaxModuleSize bounds a module.
	MaxModuleSize = 10 << 20

	// maxMessageSize is a command with all that is around it.
	maxMessageSize = meta.MaxCommandSize + 64<<10
	// maxBatch bounds how many changes share a message.
	maxBatch = 1000
	// maxRead bounds how many messages of a stream are asked for at once.
	maxRead = 512

	pollInterval   = 250 * time.Millisecond // how long a lost notice goes unnoticed
	resendAfter    = time.Second            // an append that nobody has answered
	giveUpAfter    = 10 * time.Second       // the same
	requestTimeout = 5 * time.Second        // any other request
	// closeSnapshotAfter is how many commands make it worth while to take a snapshot when closing.
	closeSnapshotAfter = 500

	// minFree is what must be left of the disk for an append: JetStream does not come back from a write that fails.
	minFree = 4 << 20

	jetStreamMaxStore  = 4 << 30  // limits, not reservations
	jetStreamMaxMemory = 64 << 20 //
)

// Errors of a Log. Test with errors.Is.
var (
	// ErrNothing may be returned by a decide function: nothing has to be changed.
	ErrNothing = meta.ErrNothing
	// ErrClosed is the answer of a closed log.
	ErrClosed = errors.New("metadata log is closed")
	// ErrDamaged says that what is on disk is not what was written: the error names the place.
	ErrDamaged = errors.New("metadata log is damaged")
	// ErrUnavailable says that the log takes no commands now.
	ErrUnavailable = errors.New("metadata log is not available")
	// ErrUnknownOutcome says that a change may or may not come into force.
	ErrUnknownOutcome = errors.New("the outcome of the metadata change is unknown")
	// ErrNoModule says that no module has this SHA-256.
	ErrNoModule = errors.New("no such module")
	// ErrBadModule says that a module's bytes are too many, or not those of its SHA-256.
	ErrBadModule = errors.New("not the module")
)

// Config is what a Log needs to know.
type Config struct {
	Dir    string // the data directory; the log lives in meta/solo below it
	NodeID meta.NodeID
	Logger *slog.Logger

	SnapshotEvery uint64 // in commands; 0: DefaultSnapshotEvery
	SnapshotBytes int64  // of commands; 0: DefaultSnapshotBytes
	NoReserve     bool   // keep no space of the disk for changes that make room
}

func (c *Config) check() error {
	if c.Dir == "" || c.NodeID < 0 || c.Logger == nil || c.SnapshotBytes < 0 {
		return errors.New("metadata log: the configuration needs a directory, a node id and a logger")
	}
	if c.SnapshotEvery == 0 {
		c.SnapshotEvery = DefaultSnapshotEvery
	}
	if c.SnapshotBytes == 0 {
		c.SnapshotBytes = DefaultSnapshotBytes
	}
	return nil
}
