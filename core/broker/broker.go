package broker

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrun/millrun/core/admin"
	"github.com/millrun/millrun/core/api"
	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/quorum"
	"github.com/millrun/millrun/core/replica"
	"github.com/millrun/millrun/core/server"
	"github.com/millrun/millrun/core/transform"
)

// Broker is one running node. Make it with [Start], end it with [Broker.Close].
type Broker struct {
	plan        *plan
	nodeID      meta.NodeID
	incarnation string

	store       *replica.Store
	log         *quorum.Log
	groups      *Groups
	handler     *api.Handler
	listener    net.Listener
	server      *server.Server
	deployments *transform.Deployments
	admin       *admin.Server
	following   bool // owned by the goroutine that applies metadata

	closing atomic.Bool

	loops  sync.WaitGroup
	failed chan struct{} // closed when the broker cannot go on by itself
	once   sync.Once     // guards err
	err    error
}

// Start makes a broker and returns once it serves requests. ctx bounds the start alone. An address that is taken, or a
// folder that another process holds, is an error that names it.
func Start(ctx context.Context, c Config) (*Broker, error) {
	p, err := c.check()
	if err != nil {
		return nil, &ConfigError{err}
	}
	b := &Broker{plan: p, nodeID: meta.NodeID(p.settings.NodeID()), failed: make(chan struct{}), incarnation: randomHex()}
	if err := b.start(ctx); err != nil {
		stop, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		return nil, errors.Join(err, b.Close(stop))
	}
	return b, nil
}

func (b *Broker) start(ctx context.Context) error {
	// The addresses first: a port that is taken is the commonest mistake, and nothing has been touched yet.
	if err := b.listen(); err != nil {
		return err
	}
	if err := b.openStorage(ctx); err != nil {
		return err
	}
	if err := b.compose(); err != nil {
		return err
	}
	if err := b.register(ctx); err != nil {
		return err
	}
	b.serve()
	return nil
}

func (b *Broker) listen() error {
	l, err := net.Listen("tcp", b.plan.Kafka)
	if err != nil {
		return fmt.Errorf("Kafka listen address %s: %w: name another with --kafka", b.plan.Kafka, reason(err))
	}
	b.listener = l
	if b.plan.advertised.port == 0 {
		b.plan.advertised.port = l.Addr().(*net.TCPAddr).Port
	}
	b.admin, err = admin.Listen(b.plan.HTTP)
	return err
}

// reason takes the system's own words out of a network error, which repeats the address.
func reason(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		var call *os.SyscallError
		if errors.As(op.Err, &call) {
			return call.Err
		}
		return op.Err
	}
	return err
}

// KafkaAddr is where Kafka clients connect, host:port.
func (b *Broker) KafkaAddr() string {
	return net.JoinHostPort(b.plan.advertised.host, fmt.Sprint(b.plan.advertised.port))
}

// HTTPAddr is where the HTTP side listens, host:port.
func (b *Broker) HTTPAddr() string { return b.admin.Addr() }

// DataDir is the folder that holds the data.
func (b *Broker) DataDir() string { return b.plan.DataDir }

// Ephemeral says whether Close removes the data.
func (b *Broker) Ephemeral() bool { return b.plan.ephemeral }

// Failed is closed when the broker cannot go on; Err says why.
func (b *Broker) Failed() <-chan struct{} { return b.failed }

// Err is the reason for which Failed was closed; nil before.
func (b *Broker) Err() error {
	select {
	case <-b.failed:
		return b.err
	default:
		return nil
	}
}

func (b *Broker) fail(err error) {
	b.once.Do(func() {
		b.err = err
		close(b.failed)
	})
}

func randomHex() string {
	var random [8]byte
	rand.Read(random[:])
	return hex.EncodeToString(random[:])
}
