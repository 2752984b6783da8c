/** Whether n bytes at two addresses are the same. */
export function equals(a: usize, b: usize, n: i32): bool {
  if (ASC_FEATURE_SIMD) {
    if (n >= 16) {
      const last = n - 16;
      for (let at = 0; at < last; at += 16) {
        if (i8x16.bitmask(i8x16.eq(v128.load(a + at), v128.load(b + at))) != 0xffff) return false;
      }
      return i8x16.bitmask(i8x16.eq(v128.load(a + last), v128.load(b + last))) == 0xffff;
    }
  }
  for (let at = 0; at < n; at++) if (load<u8>(a + at) != load<u8>(b + at)) return false;
  return true;
}

/**
 * Where a needle of n bytes first occurs in a haystack of `length`, at `from` or
 * behind it; -1 if nowhere. Blocks are compared with the needle's bytes at ahead and
 * behind, in this order.
 */
export function search(haystack: usize, length: i32, from: i32, needle: usize, n: i32, ahead: i32, behind: i32): i32 {
  if (from < 0 || length - from < n) return -1;
  if (n == 0) return from;
  const starts = length - n + 1; // one past the last place where it can begin
  const first = load<u8>(needle + ahead);
  const second = load<u8>(needle + behind);
  let at = from;
  if (ASC_FEATURE_SIMD) {
    const x = i8x16.splat(<i8>first);
    const y = i8x16.splat(<i8>second);
    for (; at + 32 <= starts; at += 32) {
      const p = haystack + at + ahead;
      const q = haystack + at + behind;
      const low = v128.and(i8x16.eq(v128.load(p), x), i8x16.eq(v128.load(q), y));
      const high = v128.and(i8x16.eq(v128.load(p, 16), x), i8x16.eq(v128.load(q, 16), y));
      if (v128.any_true(v128.or(low, high))) {
        const hit = confirm(haystack, at, i8x16.bitmask(low) | (i8x16.bitmask(high) << 16), needle, n);
        if (hit >= 0) return hit;
      }
    }
    for (; at + 16 <= starts; at += 16) {
      const low = v128.and(i8x16.eq(v128.load(haystack + at + ahead), x), i8x16.eq(v128.load(haystack + at + behind), y));
      if (v128.any_true(low)) {
        const hit = confirm(haystack, at, i8x16.bitmask(low), needle, n);
        if (hit >= 0) return hit;
      }
    }
  }
  for (; at < starts; at++) {
    if (load<u8>(haystack + at + ahead) == first && load<u8>(haystack + at + behind) == second && equals(haystack + at, needle, n)) return at;
  }
  return -1;
}

function confirm(haystack: usize, at: i32, mask: i32, needle: usize, n: i32): i32 {
  for (; mask != 0; mask &= mask - 1) {
    const start = at + ctz(mask);
    if (equals(haystack + start, needle, n)) return start;
  }
  return -1;
}
