package record

// Varints as records have them: zigzag, seven bits a byte, least significant first. The readers return how many bytes
// they took, 0 if b ends first or the number does not fit its type.

// varint32 takes the one byte that most lengths and deltas have without a loop.
func varint32(b []byte) (int32, int) {
	if len(b) == 0 || b[0] >= 0x80 {
		return longVarint32(b)
	}
	return int32(b[0]>>1) ^ -int32(b[0]&1), 1
}

func longVarint32(b []byte) (int32, int) {
	if len(b) > 1 && b[1] < 0x80 { // two bytes: values up to 8 KiB
		u := uint32(b[0]&0x7f) | uint32(b[1])<<7
		return int32(u>>1) ^ -int32(u&1), 2
	}
	var u uint32
	for i := 0; i < len(b) && i < 5; i++ {
		c := b[i]
		if c < 0x80 {
			if i == 4 && c > 0x0f {
				return 0, 0
			}
			u |= uint32(c) << (7 * i)
			return int32(u>>1) ^ -int32(u&1), i + 1
		}
		u |= uint32(c&0x7f) << (7 * i)
	}
	return 0, 0
}

func varint64(b []byte) (int64, int) {
	if len(b) > 0 && b[0] < 0x80 {
		return int64(b[0]>>1) ^ -int64(b[0]&1), 1
	}
	return longVarint64(b)
}

func longVarint64(b []byte) (int64, int) {
	var u uint64
	for i := 0; i < len(b) && i < 10; i++ {
		c := b[i]
		if c < 0x80 {
			if i == 9 && c > 1 {
				return 0, 0
			}
			u |= uint64(c) << (7 * i)
			return int64(u>>1) ^ -int64(u&1), i + 1
		}
		u |= uint64(c&0x7f) << (7 * i)
	}
	return 0, 0
}

func appendVarint(b []byte, v int64) []byte {
	u := uint64(v<<1) ^ uint64(v>>63)
	for u >= 0x80 {
		b = append(b, byte(u)|0x80)
		u >>= 7
	}
	return append(b, byte(u))
}

func varintSize(v int64) int {
	u := uint64(v<<1) ^ uint64(v>>63)
	n := 1
	for ; u >= 0x80; u >>= 7 {
		n++
	}
	return n
}
