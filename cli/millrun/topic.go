//go:build !windows

package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/urfave/cli/v2"
)

func topicCommand() *cli.Command {
	partitions := &cli.IntFlag{Name: "partitions", Aliases: []string{"p"}, Usage: "number of partitions `N`", Value: -1, DefaultText: "the broker's num.partitions"}
	configs := &cli.StringSliceFlag{Name: "config", KeepSpace: true, Usage: "a topic setting `NAME=VALUE`; may be repeated"}
	return &cli.Command{
		Name:  "topic",
		Usage: "create, list, describe, alter and delete topics",
		Subcommands: []*cli.Command{
			{Name: "create", Usage: "create a topic", ArgsUsage: "TOPIC", Action: topicCreate, Flags: []cli.Flag{bootstrapFlag(), outputFlag(), partitions, configs,
				&cli.IntFlag{Name: "replicas", Aliases: []string{"r"}, Usage: "replicas of each partition `N`", Value: -1, DefaultText: "the broker's default.replication.factor"}}},
			{Name: "list", Usage: "list the topics", Action: topicList, Flags: []cli.Flag{bootstrapFlag(), outputFlag(),
				&cli.BoolFlag{Name: "internal", Usage: "internal topics too"}}},
			{Name: "describe", Usage: "show a topic's partitions, offsets and settings", ArgsUsage: "TOPIC", Action: topicDescribe, Flags: []cli.Flag{bootstrapFlag(), outputFlag()}},
			{Name: "alter", Usage: "add partitions, change settings (NAME= takes one back to its default)", ArgsUsage: "TOPIC", Action: topicAlter,
				Flags: []cli.Flag{bootstrapFlag(), outputFlag(), partitions, configs}},
			{Name: "delete", Usage: "delete a topic and its records", ArgsUsage: "TOPIC", Action: topicDelete, Flags: []cli.Flag{bootstrapFlag(), outputFlag()}},
		},
	}
}

// topicView is a topic as -o json shows it.
type topicView struct {
	Name       string            `json:"name"`
	ID         string            `json:"id"`
	Internal   bool              `json:"internal"`
	Replicas   int               `json:"replicas"`
	Partitions []partitionView   `json:"partitions"`
	Configs    map[string]string `json:"configs,omitempty"`
}

type partitionView struct {
	Partition   int32   `json:"partition"`
	Leader      int32   `json:"leader"`
	LeaderEpoch int32   `json:"leader_epoch"`
	Replicas    []int32 `json:"replicas"`
	ISR         []int32 `json:"isr"`
	Start       int64   `json:"start"`
	End         int64   `json:"end"`
}

func topicCreate(c *cli.Context) error {
	name, err := oneArgument(c, "a topic's name")
	if err != nil {
		return err
	}
	configs, err := pairs(c, "config")
	if err != nil {
		return err
	}
	values := make(map[string]*string, len(configs))
	for k, v := range configs {
		values[k] = kadm.StringPtr(v)
	}
	return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
		got, err := admin.CreateTopic(ctx, int32(c.Int("partitions")), int16(c.Int("replicas")), values, name)
		if err != nil {
			return brokerError("topic "+name, err, got.ErrMessage)
		}
		if wantsJSON(c) {
			return writeJSON(c.App.Writer, map[string]any{"name": name, "id": topicID(got.ID), "partitions": got.NumPartitions, "replicas": got.ReplicationFactor})
		}
		_, err = fmt.Fprintf(c.App.Writer, "created topic %s with %s\n", name, count(int(got.NumPartitions), "partition"))
		return err
	})
}

func topicList(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
		topics, err := admin.ListTopicsWithInternal(ctx)
		if err != nil {
			return err
		}
		views := []topicView{}
		for _, t := range topics.Sorted() {
			if c.Bool("internal") || !t.IsInternal {
				views = append(views, viewTopic(t))
			}
		}
		if wantsJSON(c) {
			return writeJSON(c.App.Writer, views)
		}
		w := tabwriter.NewWriter(c.App.Writer, 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, "TOPIC\tPARTITIONS\tREPLICAS")
		for _, v := range views {
			fmt.Fprintf(w, "%s\t%d\t%d\n", v.Name, len(v.Partitions), v.Replicas)
		}
		return w.Flush()
	})
}

func viewTopic(t kadm.TopicDetail) topicView {
	v := topicView{Name: t.Topic, ID: topicID(t.ID), Internal: t.IsInternal, Replicas: t.Partitions.NumReplicas(), Partitions: []partitionView{}}
	for _, p := range t.Partitions.Sorted() {
		v.Partitions = append(v.Partitions, partitionView{Partition: p.Partition, Leader: p.Leader, LeaderEpoch: p.LeaderEpoch, Replicas: p.Replicas, ISR: p.ISR})
	}
	return v
}

// topicID writes a topic's id as Kafka's tools do.
func topicID(id kadm.TopicID) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

func topicDescribe(c *cli.Context) error {
	name, err := oneArgument(c, "a topic's name")
	if err != nil {
		return err
	}
	return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
		v, err := describeTopic(ctx, admin, name)
		if err != nil {
			return err
		}
		if wantsJSON(c) {
			return writeJSON(c.App.Writer, v)
		}
		w := tabwriter.NewWriter(c.App.Writer, 0, 4, 2, ' ', 0)
		fmt.Fprintf(w, "topic %s  id %s  %s\n", v.Name, v.ID, count(len(v.Partitions), "partition"))
		fmt.Fprintln(w, "PARTITION\tLEADER\tEPOCH\tREPLICAS\tISR\tSTART\tEND")
		for _, p := range v.Partitions {
			fmt.Fprintf(w, "%d\t%d\t%d\t%v\t%v\t%d\t%d\n", p.Partition, p.Leader, p.LeaderEpoch, p.Replicas, p.ISR, p.Start, p.End)
		}
		for _, k := range slices.Sorted(maps.Keys(v.Configs)) {
			fmt.Fprintf(w, "%s=%s\n", k, v.Configs[k])
		}
		return w.Flush()
	})
}

// describeTopic gathers what describe shows; the settings are those that the topic itself carries.
func describeTopic(ctx context.Context, admin *kadm.Client, name string) (topicView, error) {
	topics, err := admin.ListTopicsWithInternal(ctx, name)
	if err != nil {
		return topicView{}, err
	}
	t, ok := topics[name]
	if !ok || t.Err != nil {
		return topicView{}, brokerError("topic "+name, t.Err, "")
	}
	v := viewTopic(t)
	start, err := admin.ListStartOffsets(ctx, name)
	if err != nil {
		return v, err
	}
	end, err := admin.ListEndOffsets(ctx, name)
	if err != nil {
		return v, err
	}
	for i := range v.Partitions {
		p := &v.Partitions[i]
		first, _ := start.Lookup(name, p.Partition)
		last, _ := end.Lookup(name, p.Partition)
		p.Start, p.End = first.Offset, last.Offset
	}
	described, err := admin.DescribeTopicConfigs(ctx, name)
	if err != nil {
		return v, err
	}
	v.Configs = map[string]string{}
	for _, resource := range described {
		for _, config := range resource.Configs {
			if config.Source.String() == "DYNAMIC_TOPIC_CONFIG" {
				v.Configs[config.Key] = config.MaybeValue()
			}
		}
	}
	return v, nil
}

func topicAlter(c *cli.Context) error {
	name, err := oneArgument(c, "a topic's name")
	if err != nil {
		return err
	}
	configs, err := pairs(c, "config")
	if err != nil {
		return err
	}
	partitions := c.Int("partitions")
	if len(configs) == 0 && partitions < 0 {
		return usagef("topic alter %s: say what to change, with -p or --config", name)
	}
	return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
		if len(configs) > 0 {
			if err := alterConfigs(ctx, admin, name, configs); err != nil {
				return err
			}
		}
		if partitions >= 0 {
			got, err := admin.UpdatePartitions(ctx, partitions, name)
			if err == nil {
				err = brokerError("topic "+name, got[name].Err, got[name].ErrMessage)
			}
			if err != nil {
				return err
			}
		}
		if wantsJSON(c) {
			v, err := describeTopic(ctx, admin, name)
			if err != nil {
				return err
			}
			return writeJSON(c.App.Writer, v)
		}
		_, err := fmt.Fprintf(c.App.Writer, "altered topic %s\n", name)
		return err
	})
}

func alterConfigs(ctx context.Context, admin *kadm.Client, topic string, configs map[string]string) error {
	var changes []kadm.AlterConfig
	for _, k := range slices.Sorted(maps.Keys(configs)) {
		change := kadm.AlterConfig{Op: kadm.SetConfig, Name: k, Value: kadm.StringPtr(configs[k])}
		if configs[k] == "" {
			change = kadm.AlterConfig{Op: kadm.DeleteConfig, Name: k}
		}
		changes = append(changes, change)
	}
	responses, err := admin.AlterTopicConfigs(ctx, changes, topic)
	if err != nil {
		return err
	}
	for _, r := range responses {
		if r.Err != nil {
			return brokerError("topic "+topic, r.Err, r.ErrMessage)
		}
	}
	return nil
}

func topicDelete(c *cli.Context) error {
	name, err := oneArgument(c, "a topic's name")
	if err != nil {
		return err
	}
	return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
		got, err := admin.DeleteTopics(ctx, name)
		if err != nil {
			return err
		}
		if err := brokerError("topic "+name, got[name].Err, got[name].ErrMessage); err != nil {
			return err
		}
		if wantsJSON(c) {
			return writeJSON(c.App.Writer, map[string]string{"name": name, "state": "deleted"})
		}
		_, err = fmt.Fprintf(c.App.Writer, "deleted topic %s\n", name)
		return err
	})
}

// pairs reads a repeated NAME=VALUE flag.
func pairs(c *cli.Context, flag string) (map[string]string, error) {
	out := map[string]string{}
	for _, pair := range c.StringSlice(flag) {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, usagef("--%s %s: write it as name=value", flag, pair)
		}
		if _, twice := out[name]; twice {
			return nil, usagef("--%s %s: %s is given twice", flag, pair, name)
		}
		out[name] = value
	}
	return out, nil
}

func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
