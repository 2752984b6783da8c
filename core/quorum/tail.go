package quorum

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// tailMark is what the file "tail" says: a sequence that is on disk, and its chain value.
//
//	 8 bytes  "MRTAIL" 0 1
//	 8 bytes  sequence, big-endian
//	32 bytes  chain value
//	 4 bytes  CRC-32C of the above
//
// It is overwritten in place after every append that was made durable. Only the first write is synced, so after a power
// cut it may be old: it never says more than the log holds.
type tailMark struct {
	seq   uint64
	chain chainHash
}

const (
	tailMagic = "MRTAIL\x00\x01"
	tailSize  = 52
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (t tailMark) encode() []byte {
	b := make([]byte, 0, tailSize)
	b = append(b, tailMagic...)
	b = binary.BigEndian.AppendUint64(b, t.seq)
	b = append(b, t.chain[:]...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeTail(b []byte) (tailMark, error) {
	if len(b) != tailSize || string(b[:8]) != tailMagic ||
		crc32.Checksum(b[:tailSize-4], castagnoli) != binary.BigEndian.Uint32(b[tailSize-4:]) {
		return tailMark{}, fmt.Errorf("%w: %d bytes that are no mark", ErrDamaged, len(b))
	}
	return tailMark{binary.BigEndian.Uint64(b[8:]), chainHash(b[16:])}, nil
}

// tailFile keeps the file open. Owned by the goroutine that applies.
type tailFile struct {
	f      *os.File
	synced bool
}

// openTail returns the mark, which is zero if there was no file or an empty one, as a crash can leave it. With ErrDamaged,
// for a file that holds no mark, the file is returned too.
func openTail(dir string) (t *tailFile, mark tailMark, err error) {
	path := filepath.Join(dir, "tail")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, mark, err
	}
	b, err := io.ReadAll(io.LimitReader(f, tailSize+1))
	if err != nil {
		return nil, mark, errors.Join(err, f.Close())
	}
	if len(b) > 0 {
		if mark, err = decodeTail(b); err != nil {
			err = fmt.Errorf("%s: %w", path, err)
		}
	}
	return &tailFile{f: f, synced: mark.seq > 0}, mark, err
}

func (t *tailFile) write(mark tailMark) error {
	if _, err := t.f.WriteAt(mark.encode(), 0); err != nil {
		return err
	}
	if t.synced {
		return nil
	}
	if err := t.f.Sync(); err != nil {
		return err
	}
	t.synced = true
	return syncDir(filepath.Dir(t.f.Name()))
}

func (t *tailFile) close() error { return t.f.Close() }

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// hasBytes tells whether a folder holds a file that is not empty, at any depth.
func hasBytes(dir string) (bool, error) {
	found := false
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > 0 {
			found = true
			return io.EOF
		}
		return err
	})
	if err == io.EOF || errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return found, err
}
