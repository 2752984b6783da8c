import { allocate, configure } from "./guest";
import { Transform } from "./module";
import { Output } from "./output";
import { Record } from "./record";
import { registeredTransform } from "./register";

const output = new Output();
const record = new Record();

export function millrun_abi_v1(): void {}

export function millrun_alloc(n: i32): usize {
  return allocate(<usize>(<u32>n));
}

export function millrun_configure(p: usize, length: i32): i32 {
  return configure(registeredTransform(), p, length);
}

export function millrun_wants(): u32 {
  return registeredTransform().wants();
}

export function millrun_transform(p: usize, length: i32, n: i32): i64 {
  const module: Transform = registeredTransform();
  output.reset();
  for (let i = 0; i < n; i++) {
    p = record.read(p);
    output.from(record, i);
    module.map(record, output);
    output.finish();
  }
  const rows = output.bytes;
  return (<i64>rows.start << 32) | <i64>rows.length;
}
