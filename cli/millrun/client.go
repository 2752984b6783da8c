//go:build !windows

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/urfave/cli/v2"
)

// clientTimeout bounds what a verb waits for a broker that does not answer.
const clientTimeout = 15 * time.Second

func bootstrapFlag() cli.Flag {
	return &cli.StringFlag{Name: "bootstrap", Aliases: []string{"b"}, Usage: "`ADDRESS` of a broker, host:port, several with commas",
		EnvVars: []string{"MILLRUN_BOOTSTRAP"}, Value: defaultKafka}
}

// connect makes a client and checks that a broker answers, so that a wrong address is one clear line and not a wait.
func connect(c *cli.Context, opts ...kgo.Opt) (*kgo.Client, error) {
	address := c.String("bootstrap")
	opts = append([]kgo.Opt{kgo.SeedBrokers(strings.Split(address, ",")...), kgo.ClientID("millrun-cli"), kgo.RetryTimeout(clientTimeout)}, opts...)
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, usagef("--bootstrap %s: %v", address, err)
	}
	ctx, cancel := context.WithTimeout(c.Context, clientTimeout)
	defer cancel()
	if err := client.Ping(ctx); err != nil {
		client.Close()
		return nil, fmt.Errorf("no broker answers at %s: start one with 'millrun dev', or name another with --bootstrap (%w)", address, err)
	}
	return client, nil
}

var errNoTopic = errors.New("it does not exist")

// withAdmin runs a verb that asks or changes the cluster.
func withAdmin(c *cli.Context, verb func(ctx context.Context, admin *kadm.Client) error) error {
	client, err := connect(c)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(c.Context, 2*clientTimeout)
	defer cancel()
	return verb(ctx, kadm.NewClient(client))
}

// brokerError says what a broker's error code means for the thing named.
func brokerError(what string, err error, message string) error {
	if err == nil {
		return nil
	}
	var code *kerr.Error
	if !errors.As(err, &code) {
		return fmt.Errorf("%s: %w", what, err)
	}
	switch {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return fmt.Errorf("%s: %w", what, errNoTopic)
	case errors.Is(err, kerr.TopicAlreadyExists):
		return fmt.Errorf("%s exists already", what)
	case errors.Is(err, kerr.GroupIDNotFound):
		return fmt.Errorf("%s does not exist", what)
	case errors.Is(err, kerr.NonEmptyGroup):
		return fmt.Errorf("%s has members: stop them first", what)
	}
	if message == "" {
		message = code.Description
	}
	return fmt.Errorf("%s: %s (%s)", what, strings.TrimSuffix(message, "."), code.Message)
}

// oneArgument returns the only argument of a verb.
func oneArgument(c *cli.Context, what string) (string, error) {
	switch {
	case c.NArg() == 0:
		return "", usagef("%s needs %s", c.Command.HelpName, what)
	case c.NArg() > 1:
		return "", usagef("%s takes one argument, %s, but was given %q too", c.Command.HelpName, what, c.Args().Get(1))
	}
	return c.Args().First(), nil
}

// position is where to begin reading: --from of consume and deploy, --to of group reset.
type position struct {
	kind   string // earliest, latest, timestamp or offset
	number int64
}

func parsePosition(flag, text string) (position, error) {
	switch text {
	case "earliest", "latest":
		return position{kind: text}, nil
	}
	kind, digits := "offset", text
	if after, ok := strings.CutPrefix(text, "@"); ok {
		kind, digits = "timestamp", after
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 {
		return position{}, usagef("--%s %s: say earliest, latest, @ and milliseconds since 1970, or an offset", flag, text)
	}
	return position{kind: kind, number: n}, nil
}

// kgo is the position as the client library says it.
func (p position) kgo() kgo.Offset {
	switch p.kind {
	case "earliest":
		return kgo.NewOffset().AtStart()
	case "latest":
		return kgo.NewOffset().AtEnd()
	case "timestamp":
		return kgo.NewOffset().AfterMilli(p.number)
	}
	return kgo.NewOffset().At(p.number)
}

// resolve asks the broker for the offsets of a topic's partitions at the position, within what the log holds.
func (p position) resolve(ctx context.Context, admin *kadm.Client, topic string) (map[int32]int64, error) {
	start, err := admin.ListStartOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	end, err := admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	at := end
	switch p.kind {
	case "earliest":
		at = start
	case "timestamp":
		if at, err = admin.ListOffsetsAfterMilli(ctx, p.number, topic); err != nil {
			return nil, err
		}
	}
	offsets := map[int32]int64{}
	var failed error
	at.Each(func(o kadm.ListedOffset) {
		if o.Err != nil {
			failed = brokerError("topic "+topic, o.Err, "")
			return
		}
		first, _ := start.Lookup(topic, o.Partition)
		last, _ := end.Lookup(topic, o.Partition)
		offset := o.Offset
		if p.kind == "offset" {
			offset = min(max(p.number, first.Offset), last.Offset)
		}
		if offset < 0 {
			offset = last.Offset
		}
		offsets[o.Partition] = offset
	})
	if failed == nil && len(offsets) == 0 {
		failed = fmt.Errorf("topic %s: %w", topic, errNoTopic)
	}
	return offsets, failed
}
