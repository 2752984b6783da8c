//go:build !windows

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
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
	// Which of the topics a deployment's lines are in depends on its module, and it may have had one of either kind.
	topics := []string{transform.LogsTopic, transform.RedpandaLogsTopic}
	known := callHTTP(c, http.MethodGet, "/v1/deployments/"+url.PathEscape(name), "", nil, nil)
	if !c.Bool("f") {
		printed := &countingWriter{w: c.App.Writer}
		for _, topic := range topics {
			if err := printLogs(c, topic, name, printed); err != nil {
				return err
			}
		}
		if printed.n == 0 && isRefusal(known, http.StatusNotFound) { // what a deleted one has logged is still there for a while
			return known
		}
		return nil
	}
	if isRefusal(known, http.StatusNotFound) {
		fmt.Fprintf(c.App.ErrWriter, "%v yet: waiting for what it will log\n", known)
	}
	lines, ended := &lockedWriter{w: c.App.Writer}, make(chan error)
	for _, topic := range topics {
		go func() { ended <- printLogs(c, topic, name, lines) }()
	}
	return errors.Join(<-ended, <-ended)
}

// countingWriter knows how many bytes went through.
type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// lockedWriter takes whole lines from several goroutines.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer // guarded by mu
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// printLogs prints what a topic has of a deployment's lines, each with one Write, and goes on with -f.
func printLogs(c *cli.Context, topic, name string, w io.Writer) error {
	run := &consumption{topic: topic, out: bufio.NewWriter(io.Discard), accept: func(r *kgo.Record) bool { return string(r.Key) == name }}
	run.write = func(r *kgo.Record) error {
		if wantsJSON(c) {
			_, err := fmt.Fprintf(w, "%s\n", r.Value)
			return err
		}
		line := logLine(r)
		_, err := fmt.Fprintf(w, "%s %-5s [%d] %s\n", line.Time.UTC().Format("2006-01-02T15:04:05.000Z"), line.Level, line.Partition,
			strings.ReplaceAll(printable(line.Message), "\n", "\n    ")) // so that no guest writes lines of its own
		return err
	}
	opts := []kgo.Opt{kgo.KeepControlRecords(), kgo.FetchMaxWait(250 * time.Millisecond)}
	more, err := planLogs(c, run)
	if errors.Is(err, errNoTopic) || c.Context.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	client, err := connect(c, append(opts, more...)...)
	if err != nil {
		return err
	}
	defer client.Close()
	return run.loop(c.Context, client)
}

// planLogs waits with -f until the topic is there: the first line creates it.
func planLogs(c *cli.Context, run *consumption) (opts []kgo.Opt, err error) {
	for {
		err = withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
			opts, err = run.plan(ctx, admin, position{kind: "earliest"}, -1, !c.Bool("f"))
			return err
		})
		if !errors.Is(err, errNoTopic) || !c.Bool("f") {
			return opts, err
		}
		select {
		case <-time.After(logsTopicPoll):
		case <-c.Context.Done():
			return nil, err
		}
	}
}

// logLine reads a line in its topic's shape; what cannot be read is shown as it is.
func logLine(r *kgo.Record) transform.LogLine {
	raw := transform.LogLine{Time: r.Timestamp, Level: "?", Message: string(r.Value)}
	if r.Topic == transform.RedpandaLogsTopic {
		var record transform.OTelLogRecord
		if json.Unmarshal(r.Value, &record) != nil || record.Body.String == nil {
			return raw
		}
		line := record.Line()
		line.Time = r.Timestamp
		return line
	}
	line := raw
	if json.Unmarshal(r.Value, &line) != nil {
		return raw
	}
	return line
}
