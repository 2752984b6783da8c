package wasmhost

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/millrun/millrun/wasmhost/abi"
)

// output is what one instance says: lines of its stdout and stderr and messages of
// millrun.log, on their way to a log at a bounded rate.
type output struct {
	log     abi.LogFunc
	now     func() time.Time
	partial [2][]byte // of stdout and stderr: what no line feed has ended yet

	last  string // the last line since the call began, for the reason of a failure
	crash string // the line with which a language's runtime says why it gives up
	more  bool   // the next line belongs to crash
	trace []byte // the lines behind crash: a stack, in languages that print one themselves

	started bool
	tokens  float64 // lines that may pass now
	filled  time.Time
	dropped int       // lines that nobody was told of yet
	told    time.Time // when it was last told at the end of a call
}

// begin forgets what was said in the call before.
func (o *output) begin() { o.last, o.crash, o.more, o.trace = "", "", false, nil }

// said is the guest's last word: why it crashed if it said so, else its last line.
func (o *output) said() string {
	o.flush()
	if o.crash != "" {
		return o.crash
	}
	return o.last
}

// stack is what the guest printed behind the reason of its crash.
func (o *output) stack() string {
	o.flush()
	return strings.ToValidUTF8(strings.TrimRight(string(o.trace), "\n"), "")
}

// write takes bytes of stdout (1) or stderr (2).
func (o *output) write(fd int, p []byte) {
	buf := &o.partial[fd-1]
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			end = len(p)
		}
		n := min(end, logLineBytes-len(*buf))
		*buf = append(*buf, p[:n]...)
		p = p[n:]
		if len(p) > 0 && p[0] == '\n' {
			p = p[1:]
		} else if len(*buf) < logLineBytes {
			return
		}
		o.endLine(fd)
	}
}

func (o *output) endLine(fd int) {
	level := abi.LevelInfo
	if fd == 2 {
		level = abi.LevelWarn
	}
	o.message(level, o.partial[fd-1])
	o.partial[fd-1] = o.partial[fd-1][:0]
}

// flush passes on what no line feed has ended.
func (o *output) flush() {
	for fd := 1; fd <= 2; fd++ {
		if len(o.partial[fd-1]) > 0 {
			o.endLine(fd)
		}
	}
}

func (o *output) message(level int, b []byte) {
	line := strings.TrimRight(strings.ToValidUTF8(string(b), "\uFFFD"), "\r\n")
	if line != "" {
		o.note(line)
	}
	if !o.allowed() {
		o.dropped++
		return
	}
	o.tellDropped()
	o.emit(level, line)
}

// endCall tells how many lines were dropped even if no other follows: once a second at most, beyond what is allowed.
func (o *output) endCall() {
	if o.dropped == 0 {
		return
	}
	if now := o.now(); now.Sub(o.told) >= time.Second {
		o.tellDropped()
		o.told = now
	}
}

func (o *output) tellDropped() {
	if o.dropped > 0 {
		o.emit(abi.LevelWarn, fmt.Sprintf("%d lines were dropped: more than %d a second", o.dropped, logPerSecond))
		o.dropped = 0
	}
}

func (o *output) emit(level int, line string) {
	if o.log != nil {
		o.log(level, line)
	}
}

// note remembers the line as the reason of a failure that may follow. Languages
// print a stack after it, whose last line says nothing.
func (o *output) note(line string) {
	switch {
	case o.more:
		o.crash, o.more = o.crash+" "+line, false
	case o.crash != "":
		if n := min(len(line), stackBytes-len(o.trace)); n > 0 {
			o.trace = append(append(o.trace, line[:n]...), '\n')
		}
	case strings.HasPrefix(line, "panic: "), strings.HasPrefix(line, "fatal error: "):
		o.crash = line
	case strings.HasPrefix(line, "thread '") && strings.Contains(line, "panicked at"): // Rust: the message is on the next line
		o.crash, o.more = line, true
	}
	o.last = line
}

func (o *output) allowed() bool {
	now := o.now()
	if !o.started {
		o.started, o.tokens, o.filled = true, logBurst, now
	}
	if passed := now.Sub(o.filled); passed > 0 {
		o.tokens = min(logBurst, o.tokens+passed.Seconds()*logPerSecond)
		o.filled = now
	}
	if o.tokens < 1 {
		return false
	}
	o.tokens--
	return true
}
