package server

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"testing"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestHeadersAreRead(t *testing.T) {
	for _, test := range []struct {
		name  string
		frame []byte
		shape Shape
		want  Request
	}{
		{"version 1", []byte{0, 3, 0, 1, 0, 0, 0, 9, 0, 2, 'm', 'e', 'x'}, Shape{Served: true},
			Request{Key: 3, Version: 1, CorrelationID: 9, ClientID: "me", Body: []byte("x")}},
		{"without a client id", []byte{0, 3, 0, 1, 0, 0, 0, 9, 0xff, 0xff, 'x'}, Shape{Served: true},
			Request{Key: 3, Version: 1, CorrelationID: 9, ClientIDNull: true, Body: []byte("x")}},
		{"version 2", []byte{0, 3, 0, 9, 0, 0, 0, 9, 0, 0, 0, 'x'}, Shape{Served: true, Flexible: true},
			Request{Key: 3, Version: 9, CorrelationID: 9, Flexible: true, Body: []byte("x")}},
		{"version 2 with tags", []byte{0, 3, 0, 9, 0, 0, 0, 9, 0, 0, 2, 0, 1, 'a', 5, 0, 'x'}, Shape{Served: true, Flexible: true},
			Request{Key: 3, Version: 9, CorrelationID: 9, Flexible: true, Body: []byte("x")}},
		{"opaque", []byte{0, 18, 0, 99, 0, 0, 0, 9, 0xde, 0xad}, Shape{Served: true, Opaque: true},
			Request{Key: 18, Version: 99, CorrelationID: 9, ClientIDNull: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var r Request
			if err := parseHeader(&r, test.frame, test.shape, 4); err != nil {
				t.Fatal(err)
			}
			w := test.want
			if r.Key != w.Key || r.Version != w.Version || r.CorrelationID != w.CorrelationID || r.ClientID != w.ClientID ||
				r.ClientIDNull != w.ClientIDNull || r.Flexible != w.Flexible || !bytes.Equal(r.Body, w.Body) {
				t.Fatalf("%+v, not %+v", r, w)
			}
		})
	}
}

func TestTagsOfAHeaderAreBounded(t *testing.T) {
	head := []byte{0, 3, 0, 9, 0, 0, 0, 9, 0, 0}
	for name, tags := range map[string][]byte{
		"more than allowed":        append([]byte{5}, make([]byte, 10)...),
		"twenty million":           append(binary.AppendUvarint(nil, 20_000_000), make([]byte, 1000)...),
		"a count without an end":   bytes.Repeat([]byte{0x80}, 12),
		"a count beyond 64 bits":   append(bytes.Repeat([]byte{0xff}, 9), 0x7f),
		"a tag larger than it all": {1, 0, 0x7f},
		"a size beyond 63 bits":    append([]byte{1, 0}, binary.AppendUvarint(nil, 1<<63)...),
		"cut off in a tag":         {2, 0, 0},
		"nothing":                  {},
	} {
		var r Request
		if err := parseHeader(&r, append(bytes.Clone(head), tags...), Shape{Served: true, Flexible: true}, 4); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func FuzzHeaders(f *testing.F) {
	f.Add([]byte{0, 3, 0, 9, 0, 0, 0, 9, 0, 1, 'a', 1, 0, 1, 'b', 'c'}, true, false)
	f.Add([]byte{0, 3, 0, 9, 0, 0, 0, 9, 0xff, 0xff}, false, false)
	f.Add([]byte{0, 18, 0, 99, 0, 0, 0, 9}, false, true)
	f.Fuzz(func(t *testing.T, frame []byte, flexible, opaque bool) {
		var r Request
		if err := parseHeader(&r, frame, Shape{Served: true, Flexible: flexible, Opaque: opaque}, 16); err != nil {
			return
		}
		if !bytes.HasSuffix(frame, r.Body) || len(r.ClientID)+len(r.Body)+8 > len(frame) {
			t.Fatalf("%x became %+v", frame, r)
		}
	})
}
