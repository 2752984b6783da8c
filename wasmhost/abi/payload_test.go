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
	tombstone := payloadOf(t, AppendInputRow(nil, WantRows, 0, 0, nil, nil, []Header(nil)))
	if want := append(slices.Clone(goldenPayload), tombstone...); !bytes.Equal(vector(t, "redpanda-payload"), want) {
		t.Errorf("got %x", want)
	}
}

// payloadOf is the payload of the first row.
func payloadOf(t testing.TB, rows []byte) []byte {
	t.Helper()
	h, ok := ReadRowHead(rows)
	if !ok {
		t.Fatalf("%x is no row", rows)
	}
	payload := AppendPayload([]byte("-"), rows[:h.Size])[1:]
	if len(payload) != h.Payload {
		t.Fatalf("%d bytes, the head says %d", len(payload), h.Payload)
	}
	return payload
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
		row := AppendInputRow(nil, WantRows, 7, 9, c.key, c.value, c.headers)
		if got := payloadOf(t, append(row, "another"...)); string(got) != c.want {
			t.Errorf("%q, %q, %v: %q", c.key, c.value, c.headers, got)
		}
		if h, _ := ReadRowHead(row); h.Timestamp != 7 || h.OffsetDelta != 9 || h.Size != len(row) {
			t.Errorf("%+v of %d bytes", h, len(row))
		}
		for n := range row {
			if _, ok := ReadRowHead(row[:n]); ok {
				t.Errorf("%d of %d bytes are a row", n, len(row))
			}
		}
	}
	for _, wants := range []Wants{WantKey, WantValue, WantHeaders, WantKey | WantValue} {
		if _, ok := ReadRowHead(AppendInputRow(nil, wants, 0, 0, nil, nil, []Header(nil))); ok {
			t.Errorf("a row with %v is taken", wants)
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
		var headers []Header
		for k, v := range r.Headers.All {
			headers = append(headers, Header{string(k), v})
		}
		again := payloadOf(t, AppendInputRow(nil, WantRows, 0, 0, r.Key, r.Value, headers))
		if back, ok := AppendPayloadRow(nil, again, 0, 0); !ok || !bytes.Equal(back, rows) {
			t.Fatalf("%q became %q", payload, again)
		}
		if ok, err := out.Next(&r); ok || err != nil {
			t.Fatalf("a second row: %v", err)
		}
	})
}

// FuzzRowHead: what is taken as a row is one to the reader that guests' SDKs are tested with, and its payload says the same.
func FuzzRowHead(f *testing.F) {
	f.Add(goldenInput(WantRows))
	f.Add(AppendInputRow(nil, WantRows, -1, 1, nil, []byte{}, []Header{{"", nil}}))
	f.Fuzz(func(t *testing.T, rows []byte) {
		h, ok := ReadRowHead(rows)
		if !ok {
			return
		}
		payload := AppendPayload(nil, rows[:h.Size])
		if len(payload) != h.Payload {
			t.Fatalf("%d bytes, the head says %d", len(payload), h.Payload)
		}
		reader := NewInputReader(rows[:h.Size])
		var r InputRow
		if ok, err := reader.Next(&r); !ok || err != nil || r.Timestamp != h.Timestamp || r.OffsetDelta != h.OffsetDelta {
			t.Fatalf("%+v: %v", r, err)
		}
		made, ok := AppendPayloadRow(nil, payload, 0, 0)
		if !ok {
			t.Fatalf("%x is no payload", payload)
		}
		out := NewOutputReader(made, 1, 1)
		var back OutputRow
		if ok, err := out.Next(&back); !ok || err != nil || !reflect.DeepEqual(back.Key, r.Key) || !reflect.DeepEqual(back.Value, r.Value) || back.Headers.Len() != r.Headers.Len() {
			t.Fatalf("%+v became %+v: %v", r, back, err)
		}
	})
}
