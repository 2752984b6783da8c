package meta

import (
	"crypto/sha256"
	"fmt"
)

const (
	snapshotMagic   = "MRIMAGE\x00"
	snapshotVersion = deploymentFormat // the number is also the form of the deployments in it
	minTopicSize    = 20               // a topic of no name, settings or partitions
	// maxTopicPartitions bounds a topic for good; a request is bounded further.
	maxTopicPartitions = 1 << 24
)

// AppendSnapshot appends the image's encoded form to dst: equal images give equal bytes.
//
//	 8 bytes  "MRIMAGE" 0
//	uvarint   format version (3)
//	          sequence, cluster id, next producer id, controller (node, incarnation, epoch),
//	          brokers, broker settings, topics by name, deployments by name
//	32 bytes  SHA-256 of all before it
func (m *Image) AppendSnapshot(dst []byte) []byte {
	w := writer{dst}
	w.raw([]byte(snapshotMagic))
	w.uvarint(snapshotVersion)
	m.encode(&w)
	sum := sha256.Sum256(w.b[len(dst):])
	w.raw(sum[:])
	return w.b
}

// Hash is equal for equal images.
func (m *Image) Hash() [32]byte {
	b := m.AppendSnapshot(nil)
	return [32]byte(b[len(b)-sha256.Size:])
}

func (m *Image) encode(w *writer) {
	w.uvarint(m.seq)
	w.str(m.clusterID)
	w.varint(m.nextProducerID)
	w.varint(int64(m.controller))
	w.str(m.controllerIncarnation)
	w.uvarint(m.controllerEpoch)
	w.uvarint(uint64(len(m.brokers)))
	for _, b := range m.brokers {
		b.encode(w)
	}
	w.uvarint(uint64(len(m.configs)))
	for _, c := range m.configs {
		w.varint(int64(c.node))
		w.strMap(c.configs)
	}
	w.uvarint(uint64(m.topics.n))
	for _, t := range m.topics.sorted() {
		t.encode(w)
	}
	w.uvarint(uint64(m.deploys.n))
	for _, d := range m.deploys.sorted() {
		d.encode(w)
	}
}

// DecodeSnapshot reads what AppendSnapshot wrote; b has to hold nothing else. The error is ErrUnknownCommand if a newer
// binary wrote it, else ErrCorrupt.
func DecodeSnapshot(b []byte) (*Image, error) {
	if len(b) < len(snapshotMagic)+sha256.Size || string(b[:len(snapshotMagic)]) != snapshotMagic {
		return nil, fmt.Errorf("image: %w: %d bytes that are no image", ErrCorrupt, len(b))
	}
	end := len(b) - sha256.Size
	if sha256.Sum256(b[:end]) != [32]byte(b[end:]) {
		return nil, fmt.Errorf("image: %w: the checksum does not match", ErrCorrupt)
	}
	r := newReader(b[:end])
	r.b = r.b[len(snapshotMagic):]
	version := r.uvarint()
	if r.err == nil && (version == 0 || version > snapshotVersion) {
		return nil, fmt.Errorf("%w: image version %d, this binary reads up to %d", ErrUnknownCommand, version, snapshotVersion)
	}
	img := decodeImage(r, version)
	if err := r.done(); err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	return img, nil
}

func decodeImage(r *reader, version uint64) *Image {
	e := newEdit(&Image{seq: r.uvarint(), clusterID: r.str(), nextProducerID: r.varint(),
		controller: r.node(), controllerIncarnation: r.str(), controllerEpoch: r.uvarint()})
	for range r.count(6) {
		e.img.brokers = append(e.img.brokers, decodeBroker(r))
		if n := len(e.img.brokers); n > 1 && e.img.brokers[n-2].ID >= e.img.brokers[n-1].ID {
			r.fail("brokers out of order")
		}
	}
	for range r.count(4) {
		c := brokerConfigs{node: r.node(), configs: r.strMap()}
		if n := len(e.img.configs); n > 0 && e.img.configs[n-1].node >= c.node || len(c.configs) == 0 {
			r.fail("broker settings out of order")
		}
		e.img.configs = append(e.img.configs, c)
	}
	last := ""
	for i := range r.count(minTopicSize) {
		t := decodeTopic(r)
		if _, ok := e.topicByID(t.ID); ok || i > 0 && t.Name <= last {
			r.fail("topic %q twice or out of order", t.Name)
			break
		}
		e.putTopic(t)
		last = t.Name
	}
	for i := range r.count(27) {
		d := decodeDeployment(r, version)
		if i > 0 && d.Name <= last {
			r.fail("deployment %q twice or out of order", d.Name)
			break
		}
		e.deploys.put(d.Name, d)
		last = d.Name
	}
	return e.image()
}
