package guests

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/millrun/millrun/plugins/sdk/go/jsonscan"
	"github.com/millrun/millrun/wasmhost/abi"
)

// chunk is as many copies of a record as a call holds.
func chunk(wants abi.Wants, r record) (in []byte, n int) {
	size := len(rows(wants, []record{r}))
	all := make([]record, abi.ChunkBytes/size)
	for i := range all {
		all[i] = r
	}
	return rows(wants, all), len(all)
}

// value200 is a JSON value of 200 bytes.
func value200() []byte {
	v := []byte(`{"id":1234567,"total":12.5,"status":"paid","customer":{"name":"Ann","email":"ann@example.org","country":"NL"},"note":"`)
	return append(append(v, bytes.Repeat([]byte("n"), 200-len(v)-2)...), '"', '}')
}

// BenchmarkGuests is what a record costs in each language, metered, beside the same in native Go.
func BenchmarkGuests(b *testing.B) {
	text := record{key: []byte("key-1234"), value: bytes.Repeat([]byte("a"), 100)}
	order := record{key: []byte("key-1234"), value: value200()}
	for _, c := range []struct {
		what, example string
		config        config
		record        record
	}{
		{"scan text 100B", "scan", config{"text": "ERROR"}, text},
		{"filter text 100B", "filter", config{"text": "ERROR"}, text},
		{"filter field 200B", "filter", config{"field": "customer.country", "value": "NL"}, order},
		{"transform order 200B", "transform", config{}, order},
	} {
		for _, lang := range langs(c.example) {
			b.Run(fmt.Sprintf("%s/%s", c.what, lang), func(b *testing.B) {
				p, i := start(b, module(b, lang, c.example), 1+len(c.example)/9, c.config)
				in, n := chunk(p.Wants(), c.record)
				call := i.Filter
				if !p.Filter() {
					call = i.Transform
				}
				for b.Loop() {
					if _, err := call(context.Background(), abi.Call{Topic: "in"}, in, n); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/record")
			})
		}
	}
	b.Run("filter text 100B/native", func(b *testing.B) {
		native(b, text, func(value []byte) bool { return bytes.Contains(value, []byte("ERROR")) })
	})
	path, err := jsonscan.ParsePath("customer.country")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("filter field 200B/native", func(b *testing.B) {
		native(b, order, func(value []byte) bool { return string(jsonscan.Text(nil, jsonscan.Lookup(value, path))) == "NL" })
	})
}

// native reads rows and asks keep about each value, as a guest does.
func native(b *testing.B, r record, keep func(value []byte) bool) {
	in, n := chunk(abi.WantValue, r)
	bitmap := make([]byte, abi.BitmapLen(n))
	for b.Loop() {
		clear(bitmap)
		reader := abi.NewInputReader(in)
		var row abi.InputRow
		for i := range n {
			if ok, err := reader.Next(&row); !ok || err != nil {
				b.Fatal(ok, err)
			}
			if keep(row.Value) {
				abi.SetPass(bitmap, i)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/record")
}
