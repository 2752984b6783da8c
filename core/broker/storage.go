package broker

import (
	"context"
	"time"

	"github.com/millrun/millrun/core/api"
	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/quorum"
	"github.com/millrun/millrun/core/replica"
)

// openStorage takes the data directory and opens the metadata log in it. The partitions come with the first image, which
// Follow brings.
func (b *Broker) openStorage(ctx context.Context) error {
	store, err := replica.OpenStore(replica.StoreConfig{Dir: b.plan.DataDir, Settings: b.plan.settings, NodeID: b.nodeID, Now: time.Now,
		MaxOpenFiles: int(b.plan.settings.Int("log.max.open.files")), Logger: b.plan.Logger})
	if err != nil {
		return err
	}
	b.store = store
	b.log, err = quorum.Open(ctx, quorum.Config{Dir: b.plan.DataDir, NodeID: b.nodeID, Logger: b.plan.Logger, NoReserve: b.plan.ephemeral})
	if err != nil {
		return err
	}
	// Before the first image: metadata that was lost, or is another cluster's, must not set all partitions aside.
	return store.SetClusterID(b.log.Image().ClusterID())
}

// reconcile makes this node what the image says. It runs on the goroutine that applies metadata, before whoever asked for
// the change is answered: what has been acknowledged is served.
func (b *Broker) reconcile(before, after *meta.Image) {
	b.store.Reconcile(before, after)
	b.server.SetConnectionLimits(api.ConnectionLimits(b.store.Settings()))
	b.groups.Reconcile(before, after)
	if !b.following {
		b.following = true
		before = nil
	}
	b.deployments.Reconcile(before, after)
}

// register tells the cluster where this broker is, and takes the controller's part, which on a single node nobody else can.
func (b *Broker) register(ctx context.Context) error {
	host, port := b.plan.advertised.host, int32(b.plan.advertised.port)
	self := meta.Broker{ID: b.nodeID, Incarnation: b.incarnation, Rack: b.plan.settings.String("broker.rack"),
		Endpoints: []meta.Endpoint{{Listener: b.plan.advertised.listener, Host: host, Port: port, Security: "PLAINTEXT"}}}
	_, err := b.log.Change(ctx, func(img *meta.Image) (meta.Command, error) { return meta.DecideRegisterBroker(img, self) })
	if err != nil {
		return err
	}
	_, err = b.log.Change(ctx, func(img *meta.Image) (meta.Command, error) {
		return meta.DecideClaimController(img, b.nodeID, b.incarnation)
	})
	return err
}
