// Takes orders as JSON and makes of them what may be shown around: the id, the total
// in cents, and the mail address without the name in it. Large orders go to the
// second output, keyed by their id and all to partition 0; the others to the first.
// What is no order and what was cancelled is dropped; a tombstone goes to both outputs, so
// that whatever its key had is deleted in both.
//
// --config limit=10000: from how many cents on an order is large

import { Buffer, Bytes, Call, Config, json, Output, Record, registerTransform, Transform, Wants } from "../../../../../plugins/sdk/assemblyscript/assembly";
export * from "../../../../../plugins/sdk/assemblyscript/assembly/transform";

class Orders extends Transform {
  private idPath: json.Path = new json.Path("id");
  private statusPath: json.Path = new json.Path("status");
  private totalPath: json.Path = new json.Path("total");
  private emailPath: json.Path = new json.Path("customer.email");
  private countryPath: json.Path = new json.Path("customer.country");
  private atPath: json.Path = new json.Path("at");
  private cancelled: Bytes = Bytes.of("cancelled");
  private limit: i64 = 0;

  // Used again for each record.
  private id: Bytes = new Bytes();
  private field: Bytes = new Bytes();
  private value: Buffer = new Buffer();
  private key: Buffer = new Buffer();
  private text: Buffer = new Buffer();

  wants(): u32 {
    return Wants.VALUE | Wants.HEADERS;
  }

  configure(config: Config): string | null {
    const unknown = config.only(["limit"]);
    if (unknown !== null) return unknown;
    const given = config.get("limit");
    const limit = Bytes.of(given === null ? "10000" : given);
    this.limit = whole(limit.start, limit.length);
    return this.limit < 0 ? "limit is no number of cents" : null;
  }

  map(r: Record, out: Output): void {
    const order = r.value;
    if (order.isNull) {
      out.to(0);
      out.to(1);
      return;
    }
    const field = this.field;
    if (!json.field(order, this.idPath, this.id) || !json.field(order, this.totalPath, field)) return; // no order
    const amount = cents(field);
    if (amount < 0) return;
    if (json.field(order, this.statusPath, field) && json.equals(field, this.cancelled)) return;

    const value = this.value.clear();
    value.text('{"id":').append(this.id).text(',"cents":').number(amount);
    if (json.field(order, this.emailPath, field) && json.isString(field)) {
      value.text(',"email":"***');
      const at = field.lastIndexOf(0x40); // @
      const from = at < 0 ? field.length - 1 : at;
      value.copy(field.start + from, field.length - from); // with its quote
    }
    value.byte(0x7d); // }

    const call = Call.current();
    const place = this.text.clear().text(call.topic).text("/").number(call.partition).text("/").number(call.baseOffset + r.offsetDelta);
    const large = amount >= this.limit;
    const row = out.to(large ? 1 : 0).value(value.bytes).header("from", place.bytes);
    if (json.field(order, this.countryPath, field) && json.isString(field)) {
      json.appendText(this.text.clear(), field);
      row.header("region", this.text.bytes);
    }
    if (json.field(order, this.atPath, field)) {
      const time = whole(field.start, field.length);
      if (time >= 0) row.timestamp(time);
    }
    if (large) {
      json.appendText(this.key.clear(), this.id);
      row.partition(0).key(this.key.bytes);
    }
  }
}

/** A number of at most fifteen digits and nothing else, or -1. */
function whole(start: usize, length: i32): i64 {
  if (length <= 0 || length > 15) return -1;
  let n: i64 = 0;
  for (let i = 0; i < length; i++) {
    const c = load<u8>(start + i);
    if (c < 0x30 || c > 0x39) return -1;
    n = n * 10 + (c - 0x30);
  }
  return n;
}

/** An amount as 12, 12.5 or 12.50, in cents; -1 for anything else. */
function cents(amount: Bytes): i64 {
  const at = amount.indexOf(0x2e); // .
  const dot = at < 0 ? amount.length : at;
  const euros = dot > 12 ? -1 : whole(amount.start, dot);
  if (euros < 0 || at < 0) return euros < 0 ? -1 : euros * 100;
  const digits = amount.length - dot - 1;
  const part = digits > 2 ? -1 : whole(amount.start + dot + 1, digits);
  return part < 0 ? -1 : euros * 100 + (digits == 1 ? part * 10 : part);
}

registerTransform(new Orders());
