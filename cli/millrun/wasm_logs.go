//go:build !windows

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/urfave/cli/v2"

	"github.com/millrun/millrun/core/transform"
)

// logsTopicPoll is how often who follows looks whether the logs' topic is there.
const logsTopicPoll = 500 * time.Millisecond

func wasmLogsCommand() *cli.Command {
	return &cli.Command{
		Name: "logs", Usage: "print what a deployment's module has logged", ArgsUsage: "NAME",
		Flags: []cli.Flag{bootstrapFlag(), httpFlag(), outputFlag(),
			&cli.BoolFlag{Name: "f", Usage: "go on printing as lines come"}},
		Action: wasmLogs,
	}
}

func wasmLogs(c *cli.Context) error {
	name, err := oneArgument(c, "a deployment's name")
	if err != nil {
		return err
	}
	out := bufio.NewWriter(c.App.Writer)
	run := &consumption{topic: transform.LogsTopic, out: out, accept: func(r *kgo.Record) bool { return string(r.Key) == name }}
	run.write = func(r *kgo.Record) error {
		if wantsJSON(c) {
			_, err := fmt.Fprintf(out, "%s\n", r.Value)
			return err
		}
		line := transform.LogLine{Time: r.Timestamp, Level: "?", Message: string(r.Value)}
		if err := json.Unmarshal(r.Value, &line); err != nil {
			line.Message = string(r.Value)
		}
		_, err := fmt.Fprintf(out, "%s %-5s [%d] %s\n", line.Time.UTC().Format("2006-01-02T15:04:05.000Z"), line.Level, line.Partition, printable(line.Message))
		return err
	}
	opts := []kgo.Opt{kgo.KeepControlRecords(), kgo.FetchMaxWait(250 * time.Millisecond)}
	for {
		err = withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
			more, err := run.plan(ctx, admin, position{kind: "earliest"}, -1, !c.Bool("f"))
			opts = append(opts, more...)
			return err
		})
		if !errors.Is(err, errNoTopic) {
			break
		}
		// Nobody has logged anything yet: the first line creates the topic.
		if !c.Bool("f") {
			return nil
		}
		select {
		case <-time.After(logsTopicPoll):
		case <-c.Context.Done():
		}
	}
	if c.Context.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	client, err := connect(c, opts...)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := run.loop(c.Context, client); err != nil {
		return err
	}
	return out.Flush()
}
