package abi

import "math/bits"

// A filter answers with a bitmap: record i passes if bit i%8 of byte i/8 is set,
// least significant bit first. Bits past the last record mean nothing and may be
// set: use these functions, which mask them, and not the bytes.

// BitmapLen is the number of bytes of a bitmap for n records.
func BitmapLen(n int) int { return (n + 7) / 8 }

// Passes reports whether record i passes.
func Passes(bitmap []byte, i int) bool { return bitmap[i>>3]&(1<<(i&7)) != 0 }

// SetPass marks record i as passing.
func SetPass(bitmap []byte, i int) { bitmap[i>>3] |= 1 << (i & 7) }

// CountPassing is the number of the n records that pass.
func CountPassing(bitmap []byte, n int) int {
	count := 0
	for _, b := range bitmap[:n>>3] {
		count += bits.OnesCount8(b)
	}
	if rest := n & 7; rest != 0 {
		count += bits.OnesCount8(bitmap[n>>3] & (1<<rest - 1))
	}
	return count
}

// AllPass reports whether every one of the n records passes.
func AllPass(bitmap []byte, n int) bool { return CountPassing(bitmap, n) == n }

// NonePass reports whether none of the n records passes.
func NonePass(bitmap []byte, n int) bool { return CountPassing(bitmap, n) == 0 }
