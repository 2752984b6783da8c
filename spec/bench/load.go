//go:build unix

package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/millrun/millrun/core/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// load is one closed-loop run of produce requests: each connection keeps some requests in flight until its share is sent.
type load struct {
	topic                 string
	partitions            int32
	connections, inFlight int
	records, recordSize   int // of each request
	requests              int // in all
}

// outcome is what one run showed.
type outcome struct {
	elapsed   time.Duration
	cpu       time.Duration // of the broker
	bytes     int64
	requests  int
	latencies []time.Duration // sorted
}

func (o outcome) megabytesPerSecond() float64 { return float64(o.bytes) / 1e6 / o.elapsed.Seconds() }
func (o outcome) requestsPerSecond() float64  { return float64(o.requests) / o.elapsed.Seconds() }
func (o outcome) cpuPerGB() float64           { return o.cpu.Seconds() / (float64(o.bytes) / 1e9) }
func (o outcome) cpuMicrosPerRequest() float64 {
	return float64(o.cpu.Microseconds()) / float64(o.requests)
}

// percentile is in milliseconds.
func (o outcome) percentile(p float64) float64 {
	if len(o.latencies) == 0 {
		return 0
	}
	i := min(int(p/100*float64(len(o.latencies))), len(o.latencies)-1)
	return float64(o.latencies[i].Nanoseconds()) / 1e6
}

// produceFrame is a Produce 8 request of one batch for one partition. Version 8 has no variable-length integers, so that
// the null broker can read it by counting.
func produceFrame(topic string, partition int32, acks int16, records, recordSize int) ([]byte, error) {
	b := record.NewBuilder(nil)
	now := time.Now().UnixMilli()
	for i := range records {
		value := make([]byte, recordSize)
		for j := range value {
			value[j] = byte('a' + (i+j)%26)
		}
		b.Append(now, nil, value, nil)
	}
	batch, err := b.Build()
	if err != nil {
		return nil, err
	}
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(8)
	req.Acks, req.TimeoutMillis = acks, 30_000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, batch
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return encode(req), nil
}

// checkProduced reads the error code of a Produce 8 answer for one partition.
func checkProduced(body []byte) error {
	name := int(binary.BigEndian.Uint16(body[4:]))
	if code := int16(binary.BigEndian.Uint16(body[4+2+name+4+4:])); code != 0 {
		return fmt.Errorf("produce answered error code %d", code)
	}
	return nil
}

func (l load) run(s *server) (outcome, error) {
	share := l.requests / l.connections
	results := make([][]time.Duration, l.connections)
	failures := make([]error, l.connections)
	clients := make([]*client, l.connections)
	var size int
	for i := range clients {
		c, err := dial(s.addr)
		if err != nil {
			return outcome{}, err
		}
		defer c.conn.Close()
		clients[i] = c
	}
	var wg sync.WaitGroup
	before, began := s.cpu(), time.Now()
	for i, c := range clients {
		frame, err := produceFrame(l.topic, int32(i)%l.partitions, 1, l.records, l.recordSize)
		if err != nil {
			return outcome{}, err
		}
		size = len(frame)
		wg.Go(func() { results[i], failures[i] = closedLoop(c, frame, l.inFlight, share) })
	}
	wg.Wait()
	o := outcome{elapsed: time.Since(began), cpu: s.cpu() - before, requests: share * l.connections}
	o.bytes = int64(o.requests) * int64(size)
	for i := range results {
		if failures[i] != nil {
			return o, fmt.Errorf("%s: %w", s.kind, failures[i])
		}
		o.latencies = append(o.latencies, results[i]...)
	}
	slices.Sort(o.latencies)
	return o, nil
}

// closedLoop sends frame n times with a bound on what is unanswered, and returns how long each answer took.
func closedLoop(c *client, frame []byte, inFlight, n int) ([]time.Duration, error) {
	latencies := make([]time.Duration, 0, n)
	sent := make([]time.Time, 0, n)
	send := func() error {
		sent = append(sent, time.Now())
		_, err := c.conn.Write(frame)
		return err
	}
	for range min(inFlight, n) {
		if err := send(); err != nil {
			return nil, err
		}
	}
	for i := range n {
		body, err := c.receive()
		if err != nil {
			return nil, err
		}
		latencies = append(latencies, time.Since(sent[i]))
		if err := checkProduced(body); err != nil {
			return nil, err
		}
		if len(sent) < n {
			if err := send(); err != nil {
				return nil, err
			}
		}
	}
	return latencies, nil
}

// openLoop sends at a fixed rate whatever the answers do, and counts each latency from the moment at which the request
// was due, so that a broker that stalls cannot hide it.
func openLoop(c *client, frame []byte, every time.Duration, n int) ([]time.Duration, error) {
	latencies := make([]time.Duration, 0, n)
	began := time.Now()
	failed := make(chan error, 1)
	go func() {
		for i := range n {
			if wait := time.Until(began.Add(time.Duration(i) * every)); wait > 0 {
				time.Sleep(wait)
			}
			if _, err := c.conn.Write(frame); err != nil {
				failed <- err
				return
			}
		}
		failed <- nil
	}()
	for i := range n {
		body, err := c.receive()
		if err != nil {
			return nil, err
		}
		latencies = append(latencies, time.Since(began.Add(time.Duration(i)*every)))
		if err := checkProduced(body); err != nil {
			return nil, err
		}
	}
	return latencies, <-failed
}

// warmPages writes a file as large as the run that follows and deletes it. On a virtual machine the first touch of a page
// that the guest has given back costs three to four times a write, whichever broker meets it.
func warmPages(dir string, bytes int64) error {
	f, err := os.Create(filepath.Join(dir, "warm"))
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	block := make([]byte, 1<<20)
	for n := int64(0); n < bytes; n += int64(len(block)) {
		if _, err := f.Write(block); err != nil {
			return err
		}
	}
	return nil
}
