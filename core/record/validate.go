package record

import "fmt"

// Contents is what [Batch.Check] learned from the records of an uncompressed batch. For a compressed one Known is false.
type Contents struct {
	Known                      bool
	MinTimestamp, MaxTimestamp int64
	// Keyless is the index of the first record without a key, -1 if there is none.
	Keyless int32
}

// Validate checks what a broker demands of a batch that somebody produces, its checksum aside: ErrInvalid if it contradicts
// itself, ErrCodec if its codec is unknown. A compressed batch is not opened: what its records say may still be a lie.
//
//   - only known attribute bits, and none that only a broker sets (the delete horizon)
//   - at least one record, and a last offset delta of one less than the count
//   - a producer id of -1, or at least 0 with an epoch and a first sequence of at least 0; control batches have no sequence
//   - transactional and control batches have a producer id
//   - lz4: one that Java's readers can read, which stop at a frame whose blocks refer to those before them
//   - uncompressed: records whose lengths fill the section exactly, with offset deltas 0, 1, 2, ...
func (b Batch) Validate() error {
	_, err := b.Check()
	return err
}

// Check is Validate that also tells what it saw on its way through an uncompressed batch.
func (b Batch) Check() (Contents, error) {
	if err := b.checkHeader(); err != nil {
		return Contents{}, err
	}
	if b.Codec() != CodecNone {
		return Contents{Keyless: -1}, nil
	}
	return b.ScanRecords(b.StoredRecords())
}

func (b Batch) checkHeader() error {
	if len(b) < HeaderSize {
		return fmt.Errorf("%w: %d bytes", ErrTruncated, len(b))
	}
	attributes, count, pid := b.attributes(), b.NumRecords(), b.ProducerID()
	switch {
	case attributes&^attrKnown != 0 || b.HasDeleteHorizon():
		return fmt.Errorf("%w: attributes %#04x", ErrInvalid, attributes)
	case !b.Codec().Known():
		return fmt.Errorf("%w: %d", ErrCodec, b.Codec())
	case b.Codec() == CodecLZ4 && !independentLZ4(b.StoredRecords()):
		return fmt.Errorf("%w: no lz4 frame of independent blocks", ErrInvalid)
	case count < 1 || b.LastOffsetDelta() != count-1:
		return fmt.Errorf("%w: %d records, last offset delta %d", ErrInvalid, count, b.LastOffsetDelta())
	case pid < NoProducerID:
		return fmt.Errorf("%w: producer id %d", ErrInvalid, pid)
	case pid == NoProducerID && (b.IsTransactional() || b.IsControl()):
		return fmt.Errorf("%w: transactional or control batch without a producer id", ErrInvalid)
	case pid != NoProducerID && (b.ProducerEpoch() < 0 || b.BaseSequence() < 0 && !b.IsControl()):
		return fmt.Errorf("%w: producer id %d, epoch %d, sequence %d", ErrInvalid, pid, b.ProducerEpoch(), b.BaseSequence())
	}
	return nil
}

// ScanRecords checks section as the batch's uncompressed records, as Validate describes, and tells what it saw. It is for
// those who have to decompress a batch anyway.
func (b Batch) ScanRecords(section []byte) (Contents, error) {
	c := Contents{Known: true, Keyless: -1}
	base, count, at := b.BaseTimestamp(), b.NumRecords(), 0
	for i := range count {
		body, end := recordBody(section, at)
		if end < 0 {
			return c, badRecord(i, at, "length")
		}
		delta, keyless, what := checkRecord(body, i)
		if what != "" {
			return c, badRecord(i, at, what)
		}
		timestamp := base + delta
		if i == 0 || timestamp < c.MinTimestamp {
			c.MinTimestamp = timestamp
		}
		if i == 0 || timestamp > c.MaxTimestamp {
			c.MaxTimestamp = timestamp
		}
		if keyless && c.Keyless < 0 {
			c.Keyless = i
		}
		at = end
	}
	if at != len(section) {
		return c, fmt.Errorf("%w: %d bytes follow the last record", ErrInvalid, len(section)-at)
	}
	return c, nil
}

func badRecord(index int32, at int, what string) error {
	return fmt.Errorf("%w: record %d at byte %d: bad %s", ErrInvalid, index, at, what)
}

// checkRecord walks over a record's body without building anything and names the first field that is wrong.
func checkRecord(b []byte, index int32) (timestampDelta int64, keyless bool, what string) {
	if len(b) == 0 {
		return 0, false, "attributes"
	}
	at := 1
	timestampDelta, n := varint64(b[at:])
	if n == 0 {
		return 0, false, "timestamp delta"
	}
	at += n
	delta, n := varint32(b[at:])
	if n == 0 || delta != index {
		return 0, false, "offset delta"
	}
	at += n
	keyless, at = skipNullable(b, at)
	if at < 0 {
		return 0, false, "key"
	}
	if _, at = skipNullable(b, at); at < 0 {
		return 0, false, "value"
	}
	if what = checkHeaders(b, at); what != "" {
		return 0, false, what
	}
	return timestampDelta, keyless, ""
}

func checkHeaders(b []byte, at int) string {
	count, n := varint32(b[at:])
	at += n
	if n == 0 || count < 0 || int(count) > (len(b)-at)/2 {
		return "header count"
	}
	for range count {
		null, next := skipNullable(b, at)
		if next < 0 || null {
			return "header key"
		}
		if _, at = skipNullable(b, next); at < 0 {
			return "header value"
		}
	}
	if at != len(b) {
		return "length"
	}
	return ""
}

// skipNullable returns where the length-prefixed field at b[at:] ends, -1 if it does not fit, and whether it is null.
func skipNullable(b []byte, at int) (null bool, next int) {
	size, n := varint32(b[at:])
	at += n
	switch {
	case n == 0 || size < -1 || int(size) > len(b)-at:
		return false, -1
	case size == -1:
		return true, at
	}
	return false, at + int(size)
}
