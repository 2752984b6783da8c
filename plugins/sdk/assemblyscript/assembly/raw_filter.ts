import { allocate, configure } from "./guest";
import { Bitmap, RawRecords } from "./raw";
import { registeredRawFilter } from "./register";

const bitmap = new Bitmap();
const records = new RawRecords();

export function millrun_abi_v1(): void {}

export function millrun_alloc(n: i32): usize {
  return allocate(<usize>(<u32>n));
}

export function millrun_configure(p: usize, length: i32): i32 {
  return configure(registeredRawFilter(), p, length);
}

export function millrun_wants(): u32 {
  return 1; // the batch as it is stored
}

export function millrun_filter(p: usize, length: i32, n: i32): usize {
  bitmap.clear(n);
  registeredRawFilter().keep(records.begin(p, length, n), bitmap);
  return bitmap.address;
}
