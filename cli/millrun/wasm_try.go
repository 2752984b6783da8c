//go:build !windows

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/urfave/cli/v2"

	"github.com/millrun/millrun/core/transform"
	"github.com/millrun/millrun/plugins"
	"github.com/millrun/millrun/wasmhost"
	"github.com/millrun/millrun/wasmhost/abi"
)

func wasmTestCommand() *cli.Command {
	return &cli.Command{
		Name: "test", Usage: "run a module over records of a file, without a broker", ArgsUsage: "FILE",
		Description: "Prints what the module makes of the records. With --expect nothing is printed but the differences, and the exit code is 1 if\n" +
			"there are any: a line of that file is compared by the fields that it has.",
		Flags: []cli.Flag{outputFlag(),
			&cli.StringFlag{Name: "records", Usage: "`FILE` of records, one JSON object a line, as 'millrun consume -o json' prints them", Required: true},
			&cli.StringFlag{Name: "expect", Usage: "`FILE` of the records that must come out"},
			&cli.StringSliceFlag{Name: "config", KeepSpace: true, Usage: "`NAME=VALUE` for the module; may be repeated"},
			&cli.StringSliceFlag{Name: "output", Usage: "names of the outputs; several with commas", Value: cli.NewStringSlice("output")},
			&cli.StringFlag{Name: "input", Usage: "the name of the input topic that the module sees", Value: "input"},
			&cli.DurationFlag{Name: "timeout", Usage: "longest time of one call", Value: transform.DefaultTimeout},
			&cli.StringFlag{Name: "memory", Usage: "most memory of one instance", Value: "64MiB"},
		},
		Action: wasmTest,
	}
}

func wasmTest(c *cli.Context) error {
	file, err := oneArgument(c, "a module")
	if err != nil {
		return err
	}
	records, err := readRecords(c.String("records"))
	if err != nil {
		return err
	}
	outputs := splitCommas(c.StringSlice("output"))
	made, err := tryModule(c, file, records, outputs)
	if err != nil {
		return err
	}
	if c.String("expect") == "" {
		for _, v := range made {
			if err := writeJSON(c.App.Writer, v); err != nil {
				return err
			}
		}
		return nil
	}
	expected, err := readRecords(c.String("expect"))
	if err != nil {
		return err
	}
	return compareRecords(c, made, expected)
}

// tryModule loads the module and returns its outputs as records.
func tryModule(c *cli.Context, file string, records []recordView, outputs []string) ([]recordView, error) {
	module, err := readModule(file)
	if err != nil {
		return nil, err
	}
	if module == nil {
		module, _ = plugins.Module(file)
	}
	config, err := pairs(c, "config")
	if err != nil {
		return nil, err
	}
	memory, err := transform.ParseBytes(c.String("memory"))
	if err != nil {
		return nil, usagef("--memory %v", err)
	}
	log := abi.LogFunc(func(level int, message string) { fmt.Fprintf(c.App.ErrWriter, "guest: %s\n", message) })
	host := wasmhost.New(wasmhost.Config{})
	defer host.Close(c.Context)
	name := strings.TrimSuffix(filepath.Base(file), ".wasm")
	p, err := host.Load(c.Context, wasmhost.Spec{Wasm: module, Name: name, Config: config, Inputs: []string{c.String("input")}, Outputs: len(outputs), Topics: outputs,
		MemoryBytes: memory, Timeout: c.Duration("timeout"), Log: log})
	if err != nil {
		return nil, err
	}
	given := make([]wasmhost.Record, len(records))
	for i, r := range records {
		given[i] = hostRecord(r, int64(i))
	}
	made, err := p.Try(c.Context, c.String("input"), 0, given, log)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.String("records"), err)
	}
	views := make([]recordView, 0, len(made))
	for _, o := range made {
		views = append(views, viewOutput(o, outputs))
	}
	return views, nil
}

// hostRecord is a record of the file as the module sees it. A line without an offset has its number in the file.
func hostRecord(v recordView, number int64) wasmhost.Record {
	r := wasmhost.Record{Offset: number, Key: v.Key, Value: v.Value}
	if v.Offset != nil {
		r.Offset = *v.Offset
	}
	if v.Timestamp != nil {
		r.Timestamp = *v.Timestamp
	}
	for _, h := range v.Headers {
		r.Headers = append(r.Headers, abi.Header{Key: h.Key, Value: h.Value})
	}
	return r
}

func viewOutput(o wasmhost.Output, outputs []string) recordView {
	r := &kgo.Record{Topic: outputs[o.Output], Timestamp: time.UnixMilli(o.Timestamp), Key: o.Key, Value: o.Value}
	for _, h := range o.Headers {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
	}
	v := viewRecord(r)
	v.Partition, v.Offset = nil, nil // an output has none until it is appended
	if o.Partition >= 0 {
		v.Partition = &o.Partition
	}
	return v
}

func readRecords(path string) ([]recordView, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var records []recordView
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	for number := 1; lines.Scan(); number++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var v recordView
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.DisallowUnknownFields()
		if err := d.Decode(&v); err != nil {
			return nil, usagef("%s:%d: not a record as JSON: %v", path, number, err)
		}
		records = append(records, v)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return records, nil
}

// compareRecords prints each difference; any makes the verb fail.
func compareRecords(c *cli.Context, made, expected []recordView) error {
	differences := 0
	for i := range max(len(made), len(expected)) {
		var got, want string
		if i < len(made) {
			got = lineOf(made[i])
		}
		if i < len(expected) {
			want = lineOf(expected[i])
		}
		if i < len(made) && i < len(expected) && made[i].matches(expected[i]) {
			continue
		}
		differences++
		fmt.Fprintf(c.App.Writer, "record %d\n", i+1)
		if want != "" {
			fmt.Fprintf(c.App.Writer, "  expected %s\n", want)
		}
		if got != "" {
			fmt.Fprintf(c.App.Writer, "  made     %s\n", got)
		}
	}
	if differences > 0 {
		return fmt.Errorf("%s of %s expected, %s made", count(differences, "difference"), count(len(expected), "record"), count(len(made), "record"))
	}
	return nil
}

func lineOf(v recordView) string {
	var line bytes.Buffer
	if err := writeJSON(&line, v); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(line.String())
}
