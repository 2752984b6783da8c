import { allocate, configure } from "./guest";
import { Filter } from "./module";
import { Bitmap } from "./raw";
import { Record } from "./record";
import { registeredFilter } from "./register";

const bitmap = new Bitmap();
const record = new Record();

export function millrun_abi_v1(): void {}

export function millrun_alloc(n: i32): usize {
  return allocate(<usize>(<u32>n));
}

export function millrun_configure(p: usize, length: i32): i32 {
  return configure(registeredFilter(), p, length);
}

export function millrun_wants(): u32 {
  return registeredFilter().wants();
}

export function millrun_filter(p: usize, length: i32, n: i32): usize {
  const module: Filter = registeredFilter();
  bitmap.clear(n);
  for (let i = 0; i < n; i++) {
    p = record.read(p);
    if (module.keep(record)) bitmap.keep(i);
  }
  return bitmap.address;
}
