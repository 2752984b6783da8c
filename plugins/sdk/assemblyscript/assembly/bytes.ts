import { equals, search } from "./find";

/**
 * A view of bytes: of a record, of a text, of what a Buffer holds. What a record
 * hands out belongs to the batch, and the views themselves are used again for the next record.
 */
export class Bytes {
  /** Where the bytes lie. */
  start: usize = 0;
  /** How many; -1 is null. */
  length: i32 = -1;
  /** What keeps them alive; null if somebody else does. */
  private owner: ArrayBuffer | null = null;

  /** The bytes of a text in UTF-8. */
  static of(text: string): Bytes {
    const bytes = new Bytes();
    const owner = String.UTF8.encode(text);
    bytes.owner = owner;
    return bytes.set(changetype<usize>(owner), owner.byteLength);
  }

  /** Looks at other bytes; a length of -1 is null. */
  @inline
  set(start: usize, length: i32): this {
    this.start = start;
    this.length = length;
    return this;
  }

  /** Looks at what another view looks at. */
  view(other: Bytes): this {
    this.owner = other.owner;
    return this.set(other.start, other.length);
  }

  @inline
  get isNull(): bool {
    return this.length < 0;
  }

  /** The byte at a place, which must be one. */
  at(index: i32): u8 {
    if (<u32>index >= <u32>max(this.length, 0)) throw new RangeError("no byte " + index.toString() + " of " + this.length.toString());
    return load<u8>(this.start + index);
  }

  /** Whether both are the same bytes; null equals null alone. */
  equals(other: Bytes): bool {
    return this.length == other.length && (this.length <= 0 || equals(this.start, other.start, this.length));
  }

  /** The place of a byte, or -1. */
  indexOf(byte: u8, from: i32 = 0): i32 {
    for (let i = from; i < this.length; i++) if (load<u8>(this.start + i) == byte) return i;
    return -1;
  }

  /** The last place of a byte, or -1. */
  lastIndexOf(byte: u8): i32 {
    for (let i = this.length - 1; i >= 0; i--) if (load<u8>(this.start + i) == byte) return i;
    return -1;
  }

  /** As text; what is not UTF-8 becomes U+FFFD. Null is empty. */
  toString(): string {
    return String.UTF8.decodeUnsafe(this.start, max(this.length, 0));
  }
}

/** Bytes to look for, prepared once. An empty needle is found everywhere, but not in null. */
export class Needle {
  /** What is looked for. */
  readonly bytes: Bytes;
  private ahead: i32 = 0;
  private behind: i32 = 0;

  constructor(text: string) {
    this.bytes = Bytes.of(text);
    this.probe();
  }

  /** Whether it occurs. */
  @inline
  isIn(haystack: Bytes): bool {
    return this.find(haystack) >= 0;
  }

  /** Where it first occurs at `from` or behind it, or -1. */
  find(haystack: Bytes, from: i32 = 0): i32 {
    const needle = this.bytes;
    return search(haystack.start, haystack.length, from, needle.start, needle.length, this.ahead, this.behind);
  }

  /** Picks the two places, in order, whose bytes are the rarest in text: whole blocks are compared with these. */
  private probe(): void {
    const needle = this.bytes.start;
    const n = min(this.bytes.length, 256);
    this.behind = max(n - 1, 0);
    if (n < 3) return;
    let first = 0;
    for (let i = 1; i < n; i++) if (commonness(load<u8>(needle + i)) < commonness(load<u8>(needle + first))) first = i;
    let second = first == 0 ? 1 : 0;
    // The same byte twice tells less than two bytes.
    for (let i = 0; i < n; i++) if (i != first && score(needle, i, first) < score(needle, second, first)) second = i;
    this.ahead = min(first, second);
    this.behind = max(first, second);
  }
}

function score(needle: usize, at: i32, first: i32): i32 {
  return commonness(load<u8>(needle + at)) + (load<u8>(needle + at) == load<u8>(needle + first) ? 16 : 0);
}

/** How often a byte is met in JSON and other text, roughly. */
function commonness(b: u8): i32 {
  switch (b) {
    case 0x22: case 0x20: case 0x65: case 0: return 7; // " blank e
    case 0x3a: case 0x2c: case 0x61: case 0x74: case 0x6f: case 0x69: case 0x6e: case 0x73: case 0x72: return 6; // : , a t o i n s r
    case 0x30: case 0x31: return 5;
  }
  if (b >= 0x61 && b <= 0x7a) return 4;
  if (b >= 0x32 && b <= 0x39) return 3;
  if (b >= 0x41 && b <= 0x5a) return 1;
  return b < 0x80 && b > 0x20 ? 2 : 0;
}

/** Bytes that grow: for values that a module makes. clear() keeps the memory. */
export class Buffer {
  private start: usize = 0;
  private room: i32 = 0;
  /** How many there are. */
  length: i32 = 0;
  private whole: Bytes = new Bytes();

  /** Drops all bytes. */
  clear(): this {
    this.length = 0;
    return this;
  }

  /** Makes room for n bytes at the end, whatever they hold, and returns where they lie. */
  extend(n: i32): usize {
    const length = this.length + n;
    if (n < 0 || length < 0) throw new RangeError("a buffer beyond 2 GiB");
    if (length > this.room) {
      this.room = max(max(length, this.room + this.room / 2), 4096);
      this.start = this.start == 0 ? heap.alloc(this.room) : heap.realloc(this.start, this.room);
    }
    const at = this.start + this.length;
    this.length = length;
    return at;
  }

  /** Appends bytes; null is none. */
  append(bytes: Bytes): this {
    return this.copy(bytes.start, bytes.length);
  }

  /** Appends n bytes from an address. */
  copy(from: usize, n: i32): this {
    if (n > 0) memory.copy(this.extend(n), from, n);
    return this;
  }

  /** Appends one byte. */
  byte(b: u8): this {
    store<u8>(this.extend(1), b);
    return this;
  }

  /** Appends a text in UTF-8. */
  text(text: string): this {
    const n = String.UTF8.byteLength(text);
    String.UTF8.encodeUnsafe(changetype<usize>(text), text.length, this.extend(n));
    return this;
  }

  /** Appends a number in decimal. */
  number(n: i64): this {
    return this.text(n.toString());
  }

  /** Where the bytes lie, until the next that is appended. */
  get address(): usize {
    return this.start;
  }

  /** All of it, until the next that is appended. */
  get bytes(): Bytes {
    if (this.start == 0) this.extend(0);
    return this.whole.set(this.start, this.length);
  }
}
