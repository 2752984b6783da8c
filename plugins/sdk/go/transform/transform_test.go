package transform

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	millrun "github.com/millrun/millrun/plugins/sdk/go"
	"github.com/millrun/millrun/wasmhost/abi"
)

// rowsOf runs Map over records and reads what came out as the host does.
func rowsOf(t *testing.T, wants abi.Wants, m func(*millrun.Record, *Output) error, n int) []string {
	t.Helper()
	Register(Module{Map: m})
	var in []byte
	for i := range n {
		in = abi.AppendInputRow(in, wants, int64(i), uint32(i), fmt.Append(nil, "k", i), fmt.Append(nil, "v", i), []abi.Header{{Key: "h", Value: []byte("x")}})
	}
	var got []string
	for range 2 { // the second time in buffers that were used
		rows, err := run(in, n)
		if err != nil {
			t.Fatal(err)
		}
		got = nil
		reader := abi.NewOutputReader(rows, n, 3)
		var r abi.OutputRow
		for {
			ok, err := reader.Next(&r)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			line := fmt.Sprintf("%d>%d p%d t%d", r.Source, r.Output, r.Partition, r.Timestamp)
			for _, f := range []struct {
				copied bool
				b      []byte
			}{{r.CopyKey, r.Key}, {r.CopyValue, r.Value}} {
				switch {
				case f.copied:
					line += " ="
				case f.b == nil:
					line += " null"
				default:
					line += fmt.Sprintf(" %q", f.b)
				}
			}
			if r.CopyHeaders {
				line += " ="
			}
			for k, v := range r.Headers.All {
				line += fmt.Sprintf(" %s:%s", k, v)
			}
			got = append(got, line)
		}
	}
	return got
}

func TestRowsComeOutAsTheyWereSet(t *testing.T) {
	got := rowsOf(t, abi.WantRows, func(r *millrun.Record, out *Output) error {
		switch r.OffsetDelta {
		case 0:
			out.To(1)
		case 1: // dropped
		case 2:
			out.To(0).Value([]byte("new")).Key(nil).Timestamp(9).Partition(4)
			out.To(2).NoHeaders().Value([]byte{})
			out.To(2).Header("a", []byte("1")).Header("b", nil)
			out.To(0).NoHeaders().Header("c", []byte("2"))
		}
		return nil
	}, 3)
	want := `0>1 p-1 t-1 = = =
2>0 p4 t9 null "new" =
2>2 p-1 t-1 = ""
2>2 p-1 t-1 = = h:x a:1 b:
2>0 p-1 t-1 = = c:2`
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}

func TestAnErrorFailsTheCall(t *testing.T) {
	Register(Module{Map: func(*millrun.Record, *Output) error { return errors.New("no") }})
	in := abi.AppendInputRow(nil, abi.WantRows, 0, 0, nil, nil, []abi.Header(nil))
	if _, err := run(in, 1); err == nil || err.Error() != "no" {
		t.Errorf("got %v", err)
	}
}

func TestAddingToHeadersThatWereNotAskedForSaysSo(t *testing.T) {
	defer func() {
		if r := recover(); !strings.Contains(fmt.Sprint(r), "Header needs millrun.Headers") {
			t.Errorf("recovered %v", r)
		}
	}()
	rowsOf(t, abi.WantValue, func(_ *millrun.Record, out *Output) error {
		out.To(0).Header("a", nil)
		return nil
	}, 1)
	t.Error("headers that were not asked for were added to")
}

func BenchmarkMap(b *testing.B) {
	Register(Module{Map: func(r *millrun.Record, out *Output) error { out.To(0).Value(r.Value[:10]); return nil }})
	var in []byte
	for range 1000 {
		in = abi.AppendInputRow(in, abi.WantValue, 0, 0, nil, make([]byte, 100), []abi.Header(nil))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := run(in, 1000); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/record")
}
