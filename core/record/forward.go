package record

import "encoding/binary"

// ClearProducer makes b a batch that no producer numbered and that belongs to no transaction, so that it can be appended
// to another partition than the one it was produced to. Its records are not touched; its checksum is new.
func (b Batch) ClearProducer() {
	be := binary.BigEndian
	none := NoProducerID
	be.PutUint64(b[43:], uint64(none))
	be.PutUint16(b[51:], 0xffff)
	be.PutUint32(b[53:], 0xffffffff)
	be.PutUint16(b[attributesAt:], b.attributes()&^attrTransactional)
	b.setCRC()
}

// Recycle is Reset with the builder's own memory: the batch that was built of it must not be used any more.
func (b *Builder) Recycle() { b.Reset(b.buf[:0]) }
