//go:build !windows

package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/millrun/millrun/core/transform"
)

// caseView is what -o json prints of a case.
type caseView struct {
	Name   string      `json:"name"`
	Module caseModule  `json:"module"`
	Then   failureView `json:"then"`
	Now    attempt     `json:"now"`
}

// testCase tries the record of a case again, and fails if that fails.
func testCase(c *cli.Context, path string) error {
	if c.String("records") != "" || c.IsSet("input") || c.IsSet("output") {
		return usagef("%s is a case, which has its own record, input and outputs", path)
	}
	s, err := readCase(path)
	if err != nil {
		return err
	}
	t, err := s.trialWith(c)
	if err != nil {
		return fmt.Errorf("case %s: %w", path, err)
	}
	p, end, err := t.load(c.Context)
	if err != nil {
		return err
	}
	defer end()
	topic, partition := s.record.Topic, int32(0)
	if s.record.Partition != nil {
		partition = *s.record.Partition
	}
	attempts, err := t.try(c.Context, p, topic, partition, []recordView{s.record})
	if err != nil {
		return err
	}
	now := attempts[0]
	switch {
	case c.String("expect") != "" && now.Result != resultFailed:
		return showOutputs(c, now.Out)
	case wantsJSON(c):
		err = writeJSON(c.App.Writer, caseView{s.config.Name, s.config.Module, s.config.Failure, now})
	default:
		err = printCase(c.App.Writer, s, now)
	}
	if err != nil {
		return err
	}
	if now.Result == resultFailed {
		return fmt.Errorf("record %s fails: %s", recordPlace(s.record), now.Error)
	}
	return nil
}

// trialWith is the case's trial, with what the command line changes.
func (s *savedCase) trialWith(c *cli.Context) (*trial, error) {
	t, err := s.trial()
	if err != nil {
		return nil, err
	}
	t.log = guestLog(c)
	if file := c.String("module"); file != "" {
		if t.module, err = readModuleBytes(file); err != nil {
			return nil, err
		}
	}
	config, err := pairs(c, "config")
	if err != nil {
		return nil, err
	}
	t.config = maps.Clone(t.config)
	if t.config == nil {
		t.config = map[string]string{}
	}
	maps.Copy(t.config, config)
	if c.IsSet("timeout") {
		t.timeout = c.Duration("timeout")
	}
	if c.IsSet("memory") {
		if t.memory, err = transform.ParseBytes(c.String("memory")); err != nil {
			return nil, usagef("--memory %v", err)
		}
	}
	return t, nil
}

// recordPlace is where a record stands, as topic/partition offset N.
func recordPlace(r recordView) string {
	place := r.Topic
	if r.Partition != nil {
		place += fmt.Sprintf("/%d", *r.Partition)
	}
	if r.Offset != nil {
		place += fmt.Sprintf(" offset %d", *r.Offset)
	}
	return place
}

func printCase(w io.Writer, s *savedCase, now attempt) error {
	m := s.config.Module
	_, err := fmt.Fprintf(w, "record:  %s\nmodule:  %s, sha256 %.12s\n", printable(recordPlace(s.record)), printable(m.Name), printable(m.SHA256))
	err = errors.Join(err, printFailure(w, "then:    ", s.config.Failure))
	if now.Result == resultFailed {
		return errors.Join(err, printFailure(w, "now:     ", now.failureView))
	}
	_, nowErr := fmt.Fprintf(w, "now:     %s\n", now.Result)
	for _, o := range now.Out {
		nowErr = errors.Join(nowErr, writeJSON(w, o))
	}
	return errors.Join(err, nowErr)
}

func printFailure(w io.Writer, label string, f failureView) error {
	if f.Error == "" {
		_, err := fmt.Fprintf(w, "%snot known\n", label)
		return err
	}
	_, err := fmt.Fprintf(w, "%s%s: %s\n", label, printable(f.Reason), printable(f.Error))
	for line := range strings.Lines(f.Stack) {
		_, lineErr := fmt.Fprintf(w, "%s  %s\n", strings.Repeat(" ", len(label)), printable(strings.TrimSpace(line)))
		err = errors.Join(err, lineErr)
	}
	return err
}
