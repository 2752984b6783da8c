//go:build unix

package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// client is one connection that speaks frames made beforehand, so that the load costs the machine as little as it can.
type client struct {
	conn   net.Conn
	reader *bufio.Reader
	answer []byte
}

func dial(addr string) (*client, error) {
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(5 * time.Minute))
	return &client{conn: conn, reader: bufio.NewReaderSize(conn, 4<<10)}, nil
}

// receive returns the next answer behind its correlation id; the bytes hold until the next call.
func (c *client) receive() ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(c.reader, size[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(size[:]))
	if cap(c.answer) < n {
		c.answer = make([]byte, n+n/4)
	}
	c.answer = c.answer[:n]
	if _, err := io.ReadFull(c.reader, c.answer); err != nil {
		return nil, err
	}
	return c.answer[4:], nil
}

// request sends any request and decodes its answer.
func (c *client) request(req kmsg.Request, version int16) (kmsg.Response, error) {
	req.SetVersion(version)
	frame := encode(req)
	if _, err := c.conn.Write(frame); err != nil {
		return nil, err
	}
	body, err := c.receive()
	if err != nil {
		return nil, err
	}
	resp := req.ResponseKind()
	resp.SetVersion(version)
	if resp.IsFlexible() && req.Key() != 18 {
		body = body[1:] // the header's tagged fields, of which there are none
	}
	return resp, resp.ReadFrom(body)
}

func encode(req kmsg.Request) []byte {
	formatter := kmsg.NewRequestFormatter(kmsg.FormatterClientID("bench"))
	return formatter.AppendRequest(nil, req, 0)
}

// createTopic makes a topic whose files disappear soon after it is deleted.
func (s *server) createTopic(name string, partitions int32, configs ...string) error {
	if s.kind == "null" {
		return nil
	}
	c, err := dial(s.addr)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = 240_000
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, partitions, 1
	configs = append(configs, "file.delete.delay.ms", "100")
	for i := 0; i < len(configs); i += 2 {
		config := kmsg.NewCreateTopicsRequestTopicConfig()
		config.Name, config.Value = configs[i], &configs[i+1]
		topic.Configs = append(topic.Configs, config)
	}
	req.Topics = append(req.Topics, topic)
	resp, err := c.request(req, 5)
	if err != nil {
		return err
	}
	if code := resp.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode; code != 0 {
		return fmt.Errorf("%s: creating topic %s: error code %d", s.kind, name, code)
	}
	return s.awaitLeaders(c, name, partitions)
}

// awaitLeaders waits until each partition takes requests: Kafka answers CreateTopics before it does.
func (s *server) awaitLeaders(c *client, name string, partitions int32) error {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		req := kmsg.NewPtrListOffsetsRequest()
		req.ReplicaID = -1
		topic := kmsg.NewListOffsetsRequestTopic()
		topic.Topic = name
		for p := range partitions {
			partition := kmsg.NewListOffsetsRequestTopicPartition()
			partition.Partition, partition.Timestamp = p, -1
			topic.Partitions = append(topic.Partitions, partition)
		}
		req.Topics = append(req.Topics, topic)
		resp, err := c.request(req, 2)
		if err != nil {
			return err
		}
		serving := 0
		for _, t := range resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode == 0 {
					serving++
				}
			}
		}
		if serving == int(partitions) {
			return nil
		}
	}
	return fmt.Errorf("%s: topic %s is not served after a minute", s.kind, name)
}

func (s *server) deleteTopic(name string) error {
	if s.kind == "null" {
		return removeNullFiles(s.dir, name)
	}
	c, err := dial(s.addr)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TopicNames, req.TimeoutMillis = []string{name}, 60_000
	_, err = c.request(req, 4)
	return err
}
