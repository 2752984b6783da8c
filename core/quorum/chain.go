package quorum

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// chainHash is the value that ties a message to all before it.
type chainHash [sha256.Size]byte

const (
	messageFormat = 1
	messageHeader = 1 + sha256.Size
)

// next is the chain value of the message at seq with this command, if h is that of the message before it.
func (h chainHash) next(seq uint64, command []byte) (sum chainHash) {
	d := sha256.New()
	var s [8]byte
	binary.BigEndian.PutUint64(s[:], seq)
	d.Write(h[:])
	d.Write(s[:])
	d.Write(command)
	d.Sum(sum[:0])
	return sum
}

// seal makes the message that holds a command and follows h.
func (h chainHash) seal(command []byte) []byte {
	b := make([]byte, 0, messageHeader+len(command))
	b = append(b, messageFormat)
	b = append(b, h[:]...)
	return append(b, command...)
}

// open returns the command of a message that has to follow h.
func (h chainHash) open(m message) ([]byte, error) {
	before, command, err := unseal(m)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(before[:], h[:]) {
		return nil, fmt.Errorf("%w: the command at %d does not follow from the one before it", ErrDamaged, m.seq)
	}
	return command, nil
}

func unseal(m message) (before chainHash, command []byte, err error) {
	if len(m.data) < messageHeader {
		return before, nil, fmt.Errorf("%w: %d bytes at %d are no command", ErrDamaged, len(m.data), m.seq)
	}
	if m.data[0] != messageFormat {
		return before, nil, fmt.Errorf("%w: the message at %d has format %d, this binary reads %d", ErrDamaged, m.seq, m.data[0], messageFormat)
	}
	return chainHash(m.data[1:messageHeader]), m.data[messageHeader:], nil
}
