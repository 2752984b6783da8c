package wasmhost

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/millrun/millrun/wasmhost/abi"
)

// rowsOf are rows with all columns, with offsets from base on.
func rowsOf(base int64, records ...Record) (abi.Call, []byte, int) {
	var rows []byte
	for _, r := range records {
		rows = abi.AppendInputRow(rows, abi.WantRows, r.Timestamp, uint32(r.Offset-base), r.Key, r.Value, r.Headers)
	}
	return abi.Call{Topic: "in", Partition: 3, BaseOffset: base, BaseTimestamp: 1_700_000_000_000}, rows, len(records)
}

func outputs(t testing.TB, rows []byte, n, outputs int) (all []abi.OutputRow) {
	t.Helper()
	r := abi.NewOutputReader(rows, n, outputs)
	for {
		var row abi.OutputRow
		ok, err := r.Next(&row)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return all
		}
		all = append(all, row)
	}
}

func TestAGuestOfRedpandasABIIsATransform(t *testing.T) {
	p := load(t, Spec{Wasm: guest(t, "pull-copy"), Name: "m", Timeout: time.Minute})
	if p.Filter() || !p.Redpanda() || p.Wants() != abi.WantRows {
		t.Fatalf("filter %v, Redpanda's %v, wants %v", p.Filter(), p.Redpanda(), p.Wants())
	}
	i := start(t, p, nil)
	for round := range 3 { // the instance goes on from batch to batch
		call, in, n := rowsOf(40,
			Record{Offset: 42, Timestamp: 1_700_000_000_123, Key: []byte("k1"), Value: []byte("hello"), Headers: []abi.Header{{Key: "trace", Value: []byte{0x7f}}, {Key: "n"}}},
			Record{Offset: 44, Timestamp: 1_700_000_000_100},
			Record{Offset: 47, Timestamp: 1_700_000_000_200, Key: []byte{}, Value: []byte{}})
		out, err := i.Transform(context.Background(), call, in, n)
		if err != nil {
			t.Fatal(round, err)
		}
		got := outputs(t, out, n, 1)
		if len(got) != 3 || string(got[0].Key) != "k1" || string(got[0].Value) != "hello" || got[0].Headers.Len() != 2 || got[0].Timestamp != abi.NoTimestamp ||
			got[1].Key != nil || got[1].Value != nil || got[1].CopyKey || got[1].CopyValue || got[2].Key == nil || got[2].Value == nil {
			t.Fatalf("round %d: %+v", round, got)
		}
		for n, row := range got {
			if int(row.Source) != n || row.Output != 0 || row.Partition != -1 {
				t.Errorf("row %d: %+v", n, row)
			}
		}
	}
	if i.Fuel() == 0 {
		t.Error("no fuel was used")
	}
}

func TestAHeaderHasTheWidthsThatGuestsPointAt(t *testing.T) {
	i := start(t, load(t, Spec{Wasm: guest(t, "pull-copy"), Name: "m", Timeout: time.Minute}), nil)
	call, in, n := rowsOf(40,
		Record{Offset: 42, Timestamp: 1_700_000_000_123, Value: []byte("hello")},
		Record{Offset: 44, Timestamp: 1_700_000_000_100})
	if _, err := i.Transform(context.Background(), call, in, n); err != nil {
		t.Fatal(err)
	}
	// pull-copy has the fields lie against each other, the last one first.
	le := binary.LittleEndian
	want := le.AppendUint32(nil, 0xffffffff)        // base sequence
	want = le.AppendUint16(want, 0xffff)            // producer epoch
	want = le.AppendUint64(want, ^uint64(0))        // producer id
	want = le.AppendUint64(want, 1_700_000_000_123) // max timestamp
	want = le.AppendUint64(want, 1_700_000_000_123) // base timestamp
	want = le.AppendUint32(want, 2)                 // last offset delta
	want = le.AppendUint16(want, 0)                 // attributes
	want = le.AppendUint32(want, 0xffffffff)        // leader epoch
	want = le.AppendUint32(want, 2)                 // record count
	want = le.AppendUint64(want, 42)                // base offset
	want = append(want, make([]byte, 8)...)
	want = le.AppendUint64(want, 44)                // of the last record: offset
	want = le.AppendUint64(want, 1_700_000_000_100) // timestamp
	want = append(want, 0, 0xaa)                    // attributes, and what is behind them
	if got, _ := i.module.Memory().Read(0, uint32(len(want))); !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

func TestCodesOfRedpandasABI(t *testing.T) {
	i := start(t, load(t, Spec{Wasm: guest(t, "pull-codes"), Name: "m", Timeout: time.Minute, Outputs: 2, Topics: []string{"a", "b"}}), nil)
	call, in, n := rowsOf(0, Record{Value: []byte("12345")})
	out, err := i.Transform(context.Background(), call, in, n)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]int32, 14)
	for k := range got {
		v, _ := i.module.Memory().ReadUint32Le(uint32(128 + 4*k))
		got[k] = int32(v)
	}
	want := []int32{
		-1, -1, // before the first batch: write, read
		-2,     // read into one byte
		-2, -2, // write what is malformed, and nothing
		-2, -3, 4, // an unknown option, a topic that is not declared, one that is
		8,  // read: the record is still there
		4,  // empty options
		-1, // no record left
		4,
		-1, -1, // the schema registry is off
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	rows := outputs(t, out, n, 2)
	if len(rows) != 3 || rows[0].Output != 1 || rows[1].Output != 0 || rows[2].Output != 0 || string(rows[0].Value) != "v" {
		t.Errorf("%+v", rows)
	}
}

func TestARedpandaModuleThatCannotRunIsRefused(t *testing.T) {
	for name, want := range map[string]string{
		"pull-return":  "module m: _start: returned, but a transform asks for batches for ever",
		"pull-both":    "imports redpanda_transform and exports millrun_abi_v1: a module is of one ABI",
		"pull-reactor": "imports redpanda_transform and does not export _start",
		"pull-early":   "asked for records before _start",
	} {
		_, err := shared.Load(context.Background(), Spec{Wasm: guest(t, name), Name: "m", Outputs: 1})
		var refused *Error
		if !errors.As(err, &refused) || refused.Kind != Refused || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for key, want := range map[string]string{
		"REDPANDA_INPUT_TOPIC": "the host's own", "a=b": "cannot be an environment variable", "": "cannot be an environment variable",
	} {
		_, err := shared.Load(context.Background(), Spec{Wasm: guest(t, "pull-copy"), Name: "m", Outputs: 1, Config: map[string]string{key: "x"}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", key, err)
		}
	}
}

func TestHostileGuestsOfRedpandasABIFailByKind(t *testing.T) {
	for _, c := range []struct {
		name string
		kind Kind
		want string
	}{
		{"pull-spin", Timeout, "did not return within 20ms"},
		{"pull-exit", Exit, "exit code 7: it is enough"},
		{"pull-bomb", BadOutput, "wrote more than the 10"},
		{"pull-lying-buffer", Trap, "read_next_record got a pointer outside of memory: 100 bytes at 0x10fff4"},
		{"pull-lying-header", Trap, "read_batch_header got a pointer outside of memory: 4 bytes at 0x10fffe"},
		{"pull-lying-write", Trap, "write_record got a pointer outside of memory"},
	} {
		limit := time.Minute
		if c.kind == Timeout {
			limit = 20 * time.Millisecond
		}
		i := start(t, load(t, Spec{Wasm: guest(t, c.name), Name: "m", Timeout: limit}), nil)
		call, in, n := rowsOf(0, Record{Value: []byte("a")}, Record{Offset: 1, Value: []byte("b")})
		_, err := i.Transform(context.Background(), call, in, n)
		var e *Error
		if !errors.As(err, &e) || e.Kind != c.kind || e.Func != abi.ExportStart || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, err := i.Transform(context.Background(), call, in, n); !errors.Is(err, errDiscarded) {
			t.Errorf("%s is used again: %v", c.name, err)
		}
	}
}

func TestAGuestThatReadsNothingDropsEverything(t *testing.T) {
	i := start(t, load(t, Spec{Wasm: guest(t, "pull-unread"), Name: "m", Timeout: time.Minute}), nil)
	call, in, n := rowsOf(0, Record{Value: []byte("a")})
	for range 2 {
		if out, err := i.Transform(context.Background(), call, in, n); err != nil || len(out) != 0 {
			t.Errorf("%q, %v", out, err)
		}
	}
}

func TestTheCallersContextEndsAPullingGuest(t *testing.T) {
	i := start(t, load(t, Spec{Wasm: guest(t, "pull-spin"), Name: "m", Timeout: time.Minute}), nil)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	call, in, n := rowsOf(0, Record{})
	_, err := i.Transform(ctx, call, in, n)
	var e *Error
	if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &e) {
		t.Errorf("got %v", err)
	}
}

func TestClosingParkedGuestsLeavesNoGoroutine(t *testing.T) {
	p := load(t, Spec{Wasm: guest(t, "pull-copy"), Name: "m", Timeout: time.Minute})
	before := runtime.NumGoroutine()
	for n := range 100 {
		i, err := p.Instance(context.Background(), nil)
		if err != nil {
			t.Fatal(err)
		}
		call, in, count := rowsOf(0, Record{Value: []byte("a")})
		if n%2 == 0 { // the others have never had a batch
			if _, err := i.Transform(context.Background(), call, in, count); err != nil {
				t.Fatal(err)
			}
		}
		if err := i.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		if _, err := i.Transform(context.Background(), call, in, count); !errors.Is(err, errDiscarded) {
			t.Fatalf("a closed instance says %v", err)
		}
	}
	for limit := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(limit) {
			t.Fatalf("%d goroutines, before there were %d", runtime.NumGoroutine(), before)
		}
	}
}

func TestRowsThatAreNoneAreNotTheGuestsFault(t *testing.T) {
	i := start(t, load(t, Spec{Wasm: guest(t, "pull-copy"), Name: "m", Timeout: time.Minute}), nil)
	_, err := i.Transform(context.Background(), abi.Call{}, []byte("x"), 1)
	var e *Error
	if !errors.Is(err, abi.ErrInput) || errors.As(err, &e) {
		t.Errorf("got %v", err)
	}
	if out, err := i.Transform(context.Background(), abi.Call{}, nil, 0); err != nil || len(out) != 0 {
		t.Errorf("an empty batch: %q, %v", out, err)
	}
}

func TestTryRunsGuestsOfRedpandasABI(t *testing.T) {
	p := load(t, Spec{Wasm: guest(t, "pull-copy"), Name: "m", Timeout: time.Minute})
	records := make([]Record, 5000)
	for n := range records {
		records[n] = Record{Offset: int64(n), Timestamp: int64(n), Key: fmt.Appendf(nil, "k%d", n), Value: bytes.Repeat([]byte("v"), 100)}
	}
	made, err := p.Try(context.Background(), "in", 0, records, nil)
	if err != nil || len(made) != len(records) {
		t.Fatalf("%d records, %v", len(made), err)
	}
	for n, o := range made {
		if !reflect.DeepEqual(o.Record, records[n]) || o.Source != n {
			t.Fatalf("record %d: %+v", n, o)
		}
	}
}
