// Keeps the records whose value holds a text, or whose JSON has a field that says a value.
//
// --config text=WORD, or --config field=customer.country --config value=NL

import { Bytes, Config, Filter, json, Needle, Record, registerFilter, Wants } from "../../../../../plugins/sdk/assemblyscript/assembly";
export * from "../../../../../plugins/sdk/assemblyscript/assembly/filter";

class Condition extends Filter {
  private byText: bool = false;
  private text: Needle = new Needle("");
  private path: json.Path = new json.Path("");
  private want: Bytes = new Bytes();
  private field: Bytes = new Bytes();

  wants(): u32 {
    return Wants.VALUE;
  }

  configure(config: Config): string | null {
    const unknown = config.only(["text", "field", "value"]);
    if (unknown !== null) return unknown;
    const text = config.get("text");
    const field = config.get("field");
    const value = config.get("value");
    if (text !== null && field === null && value === null) {
      if (text.length == 0) return "text is empty: every record would match";
      this.byText = true;
      this.text = new Needle(text);
      return null;
    }
    if (text !== null || field === null || value === null) return "give either text, or field and value";
    this.path = new json.Path(field);
    this.want = Bytes.of(value);
    const fault = this.path.fault;
    return fault === null ? null : "field: " + fault;
  }

  keep(r: Record): bool {
    if (this.byText) return this.text.isIn(r.value);
    return json.field(r.value, this.path, this.field) && json.equals(this.field, this.want);
  }
}

registerFilter(new Condition());
