//go:build !windows

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/urfave/cli/v2"
)

func groupCommand() *cli.Command {
	return &cli.Command{
		Name:  "group",
		Usage: "list, describe, reset and delete consumer groups",
		Subcommands: []*cli.Command{
			{Name: "list", Usage: "list the groups", Action: groupList, Flags: []cli.Flag{bootstrapFlag(), outputFlag()}},
			{Name: "describe", Usage: "show a group's members, offsets and lag", ArgsUsage: "GROUP", Action: groupDescribe, Flags: []cli.Flag{bootstrapFlag(), outputFlag()}},
			{Name: "reset", Usage: "set a group's offsets; the group must have no members", ArgsUsage: "GROUP", Action: groupReset, Flags: []cli.Flag{bootstrapFlag(), outputFlag(),
				&cli.StringFlag{Name: "topic", Usage: "the `TOPIC` whose offsets are set", Required: true},
				&cli.StringFlag{Name: "to", Usage: "`POSITION`: earliest, latest, @ms or an offset", Required: true},
				&cli.BoolFlag{Name: "dry-run", Usage: "only print what would be set"}}},
			{Name: "delete", Usage: "delete a group that has no members, and its offsets", ArgsUsage: "GROUP", Action: groupDelete, Flags: []cli.Flag{bootstrapFlag(), outputFlag()}},
		},
	}
}

// groupView is a group as -o json shows it.
type groupView struct {
	Group       string            `json:"group"`
	State       string            `json:"state"`
	Protocol    string            `json:"protocol"`
	Coordinator int32             `json:"coordinator"`
	Members     []memberView      `json:"members"`
	Partitions  []groupOffsetView `json:"partitions"`
	Lag         int64             `json:"lag"`
}

type memberView struct {
	ID         string           `json:"id"`
	Instance   string           `json:"instance,omitempty"`
	Client     string           `json:"client"`
	Host       string           `json:"host"`
	Partitions []topicPartition `json:"partitions"`
}

type topicPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

// groupOffsetView has offset -1 and lag 0 where nothing is committed.
type groupOffsetView struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	End       int64  `json:"end"`
	Lag       int64  `json:"lag"`
	Member    string `json:"member,omitempty"`
}

func groupList(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
		groups, err := admin.ListGroups(ctx)
		if err != nil {
			return err
		}
		type row struct {
			Group        string `json:"group"`
			State        string `json:"state"`
			ProtocolType string `json:"protocol_type"`
		}
		rows := []row{}
		for _, g := range groups.Sorted() {
			rows = append(rows, row{g.Group, g.State, g.ProtocolType})
		}
		if wantsJSON(c) {
			return writeJSON(c.App.Writer, rows)
		}
		w := tabwriter.NewWriter(c.App.Writer, 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, "GROUP\tSTATE\tTYPE")
		for _, r := range rows {
			fmt.Fprintf(w, "%s\t%s\t%s\n", r.Group, r.State, r.ProtocolType)
		}
		return w.Flush()
	})
}

func groupDescribe(c *cli.Context) error {
	name, err := oneArgument(c, "a group's name")
	if err != nil {
		return err
	}
	return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
		lags, err := admin.Lag(ctx, name)
		if err != nil {
			return err
		}
		lag, ok := lags[name]
		if !ok || lag.DescribeErr != nil || (lag.State == "Dead" && len(lag.Lag) == 0) {
			return brokerError("group "+name, firstError(lag.DescribeErr, kerr.GroupIDNotFound), "")
		}
		if lag.FetchErr != nil {
			return brokerError("group "+name, lag.FetchErr, "")
		}
		v := viewGroup(lag)
		if wantsJSON(c) {
			return writeJSON(c.App.Writer, v)
		}
		return printGroup(c, v)
	})
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func viewGroup(lag kadm.DescribedGroupLag) groupView {
	v := groupView{Group: lag.Group, State: lag.State, Protocol: lag.Protocol, Coordinator: lag.Coordinator.NodeID, Members: []memberView{}, Partitions: []groupOffsetView{}}
	for _, m := range lag.Members {
		view := memberView{ID: m.MemberID, Client: m.ClientID, Host: strings.TrimPrefix(m.ClientHost, "/"), Partitions: []topicPartition{}}
		if m.InstanceID != nil {
			view.Instance = *m.InstanceID
		}
		if assigned, ok := m.Assigned.AsConsumer(); ok {
			for _, t := range assigned.Topics {
				for _, p := range t.Partitions {
					view.Partitions = append(view.Partitions, topicPartition{t.Topic, p})
				}
			}
		}
		v.Members = append(v.Members, view)
	}
	for _, l := range lag.Lag.Sorted() {
		row := groupOffsetView{Topic: l.Topic, Partition: l.Partition, Offset: l.Commit.At, End: l.End.Offset, Lag: max(l.Lag, 0)}
		if l.Member != nil {
			row.Member = l.Member.MemberID
		}
		v.Partitions = append(v.Partitions, row)
		v.Lag += row.Lag
	}
	return v
}

func printGroup(c *cli.Context, v groupView) error {
	w := tabwriter.NewWriter(c.App.Writer, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "group %s  %s  %s  lag %d\n", v.Group, v.State, count(len(v.Members), "member"), v.Lag)
	fmt.Fprintln(w, "TOPIC\tPARTITION\tOFFSET\tEND\tLAG\tMEMBER")
	for _, p := range v.Partitions {
		offset := fmt.Sprint(p.Offset)
		if p.Offset < 0 {
			offset = "-"
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%d\t%d\t%s\n", p.Topic, p.Partition, offset, p.End, p.Lag, p.Member)
	}
	if len(v.Members) > 0 {
		if err := w.Flush(); err != nil { // the columns of the two tables have nothing to do with each other
			return err
		}
		fmt.Fprintln(w, "\nMEMBER\tCLIENT\tHOST\tPARTITIONS")
		for _, m := range v.Members {
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\n", m.ID, m.Client, m.Host, len(m.Partitions))
		}
	}
	return w.Flush()
}

func groupReset(c *cli.Context) error {
	name, err := oneArgument(c, "a group's name")
	if err != nil {
		return err
	}
	to, err := parsePosition("to", c.String("to"))
	if err != nil {
		return err
	}
	topic, dry := c.String("topic"), c.Bool("dry-run")
	return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
		offsets, err := to.resolve(ctx, admin, topic)
		if err != nil {
			return err
		}
		if !dry {
			if err := commitReset(ctx, admin, name, topic, offsets); err != nil {
				return err
			}
		}
		rows := []groupOffsetView{}
		partitions := make([]int32, 0, len(offsets))
		for p := range offsets {
			partitions = append(partitions, p)
		}
		slices.Sort(partitions)
		ends, err := (position{kind: "latest"}).resolve(ctx, admin, topic)
		if err != nil {
			return err
		}
		for _, p := range partitions {
			rows = append(rows, groupOffsetView{Topic: topic, Partition: p, Offset: offsets[p], End: ends[p], Lag: ends[p] - offsets[p]})
		}
		if wantsJSON(c) {
			return writeJSON(c.App.Writer, rows)
		}
		w := tabwriter.NewWriter(c.App.Writer, 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, "TOPIC\tPARTITION\tOFFSET\tEND\tLAG")
		for _, r := range rows {
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\n", r.Topic, r.Partition, r.Offset, r.End, r.Lag)
		}
		return w.Flush()
	})
}

func commitReset(ctx context.Context, admin *kadm.Client, group, topic string, offsets map[int32]int64) error {
	described, err := admin.DescribeGroups(ctx, group)
	if err != nil {
		return err
	}
	if n := len(described[group].Members); n > 0 {
		return fmt.Errorf("group %s has %s: stop (or pause) them first", group, count(n, "member"))
	}
	var commit kadm.Offsets = map[string]map[int32]kadm.Offset{}
	for p, o := range offsets {
		commit.AddOffset(topic, p, o, -1)
	}
	responses, err := admin.CommitOffsets(ctx, group, commit)
	if err != nil {
		return brokerError("group "+group, err, "")
	}
	return brokerError("group "+group, responses.Error(), "")
}

func groupDelete(c *cli.Context) error {
	name, err := oneArgument(c, "a group's name")
	if err != nil {
		return err
	}
	return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
		got, err := admin.DeleteGroup(ctx, name)
		if err != nil || got.Err != nil {
			return brokerError("group "+name, firstError(err, got.Err), "")
		}
		if wantsJSON(c) {
			return writeJSON(c.App.Writer, map[string]string{"group": name, "state": "deleted"})
		}
		_, err = fmt.Fprintf(c.App.Writer, "deleted group %s\n", name)
		return err
	})
}
