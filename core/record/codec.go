package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Codec says how a batch's records section is compressed.
type Codec int8

// The codecs, by their number in a batch's attributes.
const (
	CodecNone Codec = iota
	CodecGzip
	CodecSnappy
	CodecLZ4
	CodecZstd
)

// DefaultLevel asks [Compress] for the level that Kafka's own producer takes by default.
const DefaultLevel = 0

var codecNames = [...]string{"none", "gzip", "snappy", "lz4", "zstd"}

// Errors of compression. They are wrapped with the cause; test with errors.Is.
var (
	ErrCodec      = errors.New("compression codec is unknown")
	ErrCompressed = errors.New("compressed records are damaged")
)

// String returns the codec's name in Kafka's settings.
func (c Codec) String() string {
	if !c.Known() {
		return fmt.Sprintf("codec(%d)", int8(c))
	}
	return codecNames[c]
}

// Known reports whether c is one of the five codecs.
func (c Codec) Known() bool { return c >= 0 && int(c) < len(codecNames) }

// ParseCodec is the inverse of String; "uncompressed", a topic's word for it, is none.
func ParseCodec(name string) (Codec, error) {
	if name == "uncompressed" {
		return CodecNone, nil
	}
	for i, n := range codecNames {
		if n == name {
			return Codec(i), nil
		}
	}
	return CodecNone, fmt.Errorf("%w: %q", ErrCodec, name)
}

// The pools hold coders of one kind each, which are costly to make and have no state between uses.
var (
	gzipReaders  = sync.Pool{New: func() any { return new(gzipReader) }}
	lz4Readers   = sync.Pool{New: func() any { return &lz4Reader{Reader: lz4.NewReader(nil)} }}
	lz4Writers   = sync.Pool{New: func() any { return lz4.NewWriter(nil) }}
	zstdDecoders = sync.Pool{New: newZstdDecoder}
	gzipWriters  [gzip.BestCompression + 1]sync.Pool
	zstdEncoders [zstd.SpeedBestCompression + 1]sync.Pool
)

// Compress appends src, compressed by c, to dst, in the framing that Kafka's Java client writes: snappy in xerial blocks,
// lz4 in frames of independent 64 KiB blocks. level is the codec's own (gzip 1-9, lz4 1-17, zstd 1-22), DefaultLevel for
// its default; a level outside is moved to the nearest. src and dst must not overlap.
func Compress(dst []byte, c Codec, src []byte, level int) ([]byte, error) {
	switch c {
	case CodecNone:
		return append(dst, src...), nil
	case CodecGzip:
		return compressGzip(dst, src, level)
	case CodecSnappy:
		return compressSnappy(dst, src), nil
	case CodecLZ4:
		return compressLZ4(dst, src, level)
	case CodecZstd:
		return compressZstd(dst, src, level)
	}
	return dst, fmt.Errorf("%w: %d", ErrCodec, int8(c))
}

// Decompress appends what c makes of src to dst. It appends at most limit bytes: where there is more it returns
// ErrTooLarge, having allocated no more than a small multiple of limit. ErrCompressed means that src is not what c writes.
// On an error the returned slice is dst. src and dst must not overlap.
func Decompress(dst []byte, c Codec, src []byte, limit int) ([]byte, error) {
	var out []byte
	var err error
	switch c {
	case CodecNone:
		if len(src) > limit {
			return dst, tooLarge(c, limit)
		}
		return append(dst, src...), nil
	case CodecGzip:
		out, err = decompressGzip(dst, src, limit)
	case CodecSnappy:
		out, err = decompressSnappy(dst, src, limit)
	case CodecLZ4:
		out, err = decompressLZ4(dst, src, limit)
	case CodecZstd:
		out, err = decompressZstd(dst, src, limit)
	default:
		err = fmt.Errorf("%w: %d", ErrCodec, int8(c))
	}
	switch {
	case err == nil:
		return out, nil
	case errors.Is(err, ErrTooLarge), errors.Is(err, ErrCodec), errors.Is(err, ErrCompressed):
		return dst, err
	}
	return dst, fmt.Errorf("%w: %s: %w", ErrCompressed, c, err)
}

// Records returns the uncompressed records section: a view of b if it is not compressed, else appended to dst, of which
// the returned slice is the appended part. It is bounded by limit as Decompress is.
func (b Batch) Records(dst []byte, limit int) ([]byte, error) {
	if b.Codec() == CodecNone {
		return b.StoredRecords(), nil
	}
	out, err := Decompress(dst, b.Codec(), b.StoredRecords(), limit)
	if err != nil {
		return nil, err
	}
	return out[len(dst):], nil
}

func tooLarge(c Codec, limit int) error {
	return fmt.Errorf("%w: %s, more than %d bytes", ErrTooLarge, c, limit)
}

// The pooled readers keep their source, which is emptied after use so that a pool holds on to nobody's batch.
type gzipReader struct {
	gzip.Reader
	src bytes.Reader
}

type lz4Reader struct {
	*lz4.Reader
	src bytes.Reader
}

// sliceWriter is an io.Writer that appends.
type sliceWriter struct{ b []byte }

func (w *sliceWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

// readBounded appends what r yields to dst, at most limit bytes. guess is a first size to make room for.
func readBounded(dst []byte, r io.Reader, c Codec, guess, limit int) ([]byte, error) {
	end := len(dst) + limit
	dst = grow(dst, min(guess, limit))
	for {
		if len(dst) == cap(dst) {
			dst = grow(dst, max(512, min(len(dst), end-len(dst))))
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if len(dst) > end {
			return dst, tooLarge(c, limit)
		}
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}

// grow returns b with room for n more bytes.
func grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	grown := make([]byte, len(b), len(b)+n)
	copy(grown, b)
	return grown
}

func compressGzip(dst, src []byte, level int) ([]byte, error) {
	if level <= DefaultLevel {
		level = 6 // zlib's default, by its number, so that it has a place in the pools
	}
	level = min(level, gzip.BestCompression)
	out := sliceWriter{dst}
	w, ok := gzipWriters[level].Get().(*gzip.Writer)
	if !ok {
		var err error
		if w, err = gzip.NewWriterLevel(&out, level); err != nil {
			return dst, fmt.Errorf("gzip level %d: %w", level, err)
		}
	}
	w.Reset(&out)
	_, err := w.Write(src)
	if err == nil {
		err = w.Close()
	}
	w.Reset(io.Discard)
	gzipWriters[level].Put(w)
	return out.b, err
}

func decompressGzip(dst, src []byte, limit int) ([]byte, error) {
	r := gzipReaders.Get().(*gzipReader)
	defer gzipReaders.Put(r)
	defer r.src.Reset(nil)
	r.src.Reset(src)
	if err := r.Reset(&r.src); err != nil {
		return dst, err
	}
	return readBounded(dst, r, CodecGzip, 4*len(src), limit)
}

// lz4Magic begins a frame of the only kind that Kafka's clients write and read; the older "legacy" frames are refused.
var lz4Magic = []byte{0x04, 0x22, 0x4d, 0x18}

// independentLZ4 tells whether src begins with a frame of version 1 whose blocks can be read one without the other (the
// flags are the first byte behind the magic: lz4 frame format 1.6, "FLG byte").
func independentLZ4(src []byte) bool {
	const version, versionMask, independent = 0x40, 0xc0, 0x20
	flags, ok := bytes.CutPrefix(src, lz4Magic)
	return ok && len(flags) > 0 && flags[0]&versionMask == version && flags[0]&independent != 0
}

var lz4Levels = [...]lz4.CompressionLevel{lz4.Fast, lz4.Level1, lz4.Level2, lz4.Level3, lz4.Level4, lz4.Level5, lz4.Level6,
	lz4.Level7, lz4.Level8, lz4.Level9}

// lz4DefaultLevel is the number that Kafka has for its fast compressor; any other asks for the high one.
const lz4DefaultLevel = 9

func compressLZ4(dst, src []byte, level int) ([]byte, error) {
	if level == lz4DefaultLevel {
		level = DefaultLevel
	}
	level = min(max(level, 0), len(lz4Levels)-1)
	out := sliceWriter{dst}
	w := lz4Writers.Get().(*lz4.Writer)
	defer lz4Writers.Put(w)
	w.Reset(&out)
	err := w.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false), lz4.ConcurrencyOption(1),
		lz4.CompressionLevelOption(lz4Levels[level]))
	if err == nil {
		_, err = w.Write(src)
	}
	if err == nil {
		err = w.Close()
	}
	w.Reset(io.Discard)
	return out.b, err
}

func decompressLZ4(dst, src []byte, limit int) ([]byte, error) {
	if !bytes.HasPrefix(src, lz4Magic) {
		return dst, errors.New("no frame of version 1")
	}
	r := lz4Readers.Get().(*lz4Reader)
	defer lz4Readers.Put(r)
	defer r.Reset(nil)
	r.src.Reset(src)
	r.Reset(&r.src)
	out, err := readBounded(dst, r, CodecLZ4, 4*len(src), limit)
	r.src.Reset(nil)
	return out, err
}

func newZstdDecoder() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(fmt.Sprintf("record: zstd decoder with fixed options: %v", err))
	}
	return d
}

func compressZstd(dst, src []byte, level int) ([]byte, error) {
	if level <= DefaultLevel {
		level = 3
	}
	speed := zstd.EncoderLevelFromZstd(level)
	e, ok := zstdEncoders[speed].Get().(*zstd.Encoder)
	if !ok {
		var err error
		e, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(speed), zstd.WithEncoderConcurrency(1), zstd.WithZeroFrames(true))
		if err != nil {
			return dst, fmt.Errorf("zstd level %d: %w", level, err)
		}
	}
	out := e.EncodeAll(src, dst)
	zstdEncoders[speed].Put(e)
	return out, nil
}

// decompressZstd decodes into room that it doubles until everything fits or limit is met: the decoder keeps its window in
// the output, so that memory is bounded by limit whatever window a frame asks for.
func decompressZstd(dst, src []byte, limit int) ([]byte, error) {
	room := min(zstdRoom(src), limit)
	d := zstdDecoders.Get().(*zstd.Decoder)
	defer zstdDecoders.Put(d)
	start := len(dst)
	for {
		buf := grow(dst, room)
		out, err := d.DecodeAll(src, buf[:start:start+room])
		switch {
		case err == nil && len(out)-start > limit:
			return dst, tooLarge(CodecZstd, limit)
		case err == nil:
			return out, nil
		case !zstdNeedsRoom(err):
			return dst, err
		case room >= limit:
			return dst, tooLarge(CodecZstd, limit)
		}
		room = min(2*room, limit)
	}
}

// zstdNeedsRoom reports whether the decoder ran into the end of its room. Where that happens inside of a block it says so in
// words only; a damaged block may say the same, and is then taken for one that is too large.
func zstdNeedsRoom(err error) bool {
	return errors.Is(err, zstd.ErrDecoderSizeExceeded) || strings.HasPrefix(err.Error(), "output bigger than max block size")
}

// zstdRoom is the size that the first frame says it has, or a guess.
func zstdRoom(src []byte) int {
	const least = 4096
	guess := max(least, 4*len(src))
	var h zstd.Header
	if err := h.Decode(src); err != nil || !h.HasFCS || h.FrameContentSize > 1<<31 {
		return guess
	}
	return max(int(h.FrameContentSize), least)
}
