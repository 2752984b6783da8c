import { Bytes } from "./bytes";

/** Which columns of its records a module is given: a sum. Ask for few: what is not asked for is not copied. */
export namespace Wants {
  /** Rows with nothing but their offset delta. */
  export const NOTHING: u32 = 0;
  export const KEY: u32 = 2;
  export const VALUE: u32 = 4;
  export const HEADERS: u32 = 8;
  export const TIMESTAMP: u32 = 16;
  export const ALL: u32 = 30;
}

const HEAD: i32 = 24;

/** One record, as far as it was asked for. It is used again for the next. */
export class Record {
  /** Milliseconds since 1970; -1 if there is none or it was not asked for. */
  timestamp: i64 = -1;
  /** The record's offset is Call.current().baseOffset plus this. */
  offsetDelta: u32 = 0;
  /** Null if it is null or was not asked for. */
  readonly key: Bytes = new Bytes();
  /** Null if it is null or was not asked for. */
  readonly value: Bytes = new Bytes();
  /** The headers as they stand in a row: null if they were not asked for. */
  readonly rawHeaders: Bytes = new Bytes();

  private next: usize = 0; // header
  /** The key of the header that nextHeader stepped to. */
  readonly headerKey: Bytes = new Bytes();
  /** Its value. */
  readonly headerValue: Bytes = new Bytes();

  /** Reads the row at an address and returns where the next one is. */
  read(row: usize): usize {
    this.timestamp = load<i64>(row);
    this.offsetDelta = load<u32>(row, 20);
    const keyLen = load<i32>(row, 8);
    const valueLen = load<i32>(row, 12);
    const headersLen = load<i32>(row, 16);
    let at = row + HEAD;
    this.key.set(at, max(keyLen, -1));
    at += max(keyLen, 0);
    this.value.set(at, max(valueLen, -1));
    at += max(valueLen, 0);
    this.rawHeaders.set(at, max(headersLen, -1));
    this.next = at + 4;
    return at + max(headersLen, 0);
  }

  /** How many headers there are. */
  get numHeaders(): i32 {
    return this.rawHeaders.length < 4 ? 0 : load<i32>(this.rawHeaders.start);
  }

  /** Starts with the first header again. */
  rewind(): void {
    this.next = this.rawHeaders.start + 4;
  }

  /** Steps to the next header, which headerKey and headerValue then show; false is the end. */
  nextHeader(): bool {
    const end = this.rawHeaders.start + this.rawHeaders.length;
    if (this.rawHeaders.length < 4 || this.next >= end) return false;
    const keyLen = load<i32>(this.next);
    this.headerKey.set(this.next + 4, keyLen);
    const at = this.next + 4 + keyLen;
    const valueLen = load<i32>(at);
    this.headerValue.set(at + 4, max(valueLen, -1));
    this.next = at + 4 + max(valueLen, 0);
    return true;
  }

  /** Finds the last header with that key; headerKey and headerValue then show it. */
  header(key: Bytes): bool {
    let start: usize = 0;
    let length = 0;
    this.rewind();
    while (this.nextHeader()) {
      if (this.headerKey.equals(key)) {
        start = this.headerValue.start;
        length = this.headerValue.length;
      }
    }
    this.headerKey.view(key);
    this.headerValue.set(start, start == 0 ? -1 : length);
    return start != 0;
  }
}
