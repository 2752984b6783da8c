package seglog

import (
	"cmp"
	"encoding/binary"
	"os"
	"slices"
)

const (
	offsetEntrySize = 8
	timeEntrySize   = 12
	// saveEntries is how many new index entries are kept in memory before they are written to the file.
	saveEntries = 256
)

// offsetEntry says: the batch at pos ends at offset base+rel.
type offsetEntry struct{ rel, pos int32 }

// timeEntry says: no batch up to the one that ends at offset base+rel has a timestamp beyond ts, and that one has it.
type timeEntry struct {
	ts  int64
	rel int32
}

func (e offsetEntry) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(e.rel))
	return binary.BigEndian.AppendUint32(b, uint32(e.pos))
}

func (e timeEntry) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(e.ts))
	return binary.BigEndian.AppendUint32(b, uint32(e.rel))
}

func parseOffsetEntry(b []byte) offsetEntry {
	return offsetEntry{rel: int32(binary.BigEndian.Uint32(b)), pos: int32(binary.BigEndian.Uint32(b[4:]))}
}

func parseTimeEntry(b []byte) timeEntry {
	return timeEntry{ts: int64(binary.BigEndian.Uint64(b)), rel: int32(binary.BigEndian.Uint32(b[8:]))}
}

// parseOffsetIndex returns the entries of an index file up to the first that cannot be: they must rise in both fields
// and point into the log. sound is false if there is such an entry, or a part of one at the end. A first entry at
// position 0 does not occur in our files, but in those of Kafka's ancestors, and is harmless.
func parseOffsetIndex(b []byte, logSize int64) (entries []offsetEntry, sound bool) {
	n := len(b) / offsetEntrySize
	entries = make([]offsetEntry, 0, n)
	last := offsetEntry{rel: -1, pos: -1}
	for i := range n {
		e := parseOffsetEntry(b[i*offsetEntrySize:])
		if e.rel <= last.rel || e.pos <= last.pos || int64(e.pos) >= logSize {
			return entries, false
		}
		entries = append(entries, e)
		last = e
	}
	return entries, len(b)%offsetEntrySize == 0
}

// parseTimeIndex is parseOffsetIndex for time indexes: timestamps and offsets rise.
func parseTimeIndex(b []byte) (entries []timeEntry, sound bool) {
	n := len(b) / timeEntrySize
	entries = make([]timeEntry, 0, n)
	last := timeEntry{ts: -1, rel: -1}
	for i := range n {
		e := parseTimeEntry(b[i*timeEntrySize:])
		if e.ts <= last.ts || e.rel <= last.rel {
			return entries, false
		}
		entries = append(entries, e)
		last = e
	}
	return entries, len(b)%timeEntrySize == 0
}

// sparse is one index of a segment. Entries are first in memory, later in the file, and after that in memory only if
// somebody looks things up. The zero sparse is an empty index without a file.
type sparse[E entry[E]] struct {
	skipped int // leading entries that are in the file only
	entries []E
	saved   int   // leading entries that are in the file, skipped ones among them
	bytes   int64 // size of the file; what it holds past the saved entries is stale
	last    E
}

type entry[E any] interface {
	append(b []byte) []byte
	comparable
}

func (x *sparse[E]) count() int { return x.skipped + len(x.entries) }

func (x *sparse[E]) add(e E) {
	x.entries = append(x.entries, e)
	x.last = e
}

// unsaved is the number of entries that are in memory only.
func (x *sparse[E]) unsaved() int { return x.count() - x.saved }

// save writes the entries that the file lacks, and cuts off what it holds beyond. entrySize is of E.
func (x *sparse[E]) save(fs FS, path string, entrySize int) error {
	keep := int64(x.saved * entrySize)
	if x.unsaved() == 0 && x.bytes == keep {
		return nil
	}
	f, err := fs.Open(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return err
	}
	if x.bytes != keep {
		err = f.Truncate(keep)
	}
	var b []byte
	for _, e := range x.entries[x.saved-x.skipped:] {
		b = e.append(b)
	}
	if err == nil && len(b) > 0 {
		_, err = f.WriteAt(b, keep)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		x.saved = x.count()
		x.bytes = int64(x.saved * entrySize)
	}
	return err
}

// forget drops the saved entries from memory.
func (x *sparse[E]) forget() {
	if n := x.saved - x.skipped; n > 0 {
		rest := len(x.entries) - n
		if rest == 0 && cap(x.entries) <= saveEntries {
			x.entries = x.entries[:0]
		} else {
			x.entries = slices.Clone(x.entries[n:])
		}
		x.skipped = x.saved
	}
}

// restore takes the skipped entries from those of the file, and tells whether they are all there.
func (x *sparse[E]) restore(file []E) bool {
	if len(file) < x.skipped {
		return false
	}
	x.entries = append(file[:x.skipped:x.skipped], x.entries...)
	x.skipped = 0
	return true
}

// set puts entries, all in memory, in the place of the index. The first same of them are in the file already, which has
// the given size.
func (x *sparse[E]) set(entries []E, same int, bytes int64) {
	*x = sparse[E]{entries: entries, saved: same, bytes: bytes}
	if n := len(entries); n > 0 {
		x.last = entries[n-1]
	}
}

// commonPrefix is the number of leading entries that a and b share.
func commonPrefix[E comparable](a, b []E) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// floorRel returns the position in entries of the last one with rel <= target, -1 if there is none.
func floorRel(entries []offsetEntry, target int32) int {
	i, found := slices.BinarySearchFunc(entries, target, func(e offsetEntry, t int32) int { return cmp.Compare(e.rel, t) })
	if found {
		return i
	}
	return i - 1
}

// floorPos returns the position in entries of the last one with pos <= target, -1 if there is none.
func floorPos(entries []offsetEntry, target int64) int {
	i, found := slices.BinarySearchFunc(entries, target, func(e offsetEntry, t int64) int { return cmp.Compare(int64(e.pos), t) })
	if found {
		return i
	}
	return i - 1
}

// floorTime returns the position in entries of the last one with ts <= target, -1 if there is none.
func floorTime(entries []timeEntry, target int64) int {
	i, found := slices.BinarySearchFunc(entries, target, func(e timeEntry, t int64) int { return cmp.Compare(e.ts, t) })
	if found {
		return i
	}
	return i - 1
}
