package wasmhost

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/millrun/millrun/plugins"
	"github.com/millrun/millrun/wasmhost/abi"
)

func shipped(t testing.TB, name string) []byte {
	t.Helper()
	if testing.Short() {
		t.Skip("compiling a plain-Go guest takes a second, and a minute under the race detector: not with -short")
	}
	b, ok := plugins.Module(name)
	if !ok {
		t.Fatalf("no module %s", name)
	}
	return b
}

// configured loads a shipped module with a configuration written as "key=value key=value".
func configured(t testing.TB, name, config string, topics ...string) *Program {
	t.Helper()
	if len(topics) == 0 {
		topics = []string{"out"}
	}
	return load(t, Spec{Wasm: shipped(t, name), Name: name, Config: settings(config), Outputs: len(topics), Topics: topics})
}

func settings(config string) map[string]string {
	out := map[string]string{}
	for pair := range strings.FieldsSeq(config) {
		key, value, _ := strings.Cut(pair, "=")
		out[key] = value
	}
	return out
}

func values(texts ...string) []Record {
	var out []Record
	for n, text := range texts {
		r := Record{Offset: 100 + int64(n), Timestamp: 1_700_000_000_000 + int64(n), Key: []byte(fmt.Sprint("k", n)), Value: []byte(text),
			Headers: []abi.Header{{Key: "n", Value: []byte{byte(n)}}}}
		if text == "NULL" {
			r.Value = nil
		}
		out = append(out, r)
	}
	return out
}

func try(t testing.TB, p *Program, records []Record) string {
	t.Helper()
	out, err := p.Try(context.Background(), "in", 3, records, nil)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, o := range out {
		if string(o.Key) != string(records[o.Source].Key) || len(o.Headers) != 1 || o.Timestamp != records[o.Source].Timestamp {
			t.Errorf("key, headers or time were touched: %+v", o)
		}
		line := fmt.Sprintf("%d %s", o.Output, o.Value)
		if o.Value == nil {
			line = fmt.Sprintf("%d NULL", o.Output)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "|")
}

func TestTheShippedFilterRunsInTheHost(t *testing.T) {
	p := configured(t, "filter", "field=a.b op=ge value=10")
	if !p.Filter() || p.Wants() != abi.WantRaw {
		t.Errorf("filter %v wants %v", p.Filter(), p.Wants())
	}
	got := try(t, p, values(`{"a":{"b":10}}`, `{"a":{"b":9.99}}`, `nothing`, `NULL`, `{"a":{"b":1e2}}`))
	if got != `0 {"a":{"b":10}}|0 {"a":{"b":1e2}}` {
		t.Error(got)
	}
}

func TestTheShippedRedactRunsInTheHost(t *testing.T) {
	p := configured(t, "redact", "remove=ssn mask=name hash=mail patterns=card")
	got := try(t, p, values(`{"z":1, "name":"Ann","mail":"a@x.org","ssn":"123", "note":"4111 1111 1111 1111"}`, `{"z":1}`, `NULL`))
	want := `0 {"z":1, "name":"***","mail":"907d7bf93d60cbe6565458bb0fe7e8fac60dffe3561e27cce320947f1a13ef8b", "note":"***"}|0 {"z":1}|0 NULL`
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestTheShippedRouteLearnsTheOutputsNames(t *testing.T) {
	p := configured(t, "route", "field=s routes=paid:b,open:a default=c", "a", "b", "c")
	got := try(t, p, values(`{"s":"paid"}`, `{"s":"open"}`, `{"s":"lost"}`, `x`))
	if got != `1 {"s":"paid"}|0 {"s":"open"}|2 {"s":"lost"}|2 x` {
		t.Error(got)
	}
	_, err := shared.Load(context.Background(), Spec{Wasm: shipped(t, "route"), Name: "r", Outputs: 1, Topics: []string{"a"},
		Config: map[string]string{"field": "s", "routes": "paid:b"}})
	if err == nil || !strings.Contains(err.Error(), `routes: topic "b" is not among the outputs (a)`) {
		t.Errorf("got %v", err)
	}
}

func TestAnUnknownKeyRefusesTheDeployWithItsName(t *testing.T) {
	for _, name := range plugins.Names() {
		_, err := shared.Load(context.Background(), Spec{Wasm: shipped(t, name), Name: "d", Outputs: 1, Config: map[string]string{"colour": "red"}})
		var e *Error
		if !errors.As(err, &e) || e.Kind != Refused || !strings.Contains(err.Error(), `unknown key "colour" (known: `) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTryGivesTheSameTwiceAndCutsBetweenRecords(t *testing.T) {
	p := configured(t, "filter", "field=n op=lt value=5000")
	var records []Record
	for n := range 10_000 {
		records = append(records, Record{Offset: int64(2 * n), Value: fmt.Appendf(nil, `{"n":%d,"pad":"%s"}`, n, strings.Repeat("x", 40))})
	}
	for range 2 {
		out, err := p.Try(context.Background(), "in", 0, records, nil)
		if err != nil || len(out) != 5000 || out[4999].Source != 4999 || out[4999].Offset != 9998 {
			t.Fatalf("%d records, %v", len(out), err)
		}
	}
}

func TestTryNamesTheRecordThatFailsAndKeepsThoseBefore(t *testing.T) {
	p := load(t, Spec{Wasm: guest(t, "trap-hundredth"), Name: "m"})
	records := make([]Record, 150)
	for n := range records {
		records[n].Offset = int64(n)
	}
	if out, err := p.Try(context.Background(), "in", 0, records[:99], nil); err != nil || len(out) != 99 {
		t.Errorf("%d records, %v", len(out), err)
	}
	// Together they fail; alone each has delta 0 and passes.
	if out, err := p.Try(context.Background(), "in", 0, records, nil); err != nil || len(out) != 150 {
		t.Errorf("%d records, %v", len(out), err)
	}
	var failed *RecordError
	out, err := load(t, Spec{Wasm: guest(t, "trap-record"), Name: "m"}).Try(context.Background(), "in", 0, records, nil)
	if !errors.As(err, &failed) || failed.Index != 0 || len(out) != 0 || !strings.Contains(err.Error(), "record 1: module m: millrun_filter: unreachable") {
		t.Errorf("%d records, %v", len(out), err)
	}
}

func TestARawSectionHoldsTheRecordsAsABatchDoes(t *testing.T) {
	got := appendRaw(nil, &Record{Key: nil, Value: []byte("v"), Headers: []abi.Header{{Key: "h", Value: nil}}}, 1, 2)
	want := []byte{18, 0, 4, 2, 1, 2, 'v', 2, 2, 'h', 1}
	want[0] = byte(2 * (len(want) - 1))
	if string(got) != string(want) {
		t.Errorf("% x, want % x", got, want)
	}
}
