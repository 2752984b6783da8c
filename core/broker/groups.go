package broker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/millrun/millrun/core/api"
	"github.com/millrun/millrun/core/config"
	"github.com/millrun/millrun/core/group"
	"github.com/millrun/millrun/core/machine"
	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/replica"
)

// createWait bounds how long a request waits for the topic of groups to be made.
const createWait = 10 * time.Second

// groupsConfig is what Groups work with. All of it must be set.
type groupsConfig struct {
	Cluster    api.Cluster
	Partitions api.Partitions
	Settings   *config.BrokerSettings
	NodeID     meta.NodeID
	Logger     *slog.Logger
	Now        func() time.Time
}

// Groups are the group coordinators of this broker: for each partition of __consumer_offsets that it leads, a loop that
// drives the groups in it. The topic is made when somebody first needs it, a loop is started, and its partition read, when
// somebody first asks for a group in it.
//
// Its methods may be called from any goroutine.
type Groups struct {
	cfg   groupsConfig
	group group.Config

	creating sync.Mutex // held while the topic is made: the others wait and find it

	mu     sync.RWMutex // guards the rest
	loops  map[int32]*groupLoop
	closed bool
	ending sync.WaitGroup // loops that are being closed
}

// groupLoop is the loop of one partition, for as long as this broker leads it in one epoch.
type groupLoop struct {
	*machine.Loop[group.Op, group.Reply]
	partition *replica.Partition
	epoch     int32
}

var _ api.Groups = (*Groups)(nil)

// newGroups makes the coordinators of a broker. They do nothing until they are asked.
func newGroups(b *Broker) (*Groups, error) {
	return makeGroups(groupsConfig{
		Cluster: b.log, Partitions: b.store, Settings: b.plan.settings, NodeID: b.nodeID, Logger: b.plan.Logger, Now: time.Now,
	})
}

func makeGroups(c groupsConfig) (*Groups, error) {
	s := c.Settings
	g := &Groups{cfg: c, loops: make(map[int32]*groupLoop), group: group.Config{
		MinSessionTimeoutMs:     int32(s.Int("group.min.session.timeout.ms")),
		MaxSessionTimeoutMs:     int32(s.Int("group.max.session.timeout.ms")),
		InitialRebalanceDelayMs: int32(s.Int("group.initial.rebalance.delay.ms")),
		MaxSize:                 int(s.Int("group.max.size")),
		OffsetMetadataMaxBytes:  int(s.Int("offset.metadata.max.bytes")),
		OffsetsRetentionMs:      s.Int("offsets.retention.minutes") * time.Minute.Milliseconds(),
		RetentionCheckMs:        s.Int("offsets.retention.check.interval.ms"),
		MaxRecordBytes:          int(s.Int("message.max.bytes")),
	}}
	_, err := group.New(g.group)
	return g, err
}

// Coordinator returns the broker that leads the group's partition.
func (g *Groups) Coordinator(ctx context.Context, groupID string) (meta.NodeID, error) {
	t, err := g.topic(ctx)
	if err != nil {
		return meta.NoNode, err
	}
	p := t.Partitions[group.PartitionFor(groupID, int32(len(t.Partitions)))]
	if p.Leader == meta.NoNode {
		return meta.NoNode, fmt.Errorf("%w: %s-%d has no leader", group.ErrUnavailable, group.Topic, p.ID)
	}
	return p.Leader, nil
}

// Do has the group's shard decide on op.
func (g *Groups) Do(ctx context.Context, groupID string, op group.Op) (group.Reply, error) {
	t, err := g.topic(ctx)
	if err != nil {
		return nil, err
	}
	l, err := g.loop(t, group.PartitionFor(groupID, int32(len(t.Partitions))))
	if err != nil {
		return nil, err
	}
	return l.Do(ctx, op)
}

// All has the shards of all partitions decide on op that this broker leads and that are not empty.
func (g *Groups) All(ctx context.Context, op group.Op) ([]group.Reply, error) {
	t, ok := g.cfg.Cluster.Image().Topic(group.Topic)
	if !ok {
		return nil, nil
	}
	var replies []group.Reply
	for id := range int32(len(t.Partitions)) {
		if t.Partitions[id].Leader != g.cfg.NodeID || !g.started(id) && g.empty(id) {
			continue
		}
		l, err := g.loop(t, id)
		if err != nil {
			return nil, err
		}
		r, err := l.Do(ctx, op)
		if err != nil {
			return nil, err
		}
		replies = append(replies, r)
	}
	return replies, nil
}

func (g *Groups) started(id int32) bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.loops[id] != nil
}

// empty tells that a partition's log holds nothing.
func (g *Groups) empty(id int32) bool {
	p, ok := g.cfg.Partitions.Get(group.Topic, id)
	if !ok {
		return false
	}
	start, _, _, end := p.Offsets()
	return start == end && p.Failed() == nil
}

// loop returns the loop of a partition, which this broker must lead, and starts it if need be.
func (g *Groups) loop(t *meta.Topic, id int32) (*groupLoop, error) {
	p, ok := g.cfg.Partitions.Get(group.Topic, id)
	if !ok || t.Partitions[id].Leader != g.cfg.NodeID {
		return nil, fmt.Errorf("%w: %s-%d", group.ErrNotCoordinator, group.Topic, id)
	}
	epoch := t.Partitions[id].LeaderEpoch
	g.mu.RLock()
	l, closed := g.loops[id], g.closed
	g.mu.RUnlock()
	switch {
	case closed:
		return nil, group.ErrClosed
	case l != nil && l.partition == p && l.epoch == epoch:
		return l, nil
	}
	return g.start(p, epoch)
}

func (g *Groups) start(p *replica.Partition, epoch int32) (*groupLoop, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, group.ErrClosed
	}
	if l := g.loops[p.ID()]; l != nil {
		if l.partition == p && l.epoch == epoch {
			return l, nil
		}
		g.end(p.ID())
	}
	shard := g.group
	shard.MaxRecordBytes = max(1, groupLog{p}.MaxBatchBytes()-batchRoom)
	loop, err := machine.Start(machine.Config[group.Op, group.Reply]{
		Log:  groupLog{p},
		Name: group.Topic + "-" + strconv.Itoa(int(p.ID())),
		NewShard: func() machine.Shard[group.Op, group.Reply] {
			s, err := group.New(shard)
			if err != nil {
				panic(err) // makeGroups has checked it
			}
			return s
		},
		// A topic may have been deleted while nobody held its offsets.
		AfterLoad:  func() group.Op { return group.Sweep{Image: g.cfg.Cluster.Image()} },
		AckTimeout: time.Duration(g.cfg.Settings.Int("offsets.commit.timeout.ms")) * time.Millisecond,
		Now:        g.cfg.Now,
		Logger:     g.cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	l := &groupLoop{Loop: loop, partition: p, epoch: epoch}
	g.loops[p.ID()] = l
	return l, nil
}

// end closes a loop without waiting for it. mu is held.
func (g *Groups) end(id int32) {
	l := g.loops[id]
	delete(g.loops, id)
	g.ending.Go(l.Close)
}

// Reconcile ends the loops of partitions that this broker does not lead any more, and has the others forget the offsets of
// topics that are gone. It does not wait for either.
func (g *Groups) Reconcile(old, img *meta.Image) {
	gone := false
	for before, after := range meta.ChangedTopics(old, img) {
		gone = gone || before != nil && (after == nil || after.ID != before.ID)
		if (before != nil && before.Name == group.Topic) || (after != nil && after.Name == group.Topic) {
			g.endLost(after)
		}
	}
	if !gone {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.loops {
		g.ending.Go(func() {
			// One that cannot sweep now does when it has loaded again.
			if _, err := l.Do(context.Background(), group.Sweep{Image: img}); err != nil && !errors.Is(err, group.ErrClosed) {
				g.cfg.Logger.Warn("offsets of deleted topics stay for now", "partition", l.partition.ID(), "err", err)
			}
		})
	}
}

// endLost ends the loops that do not belong to the topic as it is now; nil: there is none.
func (g *Groups) endLost(t *meta.Topic) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for id, l := range g.loops {
		if t != nil && t.ID == l.partition.TopicID() && int(id) < len(t.Partitions) &&
			t.Partitions[id].Leader == g.cfg.NodeID && t.Partitions[id].LeaderEpoch == l.epoch {
			continue
		}
		g.end(id)
	}
}

// Close ends all loops. Requests that wait are answered with ErrClosed. It returns early, with the error, if ctx ends.
func (g *Groups) Close(ctx context.Context) error {
	g.mu.Lock()
	g.closed = true
	for id := range g.loops {
		g.end(id)
	}
	g.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		g.ending.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("group coordinators still at work: %w", ctx.Err())
	}
}

// topic returns the topic of groups, and makes it if there is none.
func (g *Groups) topic(ctx context.Context) (*meta.Topic, error) {
	if t, ok := g.cfg.Cluster.Image().Topic(group.Topic); ok {
		return t, nil
	}
	g.creating.Lock()
	defer g.creating.Unlock()
	ctx, cancel := context.WithTimeout(ctx, createWait)
	defer cancel()
	img, err := g.cfg.Cluster.Change(ctx, g.decideTopic)
	if err != nil {
		return nil, fmt.Errorf("%w: topic %s: %w", group.ErrUnavailable, group.Topic, err)
	}
	t, ok := img.Topic(group.Topic)
	if !ok {
		return nil, fmt.Errorf("%w: topic %s was deleted", group.ErrUnavailable, group.Topic)
	}
	return t, nil
}

func (g *Groups) decideTopic(img *meta.Image) (meta.Command, error) {
	if _, ok := img.Topic(group.Topic); ok {
		return nil, meta.ErrNothing
	}
	var random [16]byte
	rand.Read(random[:])
	s := g.cfg.Settings
	t := meta.NewTopic{
		Name: group.Topic, ID: meta.NewTopicID(random), Internal: true,
		Partitions: int32(s.Int("offsets.topic.num.partitions")),
		// A cluster smaller than the setting, whose default is 3, has groups too.
		ReplicationFactor: int16(min(int(s.Int("offsets.topic.replication.factor")), len(img.Brokers()))),
		Configs: map[string]string{
			"cleanup.policy":   "compact",
			"compression.type": "producer",
			"segment.bytes":    strconv.FormatInt(s.Int("offsets.topic.segment.bytes"), 10),
		},
	}
	command, errs := meta.DecideCreateTopics(img, []meta.NewTopic{t}, meta.TopicDefaults{})
	return command, errs[0]
}
