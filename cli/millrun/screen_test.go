//go:build !windows

package main

import (
	"bytes"
	"testing"
)

func TestLinesOfALogStandAboveTheTable(t *testing.T) {
	var out bytes.Buffer
	s := &screen{out: &out}
	for _, step := range []struct {
		do   func() error
		want string
	}{
		{func() error { return s.draw([]byte("a\nb\n")) }, "a\nb\n"},
		{func() error { return s.draw([]byte("c\n")) }, "\x1b[2A\x1b[Jc\n"},
		{func() error { _, err := s.Write([]byte("log\n")); return err }, "\x1b[1A\x1b[Jlog\nc\n"},
		{func() error { return s.draw([]byte("d\n")) }, "\x1b[1A\x1b[Jd\n"},
		{func() error { s.leave(); _, err := s.Write([]byte("log\n")); return err }, "log\n"},
	} {
		out.Reset()
		if err := step.do(); err != nil || out.String() != step.want {
			t.Errorf("%q, %v, want %q", out.String(), err, step.want)
		}
	}
}
