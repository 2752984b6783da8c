//go:build !windows

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/urfave/cli/v2"
)

func consumeCommand() *cli.Command {
	return &cli.Command{
		Name:      "consume",
		Usage:     "print the records of a topic",
		ArgsUsage: "TOPIC",
		Flags: []cli.Flag{bootstrapFlag(), outputFlag(),
			&cli.StringFlag{Name: "from", Usage: "begin at `POSITION`: earliest, latest, @ms or an offset (with -g: only where the group has committed nothing)", Value: "earliest"},
			&cli.Int64Flag{Name: "n", Usage: "stop after `COUNT` records", DefaultText: "no end"},
			&cli.StringFlag{Name: "g", Usage: "read as a member of `GROUP`, and commit"},
			&cli.IntFlag{Name: "p", Usage: "only partition `N`", Value: -1, DefaultText: "all"},
			&cli.BoolFlag{Name: "exit", Usage: "stop at the end that the topic had when the reading began"},
		},
		Action: consume,
	}
}

// consumption is one run of consume.
type consumption struct {
	topic   string
	group   string
	limit   int64           // 0: none
	ends    map[int32]int64 // where to stop, nil: nowhere
	at      map[int32]int64 // the next offset of each partition
	out     *bufio.Writer
	printed int64

	assigned *assignment             // nil without a group
	accept   func(*kgo.Record) bool  // nil: all records
	write    func(*kgo.Record) error // prints one record
}

func consume(c *cli.Context) error {
	topic, err := oneArgument(c, "a topic's name")
	if err != nil {
		return err
	}
	from, err := parsePosition("from", c.String("from"))
	if err != nil {
		return err
	}
	group, partition := c.String("g"), int32(c.Int("p"))
	if group != "" && partition >= 0 {
		return usagef("-g and -p exclude each other: a group's partitions are assigned to its members")
	}
	run := &consumption{topic: topic, group: group, limit: c.Int64("n"), out: bufio.NewWriterSize(c.App.Writer, 64<<10)}
	run.write = recordWriter(run.out, wantsJSON(c))
	opts := []kgo.Opt{kgo.KeepControlRecords(), kgo.FetchMaxWait(250 * time.Millisecond)}
	err = withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
		more, err := run.plan(ctx, admin, from, partition, c.Bool("exit"))
		opts = append(opts, more...)
		return err
	})
	if err != nil {
		return err
	}
	client, err := connect(c, opts...)
	if err != nil {
		return err
	}
	defer client.Close()
	err = run.loop(c.Context, client)
	if flushErr := run.out.Flush(); err == nil {
		err = flushErr
	}
	if group != "" {
		ctx, cancel := context.WithTimeout(context.Background(), clientTimeout)
		defer cancel()
		if commitErr := client.CommitMarkedOffsets(ctx); err == nil && commitErr != nil {
			err = brokerError("group "+group, commitErr, "")
		}
	}
	return err
}

// plan resolves where to begin and, if the run shall exit, where to end.
func (r *consumption) plan(ctx context.Context, admin *kadm.Client, from position, partition int32, exit bool) ([]kgo.Opt, error) {
	begin, err := from.resolve(ctx, admin, r.topic)
	if err != nil {
		return nil, err
	}
	if partition >= 0 {
		if _, ok := begin[partition]; !ok {
			return nil, fmt.Errorf("topic %s has no partition %d", r.topic, partition)
		}
		begin = map[int32]int64{partition: begin[partition]}
	}
	r.at = begin
	if exit {
		if r.ends, err = (position{kind: "latest"}).resolve(ctx, admin, r.topic); err != nil {
			return nil, err
		}
	}
	if r.group == "" {
		offsets := make(map[int32]kgo.Offset, len(begin))
		for p, o := range begin {
			offsets[p] = kgo.NewOffset().At(o)
		}
		return []kgo.Opt{kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{r.topic: offsets})}, nil
	}
	committed, err := admin.FetchOffsets(ctx, r.group)
	if err != nil {
		return nil, brokerError("group "+r.group, err, "")
	}
	committed.Each(func(o kadm.OffsetResponse) {
		if o.Topic == r.topic && o.Err == nil && o.At >= 0 {
			r.at[o.Partition] = o.At
		}
	})
	r.assigned = &assignment{topic: r.topic}
	return append(r.assigned.options(), kgo.ConsumerGroup(r.group), kgo.ConsumeTopics(r.topic), kgo.ConsumeResetOffset(from.kgo()),
		kgo.AutoCommitMarks(), kgo.AutoCommitInterval(time.Second)), nil
}

func (r *consumption) loop(ctx context.Context, client *kgo.Client) error {
	for !r.done(client) {
		poll, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		fetches := client.PollFetches(poll)
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		for _, e := range fetches.Errors() {
			if !errors.Is(e.Err, context.DeadlineExceeded) {
				return brokerError("topic "+r.topic, e.Err, "")
			}
		}
		for iter := fetches.RecordIter(); !iter.Done(); {
			if err := r.print(client, iter.Next()); err != nil {
				return err
			}
		}
		if err := r.out.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// print writes a record unless it lies behind the end or the limit. Control records only move the position.
func (r *consumption) print(client *kgo.Client, record *kgo.Record) error {
	if r.limit > 0 && r.printed == r.limit {
		return nil
	}
	if r.ends != nil && record.Offset >= r.ends[record.Partition] {
		r.at[record.Partition] = record.Offset + 1 // the offsets before the end may hold nothing
		return nil
	}
	r.at[record.Partition] = record.Offset + 1
	if r.group != "" {
		client.MarkCommitRecords(record)
	}
	if record.Attrs.IsControl() || (r.accept != nil && !r.accept(record)) {
		return nil
	}
	r.printed++
	return r.write(record)
}

// recordWriter prints a record as JSON, or its value on a line.
func recordWriter(out *bufio.Writer, asJSON bool) func(*kgo.Record) error {
	return func(record *kgo.Record) error {
		if asJSON {
			return writeJSON(out, viewRecord(record))
		}
		if _, err := out.Write(record.Value); err != nil {
			return err
		}
		return out.WriteByte('\n')
	}
}

// done says whether the limit is reached, or every partition that this member reads has come to its end.
func (r *consumption) done(client *kgo.Client) bool {
	if r.limit > 0 && r.printed == r.limit {
		return true
	}
	if r.ends == nil {
		return false
	}
	return r.reached(client.CommittedOffsets()[r.topic])
}

// reached says whether every partition of this member is at its end, by what it has read or by what the group had committed
// when the partition came to it.
func (r *consumption) reached(committed map[int32]kgo.EpochOffset) bool {
	mine, joined := r.assigned.partitions()
	for p, at := range r.at {
		// Before it has joined, a member is through only if its group is.
		if (!joined || mine[p]) && max(at, committed[p].Offset) < r.ends[p] {
			return false
		}
	}
	return true
}
