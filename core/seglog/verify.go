package seglog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/millrun/millrun/core/record"
)

// Finding is one thing that Verify found wrong.
type Finding struct {
	File     string `json:"file"`
	Position int64  `json:"position"` // in the file; -1 if it is about the whole of it
	Why      string `json:"why"`
	// Derived says that the file can be made anew from the log: the broker does so by itself.
	Derived bool `json:"derived"`
}

// Verified counts what Verify looked at.
type Verified struct {
	Logs, Segments int
	Batches, Bytes int64
}

// Verify checks every file of the log in dir, or of all logs below it if dir is a data directory: chains, checksums,
// leader epochs, indexes, checkpoints and snapshots. It tells report what is wrong and goes on; the error is for what
// could not be read. No broker may be using the directory. Nothing is changed. Offsets that are missing between batches
// are reported too, though a compacted topic may have lost them rightly.
func Verify(fs FS, dir string, report func(Finding)) (Verified, error) {
	v := verifier{fs: fs, report: report, bufs: sync.Pool{New: func() any { b := make([]byte, walkBuffer); return &b }}}
	err := v.dir(dir, true)
	return v.n, err
}

type verifier struct {
	fs     FS
	report func(Finding)
	bufs   sync.Pool
	n      Verified
}

func (v *verifier) find(file string, pos int64, derived bool, format string, args ...any) {
	v.report(Finding{File: file, Position: pos, Derived: derived, Why: fmt.Sprintf(format, args...)})
}

// dir checks a log's directory, or with deep each directory in it.
func (v *verifier) dir(dir string, deep bool) error {
	names, err := v.fs.ReadDir(dir)
	if err != nil {
		return err
	}
	var bases []record.Offset
	for _, name := range names {
		path := join(dir, name)
		st, err := v.fs.Stat(path)
		if err != nil {
			return err
		}
		if st.IsDir {
			if deep {
				err = v.dir(path, false)
			}
		} else if base, suffix, ok := ParseFileName(name); ok && suffix == LogSuffix {
			bases = append(bases, base)
		} else {
			err = v.sideFile(dir, name)
		}
		if err != nil {
			return err
		}
	}
	if len(bases) == 0 {
		return nil
	}
	v.n.Logs++
	return v.log(dir, bases)
}

// sideFile checks a file that is neither a segment nor an index.
func (v *verifier) sideFile(dir, name string) error {
	var err error
	switch {
	case name == LeaderEpochFile:
		_, err = ReadEpochs(v.fs, dir)
	case name == PartitionMetaFile:
		_, err = ReadPartitionMetadata(v.fs, dir)
	case name == RecoveryPointFile, name == LogStartFile, name == HighWatermarkFile:
		_, err = ReadOffsetCheckpoint(v.fs, dir, name)
	case strings.HasSuffix(name, SnapshotSuffix):
		if base, _, ok := ParseFileName(name); ok {
			_, err = ReadSnapshot(v.fs, dir, base)
		}
	}
	if errors.Is(err, ErrFormat) {
		v.find(join(dir, name), -1, strings.HasSuffix(name, SnapshotSuffix), "%v", err)
		return nil
	}
	return err
}

func (v *verifier) log(dir string, bases []record.Offset) error {
	epochs, err := ReadEpochs(v.fs, dir)
	if err != nil && !errors.Is(err, ErrFormat) && !isNotExist(err) {
		return err
	}
	if err != nil || len(epochs) == 0 {
		epochs = nil
	}
	for i, base := range bases {
		end, err := v.segment(dir, base, epochs)
		if err != nil {
			return err
		}
		if i+1 < len(bases) && end != bases[i+1] {
			v.find(join(dir, FileName(base, LogSuffix)), -1, false, "ends at offset %d, but the next segment begins at %d", end, bases[i+1])
		}
	}
	return nil
}

// segment checks one segment with its indexes and returns the offset at which it ends.
func (v *verifier) segment(dir string, base record.Offset, epochs []EpochEntry) (record.Offset, error) {
	path := join(dir, FileName(base, LogSuffix))
	st, err := v.fs.Stat(path)
	if err != nil {
		return base, err
	}
	f, err := v.fs.Open(path, os.O_RDONLY)
	if err != nil {
		return base, err
	}
	defer f.Close()
	x, err := v.readIndexes(dir, base, st.Size)
	if err != nil {
		return base, err
	}
	pooled := v.bufs.Get().(*[]byte)
	defer v.bufs.Put(pooled)
	w := &walker{
		file: f, end: st.Size, base: base, epochs: epochs, buf: *pooled, read: walkBuffer,
		ex: expect{base: base, last: record.NoOffset, gaps: true},
	}
	v.n.Segments++
	v.n.Bytes += st.Size
	maxTS, end, gap := int64(-1), base, false
	for {
		h, pos, size, err := w.next()
		if fl := (*flaw)(nil); errors.As(err, &fl) {
			v.find(path, fl.pos, false, "%s (%d bytes from there on not looked at)", fl.why, st.Size-fl.pos)
			return w.ex.base, nil
		}
		if err != nil {
			return w.ex.base, err
		}
		if size == 0 {
			break
		}
		v.n.Batches++
		if h.BaseOffset() > end {
			v.find(path, pos, false, "offsets %d to %d are missing", end, h.BaseOffset()-1)
			gap = true
		}
		end = h.NextOffset()
		maxTS = max(maxTS, h.MaxTimestamp())
		// If it is the log that is wrong, what the indexes say of it is only noise.
		if !gap {
			x.pass(v, h, pos, maxTS)
		}
	}
	if !gap {
		x.rest(v)
	}
	return w.ex.base, nil
}

// indexCheck holds the entries that no batch has confirmed yet.
type indexCheck struct {
	base              record.Offset
	offsetFile, times string
	offset            []offsetEntry
	time              []timeEntry
	offsets, stamps   int // entries in all
}

func (v *verifier) readIndexes(dir string, base record.Offset, size int64) (*indexCheck, error) {
	x := &indexCheck{base: base, offsetFile: join(dir, FileName(base, IndexSuffix)), times: join(dir, FileName(base, TimeIndexSuffix))}
	b, err := readFile(v.fs, x.offsetFile, maxIndexFile)
	if err != nil && !isNotExist(err) {
		return nil, err
	}
	var sound bool
	if x.offset, sound = parseOffsetIndex(b, size); !sound {
		v.find(x.offsetFile, int64(len(x.offset)*offsetEntrySize), true, "entry does not follow the one before it, or points past the log")
	}
	if b, err = readFile(v.fs, x.times, maxIndexFile); err != nil && !isNotExist(err) {
		return nil, err
	}
	if x.time, sound = parseTimeIndex(b); !sound {
		v.find(x.times, int64(len(x.time)*timeEntrySize), true, "entry does not follow the one before it")
	}
	x.offsets, x.stamps = len(x.offset), len(x.time)
	return x, nil
}

// pass confirms the entries that are about the batch h at pos. maxTS is the largest timestamp up to it.
func (x *indexCheck) pass(v *verifier, h record.Batch, pos, maxTS int64) {
	last := int64(h.LastOffset() - x.base)
	for len(x.offset) > 0 && int64(x.offset[0].pos) <= pos {
		e := x.offset[0]
		if int64(e.pos) != pos || int64(e.rel) != last {
			at := int64((x.offsets - len(x.offset)) * offsetEntrySize)
			v.find(x.offsetFile, at, true, "entry says offset %d at %d, the log has %d at %d", x.base+record.Offset(e.rel), e.pos, h.LastOffset(), pos)
		}
		x.offset = x.offset[1:]
	}
	for len(x.time) > 0 && int64(x.time[0].rel) <= last {
		e := x.time[0]
		if int64(e.rel) != last || e.ts != h.MaxTimestamp() || e.ts != maxTS {
			at := int64((x.stamps - len(x.time)) * timeEntrySize)
			v.find(x.times, at, true, "entry says timestamp %d at offset %d, the log has %d at %d", e.ts, x.base+record.Offset(e.rel), maxTS, h.LastOffset())
		}
		x.time = x.time[1:]
	}
}

// rest reports the entries behind the last batch.
func (x *indexCheck) rest(v *verifier) {
	if len(x.offset) > 0 {
		v.find(x.offsetFile, int64((x.offsets-len(x.offset))*offsetEntrySize), true, "%d entries are past the end of the log", len(x.offset))
	}
	if len(x.time) > 0 {
		v.find(x.times, int64((x.stamps-len(x.time))*timeEntrySize), true, "%d entries are past the end of the log", len(x.time))
	}
}

// readWhole reads the batch of n bytes at pos.
func readWhole(f io.ReaderAt, pos int64, n int) (record.Batch, error) {
	b := make([]byte, n)
	_, err := f.ReadAt(b, pos)
	if err == io.EOF {
		err = nil
	}
	return b, err
}
