// Package le reads and writes little-endian numbers. encoding/binary does the same,
// but brings reflection along, and with it half a megabyte of module.
package le

// Uint16 reads two bytes.
func Uint16(p []byte) uint16 {
	_ = p[1]
	return uint16(p[0]) | uint16(p[1])<<8
}

// Uint32 reads four bytes.
func Uint32(p []byte) uint32 {
	_ = p[3]
	return uint32(p[0]) | uint32(p[1])<<8 | uint32(p[2])<<16 | uint32(p[3])<<24
}

// Uint64 reads eight bytes.
func Uint64(p []byte) uint64 {
	_ = p[7]
	return uint64(p[0]) | uint64(p[1])<<8 | uint64(p[2])<<16 | uint64(p[3])<<24 |
		uint64(p[4])<<32 | uint64(p[5])<<40 | uint64(p[6])<<48 | uint64(p[7])<<56
}

// PutUint16 writes two bytes.
func PutUint16(p []byte, v uint16) {
	_ = p[1]
	p[0], p[1] = byte(v), byte(v>>8)
}

// PutUint32 writes four bytes.
func PutUint32(p []byte, v uint32) {
	_ = p[3]
	p[0], p[1], p[2], p[3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
}

// PutUint64 writes eight bytes.
func PutUint64(p []byte, v uint64) {
	PutUint32(p, uint32(v))
	PutUint32(p[4:], uint32(v>>32))
}

// AppendUint32 appends four bytes.
func AppendUint32(p []byte, v uint32) []byte {
	return append(p, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
}
