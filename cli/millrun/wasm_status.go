//go:build !windows

package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/millrun/millrun/core/transform"
)

func wasmListCommand() *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "list the deployments", Flags: []cli.Flag{httpFlag(), bootstrapFlag(), outputFlag()},
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			list, err := listDeployments(c)
			if err != nil {
				return err
			}
			if wantsJSON(c) {
				return writeJSON(c.App.Writer, list)
			}
			return printDeployments(c.App.Writer, list, time.Now(), widthOf(c.App.Writer))
		},
	}
}

// printDeployments prints a line of at most width for each deployment and, below, why some do not run.
func printDeployments(out io.Writer, list []transform.Summary, now time.Time, width int) error {
	t := table{columns: []column{
		{title: "NAME"}, {title: "STATE"}, {title: "MODULE", spare: 5}, {title: "VERSION", right: true, spare: 3}, {title: "TOPICS", spare: 9},
		{title: "MEMBERS", right: true, spare: 4}, {title: "PARTITIONS", right: true, spare: 7}, {title: "LAG", right: true},
		{title: "IN/S", right: true}, {title: "OUT/S", right: true}, {title: "DROPPED/S", right: true, spare: 2}, {title: "FAILED/S", right: true},
		{title: "TIME/REC", right: true, spare: 1}, {title: "FUEL/REC", right: true, spare: 6}, {title: "MEMORY", right: true, spare: 2},
		{title: "RESTARTS", right: true, spare: 8}, {title: "LAST ERROR", spare: 3},
	}}
	for i := range list {
		s := &list[i]
		lastError := "-"
		if s.LastError != nil {
			lastError = age(now.Sub(s.LastError.Time))
		}
		t.add(s.Name, s.State, s.Module.Name, fmt.Sprint(s.Module.Version), route(s), fmt.Sprint(len(s.Members)), fmt.Sprint(s.PartitionCount),
			amount(float64(s.Lag)), amount(s.Rates.In), amount(s.Rates.Out), amount(s.Rates.Dropped), amount(s.Rates.Failed),
			nanoseconds(s.Counters.NsPerRecord), amount(s.Counters.FuelPerRecord), byteCount(s.Memory.Bytes), fmt.Sprint(s.Counters.Restarts), lastError)
	}
	if err := t.write(out, width); err != nil {
		return err
	}
	blank := "\n"
	for i := range list {
		if s := &list[i]; s.Reason != "" {
			fmt.Fprint(out, blank)
			wrapped(out, s.Name+" "+s.State+": ", s.Reason, width)
			blank = ""
		}
	}
	return nil
}

func route(s *transform.Summary) string {
	return strings.Join(s.Inputs, ",") + " -> " + strings.Join(s.Outputs, ",")
}

func listDeployments(c *cli.Context) ([]transform.Summary, error) {
	list := []transform.Summary{}
	return list, callHTTP(c, http.MethodGet, "/v1/deployments", "", nil, &list)
}

func wasmDescribeCommand() *cli.Command {
	return &cli.Command{
		Name: "describe", Usage: "show a deployment: state, members, partitions, lag, counters", ArgsUsage: "NAME",
		Flags: []cli.Flag{httpFlag(), bootstrapFlag(), outputFlag()},
		Action: func(c *cli.Context) error {
			name, err := oneArgument(c, "a deployment's name")
			if err != nil {
				return err
			}
			var s transform.Status
			if err := callHTTP(c, http.MethodGet, "/v1/deployments/"+url.PathEscape(name), "", nil, &s); err != nil {
				return err
			}
			if wantsJSON(c) {
				return writeJSON(c.App.Writer, s)
			}
			return printDeployment(c.App.Writer, &s, time.Now())
		},
	}
}

// printDeployment prints all about one deployment: what it is, how it does, and how far it has come.
func printDeployment(out io.Writer, s *transform.Status, now time.Time) error {
	width := widthOf(out)
	fmt.Fprintf(out, "%s is %s\n", s.Name, s.State)
	line := func(label, format string, args ...any) {
		wrapped(out, fmt.Sprintf("  %-11s ", label), fmt.Sprintf(format, args...), width)
	}
	if s.Reason != "" {
		line("reason", "%s", s.Reason)
	}
	line("module", "%s version %d, sha256 %.12s", s.Module.Name, s.Module.Version, s.Module.SHA256)
	line("group", "%s, from %s, %s", s.Group, s.From, s.Guarantee)
	line("topics", "%s", route(&s.Summary))
	line("on error", "%s", policyText(s.Policy))
	for n, k := range slices.Sorted(maps.Keys(s.Config)) {
		line([]string{"config", ""}[min(n, 1)], "%s=%s", k, s.Config[k])
	}
	n := &s.Counters
	line("lag", "%d in %s, %s", s.Lag, count(len(s.Partitions), "partition"), count(len(s.Members), "member"))
	line("bytes", "%s in, %s out", byteCount(n.BytesIn), byteCount(n.BytesOut))
	line("cost", "%s and %s units of fuel a record", nanoseconds(n.NsPerRecord), amount(n.FuelPerRecord))
	line("memory", "%s in %s", byteCount(s.Memory.Bytes), count(int(s.Memory.Instances), "instance"))
	line("trouble", "%d retries, %d restarts", n.Retries, n.Restarts)
	if e := s.LastError; e != nil {
		line("last error", "%s (%s)%s: %s", e.Time.Format("2006-01-02T15:04:05Z"), age(now.Sub(e.Time)), placeOf(e), e.Message)
	}
	records := table{columns: []column{{title: "RECORDS"}, {title: "IN", right: true}, {title: "OUT", right: true}, {title: "DROPPED", right: true}, {title: "FAILED", right: true}}}
	records.add("now", perSecond(s.Rates.In), perSecond(s.Rates.Out), perSecond(s.Rates.Dropped), perSecond(s.Rates.Failed))
	records.add("in all", fmt.Sprint(n.In), fmt.Sprint(n.Out), fmt.Sprint(n.Dropped), fmt.Sprint(n.Failed))
	fmt.Fprintln(out)
	if err := records.write(out, width); err != nil {
		return err
	}
	return printPartitions(out, s, width)
}

// policyText says what happens to a record that fails.
func policyText(p transform.PolicyStatus) string {
	retries := count(int(p.Retries), "retry")
	if p.Retries != 1 {
		retries = fmt.Sprintf("%d retries", p.Retries)
	}
	if p.DLQ != "" {
		return "after " + retries + " a dead letter in " + p.DLQ
	}
	return "after " + retries + " " + p.OnError
}

// placeOf says where an error was, if that is known.
func placeOf(e *transform.ErrorStatus) string {
	if e.Partition == nil || e.Offset == nil {
		return ""
	}
	return fmt.Sprintf(" at %s/%d offset %d", e.Topic, *e.Partition, *e.Offset)
}

// printPartitions prints the partitions with the number of the member that each is assigned to, and the members.
func printPartitions(out io.Writer, s *transform.Status, width int) error {
	owner := make(map[transform.MemberPartition]string)
	members := table{columns: []column{{title: "MEMBER", right: true}, {title: "ID"}, {title: "WHERE"}}}
	for i, m := range s.Members {
		number, where := fmt.Sprint(i+1), "this broker"
		if !m.Local {
			where = m.Client + " at " + strings.TrimPrefix(m.Host, "/")
		}
		members.add(number, m.ID, where)
		for _, p := range m.Partitions {
			owner[p] = number
		}
	}
	partitions := table{columns: []column{{title: "TOPIC"}, {title: "PARTITION", right: true}, {title: "OFFSET", right: true}, {title: "END", right: true},
		{title: "LAG", right: true}, {title: "MEMBER", right: true}}}
	for _, p := range s.Partitions {
		member := owner[transform.MemberPartition{Topic: p.Topic, Partition: p.Partition}]
		partitions.add(p.Topic, fmt.Sprint(p.Partition), fmt.Sprint(p.Offset), fmt.Sprint(p.End), fmt.Sprint(p.Lag), cmp.Or(member, "-"))
	}
	versions := versionTable(s.Versions)
	for _, t := range []*table{&partitions, &members, &versions} {
		if len(t.rows) == 0 {
			continue
		}
		fmt.Fprintln(out)
		if err := t.write(out, width); err != nil {
			return err
		}
	}
	return nil
}
