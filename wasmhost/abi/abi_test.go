package abi

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// vector reads golden bytes: hex with blanks, and comments from # to the line's end.
func vector(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "spec", "vectors", "wasm", name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b
}

const t0 = 1_700_000_000_000

func goldenInput(w Wants) []byte {
	rows := AppendInputRow(nil, w, t0, 0, []byte("k1"), []byte("hello"), []Header{{"trace", []byte{0x7f}}})
	return AppendInputRow(rows, w, t0+1, 2, nil, nil, []Header{{"h", nil}})
}

func goldenOutput() []byte {
	rows := AppendOutputRow(nil, &OutputRow{Timestamp: -1, Partition: -1, Value: []byte("HELLO"), CopyKey: true, CopyHeaders: true}, nil)
	return AppendOutputRow(rows, &OutputRow{Timestamp: t0 + 2, Output: 1, Partition: 4, Key: []byte("a")}, []Header{{"x", []byte("y")}})
}

func TestLayoutsMatchTheGoldenBytes(t *testing.T) {
	call := Call{Topic: "orders", Partition: 3, BaseOffset: 4096, BaseTimestamp: t0}
	for name, got := range map[string][]byte{
		"context":          call.AppendContext(nil),
		"input-rows":       goldenInput(WantRows),
		"input-rows-value": goldenInput(WantValue),
		"output-rows":      goldenOutput(),
	} {
		if want := vector(t, name); !bytes.Equal(got, want) {
			t.Errorf("%s:\n got %x\nwant %x", name, got, want)
		}
	}
}

func TestContextReadsBackAndSkipsLaterFields(t *testing.T) {
	call := Call{Topic: "orders", Partition: 3, BaseOffset: 4096, BaseTimestamp: t0}
	p := call.AppendContext(nil)
	if len(p) != call.ContextSize() {
		t.Fatalf("size %d, ContextSize %d", len(p), call.ContextSize())
	}
	longer := append(bytes.Clone(p), 9, 9, 9)
	longer[0] += 3
	for _, b := range [][]byte{p, longer} {
		if got, err := ParseContext(b); err != nil || got != call {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	for cut := range p {
		if _, err := ParseContext(p[:cut]); err == nil {
			t.Errorf("a context cut at %d was read", cut)
		}
	}
	long := Call{Topic: strings.Repeat("x", 70_000)}
	if got := long.AppendContext(nil); len(got) != long.ContextSize() || len(got) != contextHead+65_535 {
		t.Errorf("a topic beyond its length field: %d bytes", len(got))
	}
}

func TestInputRowsReadBack(t *testing.T) {
	in := NewInputReader(vector(t, "input-rows"))
	var r InputRow
	if ok, err := in.Next(&r); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if r.Timestamp != t0 || string(r.Key) != "k1" || string(r.Value) != "hello" || r.Has != WantKey|WantValue|WantHeaders || r.Headers.Len() != 1 {
		t.Errorf("first row %+v", r)
	}
	for k, v := range r.Headers.All {
		if string(k) != "trace" || string(v) != "\x7f" {
			t.Errorf("header %q %q", k, v)
		}
	}
	if ok, err := in.Next(&r); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if r.Key != nil || r.Value != nil || r.OffsetDelta != 2 {
		t.Errorf("second row %+v", r)
	}
	for _, v := range r.Headers.All {
		if v != nil {
			t.Errorf("a null header value came back as %q", v)
		}
	}
	if ok, err := in.Next(&r); ok || err != nil {
		t.Errorf("after the last row: %v, %v", ok, err)
	}
}

func TestEmptyIsNotNull(t *testing.T) {
	in := NewInputReader(AppendInputRow(nil, WantRows, 0, 0, []byte{}, nil, []Header(nil)))
	var r InputRow
	if _, err := in.Next(&r); err != nil || r.Key == nil || r.Value != nil || r.Headers.Len() != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestOutputRowsReadBack(t *testing.T) {
	out := NewOutputReader(vector(t, "output-rows"), 2, 2)
	var r OutputRow
	if ok, err := out.Next(&r); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if !r.CopyKey || r.CopyValue || !r.CopyHeaders || string(r.Value) != "HELLO" || r.Timestamp != NoTimestamp || r.Partition != -1 {
		t.Errorf("first row %+v", r)
	}
	if ok, err := out.Next(&r); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if r.CopyKey || string(r.Key) != "a" || r.Value != nil || r.CopyValue || r.Output != 1 || r.Partition != 4 || r.Headers.Len() != 1 {
		t.Errorf("second row %+v", r)
	}
	if ok, err := out.Next(&r); ok || err != nil {
		t.Errorf("after the last row: %v, %v", ok, err)
	}
}

func TestBadOutputIsRefusedByRow(t *testing.T) {
	patch := func(at int, b ...byte) func([]byte) []byte {
		return func(rows []byte) []byte { copy(rows[at:], b); return rows }
	}
	second := 32 + 5 // where the second golden row starts
	cases := []struct {
		name, want string
		do         func([]byte) []byte
	}{
		{"a cut head", "row 1: 31 bytes are left", func(b []byte) []byte { return b[:second+31] }},
		{"a length beyond the end", "do not fit", patch(12, 0xff, 0xff, 0xff, 0x7f)},
		{"all lengths huge", "do not fit", patch(8, 255, 255, 255, 127, 255, 255, 255, 127, 255, 255, 255, 127)},
		{"a length of -3", "do not fit", patch(8, 0xfd, 0xff, 0xff, 0xff)},
		{"a timestamp of -2", "timestamp -2", patch(0, 0xfe)},
		{"a source out of range", "source 2 of 2 records", patch(20, 2)},
		{"a huge source", "source 4294967295 of 2", patch(20, 255, 255, 255, 255)},
		{"an output out of range", "output 2 of 2", patch(24, 2)},
		{"an unknown flag", "flags 0x2", patch(26, 2)},
		{"a negative partition", "partition -1", patch(second+28, 255, 255, 255, 255)},
		{"a falling source", "source falls from 1 to 0", patch(20, 1)},
		{"a header count that lies", "malformed headers", patch(second+32+1, 2)},
		{"bytes after the headers", "malformed headers", patch(second+32+1, 0)},
		{"trailing bytes", "row 2: 1 bytes are left", func(b []byte) []byte { return append(b, 0) }},
	}
	for _, c := range cases {
		out := NewOutputReader(c.do(goldenOutput()), 2, 2)
		var err error
		for ok := true; ok && err == nil; {
			ok, err = out.Next(new(OutputRow))
		}
		if !errors.Is(err, ErrBadOutput) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestRowsOfOneRecordAreBounded(t *testing.T) {
	row := AppendOutputRow(nil, &OutputRow{Partition: -1}, nil)
	out := NewOutputReader(bytes.Repeat(row, MaxRowsPerRecord+1), 1, 1)
	for i := range MaxRowsPerRecord {
		if ok, err := out.Next(new(OutputRow)); !ok || err != nil {
			t.Fatalf("row %d: %v %v", i, ok, err)
		}
	}
	if _, err := out.Next(new(OutputRow)); !errors.Is(err, ErrBadOutput) {
		t.Errorf("one row too many: %v", err)
	}
}

func TestBitsPastTheLastRecordMeanNothing(t *testing.T) {
	for n := range 20 {
		ones := bytes.Repeat([]byte{0xff}, BitmapLen(n))
		if !AllPass(ones, n) || CountPassing(ones, n) != n {
			t.Errorf("%d ones: %d pass", n, CountPassing(ones, n))
		}
		only := make([]byte, BitmapLen(n))
		if n%8 != 0 {
			only[n/8] = 0xff << (n % 8)
		}
		if !NonePass(only, n) {
			t.Errorf("n=%d: bits past the end count", n)
		}
	}
	b := make([]byte, 2)
	SetPass(b, 9)
	if !Passes(b, 9) || Passes(b, 8) || b[1] != 2 {
		t.Errorf("bitmap %x", b)
	}
}

func TestWantsThatContradictAreRefused(t *testing.T) {
	for _, c := range []struct {
		w      Wants
		filter bool
		ok     bool
	}{
		{WantRaw, true, true}, {WantRaw, false, false}, {WantRaw | WantKey, true, false}, {WantValue, true, true},
		{WantRows, false, true}, {0, false, true}, {32, true, false}, {1 << 31, false, false},
	} {
		if err := c.w.Check(c.filter); (err == nil) != c.ok {
			t.Errorf("wants %d filter %v: %v", c.w, c.filter, err)
		}
	}
	if got := WantRows.String(); got != "key,value,headers,timestamp" {
		t.Error(got)
	}
}
