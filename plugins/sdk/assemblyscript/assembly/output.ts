import { Buffer, Bytes } from "./bytes";
import { Record } from "./record";

const HEAD: i32 = 32;
const COPIED: i32 = -2;

/** Takes the rows that are made of one record. */
export class Output {
  private rows: Buffer = new Buffer();
  private row: Row = new Row();
  private open: bool = false; // row has not been written yet
  private source: u32 = 0;

  /**
   * Begins a row for one of the deployment's outputs, counted from 0. What is not set
   * on it is the record's. The row is valid until the next call of to.
   */
  to(output: u16): Row {
    this.finish();
    this.open = true;
    return this.row.begin(output);
  }

  /** Drops all rows: a new call begins. */
  reset(): void {
    this.rows.clear();
    this.open = false;
  }

  /** The record that rows are made of from now on. */
  from(record: Record, source: u32): void {
    this.row.record = record;
    this.source = source;
  }

  /** Writes the row that was begun last. */
  finish(): void {
    if (!this.open) return;
    this.open = false;
    this.row.write(this.rows, this.source);
  }

  /** All rows of the call. */
  get bytes(): Bytes {
    return this.rows.bytes;
  }
}

/**
 * One record on its way out. Its setters look at the bytes that they are given when
 * the row is written, at the next to() or when map returns.
 */
export class Row {
  record: Record = new Record();
  private output: u16 = 0;
  private time: i64 = -1;
  private part: i32 = -1;
  private heldKey: Bytes | null = null; // what keyStart points into is kept alive
  private heldValue: Bytes | null = null;
  private keyStart: usize = 0;
  private keyLen: i32 = COPIED;
  private valueStart: usize = 0;
  private valueLen: i32 = COPIED;
  private ownHeaders: bool = false;
  private count: u32 = 0;
  private headers: Buffer = new Buffer(); // count, then headers

  begin(output: u16): this {
    this.output = output;
    this.time = -1;
    this.part = -1;
    this.keyLen = COPIED;
    this.valueLen = COPIED;
    this.ownHeaders = false;
    return this;
  }

  /** Sets the key. */
  key(key: Bytes | null): this {
    this.heldKey = key;
    this.keyStart = key === null ? 0 : key.start;
    this.keyLen = key === null ? -1 : key.length;
    return this;
  }

  /** Sets the value. */
  value(value: Bytes | null): this {
    this.heldValue = value;
    this.valueStart = value === null ? 0 : value.start;
    this.valueLen = value === null ? -1 : value.length;
    return this;
  }

  /** Sets the time in milliseconds. */
  timestamp(ms: i64): this {
    this.time = ms;
    return this;
  }

  /** Picks the partition, counted from 0; it must exist. */
  partition(partition: i32): this {
    this.part = partition;
    return this;
  }

  /** Drops the record's headers. */
  noHeaders(): this {
    this.headers.clear();
    this.count = 0;
    this.ownHeaders = true;
    return this;
  }

  /**
   * Adds a header to those of the record, which the module must have asked for
   * (Wants.HEADERS), or to none after noHeaders.
   */
  header(key: string, value: Bytes | null): this {
    if (!this.ownHeaders) {
      if (this.record.rawHeaders.isNull) throw new Error("header() needs Wants.HEADERS among what the module wants, or noHeaders() before it");
      this.noHeaders();
      this.headers.append(this.record.rawHeaders);
      this.count = this.record.numHeaders;
    }
    const headers = this.headers;
    if (headers.length == 0) headers.extend(4);
    store<i32>(headers.extend(4), String.UTF8.byteLength(key));
    headers.text(key);
    store<i32>(headers.extend(4), value === null ? -1 : value.length);
    if (value !== null) headers.append(value);
    this.count++;
    return this;
  }

  write(rows: Buffer, source: u32): void {
    const headersLen = !this.ownHeaders ? COPIED : this.count == 0 ? 0 : this.headers.length;
    const head = rows.extend(HEAD);
    store<i64>(head, this.time);
    store<i32>(head, this.keyLen, 8);
    store<i32>(head, this.valueLen, 12);
    store<i32>(head, headersLen, 16);
    store<u32>(head, source, 20);
    store<u16>(head, this.output, 24);
    store<u16>(head, this.part >= 0 ? 1 : 0, 26);
    store<i32>(head, max(this.part, 0), 28);
    rows.copy(this.keyStart, this.keyLen).copy(this.valueStart, this.valueLen);
    if (headersLen > 0) {
      store<u32>(this.headers.address, this.count);
      rows.copy(this.headers.address, headersLen);
    }
  }
}
