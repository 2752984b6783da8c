//go:build unix

package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// brokers starts one of each kind that takes part; the caller stops them.
func (b *bench) brokers(ctx context.Context, kinds []string, settings ...string) ([]*server, func(), error) {
	var running []*server
	stop := func() {
		for _, s := range running {
			if err := s.stop(); err != nil {
				b.table.failures = append(b.table.failures, fmt.Sprintf("%s: %v", s.kind, err))
			}
		}
	}
	for _, kind := range kinds {
		if !b.takesPart(kind) {
			continue
		}
		s, err := b.start(ctx, kind, settings...)
		if err != nil {
			stop()
			return nil, nil, err
		}
		running = append(running, s)
	}
	return running, stop, nil
}

var allKinds = []string{"millrun", "kafka", "null"}

// turns runs a load against each broker in turn, on a topic of its own that is deleted again, after a first turn that is
// not counted.
func (b *bench) turns(ctx context.Context, l load, configs []string, record func(s *server, o outcome)) error {
	servers, stop, err := b.brokers(ctx, allKinds)
	if err != nil {
		return err
	}
	defer stop()
	return b.turnsOn(ctx, servers, l, configs, record)
}

func (b *bench) turnsOn(ctx context.Context, servers []*server, l load, configs []string, record func(s *server, o outcome)) error {
	for turn := range b.pairs + 1 {
		for _, s := range servers {
			if err := ctx.Err(); err != nil {
				return err
			}
			run := l
			run.topic = fmt.Sprintf("%s-%d", l.topic, turn)
			if err := s.createTopic(run.topic, run.partitions, configs...); err != nil {
				return err
			}
			if err := warmPages(s.dir, int64(l.requests)*int64(l.records*l.recordSize)); err != nil {
				return err
			}
			o, err := run.run(s)
			if err != nil {
				return err
			}
			if err := s.deleteTopic(run.topic); err != nil {
				return err
			}
			if turn > 0 {
				record(s, o)
			}
			time.Sleep(300 * time.Millisecond) // the deleted files go
		}
	}
	return nil
}

func (b *bench) scaled(n int) int { return max(1, int(float64(n)*b.scale)) }

func produceLarge(ctx context.Context, b *bench) error {
	l := load{topic: "p1", partitions: 4, connections: 4, inFlight: 4, records: 124, recordSize: 1024, requests: b.scaled(14_000)}
	return b.turns(ctx, l, nil, func(s *server, o outcome) {
		b.table.add("MB/s", s.kind, o.megabytesPerSecond())
		b.table.add("CPU-s/GB", s.kind, o.cpuPerGB())
		b.table.add("p99 ms", s.kind, o.percentile(99))
	})
}

func produceSmall(ctx context.Context, b *bench) error {
	l := load{topic: "p2", partitions: 64, connections: 64, inFlight: 1, records: 1, recordSize: 1024, requests: b.scaled(128_000)}
	return b.turns(ctx, l, nil, func(s *server, o outcome) {
		b.table.add("requests/s", s.kind, o.requestsPerSecond())
		b.table.add("CPU us/request", s.kind, o.cpuMicrosPerRequest())
		b.table.add("p99 ms", s.kind, o.percentile(99))
	})
}

func produceMany(ctx context.Context, b *bench) error {
	l := load{topic: "p3", partitions: 100, connections: 100, inFlight: 1, records: 16, recordSize: 1000, requests: b.scaled(60_000)}
	return b.turns(ctx, l, nil, func(s *server, o outcome) {
		b.table.add("MB/s", s.kind, o.megabytesPerSecond())
		b.table.add("CPU-s/GB", s.kind, o.cpuPerGB())
		b.table.add("p99.9 ms", s.kind, o.percentile(99.9))
	})
}

func consume(ctx context.Context, b *bench) error {
	servers, stop, err := b.brokers(ctx, allKinds)
	if err != nil {
		return err
	}
	defer stop()
	fill := load{topic: "p4", partitions: 4, connections: 4, inFlight: 2, records: 124, recordSize: 1024, requests: b.scaled(8_000)}
	for _, s := range servers {
		if err := s.createTopic("p4", 4); err != nil {
			return err
		}
		if _, err := fill.run(s); err != nil {
			return err
		}
	}
	each := int64(fill.requests/4) * int64(fill.records*fill.recordSize)
	for _, connections := range []int{1, 4} {
		for turn := range b.pairs + 1 {
			for _, s := range servers {
				o, err := fetchRun(s, "p4", connections, each*int64(8/connections))
				if err != nil {
					return err
				}
				if turn > 0 {
					b.table.add(fmt.Sprintf("MB/s, %d connections", connections), s.kind, o.megabytesPerSecond())
					b.table.add(fmt.Sprintf("CPU-s/GB, %d connections", connections), s.kind, o.cpuPerGB())
				}
			}
		}
	}
	return nil
}

func latency(ctx context.Context, b *bench) error {
	servers, stop, err := b.brokers(ctx, allKinds)
	if err != nil {
		return err
	}
	defer stop()
	const connections = 16
	for _, rate := range []int{1_000, 5_000, 20_000} {
		for turn := range b.pairs + 1 {
			for _, s := range servers {
				if err := ctx.Err(); err != nil {
					return err
				}
				topic := fmt.Sprintf("p6-%d-%d", rate, turn)
				if err := s.createTopic(topic, connections); err != nil {
					return err
				}
				o, err := openLoopRun(s, topic, connections, rate, b.scaled(3*rate))
				if err != nil {
					return err
				}
				if err := s.deleteTopic(topic); err != nil {
					return err
				}
				if turn == 0 {
					continue
				}
				for _, p := range []float64{50, 99, 99.9} {
					b.table.add(fmt.Sprintf("p%g ms at %d/s", p, rate), s.kind, o.percentile(p))
				}
			}
		}
	}
	return nil
}

func openLoopRun(s *server, topic string, connections, rate, requests int) (outcome, error) {
	var wg sync.WaitGroup
	results, failures := make([][]time.Duration, connections), make([]error, connections)
	began := time.Now()
	for i := range connections {
		c, err := dial(s.addr)
		if err != nil {
			return outcome{}, err
		}
		defer c.conn.Close()
		frame, err := produceFrame(topic, int32(i), 1, 1, 100)
		if err != nil {
			return outcome{}, err
		}
		every := time.Duration(connections) * time.Second / time.Duration(rate)
		wg.Go(func() { results[i], failures[i] = openLoop(c, frame, every, requests/connections) })
	}
	wg.Wait()
	o := outcome{elapsed: time.Since(began), requests: requests}
	for i := range results {
		if failures[i] != nil {
			return o, fmt.Errorf("%s: %w", s.kind, failures[i])
		}
		o.latencies = append(o.latencies, results[i]...)
	}
	slices.Sort(o.latencies)
	return o, nil
}

// durable compares group commit. The null broker, told by the topic's name, calls fsync for each batch under the
// partition's lock: what 16 producers get when every write pays for itself.
func durable(ctx context.Context, b *bench) error {
	servers, stop, err := b.brokers(ctx, allKinds)
	if err != nil {
		return err
	}
	defer stop()
	for _, partitions := range []int32{1, 16} {
		l := load{topic: fmt.Sprintf("sync-%d", partitions), partitions: partitions, connections: 16, inFlight: 1, records: 1, recordSize: 100,
			requests: b.scaled(6_400)}
		err := b.turnsOn(ctx, servers, l, []string{"flush.messages", "1"}, func(s *server, o outcome) {
			b.table.add(fmt.Sprintf("acks/s, %d partitions", partitions), s.kind, o.requestsPerSecond())
			b.table.add(fmt.Sprintf("p50 ms, %d partitions", partitions), s.kind, o.percentile(50))
		})
		if err != nil {
			return err
		}
	}
	return nil
}
