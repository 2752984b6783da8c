package filter

import (
	"errors"
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
		bitmap, err := run(in, n)
		if err != nil {
			t.Fatal(err)
		}
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
	if got, err := run(nil, 0); got == nil || err != nil {
		t.Error("nil means failure to the host")
	}
}

func TestABatchIsGivenWhole(t *testing.T) {
	var got []byte
	Register(Module{Wants: millrun.Raw, Batch: func(in []byte, n int, bits []byte) error {
		got = in
		bits[0] = 5
		return nil
	}})
	if bits, err := run([]byte("records"), 3); err != nil || len(bits) != 1 || bits[0] != 5 || string(got) != "records" {
		t.Errorf("%v of %q, %v", bits, got, err)
	}
	Register(Module{Wants: millrun.Raw, Batch: func([]byte, int, []byte) error { return errors.New("no") }})
	if _, err := run(nil, 0); err == nil {
		t.Error("no error")
	}
}
