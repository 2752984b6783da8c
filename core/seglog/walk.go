package seglog

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"

	"github.com/millrun/millrun/core/record"
)

const (
	// walkBuffer is what a walk reads at once when it checks checksums, headerBuffer when it looks at headers only.
	walkBuffer   = 256 << 10
	headerBuffer = 8 << 10
)

// outsideCRC is the part of a batch's header that its checksum does not cover, and the checksum.
const outsideCRC = 21

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// expect is what the next batch of a walk must be.
type expect struct {
	base record.Offset // its base offset, NoOffset if unknown; with gaps it may be later
	last record.Offset // its last offset, NoOffset if unknown
	gaps bool
}

// flaw is a place at which a file is not what it must be.
type flaw struct {
	pos   int64
	why   string
	whole bool // the batch is all there, or sound ones follow: not the trace of a write that was cut off
}

func (f *flaw) Error() string { return fmt.Sprintf("byte %d: %s", f.pos, f.why) }

// checkHeader checks the batch that begins with h, of which room bytes of file are left. It returns the batch's size, or
// why it cannot be what is expected. Everything but the checksum is checked.
func checkHeader(h record.Batch, room int64, ex expect) (size int, why string) {
	size, err := record.PeekSize(h)
	switch {
	case errors.Is(err, record.ErrMagic):
		return 0, "magic is not 2"
	case err != nil:
		return 0, "batch length is impossible"
	case int64(size) > room:
		return 0, "batch is longer than the file"
	case h.LastOffsetDelta() < 0:
		return size, "last offset delta is negative"
	case h.BaseOffset() < 0 || h.LastOffset() < 0:
		return size, "base offset is impossible"
	}
	if base := h.BaseOffset(); ex.base >= 0 && base != ex.base && !(ex.gaps && base > ex.base) {
		return size, "base offset does not continue the log"
	}
	if ex.last >= 0 && h.LastOffset() != ex.last {
		return size, "last offset is not the one in the index"
	}
	return size, ""
}

// walker goes from batch to batch of a segment's file.
type walker struct {
	file   File
	end    int64 // bytes of the file that count
	pos    int64 // of the next batch
	ex     expect
	base   record.Offset // the segment's
	crc    int64         // position from which on checksums are checked
	epochs []EpochEntry  // what leader epochs must be; nil: not checked

	pool   *sync.Pool // whose buf is
	pooled *[]byte

	buf  []byte
	at   int64 // position of buf[0]
	have int   // bytes of buf that are filled
	read int   // bytes to read at once
}

func (w *walker) done() { w.pool.Put(w.pooled) }

// noCRC as walker.crc checks no checksums.
const noCRC = int64(1) << 62

// next returns the next batch's header, a view that is valid until the next call, its position and its size. The size is
// 0 at the end. What is wrong with a batch comes as a *flaw, and w.pos stays before it.
func (w *walker) next() (h record.Batch, pos int64, size int, err error) {
	pos = w.pos
	if pos >= w.end {
		return nil, pos, 0, nil
	}
	if w.end-pos < record.HeaderSize {
		return nil, pos, 0, &flaw{pos: pos, why: "header is cut off"}
	}
	if h, err = w.view(pos, record.HeaderSize); err != nil {
		return nil, pos, 0, err
	}
	size, why := checkHeader(h, w.end-pos, w.ex)
	if why == "" && int64(h.LastOffset()-w.base) > maxRelative {
		why = "offset is too far from the segment's base"
	}
	if why == "" && w.epochs != nil && EpochAt(w.epochs, h.BaseOffset()) != h.LeaderEpoch() {
		why = "leader epoch is not the one of its offset"
	}
	if size > 0 && (why != "" || pos >= w.crc) {
		sound, cerr := w.checkCRC(pos, size)
		if cerr != nil {
			return nil, pos, 0, cerr
		}
		if !sound && why == "" {
			why = "checksum does not match"
		}
		if why != "" {
			return nil, pos, 0, &flaw{pos: pos, why: why, whole: sound}
		}
		// The check may have moved the buffer.
		if h, err = w.view(pos, record.HeaderSize); err != nil {
			return nil, pos, 0, err
		}
	}
	if why != "" {
		return nil, pos, 0, &flaw{pos: pos, why: why}
	}
	w.pos += int64(size)
	w.ex = expect{base: h.NextOffset(), last: record.NoOffset, gaps: w.ex.gaps}
	return h, pos, size, nil
}

// view returns n bytes (at most headerBuffer) at pos.
func (w *walker) view(pos int64, n int) ([]byte, error) {
	if pos < w.at || pos+int64(n) > w.at+int64(w.have) {
		if err := w.fill(pos); err != nil {
			return nil, err
		}
		if w.have < n {
			return nil, &flaw{pos: pos + int64(w.have), why: "file is shorter than it was"}
		}
	}
	i := int(pos - w.at)
	return w.buf[i : i+n : i+n], nil
}

func (w *walker) fill(pos int64) error {
	n := int(min(int64(w.read), w.end-pos))
	got, err := w.file.ReadAt(w.buf[:n], pos)
	if err != nil && err != io.EOF {
		w.have = 0
		return err
	}
	w.at, w.have = pos, got
	return nil
}

// checkCRC compares the checksum of the batch at pos, which need not fit into memory.
func (w *walker) checkCRC(pos int64, size int) (bool, error) {
	h, err := w.view(pos, record.HeaderSize)
	if err != nil {
		return false, err
	}
	want := record.Batch(h).CRC()
	crc := uint32(0)
	for at, end := pos+outsideCRC, pos+int64(size); at < end; {
		if at < w.at || at >= w.at+int64(w.have) {
			if err := w.fill(at); err != nil {
				return false, err
			}
			if w.have == 0 {
				return false, &flaw{pos: at, why: "file is shorter than it was"}
			}
		}
		chunk := w.buf[at-w.at : min(int64(w.have), end-w.at)]
		crc = crc32.Update(crc, castagnoli, chunk)
		at += int64(len(chunk))
	}
	return crc == want, nil
}
