package record

import (
	"bytes"
	"testing"
)

func seeds(f *testing.F) []Batch {
	var out []Batch
	for _, c := range codecs {
		out = append(out, vector(f, "batch-"+c.String()+".bin"))
	}
	return append(out, vector(f, "batch-commit-marker.bin"))
}

// FuzzNext walks over any bytes as a log would: what Next accepts has a sound length, and what Validate accepts can be read
// to its end.
func FuzzNext(f *testing.F) {
	for _, b := range seeds(f) {
		f.Add([]byte(b))
		f.Add([]byte(append(clone(b), b...)))
		f.Add([]byte(b[:len(b)/2]))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		for rest := in; ; {
			b, next, err := Next(rest)
			if err != nil {
				return
			}
			if len(b) < HeaderSize || len(b)+len(next) != len(rest) {
				t.Fatalf("a batch of %d bytes, %d left of %d", len(b), len(next), len(rest))
			}
			_ = b.CheckCRC()
			c, err := b.Check()
			if err == nil && c.Known {
				records, err := readAll(b.StoredRecords(), int(b.NumRecords()))
				if err != nil || len(records) != int(b.NumRecords()) {
					t.Fatalf("valid, but read %d of %d: %v", len(records), b.NumRecords(), err)
				}
			}
			rest = next
		}
	})
}

// FuzzReader reads any section: no panic, and the records that it yields lie side by side from its beginning.
func FuzzReader(f *testing.F) {
	for _, b := range seeds(f) {
		f.Add(b.StoredRecords(), int(b.NumRecords()))
	}
	f.Add([]byte{0x0c, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f}, 1<<30)
	f.Fuzz(func(t *testing.T, section []byte, n int) {
		r := NewReader(section, n)
		var rec Record
		at := 0
		for {
			ok, err := r.Next(&rec)
			if err != nil {
				return
			}
			if !ok {
				break
			}
			if !bytes.HasPrefix(section[at:], rec.Raw) || len(rec.Raw) == 0 {
				t.Fatalf("raw record %x is not at byte %d", rec.Raw, at)
			}
			at += len(rec.Raw)
		}
		if at != len(section) {
			t.Fatalf("ended at byte %d of %d without an error", at, len(section))
		}
	})
}

// FuzzDecompress opens any bytes with each codec: never more than the limit, and the same again when compressed anew.
func FuzzDecompress(f *testing.F) {
	const limit = 64 << 10
	for _, b := range seeds(f) {
		f.Add(int8(b.Codec()), b.StoredRecords())
	}
	f.Fuzz(func(t *testing.T, codec int8, src []byte) {
		c := Codec(codec)
		out, err := Decompress([]byte("x"), c, src, limit)
		if err != nil {
			if string(out) != "x" {
				t.Fatalf("an error, and %d bytes", len(out))
			}
			return
		}
		if len(out)-1 > limit {
			t.Fatalf("%d bytes, limit %d", len(out)-1, limit)
		}
		packed, err := Compress(nil, c, out[1:], DefaultLevel)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decompress(nil, c, packed, limit)
		if err != nil || !bytes.Equal(again, out[1:]) {
			t.Fatalf("not the same after another round: %v", err)
		}
	})
}
