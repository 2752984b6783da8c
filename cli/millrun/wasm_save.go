//go:build !windows

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/urfave/cli/v2"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/transform"
)

func wasmSaveCommand() *cli.Command {
	return &cli.Command{
		Name: "save", Usage: "save records on which a deployment failed, each with the module as one file", ArgsUsage: "NAME",
		Description: "Writes a case for each of the newest dead letters, or for the record that --record names; of a deployment without dead letters,\n" +
			"for the one that failed last. 'millrun wasm test CASE' tries it again.",
		Flags: []cli.Flag{httpFlag(), bootstrapFlag(), outputFlag(),
			&cli.StringFlag{Name: "to", Usage: "the `DIR` to write to", Value: "."},
			&cli.IntFlag{Name: "last", Usage: "how many dead letters", Value: 1},
			&cli.StringFlag{Name: "record", Usage: "a record of an input, as `TOPIC/PARTITION/OFFSET`"},
		},
		Action: wasmSave,
	}
}

func wasmSave(c *cli.Context) error {
	name, err := oneArgument(c, "a deployment's name")
	if err != nil {
		return err
	}
	last := c.Int("last")
	if last < 1 || last > maxLast {
		return usagef("--last %d: it is 1 to %d", last, maxLast)
	}
	var s transform.Status
	if err := callHTTP(c, http.MethodGet, "/v1/deployments/"+url.PathEscape(name), "", nil, &s); err != nil {
		return err
	}
	cases, err := casesOf(c, &s, last)
	if err != nil {
		return err
	}
	modules := map[string][]byte{}
	for _, saved := range cases {
		if err := saved.fetchModule(c, name, modules); err != nil {
			return err
		}
		path, err := saved.save(c.String("to"))
		if err != nil {
			return err
		}
		if wantsJSON(c) {
			err = writeJSON(c.App.Writer, map[string]any{"path": path, "record": saved.record, "failure": saved.config.Failure})
		} else {
			_, err = fmt.Fprintln(c.App.Writer, strings.TrimSuffix(fmt.Sprintf("saved %s: %s", path, printable(saved.config.Failure.Error)), ": "))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// casesOf finds the records to be saved. Their modules are yet to be fetched.
func casesOf(c *cli.Context, s *transform.Status, last int) ([]*savedCase, error) {
	if text := c.String("record"); text != "" {
		topic, partition, offset, err := parsePlace(text)
		if err != nil {
			return nil, err
		}
		saved, err := inputCase(c, s, topic, partition, offset)
		return []*savedCase{saved}, err
	}
	if s.Policy.DLQ == "" {
		e := s.LastError
		if e == nil || e.Topic == "" || e.Partition == nil || e.Offset == nil {
			return nil, fmt.Errorf("deployment %s has no dead letters, and no record is known on which it failed: name one with --record", s.Name)
		}
		saved, err := inputCase(c, s, e.Topic, *e.Partition, *e.Offset)
		return []*savedCase{saved}, err
	}
	records, err := lastRecords(c, s.Policy.DLQ, last, func(r *kgo.Record) bool {
		_, l, ok := readLetter(r)
		return ok && l.Deployment == s.Name
	})
	if err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return nil, fmt.Errorf("topic %s holds no dead letters of deployment %s", s.Policy.DLQ, s.Name)
	}
	cases := make([]*savedCase, 0, len(records))
	for _, r := range records {
		cases = append(cases, letterCase(s, r))
	}
	return cases, nil
}

// parsePlace reads TOPIC/PARTITION/OFFSET.
func parsePlace(text string) (topic string, partition int32, offset int64, err error) {
	parts := strings.Split(text, "/")
	if len(parts) == 3 && parts[0] != "" {
		p, partErr := strconv.ParseInt(parts[1], 10, 32)
		o, offErr := strconv.ParseInt(parts[2], 10, 64)
		if partErr == nil && offErr == nil && p >= 0 && o >= 0 {
			return parts[0], int32(p), o, nil
		}
	}
	return "", 0, 0, usagef("--record %s: name a record as topic/partition/offset", text)
}

// inputCase reads one record of an input.
func inputCase(c *cli.Context, s *transform.Status, topic string, partition int32, offset int64) (*savedCase, error) {
	start, end, err := bounds(c, topic)
	if err != nil {
		return nil, err
	}
	var records []*kgo.Record
	if last, there := end[partition]; there && offset >= start[partition] && offset < last {
		records, err = readRange(c, topic, map[int32]int64{partition: offset}, map[int32]int64{partition: offset + 1}, nil)
	}
	if err != nil {
		return nil, err
	}
	if len(records) != 1 || records[0].Offset != offset {
		return nil, fmt.Errorf("topic %s partition %d has no record at offset %d", topic, partition, offset)
	}
	saved := caseOf(s, viewRecord(records[0]))
	if e := s.LastError; e != nil && e.Topic == topic && e.Partition != nil && *e.Partition == partition && e.Offset != nil && *e.Offset == offset {
		saved.config.Failure, saved.config.Time = failureView{Reason: "failure", Error: e.Message}, e.Time
	}
	return saved, nil
}

// letterCase is the record that a dead letter was.
func letterCase(s *transform.Status, r *kgo.Record) *savedCase {
	own, l, _ := readLetter(r)
	was := *r
	was.Topic, was.Partition, was.Offset, was.Headers = l.Topic, l.Partition, l.Offset, nil
	for _, h := range own {
		was.Headers = append(was.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
	}
	saved := caseOf(s, viewRecord(&was))
	saved.config.Module = caseModule{l.Module, l.SHA256, l.Version}
	saved.config.Failure, saved.config.Time = failureView{Reason: l.Reason, Error: l.Error, Stack: l.Stack}, l.FailedAt
	return saved
}

func readLetter(r *kgo.Record) ([]record.Header, transform.DeadLetter, bool) {
	headers := make([]record.Header, 0, len(r.Headers))
	for _, h := range r.Headers {
		headers = append(headers, record.Header{Key: h.Key, Value: h.Value})
	}
	return transform.ReadDeadLetter(headers)
}

func caseOf(s *transform.Status, r recordView) *savedCase {
	return &savedCase{record: r, config: caseConfig{
		Format: caseFormat, Name: s.Name, Module: caseModule{s.Module.Name, s.Module.SHA256, s.Module.Version}, Config: s.Config, Inputs: s.Inputs,
		Outputs: s.Outputs, Timeout: s.Limits.Timeout, Memory: s.Limits.MemoryBytes, Time: time.Now().UTC(),
	}}
}

// fetchModule takes the module that failed from the broker; each is fetched once. If it is kept no more, it is the one
// that runs now.
func (s *savedCase) fetchModule(c *cli.Context, name string, modules map[string][]byte) error {
	asked := s.config.Module.SHA256
	module, known := modules[asked]
	if !known {
		path := "/v1/deployments/" + url.PathEscape(name) + "/module"
		err := callHTTP(c, http.MethodGet, path+"?sha256="+url.QueryEscape(asked), "", nil, &module)
		if err != nil {
			fmt.Fprintf(c.App.ErrWriter, "the module that runs now is saved: %v\n", err)
			err = callHTTP(c, http.MethodGet, path, "", nil, &module)
		}
		if err != nil {
			return err
		}
		modules[asked] = module
	}
	sum := sha256.Sum256(module)
	s.module, s.config.Module.SHA256 = module, hex.EncodeToString(sum[:])
	return nil
}
