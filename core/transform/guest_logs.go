package transform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/wasmhost/abi"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// LogsTopic is where guests' lines go: key = deployment, value = LogLine as JSON.
const LogsTopic = "__millrun_wasm_logs"

// LogLine is the value of a record of LogsTopic.
type LogLine struct {
	Time       time.Time `json:"time"`
	Deployment string    `json:"deployment"`
	Partition  int32     `json:"partition"` // of the input, -1 while an instance starts
	Level      string    `json:"level"`     // debug, info, warn, error
	Message    string    `json:"message"`
}

// The limits of guests' logs, listed in spec/limits.md.
const (
	maxLogLineBytes   = 8 << 10
	maxLogLinesQueued = 4096 // of all deployments
	logBurst          = 2000 // lines of one deployment at once: more than the host takes from one instance, with what it says of that
	logLinesPerSecond = 200  // of one deployment after that
	logFlushInterval  = 50 * time.Millisecond
	logNoticeInterval = time.Second // between two notices of what was dropped
	logRetentionMs    = "86400000"
)

// guestLine is a line on its way.
type guestLine struct {
	LogLine
	topic string // LogsTopic or RedpandaLogsTopic
	level int
}

// guestLogs carries what guests log to their topics. Lines beyond a deployment's rate, and those that the topic cannot take
// as fast as they come, are dropped and counted.
type guestLogs struct {
	node      meta.NodeID
	requester requester
	sink      Sink
	logger    *slog.Logger
	now       func() time.Time

	mu      sync.Mutex
	buckets map[string]*bucket // guarded by mu
	queue   []guestLine        // guarded by mu
	started bool               // guarded by mu
	closed  bool               // guarded by mu
	wake    chan struct{}      // holds one
	stop    chan struct{}
	done    chan struct{}
}

// bucket is a deployment's allowance of lines.
type bucket struct {
	tokens  float64
	filled  time.Time
	dropped int       // lines that nobody was told of yet
	topic   string    // of the last of them
	told    time.Time // when somebody was told last
}

func newGuestLogs(node meta.NodeID, caller Caller, sink Sink, logger *slog.Logger) *guestLogs {
	return &guestLogs{
		node: node, requester: requester{caller, "millrun-wasm-logs"}, sink: sink, logger: logger, now: time.Now, buckets: make(map[string]*bucket),
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
}

// of returns what takes the lines of a deployment's instances, to the topic that is right for its module.
func (g *guestLogs) of(deployment string, program Program) func(partition int32, level int, msg string) {
	topic := LogsTopic
	if program.Redpanda() {
		topic = RedpandaLogsTopic
	}
	return func(partition int32, level int, msg string) { g.add(topic, deployment, partition, level, msg) }
}

// add queues a line for one of the two topics. It never blocks.
func (g *guestLogs) add(topic, deployment string, partition int32, level int, msg string) {
	if len(msg) > maxLogLineBytes {
		msg = msg[:maxLogLineBytes]
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	b := g.buckets[deployment]
	now := g.now()
	if b == nil {
		b = &bucket{tokens: logBurst, filled: now}
		g.buckets[deployment] = b
	}
	b.tokens = min(b.tokens+now.Sub(b.filled).Seconds()*logLinesPerSecond, logBurst)
	b.filled = now
	if b.tokens < 1 || len(g.queue) >= maxLogLinesQueued {
		b.dropped++
		b.topic = topic
	} else {
		b.tokens--
		g.tellDropped(deployment, b, now)
		g.queue = append(g.queue, guestLine{LogLine{now, deployment, partition, abi.LevelName(level), msg}, topic, level})
	}
	if !g.started {
		g.started = true
		go g.run()
	}
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// tellDropped queues how many lines were dropped, if any were. The caller holds mu.
func (g *guestLogs) tellDropped(deployment string, b *bucket, now time.Time) {
	if b.dropped == 0 {
		return
	}
	msg := fmt.Sprintf("%d lines were dropped: too many at once", b.dropped)
	g.queue = append(g.queue, guestLine{LogLine{now, deployment, noPartition, abi.LevelName(abi.LevelWarn), msg}, b.topic, abi.LevelWarn})
	b.dropped, b.told = 0, now
}

// run writes what is queued until close. It is started by the first line: most modules never log.
func (g *guestLogs) run() {
	defer close(g.done)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	created := make(map[string]bool)
	var later <-chan time.Time
	for stopping := false; !stopping; {
		select {
		case <-g.wake:
		case <-later:
		case <-g.stop:
			stopping = true
		}
		lines, untold := g.take(stopping)
		if later = nil; untold {
			later = time.After(logNoticeInterval)
		}
		if len(lines) == 0 {
			continue
		}
		if err := g.write(ctx, lines, created); err != nil {
			clear(created)
			g.logger.Warn("lines of guests' logs are lost", "lines", len(lines), "error", err)
		}
		if !stopping {
			sleep(ctx, logFlushInterval)
		}
	}
}

// take returns what is queued, with notices of what was dropped where the last one is a while ago, or all of them; untold
// says that some are left.
func (g *guestLogs) take(all bool) (lines []guestLine, untold bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	for deployment, b := range g.buckets {
		if all || now.Sub(b.told) >= logNoticeInterval {
			g.tellDropped(deployment, b, now)
		}
		untold = untold || b.dropped > 0
	}
	lines, g.queue = g.queue, nil
	return lines, untold
}

// write appends lines, having created their topics if that has not been done.
func (g *guestLogs) write(ctx context.Context, lines []guestLine, created map[string]bool) error {
	out := newOutputs(g.sink)
	for _, line := range lines {
		if !created[line.topic] {
			if err := g.createTopic(ctx, line.topic); err != nil {
				return err
			}
			created[line.topic] = true
		}
		value, err := line.value(g.node)
		if err != nil {
			return err
		}
		if err := out.add(TopicPartition{line.topic, 0}, record.CodecNone, line.Time.UnixMilli(), []byte(line.Deployment), value, nil); err != nil {
			return err
		}
	}
	_, _, err := out.append(ctx)
	return err
}

// value is the line in its topic's shape.
func (l *guestLine) value(node meta.NodeID) ([]byte, error) {
	if l.topic == RedpandaLogsTopic {
		return l.redpandaValue(node)
	}
	return json.Marshal(l.LogLine)
}

func (g *guestLogs) createTopic(ctx context.Context, topic string) error {
	retention, policy := logRetentionMs, "delete"
	err := createTopic(ctx, g.requester, topic, 1, []kmsg.CreateTopicsRequestTopicConfig{
		{Name: "retention.ms", Value: &retention}, {Name: "cleanup.policy", Value: &policy},
	})
	if errors.Is(err, codeTopicExists) {
		return nil
	}
	return err
}

// close writes what is queued and ends; it waits for that until ctx ends.
func (g *guestLogs) close(ctx context.Context) {
	g.mu.Lock()
	started := g.started && !g.closed
	g.closed = true
	g.mu.Unlock()
	if !started {
		return
	}
	close(g.stop)
	select {
	case <-g.done:
	case <-ctx.Done():
	}
}

// createTopic creates a topic as an outside client would, with the cluster's replication factor. The error is a
// kafkaError with what the broker says about it.
func createTopic(ctx context.Context, r requester, topic string, partitions int32, configs []kmsg.CreateTopicsRequestTopicConfig) error {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = 10_000
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor, t.Configs = topic, partitions, -1, configs
	req.Topics = append(req.Topics, t)
	resp, err := request[*kmsg.CreateTopicsResponse](ctx, r, versionCreateTopics, req)
	if err != nil {
		return err
	}
	for _, t := range resp.Topics {
		if err := check(t.ErrorCode); err != nil {
			if t.ErrorMessage != nil {
				return fmt.Errorf("topic %s: %w: %s", topic, err, *t.ErrorMessage)
			}
			return fmt.Errorf("topic %s: %w", topic, err)
		}
	}
	return nil
}
