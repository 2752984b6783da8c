//go:build !windows

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/urfave/cli/v2"
)

// maxLine bounds one line of stdin; a record is not larger by a broker's default anyway.
const maxLine = 64 << 20

// produceRetries bounds how long a record waits for a broker that has gone. A time-out would count from the record's own
// timestamp, which may be years ago.
const produceRetries = 20

func produceCommand() *cli.Command {
	return &cli.Command{
		Name:      "produce",
		Usage:     "write records to a topic, one a line of stdin",
		ArgsUsage: "TOPIC",
		Flags: []cli.Flag{bootstrapFlag(),
			&cli.StringFlag{Name: "o", Usage: "`FORMAT` of a line: text, or json as 'millrun consume -o json' prints it", Value: "text"},
			&cli.StringFlag{Name: "K", Usage: "split each line at the first `SEP` into key and value"},
			&cli.StringSliceFlag{Name: "H", KeepSpace: true, Usage: "a header `NAME=VALUE` for every record; may be repeated"},
			&cli.IntFlag{Name: "p", Usage: "partition `N`", Value: -1, DefaultText: "by the key's hash"},
			&cli.StringFlag{Name: "z", Usage: "compress with `CODEC`: none, gzip, snappy, lz4 or zstd", Value: "none"},
			&cli.BoolFlag{Name: "null", Usage: "an empty key or value is null"},
		},
		Action: produce,
	}
}

// lineParser turns lines into records as the flags say.
type lineParser struct {
	topic     string
	separator string
	headers   []kgo.RecordHeader
	partition int32
	null      bool
	json      bool
}

func newLineParser(c *cli.Context, topic string) (*lineParser, error) {
	p := &lineParser{topic: topic, separator: c.String("K"), partition: int32(c.Int("p")), null: c.Bool("null"), json: wantsJSON(c)}
	for _, h := range c.StringSlice("H") {
		name, value, ok := strings.Cut(h, "=")
		if !ok {
			return nil, usagef("-H %s: write it as name=value", h)
		}
		p.headers = append(p.headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	}
	return p, nil
}

func codec(name string) (kgo.CompressionCodec, error) {
	switch name {
	case "none":
		return kgo.NoCompression(), nil
	case "gzip":
		return kgo.GzipCompression(), nil
	case "snappy":
		return kgo.SnappyCompression(), nil
	case "lz4":
		return kgo.Lz4Compression(), nil
	case "zstd":
		return kgo.ZstdCompression(), nil
	}
	return kgo.CompressionCodec{}, usagef("-z %s: a codec is none, gzip, snappy, lz4 or zstd", name)
}

func produce(c *cli.Context) error {
	topic, err := oneArgument(c, "a topic's name")
	if err != nil {
		return err
	}
	if f := c.String("o"); f != "text" && f != "json" {
		return usagef("-o %s: a format is text or json", f)
	}
	parser, err := newLineParser(c, topic)
	if err != nil {
		return err
	}
	compression, err := codec(c.String("z"))
	if err != nil {
		return err
	}
	client, err := connect(c, kgo.DefaultProduceTopic(topic), kgo.AllowAutoTopicCreation(), kgo.ProducerBatchCompression(compression),
		kgo.RecordPartitioner(givenOrHashed{kgo.StickyKeyPartitioner(nil)}), kgo.ProducerLinger(5*time.Millisecond), kgo.RecordRetries(produceRetries))
	if err != nil {
		return err
	}
	defer client.Close()
	var sent atomic.Int64
	shown := showProgress(c.App.ErrWriter, func() string { return fmt.Sprintf("%d records", sent.Load()) })
	defer shown.finish()
	return produceLines(c.Context, client, parser, c.App.Reader, &sent)
}

// produceLines sends every line and returns the first failure, having waited for what was sent before it.
func produceLines(ctx context.Context, client *kgo.Client, parser *lineParser, in io.Reader, sent *atomic.Int64) error {
	var (
		mu     sync.Mutex
		failed error
	)
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	number := 0
	for lines.Scan() {
		number++
		r, err := parser.record(lines.Bytes())
		if err != nil {
			failed = fmt.Errorf("line %d: %w", number, err)
			break
		}
		client.Produce(ctx, r, func(_ *kgo.Record, err error) {
			sent.Add(1)
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				if failed == nil {
					failed = brokerError("topic "+parser.topic, err, "")
				}
			}
		})
		mu.Lock()
		stop := failed != nil
		mu.Unlock()
		if stop {
			break
		}
	}
	if err := client.Flush(ctx); err != nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	if failed == nil && lines.Err() != nil {
		failed = fmt.Errorf("line %d: %w", number+1, lines.Err())
	}
	return failed
}

func (p *lineParser) record(line []byte) (*kgo.Record, error) {
	if p.json {
		return p.jsonRecord(line)
	}
	r := &kgo.Record{Headers: p.headers, Partition: p.partition}
	value := bytes.Clone(line)
	if value == nil {
		value = []byte{}
	}
	if p.separator != "" {
		key, rest, found := bytes.Cut(value, []byte(p.separator))
		if found {
			r.Key, value = p.maybeNull(key), rest
		}
	}
	r.Value = p.maybeNull(value)
	return r, nil
}

func (p *lineParser) maybeNull(b []byte) []byte {
	if p.null && len(b) == 0 {
		return nil
	}
	return b
}

func (p *lineParser) jsonRecord(line []byte) (*kgo.Record, error) {
	var v recordView
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("not a record as JSON: %w", err)
	}
	r := &kgo.Record{Partition: p.partition, Key: v.Key, Value: v.Value, Headers: append([]kgo.RecordHeader(nil), p.headers...)}
	if p.partition < 0 && v.Partition != nil {
		r.Partition = *v.Partition
	}
	if v.Timestamp != nil {
		r.Timestamp = time.UnixMilli(*v.Timestamp)
	}
	for _, h := range v.Headers {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
	}
	return r, nil
}

// givenOrHashed takes a record's own partition where it has one (not negative); elsewhere it hashes the key as Kafka's
// clients do, and lets records without a key stick to a partition for a batch.
type givenOrHashed struct{ hashed kgo.Partitioner }

func (g givenOrHashed) ForTopic(topic string) kgo.TopicPartitioner {
	return givenOrHashedTopic{g.hashed.ForTopic(topic)}
}

type givenOrHashedTopic struct{ kgo.TopicPartitioner }

func (g givenOrHashedTopic) RequiresConsistency(r *kgo.Record) bool {
	return r.Partition >= 0 || g.TopicPartitioner.RequiresConsistency(r)
}

func (g givenOrHashedTopic) Partition(r *kgo.Record, n int) int {
	if r.Partition >= 0 {
		return int(r.Partition)
	}
	return g.TopicPartitioner.Partition(r, n)
}

func (g givenOrHashedTopic) OnNewBatch() {
	if sticky, ok := g.TopicPartitioner.(kgo.TopicPartitionerOnNewBatch); ok {
		sticky.OnNewBatch()
	}
}
