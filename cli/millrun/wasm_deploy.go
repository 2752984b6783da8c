//go:build !windows

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/millrun/millrun/core/transform"
	"github.com/millrun/millrun/plugins"
)

func wasmDeployCommand() *cli.Command {
	return &cli.Command{
		Name:      "deploy",
		Usage:     "run a module inside the broker, as a member of a consumer group",
		ArgsUsage: "FILE",
		Description: "FILE is a WebAssembly module, or the name of one that ships with millrun: " + joinWords(plugins.Names()) + ".\n" +
			"The module is checked and started on trial before anything is changed.",
		Flags: []cli.Flag{httpFlag(), bootstrapFlag(), outputFlag(),
			&cli.StringFlag{Name: "name", Usage: "the deployment's `NAME`", Required: true},
			&cli.StringSliceFlag{Name: "input", Usage: "topic to read, or /PATTERN/ for all topics that match; several with commas", Required: true},
			&cli.StringSliceFlag{Name: "output", Usage: "topic to write; several with commas", Required: true},
			&cli.StringFlag{Name: "group", Usage: "the consumer group", DefaultText: "the name"},
			&cli.StringSliceFlag{Name: "config", KeepSpace: true, Usage: "`NAME=VALUE` for the module; may be repeated"},
			&cli.StringFlag{Name: "from", Usage: "where to begin: earliest, latest or @ms", DefaultText: "where the group has been, else latest"},
			&cli.StringFlag{Name: "partition", Usage: "an output record's partition: same as its input's, or by its key's hash", Value: transform.PartitionSame},
			&cli.StringFlag{Name: "guarantee", Usage: "exactly-once or at-least-once", Value: transform.AtLeastOnce},
			&cli.StringFlag{Name: "on-error", Usage: "when the retries are used up: stop, skip or dlq", Value: transform.OnErrorStop},
			&cli.StringFlag{Name: "dlq", Usage: "the topic for dead letters; created if it is missing", DefaultText: "the name and .dlq"},
			&cli.IntFlag{Name: "retries", Usage: "how often a failed call is tried again", Value: transform.DefaultRetries},
			&cli.DurationFlag{Name: "timeout", Usage: "longest time of one call", Value: transform.DefaultTimeout},
			&cli.StringFlag{Name: "memory", Usage: "most memory of one instance", Value: "64MiB"},
			&cli.IntFlag{Name: "members", Usage: "members of the group that this broker runs", Value: transform.DefaultMembers},
			&cli.BoolFlag{Name: "create-outputs", Usage: "create missing outputs with the input's number of partitions"},
		},
		Action: wasmDeploy,
	}
}

func wasmDeploy(c *cli.Context) error {
	file, err := oneArgument(c, "a module: a file, or one of "+joinWords(plugins.Names()))
	if err != nil {
		return err
	}
	spec, err := deploySpec(c)
	if err != nil {
		return err
	}
	module, err := readModule(file)
	if err != nil {
		return err
	}
	spec.Module = strings.TrimSuffix(filepath.Base(file), ".wasm")
	body, contentType, err := deployBody(spec, module)
	if err != nil {
		return err
	}
	var answer json.RawMessage
	shown := showProgress(c.App.ErrWriter, elapsed("checking and compiling "+file))
	err = callHTTP(c, http.MethodPost, "/v1/deployments", contentType, body, &answer)
	shown.finish()
	if err != nil {
		return err
	}
	if wantsJSON(c) {
		return writeJSON(c.App.Writer, answer)
	}
	_, err = fmt.Fprintf(c.App.Writer, "deployed %s: %s\n", spec.Name, deployRoute(spec))
	return err
}

func deployRoute(spec transform.DeploySpec) string {
	return "reads " + joinWords(spec.Input) + ", writes " + joinWords(spec.Output)
}

func deploySpec(c *cli.Context) (transform.DeploySpec, error) {
	config, err := pairs(c, "config")
	if err != nil {
		return transform.DeploySpec{}, err
	}
	retries, err := wholeNumber(c, "retries", 0, transform.MaxRetries)
	if err != nil {
		return transform.DeploySpec{}, err
	}
	members, err := wholeNumber(c, "members", 1, transform.MaxMembers)
	if err != nil {
		return transform.DeploySpec{}, err
	}
	return transform.DeploySpec{
		Name: c.String("name"), Input: splitCommas(c.StringSlice("input")), Output: splitCommas(c.StringSlice("output")), Group: c.String("group"),
		Config: config, From: c.String("from"), Partition: c.String("partition"), Guarantee: c.String("guarantee"), OnError: c.String("on-error"),
		DLQ: c.String("dlq"), Retries: &retries, Timeout: c.Duration("timeout").String(), Memory: c.String("memory"), Members: members,
		CreateOutputs: c.Bool("create-outputs"),
	}, nil
}

// splitCommas splits topic lists. A pattern begins with a slash and ends with one before a comma or the end: it may hold commas.
func splitCommas(values []string) []string {
	var out []string
	for _, v := range values {
		for v != "" {
			var part string
			if i := strings.Index(v, "/,"); strings.HasPrefix(v, "/") && i > 0 {
				part, v = v[:i+1], v[i+2:]
			} else if strings.HasPrefix(v, "/") {
				part, v = v, ""
			} else {
				part, v, _ = strings.Cut(v, ",")
			}
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
			v = strings.TrimLeft(v, " ")
		}
	}
	return out
}

// readModule reads a module from a file, or returns nil for the name of one that ships inside every broker.
func readModule(file string) ([]byte, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		if _, ships := plugins.Module(file); ships {
			return nil, nil
		}
		return nil, fmt.Errorf("module %s: there is no such file, and millrun ships %s", file, joinWords(plugins.Names()))
	}
	var module []byte
	if err == nil {
		defer f.Close()
		module, err = io.ReadAll(io.LimitReader(f, transform.MaxModuleBytes+1))
	}
	var path *fs.PathError
	switch {
	case errors.As(err, &path):
		return nil, fmt.Errorf("module %s: %w", file, path.Err)
	case err != nil:
		return nil, fmt.Errorf("module %s: %w", file, err)
	case len(module) == 0:
		return nil, fmt.Errorf("module %s: the file is empty", file)
	case len(module) > transform.MaxModuleBytes:
		return nil, fmt.Errorf("module %s has more than %d bytes, which are the most that a module may have", file, transform.MaxModuleBytes)
	}
	return module, nil
}

func deployBody(spec transform.DeploySpec, module []byte) (*bytes.Buffer, string, error) {
	body := &bytes.Buffer{}
	form := multipart.NewWriter(body)
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, "", err
	}
	if err := form.WriteField("spec", string(text)); err != nil {
		return nil, "", err
	}
	if module != nil {
		part, err := form.CreateFormFile("module", spec.Module+".wasm")
		if err != nil {
			return nil, "", err
		}
		if _, err := part.Write(module); err != nil {
			return nil, "", err
		}
	}
	return body, form.FormDataContentType(), form.Close()
}

// wasmChangeCommand is a verb that changes what a deployment does: a POST to its own path.
func wasmChangeCommand(verb, usage, done string) *cli.Command {
	return &cli.Command{
		Name: verb, Usage: usage, ArgsUsage: "NAME", Flags: []cli.Flag{httpFlag(), bootstrapFlag(), outputFlag()},
		Action: func(c *cli.Context) error {
			name, err := oneArgument(c, "a deployment's name")
			if err != nil {
				return err
			}
			return changeDeployment(c, http.MethodPost, "/v1/deployments/"+url.PathEscape(name)+"/"+verb, done+" "+name)
		},
	}
}

func wasmDeleteCommand() *cli.Command {
	return &cli.Command{
		Name: "delete", Usage: "stop a deployment and forget it, and say what is left of it", ArgsUsage: "NAME",
		Description: "Topics stay, and so do the offsets of its group: a deployment of the same name goes on where this one stopped.",
		Flags: []cli.Flag{httpFlag(), bootstrapFlag(), outputFlag(),
			&cli.BoolFlag{Name: "purge", Usage: "remove its groups too, and with them how far it has read"}},
		Action: func(c *cli.Context) error {
			name, err := oneArgument(c, "a deployment's name")
			if err != nil {
				return err
			}
			path := "/v1/deployments/" + url.PathEscape(name)
			if c.Bool("purge") {
				path += "?purge=true"
			}
			var deleted transform.Deleted
			if err := callHTTP(c, http.MethodDelete, path, "", nil, &deleted); err != nil {
				return err
			}
			if wantsJSON(c) {
				return writeJSON(c.App.Writer, deleted)
			}
			return printDeleted(c.App.Writer, deleted)
		},
	}
}

func printDeleted(w io.Writer, deleted transform.Deleted) error {
	fmt.Fprintf(w, "deleted %s\n", deleted.Name)
	for _, list := range []struct {
		word   string
		things []transform.Thing
	}{{"removed", deleted.Removed}, {"left", deleted.Left}} {
		for _, t := range list.things {
			name := t.Name
			if t.Kind == "module" {
				name = fmt.Sprintf("%.12s", name)
			}
			if _, err := fmt.Fprintf(w, "  %-8s %s %s: %s\n", list.word, t.Kind, name, t.Note); err != nil {
				return err
			}
		}
	}
	return nil
}

func changeDeployment(c *cli.Context, method, path, done string) error {
	var answer json.RawMessage
	if err := callHTTP(c, method, path, "", nil, &answer); err != nil {
		return err
	}
	if wantsJSON(c) {
		return writeJSON(c.App.Writer, answer)
	}
	_, err := fmt.Fprintln(c.App.Writer, done)
	return err
}
