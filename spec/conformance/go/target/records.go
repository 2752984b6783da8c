package target

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"
)

// Header is one header of a record; a nil value is null.
type Header struct {
	Key   string
	Value []byte
}

// Record is a record as any client sees it. A nil key or value is null, which is not the same as an empty one.
type Record struct {
	Key, Value []byte
	Headers    []Header
	Time       time.Time
}

// Codecs are the names of the five.
var Codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// Odd are records of every shape that a client might lose something of. Their times are one minute apart, in the past.
func Odd() []Record {
	rs := []Record{
		{Key: []byte("key"), Value: []byte("value")},
		{Key: nil, Value: []byte("a null key")},
		{Key: []byte{}, Value: []byte("an empty key")},
		{Key: []byte("a null value"), Value: nil},
		{Key: []byte("an empty value"), Value: []byte{}},
		{Key: nil, Value: nil},
		{Key: []byte("one header"), Value: []byte("v"), Headers: []Header{{"h", []byte("x")}}},
		{Key: []byte("headers"), Value: []byte("v"), Headers: []Header{{"twice", []byte("1")}, {"twice", []byte("2")}, {"empty", []byte{}}, {"", []byte("no name")}}},
		{Key: []byte("utf-8 ключ"), Value: []byte("значение \x00 and zero"), Headers: []Header{{"имя", []byte{0xff, 0xfe, 0}}}},
		{Key: bytes.Repeat([]byte("k"), 3000), Value: bytes.Repeat([]byte("0123456789abcdef"), 6000)},
	}
	for i := range 200 {
		rs = append(rs, Record{Key: Key(i), Value: Value(i), Headers: []Header{{"n", []byte(itoa(int64(i)))}}})
	}
	began := time.Now().Add(-24 * time.Hour).Truncate(time.Minute)
	for i := range rs {
		rs[i].Time = began.Add(time.Duration(i) * time.Minute)
	}
	return rs
}

// CheckSame demands that the records got are those that were sent, in their order, to the byte and to the millisecond.
func CheckSame(t testing.TB, got, sent []Record) {
	t.Helper()
	if len(got) != len(sent) {
		t.Fatalf("%d records came, %d were sent", len(got), len(sent))
	}
	for i := range got {
		if why := difference(got[i], sent[i]); why != "" {
			t.Errorf("record %d: %s", i, why)
		}
	}
}

func difference(got, sent Record) string {
	same := func(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }
	switch {
	case !same(got.Key, sent.Key):
		return fmt.Sprintf("key %.40q (null: %t), sent %.40q (null: %t)", got.Key, got.Key == nil, sent.Key, sent.Key == nil)
	case !same(got.Value, sent.Value):
		return fmt.Sprintf("value %.40q (null: %t), sent %.40q (null: %t)", got.Value, got.Value == nil, sent.Value, sent.Value == nil)
	case !slices.EqualFunc(got.Headers, sent.Headers, func(a, b Header) bool { return a.Key == b.Key && bytes.Equal(a.Value, b.Value) }):
		return fmt.Sprintf("headers %q, sent %q", got.Headers, sent.Headers)
	case !got.Time.Equal(sent.Time):
		return fmt.Sprintf("time %v, sent %v", got.Time, sent.Time)
	}
	return ""
}
