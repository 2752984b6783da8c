//go:build !windows

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/millrun/millrun/core/transform"
)

// asItIs is the help's default of a setting that an upgrade does not name.
const asItIs = "as it is"

func wasmUpgradeCommand() *cli.Command {
	return &cli.Command{
		Name:      "upgrade",
		Usage:     "put a new version in the place of the one that runs, at an exact offset of each partition",
		ArgsUsage: "NAME [FILE]",
		Description: "FILE is a WebAssembly module, or the name of one that ships with millrun; without it the module stays and only settings change.\n" +
			"What is not given stays as it is. The new version is first tried on the records that the old one read last, without writing\n" +
			"anything: one that fails where the old one does not is refused. 'millrun wasm rollback' brings the old version back.",
		Flags: []cli.Flag{httpFlag(), bootstrapFlag(), outputFlag(),
			&cli.StringSliceFlag{Name: "input", Usage: "all topics, or /PATTERN/s, to read from now on; several with commas"},
			&cli.StringSliceFlag{Name: "output", Usage: "all topics to write from now on; several with commas"},
			&cli.StringSliceFlag{Name: "config", KeepSpace: true, Usage: "`NAME=VALUE` for the module, beside those that are set; may be repeated"},
			&cli.BoolFlag{Name: "clear-config", Usage: "forget the values that are set; those of --config count alone"},
			&cli.StringFlag{Name: "from", Usage: "where inputs begin that are new: earliest, latest or @ms", DefaultText: "latest"},
			&cli.StringFlag{Name: "partition", Usage: "an output record's partition: same as its input's, or by its key's hash", DefaultText: asItIs},
			&cli.StringFlag{Name: "guarantee", Usage: "exactly-once or at-least-once", DefaultText: asItIs},
			&cli.StringFlag{Name: "on-error", Usage: "when the retries are used up: stop, skip or dlq", DefaultText: asItIs},
			&cli.StringFlag{Name: "dlq", Usage: "the topic for dead letters", DefaultText: asItIs},
			&cli.IntFlag{Name: "retries", Usage: "how often a failed call is tried again", DefaultText: asItIs},
			&cli.DurationFlag{Name: "timeout", Usage: "longest time of one call", DefaultText: asItIs},
			&cli.StringFlag{Name: "memory", Usage: "most memory of one instance", DefaultText: asItIs},
			&cli.IntFlag{Name: "members", Usage: "members of the group that this broker runs", DefaultText: asItIs},
			&cli.BoolFlag{Name: "create-outputs", Usage: "create missing outputs with the input's number of partitions"},
			&cli.BoolFlag{Name: "shadow", Usage: "only try the new version and print where it differs; switch nothing"},
			&cli.BoolFlag{Name: "force", Usage: "switch even if the new version fails where the old one does not"},
		},
		Action: wasmUpgrade,
	}
}

func wasmUpgrade(c *cli.Context) error {
	if c.NArg() < 1 || c.NArg() > 2 {
		return usagef("%s needs a deployment's name, and after it a module if that is to change", c.Command.HelpName)
	}
	name, file := c.Args().Get(0), c.Args().Get(1)
	spec, err := upgradeSpec(c)
	if err != nil {
		return err
	}
	var module []byte
	if file != "" {
		if module, err = readModule(file); err != nil {
			return err
		}
		spec.Module = strings.TrimSuffix(filepath.Base(file), ".wasm")
	}
	body, contentType, err := upgradeBody(spec, module)
	if err != nil {
		return err
	}
	var answer transform.Upgraded
	shown := showProgress(c.App.ErrWriter, elapsed("trying the new version of "+name))
	err = callHTTP(c, http.MethodPost, "/v1/deployments/"+url.PathEscape(name)+"/upgrade", contentType, body, &answer)
	shown.finish()
	if err != nil {
		return err
	}
	switch {
	case wantsJSON(c):
		err = writeJSON(c.App.Writer, answer)
	case spec.Shadow:
		err = printShadow(c.App.Writer, name, answer.Trial)
	default:
		return printUpgraded(c.App.Writer, "upgraded", answer)
	}
	if err == nil && spec.Shadow && answer.Trial.NewFails > 0 {
		return fmt.Errorf("%s: the new version fails on %s that the old one passes: an upgrade would be refused without --force", name, count(answer.Trial.NewFails, "record"))
	}
	return err
}

func upgradeSpec(c *cli.Context) (transform.UpgradeSpec, error) {
	spec := transform.UpgradeSpec{
		ClearConfig: c.Bool("clear-config"), From: c.String("from"), Partition: c.String("partition"), Guarantee: c.String("guarantee"),
		OnError: c.String("on-error"), DLQ: c.String("dlq"), Memory: c.String("memory"),
		Shadow: c.Bool("shadow"), Force: c.Bool("force"),
	}
	config, err := pairs(c, "config")
	if err != nil {
		return spec, err
	}
	for k, v := range config {
		if spec.Config == nil {
			spec.Config = make(map[string]*string)
		}
		spec.Config[k] = &v
	}
	if c.IsSet("input") {
		spec.Input = splitCommas(c.StringSlice("input"))
	}
	if c.IsSet("output") {
		spec.Output = append([]string{}, splitCommas(c.StringSlice("output"))...)
	}
	if c.IsSet("retries") {
		retries, err := wholeNumber(c, "retries", 0, transform.MaxRetries)
		if err != nil {
			return spec, err
		}
		spec.Retries = &retries
	}
	if c.IsSet("members") {
		if spec.Members, err = wholeNumber(c, "members", 1, transform.MaxMembers); err != nil {
			return spec, err
		}
	}
	if c.IsSet("timeout") {
		spec.Timeout = c.Duration("timeout").String()
	}
	if c.IsSet("create-outputs") {
		create := c.Bool("create-outputs")
		spec.CreateOutputs = &create
	}
	return spec, nil
}

func upgradeBody(spec transform.UpgradeSpec, module []byte) (*bytes.Buffer, string, error) {
	text, err := json.Marshal(spec)
	if err != nil || module == nil {
		return bytes.NewBuffer(text), "application/json", err
	}
	body := &bytes.Buffer{}
	form := multipart.NewWriter(body)
	if err := form.WriteField("spec", string(text)); err != nil {
		return nil, "", err
	}
	part, err := form.CreateFormFile("module", spec.Module+".wasm")
	if err != nil {
		return nil, "", err
	}
	if _, err := part.Write(module); err != nil {
		return nil, "", err
	}
	return body, form.FormDataContentType(), form.Close()
}

func wasmRollbackCommand() *cli.Command {
	return &cli.Command{
		Name: "rollback", Usage: "put the version before in the place of the one that runs; again goes further back", ArgsUsage: "NAME",
		Description: "Module, config, topics and all other settings of that version come back, and it begins where the present one stops.",
		Flags:       []cli.Flag{httpFlag(), bootstrapFlag(), outputFlag()},
		Action: func(c *cli.Context) error {
			name, err := oneArgument(c, "a deployment's name")
			if err != nil {
				return err
			}
			var answer transform.Upgraded
			if err := callHTTP(c, http.MethodPost, "/v1/deployments/"+url.PathEscape(name)+"/rollback", "", nil, &answer); err != nil {
				return err
			}
			if wantsJSON(c) {
				return writeJSON(c.App.Writer, answer)
			}
			return printUpgraded(c.App.Writer, "rolled back", answer)
		},
	}
}

func printUpgraded(w io.Writer, done string, u transform.Upgraded) error {
	v := u.Versions[len(u.Versions)-1]
	fmt.Fprintf(w, "%s %s to version %d, module %s", done, u.Name, v.Version, v.Name)
	if v.Restores != 0 {
		fmt.Fprintf(w, ", as in version %d", v.Restores)
	}
	if u.State != "running" {
		fmt.Fprintf(w, "; it is %s", u.State)
	}
	if u.PauseMs > 0 {
		fmt.Fprintf(w, "; nothing was processed for %.0f ms", u.PauseMs)
	}
	fmt.Fprintln(w)
	if u.Trial != nil {
		fmt.Fprintln(w, trialCounts(u.Trial))
	}
	return printVersion(w, v)
}

// printVersion says where a version began, a topic a line.
func printVersion(w io.Writer, v transform.VersionStatus) error {
	for i := 0; i < len(v.From); {
		topic := v.From[i].Topic
		fmt.Fprintf(w, "  %s from", topic)
		for ; i < len(v.From) && v.From[i].Topic == topic; i++ {
			fmt.Fprintf(w, " %d:%d", v.From[i].Partition, v.From[i].Offset)
		}
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
	}
	return nil
}

func trialCounts(t *transform.Trial) string {
	if t.Tried == 0 {
		return "there were no records to try"
	}
	out := fmt.Sprintf("tried %s: %d the same", count(t.Tried, "record"), t.Same)
	for _, of := range []struct {
		n    int
		what string
	}{{t.Different, "different"}, {t.NewFails, "that only the new version fails on"}, {t.OldFails, "that only the old one fails on"}, {t.BothFail, "that both fail on"}} {
		if of.n > 0 {
			out += fmt.Sprintf(", %d %s", of.n, of.what)
		}
	}
	if t.Cut != "" {
		out += " (" + t.Cut + ")"
	}
	return out
}

// printShadow prints the records that differ, side by side.
func printShadow(w io.Writer, name string, t *transform.Trial) error {
	for _, r := range t.Records {
		fmt.Fprintf(w, "%s/%d offset %d  %s\n", r.Topic, r.Partition, r.Offset, strings.ReplaceAll(r.Result, "_", " "))
		fmt.Fprintf(w, "  in   %s\n", keyValue(r.Key, r.Value))
		printOutcome(w, "old", r.Old)
		printOutcome(w, "new", r.New)
	}
	if differing := t.Tried - t.Same; differing > len(t.Records) {
		fmt.Fprintf(w, "... and %d more\n", differing-len(t.Records))
	}
	fmt.Fprintln(w, trialCounts(t))
	_, err := fmt.Fprintf(w, "nothing was switched; to switch, run 'millrun wasm upgrade %s' again without --shadow\n", name)
	return err
}

func printOutcome(w io.Writer, which string, o transform.TrialOutcome) {
	switch {
	case o.Error != "":
		fmt.Fprintf(w, "  %s  fails: %s\n", which, o.Error)
	case len(o.Outputs) == 0:
		fmt.Fprintf(w, "  %s  drops it\n", which)
	}
	for _, out := range o.Outputs {
		fmt.Fprintf(w, "  %s  %s/%d %s", which, out.Topic, out.Partition, keyValue(out.Key, out.Value))
		for _, h := range out.Headers {
			fmt.Fprintf(w, " %s:%s", h.Key, shownBytes(h.Value))
		}
		fmt.Fprintln(w)
	}
}

func keyValue(key, value transform.Bytes) string {
	if key == nil {
		return shownBytes(value)
	}
	return shownBytes(key) + " = " + shownBytes(value)
}

// maxShownValue is how much of a value is shown to people; -o json has all of it.
const maxShownValue = 200

func shownBytes(b transform.Bytes) string {
	if b == nil {
		return "null"
	}
	rest := ""
	if len(b) > maxShownValue {
		b, rest = b[:maxShownValue], "..."
	}
	quoted := strconv.Quote(string(b))
	if inner := quoted[1 : len(quoted)-1]; inner == string(b) || strings.ReplaceAll(inner, `\"`, `"`) == string(b) {
		return string(b) + rest
	}
	return quoted + rest
}

// versionTable is the history of a deployment that has one, the newest version first.
func versionTable(versions []transform.VersionStatus) table {
	t := table{columns: []column{{title: "VERSION", right: true}, {title: "MODULE"}, {title: "SHA256", spare: 1}, {title: "DEPLOYED"}, {title: "BEGAN AT"}}}
	if len(versions) < 2 {
		return t
	}
	for _, v := range slices.Backward(versions) {
		module := v.Name
		if v.Restores != 0 {
			module += fmt.Sprintf(" (as in version %d)", v.Restores)
		}
		t.add(fmt.Sprint(v.Version), module, fmt.Sprintf("%.12s", v.SHA256), time.UnixMilli(v.Deployed).Format(time.DateTime), beganAt(v.From))
	}
	return t
}

// beganAt writes offsets as in/0:12 1:9, of not more partitions than a line holds.
func beganAt(from []transform.VersionOffset) string {
	const most = 8
	var out []string
	for i, o := range from {
		if i == most {
			out = append(out, fmt.Sprintf("and %d more", len(from)-most))
			break
		}
		text := fmt.Sprintf("%d:%d", o.Partition, o.Offset)
		if i == 0 || from[i-1].Topic != o.Topic {
			text = o.Topic + "/" + text
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}
