//go:build unix

package main

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetchFrame is a Fetch 11 request without a session for one partition, and the place of its offset.
func fetchFrame(topic string, partition int32, maxBytes int32) (frame []byte, offsetAt int) {
	req := kmsg.NewPtrFetchRequest()
	req.SetVersion(11)
	req.ReplicaID, req.MaxWaitMillis, req.MinBytes, req.MaxBytes = -1, 0, 1, maxBytes
	req.SessionID, req.SessionEpoch = 0, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic = topic
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.CurrentLeaderEpoch, p.FetchOffset, p.LogStartOffset, p.PartitionMaxBytes = partition, -1, 0, -1, maxBytes
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	frame = encode(req)
	// From the end: rack, forgotten topics, partition max bytes, log start offset, fetch offset.
	return frame, len(frame) - 2 - 4 - 4 - 8 - 8
}

// fetched is the records section of a Fetch 11 answer for one partition.
func fetched(body []byte) ([]byte, error) {
	if len(body) < 14 {
		return nil, fmt.Errorf("a fetch answer of %d bytes", len(body))
	}
	name := int(binary.BigEndian.Uint16(body[14:]))
	b := body[16+name+4:]
	if code := int16(binary.BigEndian.Uint16(b[4:])); code != 0 {
		return nil, fmt.Errorf("fetch answered error code %d", code)
	}
	b = b[4+2+8+8+8:]
	if aborted := int32(binary.BigEndian.Uint32(b)); aborted > 0 {
		return nil, fmt.Errorf("%d aborted transactions", aborted)
	}
	b = b[4+4:]
	return b[4:], nil
}

// nextOffset is the offset behind the last whole batch of a records section.
func nextOffset(records []byte, from int64) int64 {
	for len(records) >= 61 {
		size := int(binary.BigEndian.Uint32(records[8:])) + 12
		if size > len(records) {
			break
		}
		from = int64(binary.BigEndian.Uint64(records)) + int64(int32(binary.BigEndian.Uint32(records[23:]))) + 1
		records = records[size:]
	}
	return from
}

// fetchRun reads the given number of bytes from each connection's own partition, from the beginning again when it ends.
func fetchRun(s *server, topic string, connections int, bytesEach int64) (outcome, error) {
	clients := make([]*client, connections)
	for i := range clients {
		c, err := dial(s.addr)
		if err != nil {
			return outcome{}, err
		}
		defer c.conn.Close()
		clients[i] = c
	}
	failures, read := make([]error, connections), make([]int64, connections)
	before, began := s.cpu(), time.Now()
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() { read[i], failures[i] = fetchLoop(s, c, topic, int32(i), bytesEach) })
	}
	wg.Wait()
	o := outcome{elapsed: time.Since(began), cpu: s.cpu() - before}
	for i := range clients {
		if failures[i] != nil {
			return o, fmt.Errorf("%s: %w", s.kind, failures[i])
		}
		o.bytes += read[i]
	}
	return o, nil
}

func fetchLoop(s *server, c *client, topic string, partition int32, bytes int64) (int64, error) {
	frame, at := fetchFrame(topic, partition, 1<<20)
	var total, position int64
	for total < bytes {
		binary.BigEndian.PutUint64(frame[at:], uint64(position))
		if _, err := c.conn.Write(frame); err != nil {
			return total, err
		}
		body, err := c.receive()
		if err != nil {
			return total, err
		}
		records, err := fetched(body)
		if err != nil {
			return total, err
		}
		if len(records) == 0 {
			if position == 0 {
				return total, fmt.Errorf("partition %d is empty", partition)
			}
			position = 0
			continue
		}
		total += int64(len(records))
		if s.kind == "null" {
			position += int64(len(records))
		} else {
			position = nextOffset(records, position)
		}
	}
	return total, nil
}
