package wasmhost

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/millrun/millrun/wasmhost/abi"
)

// chunkOf is as many copies of a record as a chunk holds, in rows or raw.
func chunkOf(w abi.Wants, r Record) (in []byte, n int) {
	for ; len(in) < abi.ChunkBytes; n++ {
		if w.Raw() {
			in = appendRaw(in, &r, int64(n), 0)
		} else {
			in = abi.AppendInputRow(in, w, r.Timestamp, uint32(n), r.Key, r.Value, r.Headers)
		}
	}
	return in, n
}

func perRecord(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/record")
}

func benchmarkCalls(b *testing.B, p *Program, value []byte) {
	i := start(b, p, nil)
	in, n := chunkOf(p.Wants(), Record{Timestamp: 1, Key: []byte("key-1234"), Value: value})
	call := i.Filter
	if !p.Filter() {
		call = i.Transform
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if _, err := call(context.Background(), abi.Call{Topic: "in"}, in, n); err != nil {
			b.Fatal(err)
		}
	}
	perRecord(b, n)
}

// json200 is a record's value of 200 bytes.
func json200() []byte {
	v := fmt.Appendf(nil, `{"id":1234567,"customer":{"name":"Ann","country":"NL"},"total":12.5,"status":"paid","note":"`)
	return append(append(v, bytes.Repeat([]byte("n"), 200-len(v)-2)...), '"', '}')
}

// The least that a call can cost: the copy into the guest, and the call.
func BenchmarkPassRaw100B(b *testing.B) {
	benchmarkCalls(b, load(b, Spec{Wasm: guest(b, "pass"), Name: "m"}), make([]byte, 100))
}

func BenchmarkFilterText100B(b *testing.B) {
	benchmarkCalls(b, configured(b, "filter", "text=ERROR"), bytes.Repeat([]byte("a"), 100))
}

func BenchmarkFilterField200B(b *testing.B) {
	benchmarkCalls(b, configured(b, "filter", "field=customer.country op=eq value=NL"), json200())
}

func BenchmarkFilterNumber200B(b *testing.B) {
	benchmarkCalls(b, configured(b, "filter", "field=total op=ge value=10"), json200())
}

func BenchmarkRoute200B(b *testing.B) {
	benchmarkCalls(b, configured(b, "route", "field=status routes=paid:out"), json200())
}

func BenchmarkRedact200B(b *testing.B) {
	benchmarkCalls(b, configured(b, "redact", "mask=customer.name hash=id"), json200())
}

// Redpanda's ABI: two calls of the host a record, and two changes of goroutine a call.
func BenchmarkPullCopy100B(b *testing.B) {
	benchmarkCalls(b, load(b, Spec{Wasm: guest(b, "pull-copy"), Name: "m", Timeout: time.Minute}), make([]byte, 100))
}

// What is left when the guest reads nothing: rows are checked, and it is woken.
func BenchmarkPullUnread100B(b *testing.B) {
	benchmarkCalls(b, load(b, Spec{Wasm: guest(b, "pull-unread"), Name: "m", Timeout: time.Minute}), make([]byte, 100))
}

// BenchmarkPullFile runs the module that MILLRUN_BENCH_MODULE names, if it does.
func BenchmarkPullFile(b *testing.B) {
	file := os.Getenv("MILLRUN_BENCH_MODULE")
	if file == "" {
		b.Skip("MILLRUN_BENCH_MODULE names no module")
	}
	wasm, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	benchmarkCalls(b, load(b, Spec{Wasm: wasm, Name: "m", Timeout: time.Minute}), bytes.Repeat([]byte("v"), 100))
}

// A call of one record is what an idle topic's records cost.
func BenchmarkPullOneRecord(b *testing.B) {
	i := start(b, load(b, Spec{Wasm: guest(b, "pull-copy"), Name: "m", Timeout: time.Minute}), nil)
	in := abi.AppendInputRow(nil, abi.WantRows, 1, 0, nil, make([]byte, 100), []abi.Header(nil))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := i.Transform(context.Background(), abi.Call{}, in, 1); err != nil {
			b.Fatal(err)
		}
	}
}

// One record a call: what a call costs at least, with its deadline.
func BenchmarkCallOfOneRecord(b *testing.B) {
	i := start(b, load(b, Spec{Wasm: guest(b, "pass"), Name: "m"}), nil)
	in := make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := i.Filter(context.Background(), abi.Call{}, in, 1); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkStart(b *testing.B, p *Program) {
	b.ReportAllocs()
	for b.Loop() {
		i, err := p.Instance(context.Background(), nil)
		if err != nil {
			b.Fatal(err)
		}
		if err := i.Close(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStartGo(b *testing.B) { benchmarkStart(b, configured(b, "filter", "text=x")) }

func BenchmarkStartPull(b *testing.B) {
	benchmarkStart(b, load(b, Spec{Wasm: guest(b, "pull-copy"), Name: "m", Timeout: time.Minute}))
}

func BenchmarkStartSmall(b *testing.B) {
	benchmarkStart(b, load(b, Spec{Wasm: guest(b, "pass"), Name: "m"}))
}
