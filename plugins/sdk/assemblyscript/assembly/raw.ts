import { Bytes, Needle } from "./bytes";

/**
 * The records of a call as they stand in the stored batch. next() and search() step
 * from one to another; what they step to is shown by the fields.
 */
export class RawRecords {
  /** All of it. */
  readonly bytes: Bytes = new Bytes();
  /** How many records there are. */
  length: i32 = 0;

  /** Which record this is, from 0; -1 before the first. */
  index: i32 = -1;
  /** Its time is Call.current().baseTimestamp plus this. */
  timestampDelta: i64 = 0;
  /** Its offset is Call.current().baseOffset plus this. */
  offsetDelta: i64 = 0;
  readonly key: Bytes = new Bytes();
  readonly value: Bytes = new Bytes();

  private at: i32 = 0; // where the next record starts
  private cursor: usize = 0;

  /** Reads what millrun_filter was given. */
  begin(start: usize, size: i32, n: i32): this {
    this.bytes.set(start, size);
    this.length = n;
    this.index = -1;
    this.at = 0;
    return this;
  }

  /** Steps to the next record; false is the end. */
  next(): bool {
    if (this.index + 1 >= this.length) return false;
    const start = this.frame();
    this.body(start);
    return true;
  }

  /**
   * Steps to the next record that has the needle anywhere in its bytes: all of them
   * are searched at once, and only then it is looked for the record that was hit.
   * Whoever asks for a value looks there again.
   */
  search(needle: Needle): bool {
    const place = needle.find(this.bytes, this.at);
    if (place < 0) return false;
    while (this.index + 1 < this.length) {
      const start = this.frame();
      if (place < this.at) {
        this.body(start);
        return true;
      }
    }
    return false;
  }

  /** Steps over the record at `at`, and returns where it begins behind its length. */
  private frame(): usize {
    const end = this.bytes.start + this.bytes.length;
    this.cursor = this.bytes.start + this.at;
    const size = this.varint(end);
    if (size < 0 || size > <i64>(end - this.cursor)) malformed();
    this.at = <i32>(this.cursor - this.bytes.start + <usize>size);
    this.index++;
    return this.cursor;
  }

  private body(start: usize): void {
    const end = this.bytes.start + this.at;
    this.cursor = start + 1; // behind the attributes
    this.timestampDelta = this.varint(end);
    this.offsetDelta = this.varint(end);
    this.field(end, this.key);
    this.field(end, this.value);
  }

  private field(end: usize, into: Bytes): void {
    const size = this.varint(end);
    if (size > <i64>(end - this.cursor)) malformed();
    into.set(this.cursor, size < 0 ? -1 : <i32>size);
    if (size > 0) this.cursor += <usize>size;
  }

  private varint(end: usize): i64 {
    let n: u64 = 0;
    for (let shift: u64 = 0; shift < 70 && this.cursor < end; shift += 7) {
      const b = load<u8>(this.cursor++);
      n |= (<u64>(b & 0x7f)) << shift;
      if (b < 0x80) return <i64>(n >> 1) ^ -(<i64>(n & 1));
    }
    malformed();
    return 0;
  }
}

function malformed(): void {
  throw new Error("a malformed record");
}

/** The answer of a raw filter: which records go on. All are off at first. */
export class Bitmap {
  private start: usize = 0;
  private length: i32 = 0;
  private room: i32 = 0;

  /** Switches n bits off. */
  clear(n: i32): void {
    const size = max((n + 7) / 8, 1);
    if (size > this.room) {
      if (this.start != 0) heap.free(this.start);
      this.start = heap.alloc(size);
      this.room = size;
    }
    this.length = size;
    memory.fill(this.start, 0, size);
  }

  /** Lets a record go on. */
  @inline
  keep(index: i32): void {
    if (<u32>(index >> 3) >= <u32>this.length) throw new RangeError("no record " + index.toString());
    const at = this.start + (index >> 3);
    store<u8>(at, load<u8>(at) | ((<u8>1) << (<u8>index & 7)));
  }

  /** Keeps what was dropped and drops what was kept. */
  invert(): void {
    for (let i = 0; i < this.length; i++) store<u8>(this.start + i, ~load<u8>(this.start + i));
  }

  get address(): usize {
    return this.start;
  }
}
