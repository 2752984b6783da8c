//go:build unix

package main

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
)

// The null broker reads a frame, checks the batch's CRC-32C, writes it to its partition's file and answers; or reads
// from the file into the socket. It knows Produce 8 and Fetch 11 with one partition a request, and nothing else: what a
// broker does beyond that is what a comparison with it shows.
type nullBroker struct {
	mu    sync.Mutex
	files map[string]*nullFile
}

type nullFile struct {
	mu   sync.Mutex
	file *os.File
	size int64
	sync bool // fdatasync before every answer
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func runNullBroker(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	b := &nullBroker{files: map[string]*nullFile{}}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			if err := b.serve(conn); err != nil && err != io.EOF {
				fmt.Fprintln(os.Stderr, err)
			}
		}()
	}
}

func (b *nullBroker) serve(conn net.Conn) error {
	var frame, answer []byte
	var size [4]byte
	for {
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return err
		}
		n := int(binary.BigEndian.Uint32(size[:]))
		if cap(frame) < n {
			frame = make([]byte, n)
		}
		frame = frame[:n]
		if _, err := io.ReadFull(conn, frame); err != nil {
			return err
		}
		var err error
		switch key := binary.BigEndian.Uint16(frame); key {
		case 0:
			answer, err = b.produce(answer[:0], frame)
		case 1:
			answer, err = b.fetch(answer[:0], frame)
		default:
			err = fmt.Errorf("null broker: key %d", key)
		}
		if err != nil {
			return err
		}
		binary.BigEndian.PutUint32(answer, uint32(len(answer)-4))
		if _, err := conn.Write(answer); err != nil {
			return err
		}
	}
}

// fields walks the fixed layout of the two requests that it knows.
type fields struct{ b []byte }

func (f *fields) skip(n int) { f.b = f.b[n:] }
func (f *fields) int32() int32 {
	v := int32(binary.BigEndian.Uint32(f.b))
	f.b = f.b[4:]
	return v
}
func (f *fields) string() string {
	n := int16(binary.BigEndian.Uint16(f.b))
	f.b = f.b[2:]
	if n < 0 {
		return ""
	}
	s := string(f.b[:n])
	f.b = f.b[n:]
	return s
}

func (b *nullBroker) produce(dst, frame []byte) ([]byte, error) {
	f := fields{frame[4:]}
	correlation := f.int32()
	f.string()          // client id
	f.skip(2 + 2 + 4)   // transactional id (null), acks, timeout
	f.skip(4)           // one topic
	topic := f.string() //
	f.skip(4)           // one partition
	partition := f.int32()
	size := f.int32()
	batch := f.b[:size]
	if crc32.Checksum(batch[21:], castagnoli) != binary.BigEndian.Uint32(batch[17:]) {
		return nil, fmt.Errorf("null broker: checksum")
	}
	file, err := b.open(topic, partition)
	if err != nil {
		return nil, err
	}
	base, err := file.append(batch)
	if err != nil {
		return nil, err
	}
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlation))
	dst = binary.BigEndian.AppendUint32(dst, 1)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(topic)))
	dst = append(dst, topic...)
	dst = binary.BigEndian.AppendUint32(dst, 1)
	dst = binary.BigEndian.AppendUint32(dst, uint32(partition))
	dst = binary.BigEndian.AppendUint16(dst, 0)
	dst = binary.BigEndian.AppendUint64(dst, uint64(base))
	dst = binary.BigEndian.AppendUint64(dst, ^uint64(0))
	dst = binary.BigEndian.AppendUint64(dst, 0)
	dst = binary.BigEndian.AppendUint32(dst, 0)      // record errors
	dst = binary.BigEndian.AppendUint16(dst, 0xffff) // error message
	return binary.BigEndian.AppendUint32(dst, 0), nil
}

// fetch takes the fetch offset for a position in the file, so that it needs no index, and cuts where the asked size ends.
func (b *nullBroker) fetch(dst, frame []byte) ([]byte, error) {
	f := fields{frame[4:]}
	correlation := f.int32()
	f.string()
	f.skip(4 + 4 + 4 + 4 + 1 + 4 + 4) // replica, max wait, min bytes, max bytes, isolation, session id and epoch
	f.skip(4)
	topic := f.string()
	f.skip(4)
	partition := f.int32()
	f.skip(4) // leader epoch
	position := int64(binary.BigEndian.Uint64(f.b))
	f.skip(8 + 8)
	maxBytes := int(f.int32())
	file, err := b.open(topic, partition)
	if err != nil {
		return nil, err
	}
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlation))
	dst = append(dst, make([]byte, 4+2+4)...) // throttle, error, session
	dst = binary.BigEndian.AppendUint32(dst, 1)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(topic)))
	dst = append(dst, topic...)
	dst = binary.BigEndian.AppendUint32(dst, 1)
	dst = binary.BigEndian.AppendUint32(dst, uint32(partition))
	dst = append(dst, make([]byte, 2+8+8+8)...)
	dst = binary.BigEndian.AppendUint32(dst, 0xffffffff) // aborted transactions
	dst = binary.BigEndian.AppendUint32(dst, 0xffffffff) // preferred replica
	at := len(dst)
	if need := at + 4 + maxBytes; cap(dst) < need {
		grown := make([]byte, at, need)
		copy(grown, dst)
		dst = grown
	}
	n, err := file.file.ReadAt(dst[at+4:at+4+maxBytes], position)
	if err != nil && err != io.EOF {
		return nil, err
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(n))
	return dst[:at+4+n], nil
}

func (b *nullBroker) open(topic string, partition int32) (*nullFile, error) {
	name := fmt.Sprintf("%s-%d", topic, partition)
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.files[name]; f != nil {
		return f, nil
	}
	file, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	f := &nullFile{file: file, sync: len(topic) > 5 && topic[:5] == "sync-"}
	b.files[name] = f
	return f, nil
}

func (f *nullFile) append(batch []byte) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	base := f.size
	n, err := f.file.WriteAt(batch, base)
	f.size += int64(n)
	if err == nil && f.sync {
		err = f.file.Sync()
	}
	return base, err
}

// removeNullFiles deletes what the null broker wrote for a topic; the open descriptors keep the space until it is
// stopped, so they are cut to nothing first.
func removeNullFiles(dir, topic string) error {
	names, err := filepath.Glob(filepath.Join(dir, topic+"-*"))
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := os.Truncate(name, 0); err != nil {
			return err
		}
	}
	return nil
}
