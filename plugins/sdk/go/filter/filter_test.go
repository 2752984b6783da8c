package filter

import (
	"testing"

	millrun "github.com/millrun/millrun/plugins/sdk/go"
	"github.com/millrun/millrun/wasmhost/abi"
)

func TestEachRecordHasItsBit(t *testing.T) {
	Register(Module{Keep: func(r *millrun.Record) bool { return r.Value[0]%3 == 0 }})
	for _, n := range []int{100, 9, 8, 1, 0} {
		var in []byte
		for i := range n {
			in = abi.AppendInputRow(in, abi.WantValue, 0, uint32(i), nil, []byte{byte(i)}, []abi.Header(nil))
		}
		bitmap := run(in, n)
		if len(bitmap) != abi.BitmapLen(n) {
			t.Fatalf("%d bytes for %d records", len(bitmap), n)
		}
		for i := range n {
			if abi.Passes(bitmap, i) != (i%3 == 0) {
				t.Errorf("%d of %d records: %v", i, n, abi.Passes(bitmap, i))
			}
		}
	}
}

func TestAnEmptyBitmapStillHasAnAddress(t *testing.T) {
	bitmap = nil
	if got := run(nil, 0); got == nil {
		t.Error("nil means failure to the host")
	}
}
