//go:build !wasip1

package main

import "encoding/binary"

// run is what stands in for simd/scan.c where there is no WebAssembly: it finds the
// values and is in doubt about each.
func (s *scanner) run(section, bits []byte) int {
	at, doubts := 0, 0
	varint := func() int {
		v, n := binary.Varint(section[at:])
		at += max(n, 0)
		return int(v)
	}
	for i := range int(s.job.n) {
		size := varint()
		end := at + size
		if size < 0 || end > len(section) {
			return -1
		}
		at++ // attributes
		varint()
		varint()
		at += max(varint(), 0)
		size = varint()
		if size < 0 {
			if s.cond.invert {
				bits[i>>3] |= 1 << (i & 7)
			}
		} else {
			s.doubts[doubts] = doubt{index: uint32(i), bytes: view{s.job.records.p + address(at), uint32(size)}}
			doubts++
		}
		at = end
	}
	return doubts
}
