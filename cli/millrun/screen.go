//go:build !windows

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// screen is the end of a terminal where a table is drawn over itself. What is written in between, as a log's lines are, goes
// above the table.
type screen struct {
	mu    sync.Mutex
	out   io.Writer
	table []byte // guarded by mu: what is drawn now
}

// draw replaces the table.
func (s *screen) draw(table []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.put(nil, table)
}

// leave lets the table stand where it is.
func (s *screen) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.table = nil
}

// Write writes whole lines above the table.
func (s *screen) Write(lines []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.put(lines, s.table); err != nil {
		return 0, err
	}
	return len(lines), nil
}

// put writes lines and a table in the place of the table. The caller holds mu.
func (s *screen) put(lines, table []byte) error {
	var all bytes.Buffer
	if n := bytes.Count(s.table, []byte("\n")); n > 0 {
		fmt.Fprintf(&all, "\x1b[%dA\x1b[J", n)
	}
	all.Write(lines)
	all.Write(table)
	s.table = table
	_, err := s.out.Write(all.Bytes())
	return err
}

// isTerminal tells whether somebody looks at what is written to w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
