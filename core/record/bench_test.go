package record

import (
	"bytes"
	"testing"
)

func benchBatch(b *testing.B, records, size int, c Codec) Batch {
	bld := NewBuilder(nil)
	bld.SetCodec(c)
	value := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
	for i := range records {
		bld.Append(1700000000000+int64(i), []byte("key"), value, nil)
	}
	batch, err := bld.Build()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	return batch
}

func BenchmarkCheckCRC(b *testing.B) {
	batch := benchBatch(b, 128, 1024, CodecNone)
	for b.Loop() {
		if err := batch.CheckCRC(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkValidate(b *testing.B) {
	for _, shape := range []struct {
		name          string
		records, size int
	}{{"1x1KiB", 1, 1024}, {"128x1KiB", 128, 1024}, {"1000x100B", 1000, 100}} {
		b.Run(shape.name, func(b *testing.B) {
			batch := benchBatch(b, shape.records, shape.size, CodecNone)
			for b.Loop() {
				if err := batch.Validate(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkReader(b *testing.B) {
	batch := benchBatch(b, 1000, 100, CodecNone)
	var rec Record
	for b.Loop() {
		r := NewReader(batch.StoredRecords(), int(batch.NumRecords()))
		for {
			ok, err := r.Next(&rec)
			if err != nil {
				b.Fatal(err)
			}
			if !ok {
				break
			}
		}
	}
}

func BenchmarkBuilder(b *testing.B) {
	batch := benchBatch(b, 1000, 100, CodecNone)
	value := make([]byte, 100)
	buf := make([]byte, 0, 2*len(batch))
	bld := NewBuilder(buf)
	for b.Loop() {
		bld.Reset(buf)
		for i := range 1000 {
			bld.Append(1700000000000+int64(i), nil, value, nil)
		}
		if _, err := bld.Build(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecompress(b *testing.B) {
	for _, c := range codecs[1:] {
		b.Run(c.String(), func(b *testing.B) {
			batch := benchBatch(b, 1000, 100, c)
			var buf []byte
			for b.Loop() {
				out, err := Decompress(buf[:0], c, batch.StoredRecords(), 1<<20)
				if err != nil {
					b.Fatal(err)
				}
				buf = out
			}
			b.SetBytes(int64(len(buf)))
		})
	}
}

func BenchmarkCompress(b *testing.B) {
	for _, c := range codecs[1:] {
		b.Run(c.String(), func(b *testing.B) {
			batch := benchBatch(b, 1000, 100, CodecNone)
			var buf []byte
			for b.Loop() {
				out, err := Compress(buf[:0], c, batch.StoredRecords(), DefaultLevel)
				if err != nil {
					b.Fatal(err)
				}
				buf = out
			}
		})
	}
}
