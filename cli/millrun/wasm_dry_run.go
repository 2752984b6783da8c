//go:build !windows

package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/urfave/cli/v2"
)

// maxLast bounds the records of a dry run: they are held in memory.
const maxLast = 100_000

func wasmDryRunCommand() *cli.Command {
	return &cli.Command{
		Name: "dry-run", Usage: "run a module here on a topic's last records, and show what comes in and what would go out", ArgsUsage: "FILE",
		Description: "Reads from the broker, runs the module in this process, and touches nothing: no record is written, no offset is committed,\n" +
			"no topic is created. The exit code is 1 if a record fails.",
		Flags: append([]cli.Flag{bootstrapFlag(), outputFlag(),
			&cli.StringFlag{Name: "input", Usage: "the `TOPIC` to read", Required: true},
			&cli.IntFlag{Name: "last", Usage: "how many of its newest records, over all partitions", Value: 100},
			&cli.StringSliceFlag{Name: "output", Usage: "names of the outputs; several with commas", Value: cli.NewStringSlice("output")},
			&cli.BoolFlag{Name: "watch", Usage: "run again, on the same records, whenever FILE is rebuilt, until Ctrl-C"},
			&cli.StringFlag{Name: "save", Usage: "write a case for each record that fails into `DIR`; 'millrun wasm test' tries it again"},
		}, limitFlags()...),
		Action: wasmDryRun,
	}
}

// dryRun is one run of the verb.
type dryRun struct {
	trial   *trial
	file    string
	records [][]recordView // by partition, in order
	order   [][2]int       // partition and index, by time: the order they are shown in
	save    string         // a folder, or empty
	asJSON  bool
	out     io.Writer
	width   int
}

func wasmDryRun(c *cli.Context) error {
	file, err := oneArgument(c, "a module")
	if err != nil {
		return err
	}
	topic, last := c.String("input"), c.Int("last")
	if last < 1 || last > maxLast {
		return usagef("--last %d: it is 1 to %d", last, maxLast)
	}
	t, err := trialOf(c, file, topic, splitCommas(c.StringSlice("output")))
	if err != nil {
		return err
	}
	if t.module, err = readModuleBytes(file); err != nil {
		return err
	}
	d := &dryRun{trial: t, file: file, save: c.String("save"), asJSON: wantsJSON(c), out: c.App.Writer, width: widthOf(c.App.Writer)}
	if c.Bool("watch") {
		if module, _ := readModule(file); module == nil {
			return usagef("--watch: %s ships with millrun and is not rebuilt; name a file", file)
		}
	}
	records, err := lastRecords(c, topic, last, nil)
	if err != nil {
		return err
	}
	d.arrange(records)
	if c.Bool("watch") {
		return d.watch(c)
	}
	return d.run(c.Context)
}

// arrange sorts records by partition and offset for the module, and by time for the eye.
func (d *dryRun) arrange(records []*kgo.Record) {
	byPlace := slices.SortedFunc(slices.Values(records), func(a, b *kgo.Record) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	place := make(map[*kgo.Record][2]int, len(records))
	for i, r := range byPlace {
		if i == 0 || byPlace[i-1].Partition != r.Partition {
			d.records = append(d.records, nil)
		}
		n := len(d.records) - 1
		place[r] = [2]int{n, len(d.records[n])}
		d.records[n] = append(d.records[n], viewRecord(r))
	}
	for _, r := range records {
		d.order = append(d.order, place[r])
	}
}

// lastRecords reads the newest records of a topic that accept takes (nil: all), the oldest of them first. Where that is not
// every offset (compaction, transactions) it goes further back until there are enough.
func lastRecords(c *cli.Context, topic string, n int, accept func(*kgo.Record) bool) ([]*kgo.Record, error) {
	start, end, err := bounds(c, topic)
	if err != nil {
		return nil, err
	}
	for span := int64(n); ; span *= 8 {
		begin, all := make(map[int32]int64), true
		for p := range end {
			begin[p] = max(start[p], end[p]-span)
			all = all && begin[p] == start[p]
		}
		records, err := readRange(c, topic, begin, end, accept)
		if err != nil {
			return nil, err
		}
		if len(records) < n && !all {
			continue
		}
		slices.SortStableFunc(records, func(a, b *kgo.Record) int {
			return cmp.Or(a.Timestamp.Compare(b.Timestamp), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
		})
		return records[max(len(records)-n, 0):], nil
	}
}

// bounds asks for the offsets that a topic's partitions begin and end at.
func bounds(c *cli.Context, topic string) (start, end map[int32]int64, err error) {
	err = withAdmin(c, func(ctx context.Context, admin *kadm.Client) (err error) {
		if start, err = (position{kind: "earliest"}).resolve(ctx, admin, topic); err == nil {
			end, err = (position{kind: "latest"}).resolve(ctx, admin, topic)
		}
		return err
	})
	return start, end, err
}

// readRange reads the records of each partition from begin to end. It is no member of a group, and commits nothing.
func readRange(c *cli.Context, topic string, begin, end map[int32]int64, accept func(*kgo.Record) bool) (records []*kgo.Record, err error) {
	run := &consumption{topic: topic, ends: end, at: begin, out: bufio.NewWriter(io.Discard), accept: accept}
	run.write = func(r *kgo.Record) error {
		records = append(records, r)
		return nil
	}
	offsets := make(map[int32]kgo.Offset)
	for p, at := range begin {
		if at < end[p] {
			offsets[p] = kgo.NewOffset().At(at)
		}
	}
	if len(offsets) == 0 {
		return nil, nil
	}
	client, err := connect(c, kgo.KeepControlRecords(), kgo.FetchMaxWait(250*time.Millisecond), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: offsets}))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeoutCause(c.Context, 4*clientTimeout, fmt.Errorf("topic %s: its records do not arrive", topic))
	defer cancel()
	if err := run.loop(ctx, client); err != nil {
		return nil, err
	}
	return records, context.Cause(ctx)
}

// run tries the module once and shows what becomes of the records.
func (d *dryRun) run(ctx context.Context) error {
	p, end, err := d.trial.load(ctx)
	if err != nil {
		return err
	}
	defer end()
	results := make([][]attempt, len(d.records))
	for i, records := range d.records {
		if results[i], err = d.trial.try(ctx, p, records[0].Topic, *records[0].Partition, records); err != nil {
			return err
		}
	}
	attempts := make([]attempt, 0, len(d.order))
	for _, at := range d.order {
		attempts = append(attempts, results[at[0]][at[1]])
	}
	return errors.Join(d.show(attempts), d.saveFailures(attempts), failures(attempts))
}

// failures is an error if a record failed.
func failures(attempts []attempt) error {
	failed := 0
	for _, a := range attempts {
		if a.Result == resultFailed {
			failed++
		}
	}
	if failed == 0 {
		return nil
	}
	return fmt.Errorf("%d of %s failed", failed, count(len(attempts), "record"))
}

func (d *dryRun) saveFailures(attempts []attempt) error {
	if d.save == "" {
		return nil
	}
	for _, a := range attempts {
		if a.Result != resultFailed {
			continue
		}
		path, err := newCase(d.trial, a.In, a.failureView, time.Now().UTC()).save(d.save)
		if err != nil {
			return fmt.Errorf("--save %s: %w", d.save, err)
		}
		if !d.asJSON {
			fmt.Fprintf(d.out, "saved %s\n", path)
		}
	}
	return nil
}

func (d *dryRun) show(attempts []attempt) error {
	if d.asJSON {
		for _, a := range attempts {
			if err := writeJSON(d.out, a); err != nil {
				return err
			}
		}
		return nil
	}
	t := &table{columns: []column{{title: "AT", right: true}, {title: "IN"}, {title: "RESULT"}, {title: "OUT"}}}
	cell := 48 // of a terminal as wide as most; what is left of a known width beside the other two is shared
	if d.width > 0 {
		cell = max((d.width-30)/2, 12)
	}
	counts, made := map[string]int{}, 0
	for _, a := range attempts {
		counts[a.Result]++
		made += len(a.Out)
		place := fmt.Sprintf("%d/%d", *a.In.Partition, *a.In.Offset)
		if a.Result != resultPassed {
			t.add(place, recordText(a.In, cell), a.Result, shorten(printable(strings.ReplaceAll(a.Error, "\n", " ")), 2*cell))
			continue
		}
		for i, o := range a.Out {
			in, result := recordText(a.In, cell), a.Result
			if i > 0 {
				place, in, result = "", "", ""
			}
			text := recordText(o, cell)
			if len(d.trial.outputs) > 1 {
				text = o.Topic + ": " + text
			}
			t.add(place, in, result, text)
		}
	}
	err := t.write(d.out, 0)
	_, sumErr := fmt.Fprintf(d.out, "%s of %s in: %d passed, %d dropped, %d failed; %s out\n", count(len(attempts), "record"), d.trial.inputs[0],
		counts[resultPassed], counts[resultDropped], counts[resultFailed], count(made, "record"))
	return errors.Join(err, sumErr)
}

// recordText is a record's key and value on at most so many columns.
func recordText(r recordView, most int) string {
	value := bytesText(r.Value, most)
	if r.Key == nil {
		return shorten(value, most)
	}
	return shorten(bytesText(r.Key, most/2)+"="+value, most)
}

// bytesText shows bytes on a line: null where there are none, text as it is, and what no terminal should be given escaped.
func bytesText(b []byte, most int) string {
	if b == nil {
		return "null"
	}
	if len(b) > 4*most {
		b = append(slices.Clip(b[:4*most]), ' ') // enough to be cut again, and to be seen to be longer
	}
	text := string(b)
	plain := text != "" && text != "null" && utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
	if plain {
		return text
	}
	quoted := strconv.Quote(text)
	if text == "" || text == "null" {
		return quoted
	}
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

func shorten(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	runes := []rune(text)
	return string(runes[:most-1]) + "…"
}
