package seglog

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/millrun/millrun/core/record"
)

// DumpOptions choose what Dump prints.
type DumpOptions struct {
	Records bool // the records of each batch too
	JSON    bool // one object a line
}

// DumpBatch is a batch as Dump prints it.
type DumpBatch struct {
	Type          string             `json:"type"` // "batch"
	File          string             `json:"file"`
	Position      int64              `json:"position"`
	Size          int                `json:"size"`
	BaseOffset    record.Offset      `json:"base_offset"`
	LastOffset    record.Offset      `json:"last_offset"`
	LeaderEpoch   record.LeaderEpoch `json:"leader_epoch"`
	BaseTimestamp int64              `json:"base_timestamp"`
	MaxTimestamp  int64              `json:"max_timestamp"`
	LogAppendTime bool               `json:"log_append_time"`
	Codec         string             `json:"codec"`
	Records       int32              `json:"records"`
	ProducerID    record.ProducerID  `json:"producer_id"`
	ProducerEpoch int16              `json:"producer_epoch"`
	BaseSequence  int32              `json:"base_sequence"`
	Transactional bool               `json:"transactional"`
	Control       bool               `json:"control"`
	CRC           uint32             `json:"crc"`
}

// DumpRecord is a record as Dump prints it. Keys and values are strings, null, or {"base64":"..."} if not UTF-8.
type DumpRecord struct {
	Type      string        `json:"type"` // "record"
	Offset    record.Offset `json:"offset"`
	Timestamp int64         `json:"timestamp"`
	Key       any           `json:"key"`
	Value     any           `json:"value"`
	Headers   []DumpHeader  `json:"headers"`
}

// DumpHeader is a header of a DumpRecord.
type DumpHeader struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

// Dump prints what is in a file of a log, or in all segments of a log's directory, or of all logs in a data directory.
// It stops with a DamageError at the first batch that is not sound.
func Dump(w io.Writer, fs FS, path string, o DumpOptions) error {
	d := dumper{w: w, fs: fs, o: o}
	st, err := fs.Stat(path)
	if err != nil {
		return err
	}
	if st.IsDir {
		return d.dir(path, true)
	}
	return d.file(path)
}

type dumper struct {
	w  io.Writer
	fs FS
	o  DumpOptions
}

func (d *dumper) dir(dir string, deep bool) error {
	names, err := d.fs.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		st, err := d.fs.Stat(join(dir, name))
		switch {
		case err != nil:
		case st.IsDir && deep:
			err = d.dir(join(dir, name), false)
		case !st.IsDir && strings.HasSuffix(name, LogSuffix):
			err = d.log(join(dir, name))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *dumper) file(path string) error {
	switch {
	case strings.HasSuffix(path, LogSuffix):
		return d.log(path)
	case strings.HasSuffix(path, TimeIndexSuffix):
		return d.timeIndex(path)
	case strings.HasSuffix(path, IndexSuffix) && !strings.HasSuffix(path, TxnIndexSuffix):
		return d.index(path)
	case strings.HasSuffix(path, SnapshotSuffix):
		return d.snapshot(path)
	}
	return fmt.Errorf("%s: not a %s, %s, %s or %s file", path, LogSuffix, IndexSuffix, TimeIndexSuffix, SnapshotSuffix)
}

// baseOf is the base offset in a path's last element.
func baseOf(path string) (record.Offset, error) {
	base, _, ok := ParseFileName(path[strings.LastIndexByte(path, '/')+1:])
	if !ok {
		return 0, fmt.Errorf("%s: the name does not begin with an offset of %d digits", path, offsetDigits)
	}
	return base, nil
}

func (d *dumper) log(path string) error {
	base, err := baseOf(path)
	if err != nil {
		return err
	}
	st, err := d.fs.Stat(path)
	if err != nil {
		return err
	}
	f, err := d.fs.Open(path, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	w := &walker{
		file: f, end: st.Size, base: base, buf: make([]byte, walkBuffer), read: walkBuffer,
		ex: expect{base: base, last: record.NoOffset, gaps: true},
	}
	for {
		h, pos, size, err := w.next()
		if fl := (*flaw)(nil); errors.As(err, &fl) {
			return &DamageError{File: path, Position: fl.pos, Why: fl.why}
		}
		if err != nil || size == 0 {
			return err
		}
		if err := d.batch(path, h, pos, size); err != nil {
			return err
		}
		if !d.o.Records {
			continue
		}
		b, err := readWhole(f, pos, size)
		if err == nil {
			err = d.records(b)
		}
		if err != nil {
			return fmt.Errorf("%s: batch at byte %d: %w", path, pos, err)
		}
	}
}

func (d *dumper) batch(path string, h record.Batch, pos int64, size int) error {
	b := DumpBatch{
		Type: "batch", File: path, Position: pos, Size: size, BaseOffset: h.BaseOffset(), LastOffset: h.LastOffset(),
		LeaderEpoch: h.LeaderEpoch(), BaseTimestamp: h.BaseTimestamp(), MaxTimestamp: h.MaxTimestamp(),
		LogAppendTime: h.IsLogAppendTime(), Codec: h.Codec().String(), Records: h.NumRecords(), ProducerID: h.ProducerID(),
		ProducerEpoch: h.ProducerEpoch(), BaseSequence: h.BaseSequence(), Transactional: h.IsTransactional(),
		Control: h.IsControl(), CRC: h.CRC(),
	}
	if d.o.JSON {
		return d.json(b)
	}
	_, err := fmt.Fprintf(d.w, "%s: position %d size %d offsets %d-%d epoch %d records %d codec %s timestamps %d-%d producer %d epoch %d sequence %d%s\n",
		path, pos, size, b.BaseOffset, b.LastOffset, b.LeaderEpoch, b.Records, b.Codec, b.BaseTimestamp, b.MaxTimestamp,
		b.ProducerID, b.ProducerEpoch, b.BaseSequence, flags(h))
	return err
}

func flags(h record.Batch) string {
	s := ""
	if h.IsLogAppendTime() {
		s += " log-append-time"
	}
	if h.IsTransactional() {
		s += " transactional"
	}
	if h.IsControl() {
		s += " control"
	}
	return s
}

func (d *dumper) records(b record.Batch) error {
	section, err := b.Records(nil, maxExpanded)
	if err != nil {
		return err
	}
	r := record.NewReader(section, int(b.NumRecords()))
	var rec record.Record
	for {
		more, err := r.Next(&rec)
		if err != nil || !more {
			return err
		}
		out := DumpRecord{
			Type: "record", Offset: b.BaseOffset() + record.Offset(rec.OffsetDelta), Timestamp: b.BaseTimestamp() + rec.TimestampDelta,
			Key: printable(rec.Key), Value: printable(rec.Value), Headers: []DumpHeader{},
		}
		if b.IsLogAppendTime() {
			out.Timestamp = b.MaxTimestamp()
		}
		for _, h := range rec.Headers {
			out.Headers = append(out.Headers, DumpHeader{strings.ToValidUTF8(strings.Clone(h.Key), "\uFFFD"), printable(h.Value)})
		}
		if d.o.JSON {
			err = d.json(out)
		} else {
			_, err = fmt.Fprintf(d.w, "  offset %d timestamp %d key %s value %s headers %s\n", out.Offset, out.Timestamp,
				plain(rec.Key), plain(rec.Value), plainHeaders(rec.Headers))
		}
		if err != nil {
			return err
		}
	}
}

func printable(b []byte) any {
	switch {
	case b == nil:
		return nil
	case utf8.Valid(b):
		return string(b)
	}
	return map[string]string{"base64": base64.StdEncoding.EncodeToString(b)}
}

func plain(b []byte) string {
	if b == nil {
		return "null"
	}
	return fmt.Sprintf("%q", b)
}

func plainHeaders(headers []record.Header) string {
	parts := make([]string, len(headers))
	for i, h := range headers {
		parts[i] = fmt.Sprintf("%q=%s", h.Key, plain(h.Value))
	}
	return "[" + strings.Join(parts, " ") + "]"
}

func (d *dumper) json(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = d.w.Write(append(b, '\n'))
	return err
}

// line prints an object, or its fields in the order of names.
func (d *dumper) line(kind string, names []string, values ...int64) error {
	if d.o.JSON {
		m := map[string]any{"type": kind}
		for i, n := range names {
			m[n] = values[i]
		}
		return d.json(m)
	}
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = fmt.Sprintf("%s %d", strings.ReplaceAll(n, "_", " "), values[i])
	}
	_, err := fmt.Fprintln(d.w, strings.Join(parts, " "))
	return err
}

func (d *dumper) index(path string) error {
	return d.entries(path, offsetEntrySize, func(base record.Offset, b []byte) error {
		e := parseOffsetEntry(b)
		return d.line("index", []string{"offset", "position"}, int64(base)+int64(e.rel), int64(e.pos))
	})
}

func (d *dumper) timeIndex(path string) error {
	return d.entries(path, timeEntrySize, func(base record.Offset, b []byte) error {
		e := parseTimeEntry(b)
		return d.line("timeindex", []string{"timestamp", "offset"}, e.ts, int64(base)+int64(e.rel))
	})
}

// entries gives each entry of an index to print, with the base offset of its segment.
func (d *dumper) entries(path string, size int, print func(base record.Offset, entry []byte) error) error {
	base, err := baseOf(path)
	if err != nil {
		return err
	}
	b, err := readFile(d.fs, path, maxIndexFile)
	if err != nil {
		return err
	}
	for ; len(b) >= size; b = b[size:] {
		if err := print(base, b); err != nil {
			return err
		}
	}
	return leftOver(path, b)
}

func leftOver(path string, b []byte) error {
	if len(b) > 0 {
		return formatError(path, "%d bytes are left over", len(b))
	}
	return nil
}

func (d *dumper) snapshot(path string) error {
	b, err := readFile(d.fs, path, maxSnapshotFile)
	if err != nil {
		return err
	}
	entries, err := ParseSnapshot(path, b)
	if err != nil {
		return err
	}
	names := []string{"producer_id", "producer_epoch", "last_sequence", "last_offset", "offset_delta", "timestamp", "coordinator_epoch", "txn_first_offset"}
	for _, e := range entries {
		err := d.line("producer", names, int64(e.ProducerID), int64(e.Epoch), int64(e.LastSequence), int64(e.LastOffset),
			int64(e.OffsetDelta), e.Timestamp, int64(e.CoordinatorEpoch), int64(e.TxnFirstOffset))
		if err != nil {
			return err
		}
	}
	return nil
}
