package abi

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// goldenPayload is key "k1", value "hello", one header trace=7f: the first of the vector's.
var goldenPayload = []byte("\x04k1\x0ahello\x02\x0atrace\x02\x7f")

func TestTheVectorHoldsTwoPayloads(t *testing.T) {
	tombstone := InputRow{}
	if want := AppendPayload(slices.Clone(goldenPayload), &tombstone); !bytes.Equal(vector(t, "redpanda-payload"), want) {
		t.Errorf("got %x", want)
	}
}

func firstRow(t testing.TB, rows []byte) InputRow {
	t.Helper()
	in := NewInputReader(rows)
	var r InputRow
	if ok, err := in.Next(&r); !ok || err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAPayloadIsTheTailOfAStoredRecord(t *testing.T) {
	for _, c := range []struct {
		key, value []byte
		headers    []Header
		want       string
	}{
		{[]byte("k1"), []byte("hello"), []Header{{"trace", []byte{0x7f}}}, string(goldenPayload)},
		{nil, nil, []Header{{"h", nil}}, "\x01\x01\x02\x02h\x01"},
		{[]byte{}, []byte{}, nil, "\x00\x00\x00"},
		{nil, bytes.Repeat([]byte("v"), 100), nil, "\x01\xc8\x01" + strings.Repeat("v", 100) + "\x00"},
	} {
		r := firstRow(t, AppendInputRow(nil, WantRows, 0, 0, c.key, c.value, c.headers))
		got := AppendPayload([]byte("-"), &r)
		if string(got) != "-"+c.want || PayloadSize(&r) != len(c.want) {
			t.Errorf("%q, %q, %v: %q of %d bytes", c.key, c.value, c.headers, got, PayloadSize(&r))
		}
	}
}

func TestAPayloadBecomesARow(t *testing.T) {
	for payload, want := range map[string]OutputRow{
		string(goldenPayload):          {Key: []byte("k1"), Value: []byte("hello")},
		"\x01\x01\x00":                 {},
		"\x00\x00\x00":                 {Key: []byte{}, Value: []byte{}},
		"\x01\x01\x02\x01\x01":         {}, // a null key of a header
		"\x01\x01\x04\x00\x00\x00\x01": {},
	} {
		rows, ok := AppendPayloadRow(nil, []byte(payload), 3, 1)
		if !ok {
			t.Errorf("%q is refused", payload)
			continue
		}
		out := NewOutputReader(rows, 4, 2)
		var r OutputRow
		if ok, err := out.Next(&r); !ok || err != nil {
			t.Errorf("%q: %v", payload, err)
		}
		want.Source, want.Output, want.Timestamp, want.Partition, want.Headers = 3, 1, NoTimestamp, -1, r.Headers
		if !reflect.DeepEqual(r, want) {
			t.Errorf("%q: %+v", payload, r)
		}
	}
	rows, _ := AppendPayloadRow(nil, goldenPayload, 0, 0)
	out := NewOutputReader(rows, 1, 1)
	var r OutputRow
	_, _ = out.Next(&r)
	for k, v := range r.Headers.All {
		if string(k) != "trace" || string(v) != "\x7f" {
			t.Errorf("header %q=%q", k, v)
		}
	}
	if r.Headers.Len() != 1 {
		t.Errorf("%d headers", r.Headers.Len())
	}
}

func TestAMalformedPayloadLeavesNothing(t *testing.T) {
	for _, payload := range []string{
		"", "\x00", "\x00\x00", "\x03\x00\x00", "\x04k", "\x00\x03\x00", "\x00\x00\x01", "\x00\x00\x02", "\x00\x00\x02\x00", "\x00\x00\x02\x00\x03",
		"\x00\x00\x00\x00", string(goldenPayload) + "x", string(goldenPayload[:len(goldenPayload)-1]),
		"\x00\x00\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\xfe\xff\xff\xff\x0f\x00\x00",
	} {
		rows, ok := AppendPayloadRow([]byte("before"), []byte(payload), 0, 0)
		if ok || string(rows) != "before" {
			t.Errorf("%q: %v %q", payload, ok, rows)
		}
	}
}

func TestOptionsNameATopicOrNothing(t *testing.T) {
	for options, want := range map[string]string{
		"": "", "\x01\x06abc": "abc", "\x01\x00": "", "\x01\x02a\x01\x02b": "b",
		"\x02": "!", "\x01": "!", "\x01\x06ab": "!", "\x01\x01": "!", "\x01\x02a\x02": "!", "\x00": "!",
	} {
		topic, ok := OutputTopic([]byte(options))
		if ok != (want != "!") || ok && string(topic) != want {
			t.Errorf("%q: %q %v", options, topic, ok)
		}
	}
}

// FuzzPayload: what is taken is a row that reads back, whose payload is taken again
// and gives the same row.
func FuzzPayload(f *testing.F) {
	f.Add(goldenPayload)
	f.Add([]byte("\x01\x01\x04\x02h\x01\x00\x00"))
	f.Add(binary.AppendVarint([]byte("\x00\x00"), 1<<40))
	f.Fuzz(func(t *testing.T, payload []byte) {
		OutputTopic(payload)
		rows, ok := AppendPayloadRow(nil, payload, 0, 0)
		if !ok {
			return
		}
		out := NewOutputReader(rows, 1, 1)
		var r OutputRow
		if ok, err := out.Next(&r); !ok || err != nil {
			t.Fatalf("no row: %v", err)
		}
		in := InputRow{Key: r.Key, Value: r.Value, Headers: r.Headers}
		again := AppendPayload(nil, &in)
		if len(again) != PayloadSize(&in) {
			t.Fatalf("%d bytes, PayloadSize says %d", len(again), PayloadSize(&in))
		}
		if back, ok := AppendPayloadRow(nil, again, 0, 0); !ok || !bytes.Equal(back, rows) {
			t.Fatalf("%q became %q", payload, again)
		}
		if ok, err := out.Next(&r); ok || err != nil {
			t.Fatalf("a second row: %v", err)
		}
	})
}
