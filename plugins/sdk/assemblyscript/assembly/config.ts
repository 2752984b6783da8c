import { Buffer, Bytes } from "./bytes";
import * as json from "./json";

/** What the deployment was given with --config. */
export class Config {
  private all: Map<string, string> = new Map<string, string>();

  /** The value of a key, or null. */
  get(key: string): string | null {
    return this.all.has(key) ? this.all.get(key) : null;
  }

  /** All keys. */
  keys(): string[] {
    return this.all.keys();
  }

  /** A reason to refuse if there are keys that are not among those named, else null. */
  only(known: string[]): string | null {
    const unknown: string[] = [];
    const keys = this.all.keys();
    for (let i = 0; i < keys.length; i++) if (!known.includes(keys[i])) unknown.push('"' + keys[i] + '"');
    return unknown.length == 0 ? null : "unknown key " + unknown.join(", ") + " (known: " + known.join(", ") + ")";
  }

  /** Reads one JSON object of strings; null if it is none. */
  static parse(text: Bytes): Config | null {
    const config = new Config();
    const reader = new Reader(text.start, text.start + text.length);
    if (!reader.take(0x7b)) return null;
    for (let n = 0; !reader.take(0x7d); n++) {
      if (n > 0 && !reader.take(0x2c)) return null;
      if (!reader.string()) return null;
      const key = reader.text;
      if (!reader.take(0x3a) || !reader.string()) return null;
      config.all.set(key, reader.text);
    }
    reader.blank();
    return reader.at == reader.end ? config : null;
  }
}

class Reader {
  text: string = "";
  private content: Buffer = new Buffer();

  constructor(public at: usize, public end: usize) {}

  blank(): void {
    while (this.at < this.end) {
      const c = load<u8>(this.at);
      if (c != 0x20 && c != 0x09 && c != 0x0a && c != 0x0d) return;
      this.at++;
    }
  }

  take(c: u8): bool {
    this.blank();
    if (this.at >= this.end || load<u8>(this.at) != c) return false;
    this.at++;
    return true;
  }

  /** Reads a string into text. */
  string(): bool {
    if (!this.take(0x22)) return false;
    const stop = json.skipString(this.at, this.end);
    if (stop == 0) return false;
    json.unescape(this.content.clear(), this.at, <i32>(stop - 1 - this.at));
    this.text = this.content.bytes.toString();
    this.at = stop;
    return true;
  }
}
