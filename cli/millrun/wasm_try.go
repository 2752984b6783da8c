//go:build !windows

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/urfave/cli/v2"

	"github.com/millrun/millrun/wasmhost"
	"github.com/millrun/millrun/wasmhost/abi"
)

func wasmTestCommand() *cli.Command {
	return &cli.Command{
		Name: "test", Usage: "run a module over records of a file, or a saved case again, without a broker", ArgsUsage: "FILE|CASE",
		Description: "FILE is a module: prints what it makes of the --records. With --expect nothing is printed but the differences: a line of that\n" +
			"file is compared by the fields that it has. CASE is a failing record that dry-run --save or save has written: prints how it failed\n" +
			"and what becomes of it now, with the case's module, or with another one given by --module.\n" +
			"The exit code is 0 if all is as it should be, 1 if there are differences or a record fails, 2 if the command line is wrong.",
		Flags: append([]cli.Flag{outputFlag(),
			&cli.StringFlag{Name: "records", Usage: "`FILE` of records, one JSON object a line, as 'millrun consume -o json' prints them"},
			&cli.StringFlag{Name: "expect", Usage: "`FILE` of the records that must come out"},
			&cli.StringFlag{Name: "module", Usage: "with a case: the `FILE` to try instead of the case's module"},
			&cli.StringSliceFlag{Name: "output", Usage: "names of the outputs; several with commas", Value: cli.NewStringSlice("output")},
			&cli.StringFlag{Name: "input", Usage: "the name of the input topic that the module sees", Value: "input"},
		}, limitFlags()...),
		Action: wasmTest,
	}
}

func wasmTest(c *cli.Context) error {
	file, err := oneArgument(c, "a module or a case")
	if err != nil {
		return err
	}
	if isCase(file) || filepath.Ext(file) == caseExtension {
		return testCase(c, file)
	}
	if c.String("records") == "" {
		return usagef("%s needs --records, a file of records", c.Command.HelpName)
	}
	if c.String("module") != "" {
		return usagef("--module goes with a case: %s is none", file)
	}
	records, err := readRecords(c.String("records"))
	if err != nil {
		return err
	}
	t, err := trialOf(c, file, c.String("input"), splitCommas(c.StringSlice("output")))
	if err != nil {
		return err
	}
	if t.module, err = readModuleBytes(file); err != nil {
		return err
	}
	made, err := t.all(c.Context, records)
	var failed *wasmhost.RecordError
	if errors.As(err, &failed) {
		return fmt.Errorf("%s: %w", c.String("records"), err)
	}
	if err != nil {
		return err
	}
	return showOutputs(c, made)
}

// all gives the records to the module as those of one partition and returns its outputs. The first that fails ends it.
func (t *trial) all(ctx context.Context, records []recordView) ([]recordView, error) {
	p, end, err := t.load(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	given := make([]wasmhost.Record, len(records))
	for i, r := range records {
		given[i] = hostRecord(r, int64(i))
	}
	made, err := p.Try(ctx, t.inputs[0], 0, given, t.log)
	if err != nil {
		return nil, err
	}
	views := make([]recordView, 0, len(made))
	for _, o := range made {
		views = append(views, viewOutput(o, t.outputs))
	}
	return views, nil
}

// showOutputs prints what a module has made, or how it differs from what is expected.
func showOutputs(c *cli.Context, made []recordView) error {
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
			return nil, usagef("%s:%d: not a record as 'millrun consume -o json' prints it: %s", path, number, strings.TrimPrefix(err.Error(), "json: "))
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
		if wantsJSON(c) {
			if err := writeJSON(c.App.Writer, differenceAt(i, made, expected)); err != nil {
				return err
			}
			continue
		}
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

// difference is a line of test --expect -o json.
type difference struct {
	Record   int         `json:"record"` // counted from 1
	Expected *recordView `json:"expected"`
	Made     *recordView `json:"made"`
}

func differenceAt(i int, made, expected []recordView) difference {
	d := difference{Record: i + 1}
	if i < len(expected) {
		d.Expected = &expected[i]
	}
	if i < len(made) {
		d.Made = &made[i]
	}
	return d
}

func lineOf(v recordView) string {
	var line bytes.Buffer
	if err := writeJSON(&line, v); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(line.String())
}
