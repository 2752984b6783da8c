package abi

import (
	"bytes"
	"testing"
)

// FuzzOutputReader: what is accepted encodes back to rows that read the same, and
// no claim about lengths makes the reader leave its bytes.
func FuzzOutputReader(f *testing.F) {
	f.Add(goldenOutput(), 2, 2)
	f.Add(vector(f, "input-rows"), 1, 1)
	f.Fuzz(func(t *testing.T, rows []byte, n, outputs int) {
		out := NewOutputReader(rows, n, outputs)
		var r OutputRow
		var again []byte
		read := 0
		for {
			ok, err := out.Next(&r)
			if err != nil || !ok {
				break
			}
			var headers []Header
			for k, v := range r.Headers.All {
				headers = append(headers, Header{string(k), v})
			}
			if len(headers) != r.Headers.Len() {
				t.Fatalf("%d headers, Len says %d", len(headers), r.Headers.Len())
			}
			if int(r.Source) >= n || int(r.Output) >= outputs {
				t.Fatalf("out of range: %+v", r)
			}
			again = AppendOutputRow(again, &r, headers)
			read++
		}
		back := NewOutputReader(again, n, outputs)
		for range read {
			if ok, err := back.Next(&r); !ok || err != nil {
				t.Fatalf("what was accepted does not read back: %v", err)
			}
		}
	})
}

func FuzzInputReader(f *testing.F) {
	f.Add(goldenInput(WantRows))
	f.Add(goldenInput(WantValue))
	f.Fuzz(func(t *testing.T, rows []byte) {
		in := NewInputReader(rows)
		var r InputRow
		for {
			ok, err := in.Next(&r)
			if err != nil || !ok {
				return
			}
			for k, v := range r.Headers.All {
				if len(k)+len(v) > len(rows) {
					t.Fatal("a header is longer than its row")
				}
			}
		}
	})
}

func FuzzParseContext(f *testing.F) {
	f.Add(Call{Topic: "orders", Partition: 3, BaseOffset: 4096, BaseTimestamp: t0}.AppendContext(nil))
	f.Fuzz(func(t *testing.T, p []byte) {
		call, err := ParseContext(p)
		if err == nil && !bytes.HasPrefix(p[4:], call.AppendContext(nil)[4:]) {
			t.Fatalf("%+v is not what %x says", call, p)
		}
	})
}

func BenchmarkAppendInputRow(b *testing.B) {
	key, value := []byte("key-12345678"), bytes.Repeat([]byte("v"), 100)
	var dst []byte
	b.ReportAllocs()
	b.SetBytes(112)
	for i := 0; b.Loop(); i++ {
		if i%1000 == 0 {
			dst = dst[:0]
		}
		dst = AppendInputRow(dst, WantRows, t0, 1, key, value, []Header(nil))
	}
}
