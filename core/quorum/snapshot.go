package quorum

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/millrun/millrun/core/meta"
)

// snapshot is an image with the place in the log that it stands for.
//
//	 8 bytes  "MRSNAP" 0 1
//	 8 bytes  sequence, big-endian
//	32 bytes  chain value of the command at that sequence
//	          the image, as meta writes it
//	32 bytes  SHA-256 of all before it
type snapshot struct {
	seq   uint64
	chain chainHash
	img   *meta.Image
}

const (
	snapshotMagic  = "MRSNAP\x00\x01"
	snapshotHeader = 8 + 8 + sha256.Size
	snapshotSuffix = ".snapshot"
	// maxSnapshotSize bounds what is read as a snapshot.
	maxSnapshotSize = 1 << 30
	// keptSnapshots are the newest ones; the log is kept from the oldest of them on.
	keptSnapshots = 2
)

func (s *snapshot) encode() []byte {
	b := append([]byte(nil), snapshotMagic...)
	b = binary.BigEndian.AppendUint64(b, s.seq)
	b = append(b, s.chain[:]...)
	b = s.img.AppendSnapshot(b)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

func decodeSnapshot(b []byte) (*snapshot, error) {
	end := len(b) - sha256.Size
	if end < snapshotHeader || string(b[:8]) != snapshotMagic {
		return nil, fmt.Errorf("%w: %d bytes that are no snapshot", ErrDamaged, len(b))
	}
	if sha256.Sum256(b[:end]) != [32]byte(b[end:]) {
		return nil, fmt.Errorf("%w: the checksum does not match", ErrDamaged)
	}
	img, err := meta.DecodeSnapshot(b[snapshotHeader:end])
	if err != nil {
		return nil, err
	}
	s := &snapshot{seq: binary.BigEndian.Uint64(b[8:]), chain: chainHash(b[16:]), img: img}
	if s.seq != img.Seq() || s.seq == 0 {
		return nil, fmt.Errorf("%w: an image of %d in a snapshot of %d", ErrDamaged, img.Seq(), s.seq)
	}
	return s, nil
}

// snapshotDir is the folder of the snapshots.
type snapshotDir string

func (d snapshotDir) path(seq uint64) string {
	return filepath.Join(string(d), fmt.Sprintf("%020d", seq)+snapshotSuffix)
}

// list returns the sequences of the snapshots that are there, newest first, and removes what a crash left half written.
func (d snapshotDir) list() ([]uint64, error) {
	entries, err := os.ReadDir(string(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var seqs []uint64
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".tmp") {
			if err := os.Remove(filepath.Join(string(d), e.Name())); err != nil {
				return nil, err
			}
			continue
		}
		name, ok := strings.CutSuffix(e.Name(), snapshotSuffix)
		if seq, err := strconv.ParseUint(name, 10, 64); ok && err == nil {
			seqs = append(seqs, seq)
		}
	}
	slices.Sort(seqs)
	slices.Reverse(seqs)
	return seqs, nil
}

func (d snapshotDir) load(seq uint64) (*snapshot, error) {
	path := d.path(seq)
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxSnapshotSize {
		return nil, fmt.Errorf("%s: %w: %d bytes", path, ErrDamaged, info.Size())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s, err := decodeSnapshot(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if s.seq != seq {
		return nil, fmt.Errorf("%s: %w: it is of %d", path, ErrDamaged, s.seq)
	}
	return s, nil
}

// save writes a snapshot so that it is there whole or not at all.
func (d snapshotDir) save(s *snapshot) error {
	if err := os.MkdirAll(string(d), 0o755); err != nil {
		return err
	}
	path := d.path(s.seq)
	f, err := os.Create(path + ".tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(s.encode())
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return errors.Join(err, os.Remove(path+".tmp"))
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	return syncDir(string(d))
}

// prune removes all snapshots but those given.
func (d snapshotDir) prune(keep []uint64) error {
	seqs, err := d.list()
	if err != nil {
		return err
	}
	for _, seq := range seqs {
		if !slices.Contains(keep, seq) {
			if err := os.Remove(d.path(seq)); err != nil {
				return err
			}
		}
	}
	return nil
}
