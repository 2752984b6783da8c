// Keeps the records whose value holds a text, as the filter beside it does, but
// searches the stored batch as a whole and looks only at the records that it hits.
//
// --config text=WORD

import { Bitmap, Config, Needle, RawFilter, RawRecords, registerRawFilter } from "../../../../../plugins/sdk/assemblyscript/assembly";
export * from "../../../../../plugins/sdk/assemblyscript/assembly/raw_filter";

class Scan extends RawFilter {
  private text: Needle = new Needle("");

  configure(config: Config): string | null {
    const unknown = config.only(["text"]);
    if (unknown !== null) return unknown;
    const text = config.get("text");
    if (text === null || text.length == 0) return "which text? say --config text=...";
    this.text = new Needle(text);
    return null;
  }

  keep(records: RawRecords, kept: Bitmap): void {
    while (records.search(this.text)) {
      if (this.text.isIn(records.value)) kept.keep(records.index);
    }
  }
}

registerRawFilter(new Scan());
