package wasmhost

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/millrun/millrun/plugins/hostile"
	"github.com/millrun/millrun/wasmhost/abi"
)

// fuzzPatience is what a guest may take that is to start within 100 ms and to return within 5: far more than
// one that is stopped in time takes on a busy machine, and nothing beside a hang.
const fuzzPatience = 20 * time.Second

// FuzzGuest changes single bytes of small modules that are good, code and data alike, and takes what comes out all the
// way: load, start, two calls with records, close. The host may refuse it, or say how it failed, or take its answer; it
// does not panic and it does not hang, and rows that it takes are checked like any.
func FuzzGuest(f *testing.F) {
	names := hostile.Names()
	for n := range names {
		f.Add(uint8(n), []byte{})
	}
	for n, edits := range [][]byte{{0x80, 0, 0x41}, {0x90, 0, 0x10, 0xa0, 0, 0xff}, {0x60, 0, 0x7e}} {
		f.Add(uint8(n), edits)
	}
	host := New(Config{})
	defer host.Close(context.Background())
	f.Fuzz(func(t *testing.T, which uint8, edits []byte) {
		wasm := mutated(guest(t, names[int(which)%len(names)]), edits)
		begin := time.Now()
		runGuest(t, host, wasm)
		if took := time.Since(begin); took > fuzzPatience {
			t.Fatalf("it took %v", took)
		}
	})
}

// mutated is a copy in which bytes are replaced: each edit is a place, two bytes, and a value.
func mutated(wasm, edits []byte) []byte {
	wasm = append([]byte(nil), wasm...)
	for ; len(edits) >= 3; edits = edits[3:] {
		wasm[int(binary.LittleEndian.Uint16(edits))%len(wasm)] = edits[2]
	}
	return wasm
}

func runGuest(t *testing.T, host *Host, wasm []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	log := func(int, string) {}
	p, err := host.Load(ctx, Spec{Wasm: wasm, Name: "m", Outputs: 1, MemoryBytes: 40 << 20, Timeout: 5 * time.Millisecond, Log: log})
	if err != nil {
		checkBlame(t, ctx, err)
		return
	}
	defer p.Close(context.Background())
	i, err := p.Instance(ctx, log)
	if err != nil {
		checkBlame(t, ctx, err)
		return
	}
	defer i.Close(context.Background())
	for _, n := range []int{1, 100} {
		in := fuzzInput(p, n)
		call := abi.Call{Topic: "in", BaseOffset: 40, BaseTimestamp: 1_700_000_000_000}
		if p.Filter() {
			var bitmap []byte
			if bitmap, err = i.Filter(ctx, call, in, n); err == nil && len(bitmap) != abi.BitmapLen(n) {
				t.Fatalf("a bitmap of %d bytes for %d records", len(bitmap), n)
			}
		} else {
			var rows []byte
			if rows, err = i.Transform(ctx, call, in, n); err == nil {
				readRows(t, rows, n)
			}
		}
		if err != nil {
			checkBlame(t, ctx, err)
			return
		}
	}
}

// fuzzInput is n records as the guest asked for them.
func fuzzInput(p *Program, n int) (in []byte) {
	for k := range n {
		r := Record{Offset: int64(k), Key: []byte("key"), Value: []byte("a value of some bytes"), Headers: []abi.Header{{Key: "h", Value: []byte("v")}}}
		if p.Wants().Raw() {
			in = appendRaw(in, &r, int64(k), 0)
		} else {
			in = abi.AppendInputRow(in, p.Wants(), 1, uint32(k), r.Key, r.Value, r.Headers)
		}
	}
	return in
}

func readRows(t *testing.T, rows []byte, n int) {
	r := abi.NewOutputReader(rows, n, 1)
	var row abi.OutputRow
	for {
		ok, err := r.Next(&row)
		if err != nil && !errors.Is(err, abi.ErrBadOutput) {
			t.Fatal(err)
		}
		if err != nil || !ok {
			return
		}
		if int(row.Source) >= n || row.Output != 0 {
			t.Fatalf("a row of record %d of %d for output %d of 1", row.Source, n, row.Output)
		}
	}
}

// checkBlame allows a guest's failure, and that the caller gave up.
func checkBlame(t *testing.T, ctx context.Context, err error) {
	var blamed *Error
	if !errors.As(err, &blamed) && ctx.Err() == nil {
		t.Fatalf("neither the guest nor the caller is to blame: %v", err)
	}
}
