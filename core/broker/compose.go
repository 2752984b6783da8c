package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/millrun/millrun/core/admin"
	"github.com/millrun/millrun/core/api"
	"github.com/millrun/millrun/core/replica"
	"github.com/millrun/millrun/core/server"
	"github.com/millrun/millrun/core/transform"
)

// compose makes the parts of the node, joins them, and brings them to the newest image.
func (b *Broker) compose() error {
	p := b.plan
	var err error
	if b.groups, err = newGroups(b); err != nil {
		return err
	}
	b.handler, err = api.New(api.Config{Cluster: b.log, Partitions: b.store, Groups: b.groups, Settings: p.settings, NodeID: b.nodeID,
		Logger: p.Logger, Now: time.Now})
	if err != nil {
		return err
	}
	b.server, err = server.New(server.Config{Handler: b.handler, Limits: api.ListenerLimits(p.settings), Logger: p.Logger, ListenerName: p.advertised.listener})
	if err != nil {
		return err
	}
	runner := p.Runner
	if runner == nil {
		runner = noRunner
	}
	node := records{b.store}
	b.deployments = transform.New(transform.Config{NodeID: b.nodeID, Cluster: b.log, Caller: b.handler, Modules: b.log, Source: node, Sink: node,
		Runner: runner, Logger: p.Logger})
	b.log.Follow(b.reconcile)
	return nil
}

func noRunner(context.Context, transform.Spec) (transform.Program, error) {
	return nil, errors.New("this broker was built without a Wasm host")
}

func noModules(string) ([]byte, bool) { return nil, false }

// serve begins to answer on both addresses.
func (b *Broker) serve() {
	b.loops.Go(func() {
		if err := b.server.Serve(b.listener); !errors.Is(err, server.ErrClosed) {
			b.fail(fmt.Errorf("Kafka listener %s: %w", b.listener.Addr(), err))
		}
	})
	b.loops.Go(func() {
		<-b.log.Stopped()
		if !b.closing.Load() {
			b.fail(fmt.Errorf("metadata log: %w", b.log.Err()))
		}
	})
	shipped := b.plan.Shipped
	if shipped == nil {
		shipped = noModules
	}
	b.admin.Serve(admin.Config{Deployments: b.deployments, NodeID: b.nodeID, Shipped: shipped, Stats: b.stats, Ready: b.Err, Logger: b.plan.Logger})
}

// Close stops the broker: nothing new is accepted, Wasm consumers commit and leave, partitions are flushed and marked as
// cleanly stopped. When ctx ends first the rest is left as after a crash, which the next start recovers from. An ephemeral
// broker's data is removed.
func (b *Broker) Close(ctx context.Context) error {
	if b.closing.Swap(true) {
		return nil
	}
	var errs []error
	if b.deployments != nil {
		b.deployments.StopCompiling()
	}
	// Neither a module that is being compiled nor a guest that does not end may take the time that the partitions need.
	if b.admin != nil {
		errs = append(errs, withHalf(ctx, b.admin.Close))
	}
	if b.deployments != nil {
		errs = append(errs, withHalf(ctx, b.deployments.Close))
	}
	if b.server != nil {
		errs = append(errs, withHalf(ctx, b.server.Close)) // nor must a client that takes no responses
	}
	if b.listener != nil {
		if err := b.listener.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if b.groups != nil {
		errs = append(errs, b.groups.Close(ctx))
	}
	if b.log != nil {
		errs = append(errs, b.log.Close())
	}
	if b.store != nil {
		errs = append(errs, b.store.Close(ctx))
	}
	b.loops.Wait()
	if b.plan.ephemeral {
		errs = append(errs, os.RemoveAll(b.plan.DataDir))
	}
	return errors.Join(errs...)
}

// withHalf calls fn with half of the time that ctx has left.
func withHalf(ctx context.Context, fn func(context.Context) error) error {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	return fn(ctx)
}

// stats are the broker's numbers for the metrics.
func (b *Broker) stats() admin.Stats {
	image := b.log.Image()
	s := admin.Stats{Topics: image.NumTopics(), Connections: b.server.Connections(), MemoryReserved: b.server.QueuedBytes()}
	traffic := b.handler.Traffic()
	s.RequestsTotal, s.ProducedBytesTotal, s.FetchedBytesTotal = traffic.Requests, traffic.ProducedBytes, traffic.FetchedBytes
	b.store.All(func(p *replica.Partition) {
		s.Partitions++
		if p.Failed() != nil {
			s.OfflinePartitions++
		}
	})
	return s
}
