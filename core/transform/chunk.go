package transform

import (
	"fmt"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/wasmhost/abi"
)

const (
	// chunkBytes is how many bytes of uncompressed records a call of the guest gets when a batch has to be cut.
	chunkBytes = 128 << 10
	// wholeBytes is the largest batch that a filter gets in one call.
	wholeBytes = 256 << 10
	// maxSectionBytes bounds what one batch may expand to.
	maxSectionBytes = 64 << 20
	// minRecordBytes is the smallest record there is: seven fields of one byte. A header that says more is lying, and must
	// not size anything.
	minRecordBytes = 7
)

// chunk is what one call of the guest gets: records that follow each other in one batch.
type chunk struct {
	index       int // of the first record in its batch
	n           int
	in          []byte // rows or raw records
	bytes       int    // of the records themselves
	first, last record.Offset
}

// chunker cuts the records of one batch into chunks, between records. A record that is larger than a chunk comes alone.
type chunker struct {
	batch   record.Batch
	section []byte
	wants   abi.Wants

	reader record.Reader
	at     int   // where the next record begins in section
	index  int   // of the next record
	delta  int32 // of the last record's offset, -1 before the first

	recs []record.Record // the last chunk's, views of section; kept for their memory
	rows []byte          // the last chunk's rows
}

func (c *chunker) reset(b record.Batch, section []byte, wants abi.Wants) {
	c.batch, c.section, c.wants = b, section, wants
	c.reader = record.NewReader(section, int(b.NumRecords()))
	c.at, c.index, c.delta = 0, 0, -1
}

// next returns the next chunk of records at or after from: one record if alone, else as many as fit. A chunk without
// records is the end. An error means that the batch is damaged behind the records returned so far.
func (c *chunker) next(from record.Offset, alone bool) (chunk, error) {
	var out chunk
	c.rows = c.rows[:0]
	start := c.at
	for {
		if out.n == len(c.recs) {
			c.recs = append(c.recs, record.Record{})
		}
		rec, before := &c.recs[out.n], c.reader
		ok, err := c.reader.Next(rec)
		if err != nil && out.n == 0 {
			return out, err
		}
		if err != nil || !ok {
			c.reader = before // an error comes back when it is the first thing met
			break
		}
		offset, err := c.offsetOf(rec)
		switch {
		case err != nil && out.n == 0:
			return out, err
		case err == nil && offset < from && out.n == 0:
			c.pass(rec)
			start = c.at
			continue
		}
		if err != nil || out.n > 0 && (alone || out.bytes+len(rec.Raw) > chunkBytes) {
			c.reader = before
			break
		}
		c.take(&out, rec, offset)
	}
	if c.wants.Raw() {
		out.in = c.section[start:c.at]
	} else {
		out.in = c.rows
	}
	return out, nil
}

// offsetOf refuses offsets that rise above the batch's last or do not rise at all: taken at its word, such a record would
// make the ones behind it look processed.
func (c *chunker) offsetOf(rec *record.Record) (record.Offset, error) {
	offset := c.batch.BaseOffset() + record.Offset(rec.OffsetDelta)
	if rec.OffsetDelta <= c.delta || offset > c.batch.LastOffset() {
		return 0, fmt.Errorf("%w: record %d has offset delta %d", record.ErrInvalid, c.index, rec.OffsetDelta)
	}
	return offset, nil
}

// pass counts a record that has been read.
func (c *chunker) pass(rec *record.Record) {
	c.at, c.index, c.delta = c.at+len(rec.Raw), c.index+1, rec.OffsetDelta
}

func (c *chunker) take(out *chunk, rec *record.Record, offset record.Offset) {
	if out.n == 0 {
		out.index, out.first = c.index, offset
	}
	out.last = offset
	out.bytes += len(rec.Raw)
	out.n++
	c.pass(rec)
	if !c.wants.Raw() {
		c.rows = abi.AppendInputRow(c.rows, c.wants, timestampOf(c.batch, rec), uint32(offset-c.batch.BaseOffset()), rec.Key, rec.Value, rec.Headers)
	}
}

// release lets go of the batch, and of memory that only an unusual one needed.
func (c *chunker) release() {
	c.batch, c.section = nil, nil
	c.rows = keep(c.rows)
	if len(c.recs) > maxKeptRecords {
		c.recs = nil
	}
}

const (
	// keepBytes bounds the buffers that a processor keeps between steps.
	keepBytes = 4 << 20
	// maxKeptRecords bounds the record views that it keeps.
	maxKeptRecords = 16 << 10
)

// keep returns b empty, or nil if it has grown beyond what is kept.
func keep(b []byte) []byte {
	if cap(b) > keepBytes {
		return nil
	}
	return b[:0]
}

// timestampOf is a record's time: the broker's for the whole batch, or the producer's.
func timestampOf(b record.Batch, rec *record.Record) int64 {
	if b.IsLogAppendTime() {
		return b.MaxTimestamp()
	}
	return b.BaseTimestamp() + rec.TimestampDelta
}
