package seglog

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/millrun/millrun/core/record"
)

// ProducerEntry is one producer's state in a snapshot, as Kafka's ProducerStateManager has it.
type ProducerEntry struct {
	ProducerID       record.ProducerID
	Epoch            int16
	LastSequence     int32
	LastOffset       record.Offset // of its last batch
	OffsetDelta      int32         // last less first offset of its last batch
	Timestamp        int64         // ms, of its last batch
	CoordinatorEpoch int32
	TxnFirstOffset   record.Offset // of its open transaction, NoOffset if there is none
}

const (
	snapshotVersion   = 1
	snapshotHeader    = 2 + 4 // version, checksum
	snapshotEntrySize = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8
	maxSnapshotFile   = 1 << 30
)

// AppendSnapshot appends the encoding of a producer snapshot: int16 version, CRC-32C of what follows, int32 number of
// entries, entries.
func AppendSnapshot(b []byte, entries []ProducerEntry) []byte {
	be := binary.BigEndian
	start := len(b)
	b = be.AppendUint16(b, snapshotVersion)
	b = be.AppendUint32(b, 0)
	b = be.AppendUint32(b, uint32(len(entries)))
	for _, e := range entries {
		b = be.AppendUint64(b, uint64(e.ProducerID))
		b = be.AppendUint16(b, uint16(e.Epoch))
		b = be.AppendUint32(b, uint32(e.LastSequence))
		b = be.AppendUint64(b, uint64(e.LastOffset))
		b = be.AppendUint32(b, uint32(e.OffsetDelta))
		b = be.AppendUint64(b, uint64(e.Timestamp))
		b = be.AppendUint32(b, uint32(e.CoordinatorEpoch))
		b = be.AppendUint64(b, uint64(e.TxnFirstOffset))
	}
	be.PutUint32(b[start+2:], crc32.Checksum(b[start+snapshotHeader:], castagnoli))
	return b
}

// ParseSnapshot decodes what AppendSnapshot encodes. file is for the error.
func ParseSnapshot(file string, b []byte) ([]ProducerEntry, error) {
	be := binary.BigEndian
	if len(b) < snapshotHeader+4 {
		return nil, formatError(file, "%d bytes do not hold a snapshot", len(b))
	}
	if v := int16(be.Uint16(b)); v != snapshotVersion {
		return nil, formatError(file, "version %d is unknown", v)
	}
	if crc32.Checksum(b[snapshotHeader:], castagnoli) != be.Uint32(b[2:]) {
		return nil, formatError(file, "checksum does not match")
	}
	n := int64(int32(be.Uint32(b[snapshotHeader:])))
	b = b[snapshotHeader+4:]
	if n < 0 || n*snapshotEntrySize != int64(len(b)) {
		return nil, formatError(file, "%d entries do not take %d bytes", n, len(b))
	}
	entries := make([]ProducerEntry, n)
	for i := range entries {
		p := b[i*snapshotEntrySize:]
		entries[i] = ProducerEntry{
			ProducerID: record.ProducerID(be.Uint64(p)), Epoch: int16(be.Uint16(p[8:])), LastSequence: int32(be.Uint32(p[10:])),
			LastOffset: record.Offset(be.Uint64(p[14:])), OffsetDelta: int32(be.Uint32(p[22:])), Timestamp: int64(be.Uint64(p[26:])),
			CoordinatorEpoch: int32(be.Uint32(p[34:])), TxnFirstOffset: record.Offset(be.Uint64(p[38:])),
		}
	}
	return entries, nil
}

// WriteSnapshot writes the producers' state before offset into the log's directory.
func WriteSnapshot(fs FS, dir string, offset record.Offset, entries []ProducerEntry) error {
	return replaceFile(fs, dir, FileName(offset, SnapshotSuffix), AppendSnapshot(nil, entries))
}

// ReadSnapshot reads the producers' state before offset.
func ReadSnapshot(fs FS, dir string, offset record.Offset) ([]ProducerEntry, error) {
	path := join(dir, FileName(offset, SnapshotSuffix))
	b, err := readFile(fs, path, maxSnapshotFile)
	if err != nil {
		return nil, err
	}
	return ParseSnapshot(path, b)
}
