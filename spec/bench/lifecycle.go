//go:build unix

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// startUp measures from exec on a folder that the broker has used before to the first produce that it acknowledges.
func startUp(ctx context.Context, b *bench) error {
	for _, kind := range []string{"millrun", "kafka"} {
		if !b.takesPart(kind) {
			continue
		}
		s, err := b.start(ctx, kind)
		if err != nil {
			return err
		}
		if err := s.createTopic("p9", 1); err != nil {
			return err
		}
		for range b.pairs {
			if err := s.stop(); err != nil {
				return err
			}
			began := time.Now()
			if s, err = b.restartUnready(ctx, s); err != nil {
				return err
			}
			if err := s.firstAck("p9"); err != nil {
				return err
			}
			b.table.add("ms", kind, float64(time.Since(began).Microseconds())/1e3)
		}
		if err := s.stop(); err != nil {
			return err
		}
	}
	return nil
}

// restartUnready starts a broker without waiting for its own word that it is ready: the first acknowledgement is.
func (b *bench) restartUnready(ctx context.Context, old *server) (*server, error) {
	if old.kind == "kafka" {
		return b.restart(ctx, "kafka", old.dir)
	}
	s := &server{kind: old.kind, dir: old.dir, addr: old.addr}
	return s, s.startProcess(nil, b.millrun, "dev", "--kafka", s.addr, "--http", "127.0.0.1:0", "--data", filepath.Join(s.dir, "data"))
}

func (s *server) firstAck(topic string) error {
	frame, err := produceFrame(topic, 0, -1, 1, 100)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(3 * time.Minute)
	for time.Now().Before(deadline) {
		if err = s.tryAck(frame); err == nil {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return fmt.Errorf("%s: no acknowledgement after three minutes: %w", s.kind, err)
}

func (s *server) tryAck(frame []byte) error {
	c, err := dial(s.addr)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	if _, err := c.conn.Write(frame); err != nil {
		return err
	}
	body, err := c.receive()
	if err != nil {
		return err
	}
	return checkProduced(body)
}

func memory(ctx context.Context, b *bench) error {
	servers, stop, err := b.brokers(ctx, []string{"millrun", "kafka"})
	if err != nil {
		return err
	}
	defer stop()
	time.Sleep(5 * time.Second)
	for _, s := range servers {
		b.table.add("MB idle", s.kind, float64(s.resident())/1e6)
	}
	for _, s := range servers {
		peak := s.resident()
		for turn, deadline := 0, time.Now().Add(time.Duration(b.scaled(60))*time.Second); time.Now().Before(deadline) && ctx.Err() == nil; turn++ {
			if err := b.loadOnce(s, fmt.Sprintf("p10-%d", turn)); err != nil {
				return err
			}
			peak = max(peak, s.resident())
		}
		b.table.add("MB peak under load", s.kind, float64(peak)/1e6)
	}
	return nil
}

// loadOnce writes half a gigabyte through 32 connections, reads it back through 16, and deletes it.
func (b *bench) loadOnce(s *server, topic string) error {
	l := load{topic: topic, partitions: 16, connections: 32, inFlight: 4, records: 124, recordSize: 1024, requests: b.scaled(4_000)}
	if err := s.createTopic(l.topic, l.partitions); err != nil {
		return err
	}
	if _, err := l.run(s); err != nil {
		return err
	}
	if _, err := fetchRun(s, l.topic, 16, 24<<20); err != nil {
		return err
	}
	return s.deleteTopic(l.topic)
}

// partitions creates 10,000, writes to some, stops cleanly and starts again.
func partitions(ctx context.Context, b *bench) error {
	topics, each := b.scaled(100), int32(100)
	for _, kind := range []string{"millrun", "kafka"} {
		if !b.takesPart(kind) {
			continue
		}
		s, err := b.start(ctx, kind)
		if err != nil {
			return err
		}
		began := time.Now()
		for i := range topics {
			if err := s.createTopic(fmt.Sprintf("p12-%d", i), each); err != nil {
				return err
			}
		}
		b.table.add("s to create", kind, time.Since(began).Seconds())
		b.table.add("MB resident", kind, float64(s.resident())/1e6)
		b.table.add("open files", kind, float64(s.openFiles()))
		began = time.Now()
		if err := s.stop(); err != nil {
			return err
		}
		b.table.add("s to stop", kind, time.Since(began).Seconds())
		began = time.Now()
		if s, err = b.restartUnready(ctx, s); err != nil {
			return err
		}
		if err := s.firstAck("p12-0"); err != nil {
			return err
		}
		b.table.add("s to start", kind, time.Since(began).Seconds())
		if err := s.stop(); err != nil {
			return err
		}
	}
	return nil
}
