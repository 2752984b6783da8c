//go:build !windows

package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"

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
			w := tabwriter.NewWriter(c.App.Writer, 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tSTATE\tMODULE\tGROUP\tINPUTS\tOUTPUTS\tMEMBERS\tLAG\tIN\tOUT\tDROPPED")
			for _, s := range list {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\n", s.Name, s.State, s.Module.Name, s.Group, strings.Join(s.Inputs, ","),
					strings.Join(s.Outputs, ","), len(s.Members), s.Lag, s.Counters.In, s.Counters.Out, s.Counters.Dropped)
			}
			return w.Flush()
		},
	}
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
			return printDeployment(c.App.Writer, s)
		},
	}
}

func printDeployment(out io.Writer, s transform.Status) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "%s  %s\n", s.Name, s.State)
	if s.Reason != "" {
		fmt.Fprintf(w, "reason:\t%s\n", s.Reason)
	}
	fmt.Fprintf(w, "module:\t%s version %d, sha256 %.12s\n", s.Module.Name, s.Module.Version, s.Module.SHA256)
	fmt.Fprintf(w, "group:\t%s, from %s, %s\n", s.Group, s.From, s.Guarantee)
	fmt.Fprintf(w, "topics:\t%s -> %s\n", strings.Join(s.Inputs, ","), strings.Join(s.Outputs, ","))
	for _, k := range slices.Sorted(maps.Keys(s.Config)) {
		fmt.Fprintf(w, "config:\t%s=%s\n", k, s.Config[k])
	}
	n := s.Counters
	fmt.Fprintf(w, "records:\tin %d, out %d, dropped %d, failed %d, retries %d, restarts %d\n", n.In, n.Out, n.Dropped, n.Failed, n.Retries, n.Restarts)
	fmt.Fprintf(w, "bytes:\tin %d, out %d; %.0f ns a record\n", n.BytesIn, n.BytesOut, n.NsPerRecord)
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "TOPIC\tPARTITION\tOFFSET\tEND\tLAG\tMEMBER")
	for _, p := range s.Partitions {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%s\n", p.Topic, p.Partition, p.Offset, p.End, p.Lag, memberOf(s.Members, p))
	}
	return w.Flush()
}

// memberOf names the member that a partition is assigned to, and says where it runs.
func memberOf(members []transform.MemberStatus, p transform.PartitionStatus) string {
	for _, m := range members {
		if slices.Contains(m.Partitions, transform.MemberPartition{Topic: p.Topic, Partition: p.Partition}) {
			if m.Local {
				return m.ID
			}
			return m.ID + " (outside, " + strings.TrimPrefix(m.Host, "/") + ")"
		}
	}
	return "-"
}
