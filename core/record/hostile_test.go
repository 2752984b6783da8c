package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"testing"
)

// patched is the vector with one change and a checksum that fits.
func patched(t *testing.T, change func(b Batch)) Batch {
	b := vector(t, "batch-none.bin")
	change(b)
	b.setCRC()
	return b
}

func TestValidateRefusesEachContradiction(t *testing.T) {
	be := binary.BigEndian
	tests := []struct {
		name   string
		change func(b Batch)
		want   error
	}{
		{"an unused attribute bit", func(b Batch) { be.PutUint16(b[21:], 0x80) }, ErrInvalid},
		{"a high attribute bit", func(b Batch) { be.PutUint16(b[21:], 0x8000) }, ErrInvalid},
		{"a delete horizon", func(b Batch) { be.PutUint16(b[21:], attrDeleteHorizon) }, ErrInvalid},
		{"codec 5", func(b Batch) { be.PutUint16(b[21:], 5) }, ErrCodec},
		{"codec 7", func(b Batch) { be.PutUint16(b[21:], 7) }, ErrCodec},
		{"no records", func(b Batch) { be.PutUint32(b[57:], 0) }, ErrInvalid},
		{"no records and a delta that agrees", func(b Batch) { be.PutUint32(b[57:], 0); be.PutUint32(b[23:], 1<<32-1) }, ErrInvalid},
		{"negative records", func(b Batch) { be.PutUint32(b[57:], 1<<31); be.PutUint32(b[23:], 1<<31-1) }, ErrInvalid},
		{"a count beyond the last delta", func(b Batch) { be.PutUint32(b[57:], 5) }, ErrInvalid},
		{"more records than there are", func(b Batch) { be.PutUint32(b[57:], 5); be.PutUint32(b[23:], 4) }, ErrInvalid},
		{"fewer records than there are", func(b Batch) { be.PutUint32(b[57:], 3); be.PutUint32(b[23:], 2) }, ErrInvalid},
		{"producer id -2", func(b Batch) { be.PutUint64(b[43:], 1<<64-2) }, ErrInvalid},
		{"a producer without epoch", func(b Batch) { be.PutUint16(b[51:], 1<<16-1) }, ErrInvalid},
		{"a producer without sequence", func(b Batch) { be.PutUint32(b[53:], 1<<32-1) }, ErrInvalid},
		{"transactional without a producer", func(b Batch) { be.PutUint64(b[43:], 1<<64-1); be.PutUint16(b[21:], attrTransactional) }, ErrInvalid},
		{"a first offset delta of 1", func(b Batch) { b[HeaderSize+3] = 2 }, ErrInvalid},
		{"a record length beyond the end", func(b Batch) { b[HeaderSize] = 0x7e }, ErrInvalid},
		{"a record length of -1", func(b Batch) { b[HeaderSize] = 1 }, ErrInvalid},
		{"a record length of 0", func(b Batch) { b[HeaderSize] = 0 }, ErrInvalid},
		{"a key length of -2", func(b Batch) { b[HeaderSize+4] = 3 }, ErrInvalid},
		{"a key beyond its record", func(b Batch) { b[HeaderSize+4] = 0x7e }, ErrInvalid},
		{"a value that ends early", func(b Batch) { b[HeaderSize+8] = 8 }, ErrInvalid},
		{"a header count that lies", func(b Batch) { b[HeaderSize+14] = 0x7e }, ErrInvalid},
		{"a header count of -1", func(b Batch) { b[HeaderSize+14] = 1 }, ErrInvalid},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := patched(t, test.change)
			if err := b.Validate(); !errors.Is(err, test.want) {
				t.Errorf("err %v, want %v", err, test.want)
			}
		})
	}
	if err := Batch("short").Validate(); !errors.Is(err, ErrTruncated) {
		t.Errorf("err %v", err)
	}
	trailing := append(vector(t, "batch-none.bin"), 0)
	be.PutUint32(trailing[8:], uint32(len(trailing)-lengthPrefix))
	if err := trailing.Validate(); !errors.Is(err, ErrInvalid) {
		t.Errorf("a byte behind the last record: err %v", err)
	}
}

// Java's reader stops at such a frame, and Kafka's broker with it.
func TestValidateRefusesLZ4ThatJavaCannotRead(t *testing.T) {
	const flags = HeaderSize + 4
	sound := vector(t, "batch-lz4.bin")
	if err := sound.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(b Batch) Batch{
		"blocks that need those before": func(b Batch) Batch { b[flags] &^= 0x20; return b },
		"another version":               func(b Batch) Batch { b[flags] ^= 0xc0; return b },
		"no frame":                      func(b Batch) Batch { b[HeaderSize] ^= 1; return b },
		"nothing behind the magic":      func(b Batch) Batch { return b[:flags] },
		"nothing":                       func(b Batch) Batch { return b[:HeaderSize] },
	} {
		b := change(clone(sound))
		binary.BigEndian.PutUint32(b[8:], uint32(len(b)-lengthPrefix))
		if err := b.Validate(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNextRefusesWhatDoesNotBeginWithABatch(t *testing.T) {
	sound := vector(t, "batch-none.bin")
	change := func(at int, bytes ...byte) []byte {
		b := clone(sound)
		copy(b[at:], bytes)
		return b
	}
	tests := []struct {
		name string
		b    []byte
		want error
	}{
		{"nothing", nil, ErrTruncated},
		{"16 bytes", sound[:16], ErrTruncated},
		{"one byte short", sound[:len(sound)-1], ErrTruncated},
		{"magic 1", change(16, 1), ErrMagic},
		{"magic 0", change(16, 0), ErrMagic},
		{"length 48", change(8, 0, 0, 0, 48), ErrLength},
		{"length -1", change(8, 0xff, 0xff, 0xff, 0xff), ErrLength},
		{"length 2^31-1", change(8, 0x7f, 0xff, 0xff, 0xff), ErrTruncated},
	}
	for _, test := range tests {
		if _, _, err := Next(test.b); !errors.Is(err, test.want) {
			t.Errorf("%s: err %v, want %v", test.name, err, test.want)
		}
	}
}

func clone(b []byte) []byte { return append([]byte(nil), b...) }

func TestEveryFlippedByteBehindTheAttributesBreaksTheChecksum(t *testing.T) {
	b := vector(t, "batch-gzip.bin")
	for i := 17; i < len(b); i++ {
		b[i] ^= 0x10
		if b.CheckCRC() == nil {
			t.Errorf("byte %d flipped, and the checksum still matches", i)
		}
		b[i] ^= 0x10
	}
}

func TestDecompressStopsAtTheLimitWhateverTheCodec(t *testing.T) {
	bomb := make([]byte, 8<<20)
	for _, c := range codecs {
		packed, err := Compress(nil, c, bomb, DefaultLevel)
		if err != nil {
			t.Fatal(err)
		}
		for _, limit := range []int{0, 1, 1000, 128 << 10, 1 << 20, len(bomb) - 1} {
			before := []byte("before")
			out, err := Decompress(before, c, packed, limit)
			if !errors.Is(err, ErrTooLarge) || !bytes.Equal(out, before) {
				t.Errorf("%s, limit %d: %d bytes, err %v", c, limit, len(out), err)
			}
		}
		out, err := Decompress(nil, c, packed, len(bomb))
		if err != nil || !bytes.Equal(out, bomb) {
			t.Errorf("%s at its exact size: %d bytes, err %v", c, len(out), err)
		}
	}
}

func TestDecompressAllocatesByTheLimitNotByTheClaim(t *testing.T) {
	claims := map[Codec][]byte{
		// A plain snappy block that claims 4 GiB; a zstd frame that claims 2^62 bytes; one with a window of 2 GiB.
		CodecSnappy: {0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0},
		CodecZstd:   {0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x40, 1, 0, 0},
	}
	for c, src := range claims {
		const runs = 100
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			if _, err := Decompress(nil, c, src, 1<<16); err == nil {
				t.Fatalf("%s: a lie was believed", c)
			}
		}
		runtime.ReadMemStats(&after)
		if each := (after.TotalAlloc - before.TotalAlloc) / runs; each > 1<<20 {
			t.Errorf("%s: %d bytes allocated for a claim of %d bytes", c, each, len(src))
		}
	}
}

func TestDamagedCompressedRecordsAreAnErrorNotAPanic(t *testing.T) {
	for _, c := range codecs[1:] {
		packed := vector(t, fmt.Sprintf("batch-%s.bin", c)).StoredRecords()
		for cut := range len(packed) {
			if out, err := Decompress(nil, c, packed[:cut], testLimit); err == nil && cut > 0 && c != CodecSnappy && len(out) > 0 {
				t.Errorf("%s cut off at %d of %d: %d bytes and no error", c, cut, len(packed), len(out))
			}
		}
	}
	if _, err := Decompress(nil, Codec(6), []byte{1}, 10); !errors.Is(err, ErrCodec) {
		t.Errorf("err %v", err)
	}
	if _, err := Compress(nil, Codec(-1), []byte{1}, 0); !errors.Is(err, ErrCodec) {
		t.Errorf("err %v", err)
	}
}

func TestPlainAndConcatenatedSnappyAreRead(t *testing.T) {
	src := bytes.Repeat([]byte("snappy without framing "), 4000)
	framed := compressSnappy(nil, src)
	plainBlock := compressSnappy(nil, src[:1000])[len(xerialHeader)+4:]
	out, err := Decompress(nil, CodecSnappy, plainBlock, testLimit)
	if err != nil || !bytes.Equal(out, src[:1000]) {
		t.Errorf("plain: %d bytes, %v", len(out), err)
	}
	out, err = Decompress(nil, CodecSnappy, append(framed, framed...), testLimit)
	if err != nil || !bytes.Equal(out, append(clone(src), src...)) {
		t.Errorf("concatenated: %d bytes, %v", len(out), err)
	}
}

func TestEveryLevelOfEveryCodecRoundTrips(t *testing.T) {
	src := bytes.Repeat([]byte("level after level "), 9000)
	for _, c := range codecs {
		for level := -2; level <= 23; level++ {
			packed, err := Compress(nil, c, src, level)
			if err != nil {
				t.Fatalf("%s level %d: %v", c, level, err)
			}
			out, err := Decompress(nil, c, packed, len(src))
			if err != nil || !bytes.Equal(out, src) {
				t.Fatalf("%s level %d: %v", c, level, err)
			}
		}
	}
}

func TestCodecNamesAreKafkas(t *testing.T) {
	for _, c := range codecs {
		if got, err := ParseCodec(c.String()); err != nil || got != c {
			t.Errorf("%s: %s, %v", c, got, err)
		}
	}
	if c, err := ParseCodec("uncompressed"); err != nil || c != CodecNone {
		t.Errorf("uncompressed: %s, %v", c, err)
	}
	if _, err := ParseCodec("brotli"); !errors.Is(err, ErrCodec) {
		t.Errorf("brotli: %v", err)
	}
	if got := Codec(9).String(); got != "codec(9)" {
		t.Error(got)
	}
}
