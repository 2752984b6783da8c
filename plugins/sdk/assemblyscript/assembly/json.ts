import { Bytes, Buffer } from "./bytes";
import { equals as same } from "./find";

/**
 * How deep arrays and objects may lie in each other: deeper text is taken for no
 * JSON, so that a record cannot use up the stack.
 */
const MAX_DEPTH: i32 = 1000;

/** Leads to a value inside a JSON text: "customer.addresses.0.city". */
export class Path {
  private parts: Bytes[] = [];
  private starts: StaticArray<usize>;
  private lengths: StaticArray<i32>;
  private indexes: StaticArray<i32>; // of an array; -1: the part is not made of digits

  constructor(text: string) {
    const parts = text.split(".");
    const n = parts.length;
    this.starts = new StaticArray<usize>(n);
    this.lengths = new StaticArray<i32>(n);
    this.indexes = new StaticArray<i32>(n);
    for (let i = 0; i < n; i++) {
      const part = Bytes.of(parts[i]);
      this.parts.push(part);
      this.starts[i] = part.start;
      this.lengths[i] = part.length;
      this.indexes[i] = index(part);
    }
  }

  /** What is wrong with it, or null. */
  get fault(): string | null {
    if (this.parts.length == 1 && this.lengths[0] == 0) return "an empty path";
    if (this.parts.length > MAX_DEPTH) return "a path of more than " + MAX_DEPTH.toString() + " parts";
    return this.lengths.includes(0) ? "the path has an empty part" : null;
  }

  @inline
  get length(): i32 {
    return this.starts.length;
  }

  @inline
  is(depth: i32, index: i32): bool {
    return unchecked(this.indexes[depth]) == index;
  }

  /** Whether the key between start and end, as it stands in the text, is the part's. */
  @inline
  has(depth: i32, start: usize, end: usize): bool {
    const n = unchecked(this.lengths[depth]);
    const key = unchecked(this.starts[depth]);
    const length = <i32>(end - start);
    if (length < n) return false;
    if (length == n && same(start, key, n)) return !escaped(start, end);
    return escaped(start, end) && sameEscaped(start, length, key, n);
  }
}

function index(part: Bytes): i32 {
  let n = 0;
  for (let i = 0; i < part.length; i++) {
    const c = part.at(i);
    if (!isDigit(c) || n > 1 << 24 || (i > 0 && n == 0)) return -1;
    n = n * 10 + (c - 0x30);
  }
  return part.length == 0 ? -1 : n;
}

const scratch = new Buffer();

function sameEscaped(start: usize, length: i32, key: usize, n: i32): bool {
  scratch.clear();
  unescape(scratch, start, length);
  return scratch.length == n && same(scratch.address, key, n);
}

let foundStart: usize = 0;
let foundEnd: usize = 0;

/**
 * Finds the value at the path, as it stands in the text, and makes `into` look at
 * it. False, and null, if there is none or if the text, anywhere, is no JSON
 * (RFC 8259; bytes above 127 are not checked). Of a key that an object holds twice the last counts.
 */
export function field(text: Bytes, path: Path, into: Bytes): bool {
  into.set(0, -1);
  if (text.length <= 0) return false;
  const end = text.start + text.length;
  foundStart = 0;
  const stop = value(skipBlank(text.start, end), end, path, 0);
  if (stop == 0 || skipBlank(stop, end) != end || foundStart == 0) return false;
  into.set(foundStart, <i32>(foundEnd - foundStart));
  return true;
}

/** Whether a value is a string. */
export function isString(value: Bytes): bool {
  return value.length > 0 && load<u8>(value.start) == 0x22;
}

/** Whether a value, or a text from elsewhere, is a JSON number. */
export function isNumber(value: Bytes): bool {
  return value.length > 0 && skipNumber(value.start, value.start + value.length) == value.start + value.length;
}

/** What a value says, appended: a string's content without its quotes and escapes, anything else as it stands. */
export function appendText(into: Buffer, value: Bytes): void {
  if (isString(value)) unescape(into, value.start + 1, value.length - 2);
  else into.append(value);
}

/** Whether a value says `want`: see appendText. */
export function equals(value: Bytes, want: Bytes): bool {
  if (value.isNull || !isString(value)) return value.equals(want);
  const start = value.start + 1;
  const length = value.length - 2;
  if (escaped(start, start + length)) return sameEscaped(start, length, want.start, want.length);
  return length == want.length && same(start, want.start, length);
}

/** Appends text as a JSON string with its quotes, escaping only what has to be. */
export function appendString(into: Buffer, text: Bytes): void {
  into.byte(0x22);
  for (let i = 0; i < text.length; i++) {
    const c = load<u8>(text.start + i);
    if (c == 0x22 || c == 0x5c) into.byte(0x5c).byte(c);
    else if (c == 0x0a) into.text("\\n");
    else if (c == 0x0d) into.text("\\r");
    else if (c == 0x09) into.text("\\t");
    else if (c < 0x20) into.text("\\u00").byte(hex(c >> 4)).byte(hex(c & 15));
    else into.byte(c);
  }
  into.byte(0x22);
}

function hex(n: u8): u8 {
  return n < 10 ? 0x30 + n : 0x57 + n;
}

function escaped(at: usize, end: usize): bool {
  if (ASC_FEATURE_SIMD) {
    for (; at + 16 <= end; at += 16) {
      if (v128.any_true(i8x16.eq(v128.load(at), i8x16.splat(0x5c)))) return true;
    }
  }
  for (; at < end; at++) if (load<u8>(at) == 0x5c) return true;
  return false;
}

/**
 * Appends a string's content, given as it stands between its quotes. Half of a
 * surrogate pair becomes U+FFFD.
 */
export function unescape(into: Buffer, start: usize, length: i32): void {
  const end = start + length;
  for (let at = start; at < end; at++) {
    let c = load<u8>(at);
    if (c != 0x5c || at + 1 == end) {
      into.byte(c);
      continue;
    }
    c = load<u8>(++at);
    if (c != 0x75) {
      into.byte(plain(c));
      continue;
    }
    let r = hex4(at + 1, end);
    at += 4;
    if (r >= 0xd800 && r < 0xe000) {
      const low = r < 0xdc00 && at + 2 < end && load<u8>(at + 1) == 0x5c && load<u8>(at + 2) == 0x75 ? hex4(at + 3, end) : 0;
      if (low >= 0xdc00 && low < 0xe000) {
        r = 0x10000 + ((r - 0xd800) << 10) + (low - 0xdc00);
        at += 6;
      } else {
        r = 0xfffd;
      }
    }
    utf8(into, r);
  }
}

function plain(c: u8): u8 {
  switch (c) {
    case 0x62: return 8; // b
    case 0x66: return 12; // f
    case 0x6e: return 10; // n
    case 0x72: return 13; // r
    case 0x74: return 9; // t
    default: return c;
  }
}

/** Four hexadecimal digits; what is none counts as 0. */
function hex4(at: usize, end: usize): u32 {
  let n: u32 = 0;
  for (let i: usize = 0; i < 4; i++) {
    const c = at + i < end ? load<u8>(at + i) : 0;
    n = (n << 4) | (isDigit(c) ? c - 0x30 : isHex(c) ? (c | 0x20) - 0x57 : 0);
  }
  return n;
}

function utf8(into: Buffer, r: u32): void {
  if (r < 0x80) {
    into.byte(<u8>r);
  } else if (r < 0x800) {
    into.byte(<u8>(0xc0 | (r >> 6))).byte(<u8>(0x80 | (r & 63)));
  } else if (r < 0x10000) {
    into.byte(<u8>(0xe0 | (r >> 12))).byte(<u8>(0x80 | ((r >> 6) & 63))).byte(<u8>(0x80 | (r & 63)));
  } else {
    into.byte(<u8>(0xf0 | (r >> 18))).byte(<u8>(0x80 | ((r >> 12) & 63))).byte(<u8>(0x80 | ((r >> 6) & 63))).byte(<u8>(0x80 | (r & 63)));
  }
}

// What follows returns where something ends, and 0 if it is no JSON.

/** Where the value at `at` ends, which lies on the path, depth steps down. */
function value(at: usize, end: usize, path: Path, depth: i32): usize {
  if (at >= end) return 0;
  if (depth == path.length) {
    const stop = skipValue(at, end, depth);
    foundStart = at;
    foundEnd = stop;
    return stop;
  }
  const opening = load<u8>(at);
  if (opening != 0x7b && opening != 0x5b) return skipScalar(at, end);
  const object = opening == 0x7b;
  const closing = opening + 2; // [ and { come two before ] and }
  at = skipBlank(at + 1, end);
  if (at < end && load<u8>(at) == closing) return at + 1;
  for (let index = 0; at < end; index++) {
    let onPath: bool;
    if (object) {
      const stop = skipQuoted(at, end);
      if (stop == 0) return 0;
      onPath = path.has(depth, at + 1, stop - 1);
      at = skipColon(stop, end);
      if (at == 0) return 0;
    } else {
      onPath = path.is(depth, index);
    }
    if (onPath) {
      foundStart = 0; // of a key that comes twice the last counts, whatever it holds
      at = value(at, end, path, depth + 1);
    } else {
      at = skipValue(at, end, depth + 1);
    }
    if (at == 0) return 0;
    at = skipBlank(at, end);
    if (at >= end) return 0;
    const c = load<u8>(at);
    if (c == closing) return at + 1;
    if (c != 0x2c) return 0;
    at = skipBlank(at + 1, end);
  }
  return 0;
}

@inline
function isDigit(c: u8): bool {
  return <u8>(c - 0x30) <= 9;
}

@inline
function isHex(c: u8): bool {
  return isDigit(c) || <u8>((c | 0x20) - 0x61) <= 5;
}

/** Where the next token starts. */
@inline
function skipBlank(at: usize, end: usize): usize {
  while (at < end && load<u8>(at) <= 0x20 && isBlank(load<u8>(at))) at++;
  return at;
}

@inline
function isBlank(c: u8): bool {
  return c == 0x20 || c == 0x0a || c == 0x0d || c == 0x09;
}

@inline
function skipQuoted(at: usize, end: usize): usize {
  if (at >= end || load<u8>(at) != 0x22) return 0;
  return skipString(at + 1, end);
}

/** The string's first character, behind its quote, is at `at`. */
export function skipString(at: usize, end: usize): usize {
  while (at < end) {
    if (ASC_FEATURE_SIMD) {
      while (at + 16 <= end) {
        const x = v128.load(at);
        const quote = v128.or(i8x16.eq(x, i8x16.splat(0x22)), i8x16.eq(x, i8x16.splat(0x5c)));
        const special = i8x16.bitmask(v128.or(quote, i8x16.lt_u(x, i8x16.splat(0x20))));
        if (special != 0) {
          at += ctz(special);
          break;
        }
        at += 16;
      }
      if (at >= end) return 0;
    }
    const c = load<u8>(at);
    if (c == 0x22) return at + 1;
    if (c < 0x20) return 0;
    if (c == 0x5c) {
      at = skipEscape(at + 1, end);
      if (at == 0) return 0;
    } else {
      at++; // in the last bytes of the text
    }
  }
  return 0;
}

/** Steps over what follows a backslash. */
function skipEscape(at: usize, end: usize): usize {
  if (at >= end) return 0;
  switch (load<u8>(at)) {
    case 0x22: case 0x5c: case 0x2f: case 0x62: case 0x66: case 0x6e: case 0x72: case 0x74: return at + 1; // " \ / b f n r t
    case 0x75: // u
      if (at + 5 > end || !isHex(load<u8>(at, 1)) || !isHex(load<u8>(at, 2)) || !isHex(load<u8>(at, 3)) || !isHex(load<u8>(at, 4))) return 0;
      return at + 5;
    default: return 0;
  }
}

@inline
function digits(at: usize, end: usize): usize {
  while (at < end && isDigit(load<u8>(at))) at++;
  return at;
}

function skipNumber(at: usize, end: usize): usize {
  if (at < end && load<u8>(at) == 0x2d) at++;
  if (at >= end || !isDigit(load<u8>(at))) return 0;
  at = load<u8>(at) == 0x30 ? at + 1 : digits(at, end);
  if (at < end && load<u8>(at) == 0x2e) {
    const stop = digits(at + 1, end);
    if (stop == at + 1) return 0;
    at = stop;
  }
  if (at < end && (load<u8>(at) | 0x20) == 0x65) {
    at++;
    if (at < end && (load<u8>(at) == 0x2b || load<u8>(at) == 0x2d)) at++;
    const stop = digits(at, end);
    if (stop == at) return 0;
    at = stop;
  }
  return at;
}

/** A string, number or word. */
function skipScalar(at: usize, end: usize): usize {
  const c = load<u8>(at);
  if (c == 0x22) return skipString(at + 1, end);
  if (c == 0x2d || isDigit(c)) return skipNumber(at, end);
  if (at + 4 > end) return 0;
  const word = load<u32>(at);
  if (word == 0x65757274 || word == 0x6c6c756e) return at + 4; // true, null
  return word == 0x736c6166 && at + 5 <= end && load<u8>(at, 4) == 0x65 ? at + 5 : 0; // false
}

@inline
function skipValue(at: usize, end: usize, depth: i32): usize {
  if (at >= end) return 0;
  const c = load<u8>(at);
  return c == 0x7b || c == 0x5b ? skipContainer(at, end, depth) : skipScalar(at, end);
}

/** A bit for each array and object that is open: set for an object. */
const objects = memory.data((1000 / 64 + 1) * 8);

/** The value lies in `depth` arrays and objects. */
function skipContainer(at: usize, end: usize, depth: i32): usize {
  let open = 0;
  while (at < end) {
    const c = load<u8>(at);
    if (c == 0x7b || c == 0x5b) {
      if (depth + ++open > MAX_DEPTH) return 0;
      const slot = objects + ((open >> 6) << 3);
      const bit = (<u64>1) << (open & 63);
      store<u64>(slot, c == 0x7b ? load<u64>(slot) | bit : load<u64>(slot) & ~bit);
      at = skipBlank(at + 1, end);
      if (at >= end || load<u8>(at) != c + 2) {
        if (c == 0x7b) {
          at = skipKey(at, end);
          if (at == 0) return 0;
        }
        continue;
      }
    } else {
      at = skipScalar(at, end);
      if (at == 0) return 0;
    }
    for (;;) {
      at = skipBlank(at, end);
      if (at >= end) return 0;
      const object = ((load<u64>(objects + ((open >> 6) << 3)) >> (open & 63)) & 1) != 0;
      const c = load<u8>(at);
      if (c == 0x2c) {
        at = skipBlank(at + 1, end);
        if (object) {
          at = skipKey(at, end);
          if (at == 0) return 0;
        }
        break;
      }
      if (c != (object ? 0x7d : 0x5d)) return 0;
      at++;
      if (--open == 0) return at;
    }
  }
  return 0;
}

/** Steps over a key and its colon to where the value starts. */
@inline
function skipKey(at: usize, end: usize): usize {
  const stop = skipQuoted(at, end);
  return stop == 0 ? 0 : skipColon(stop, end);
}

/** Steps over the colon after a key to where the value starts. */
@inline
function skipColon(at: usize, end: usize): usize {
  at = skipBlank(at, end);
  return at < end && load<u8>(at) == 0x3a ? skipBlank(at + 1, end) : 0;
}
