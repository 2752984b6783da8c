import { Bytes } from "./bytes";
import { Config } from "./config";
import { log, Level } from "./host";
import { Module } from "./module";

let input: usize = 0;
let room: usize = 0;

/** A buffer of n bytes for the host, in place of the one it had. */
export function allocate(n: usize): usize {
  if (n > room || input == 0) {
    if (input != 0) heap.free(input);
    room = max(n, 4096);
    input = heap.alloc(room);
  }
  return input;
}

/** millrun_configure: 0, or 1 after a log line with the reason. */
export function configure(module: Module, p: usize, length: i32): i32 {
  const config = Config.parse(new Bytes().set(p, length));
  const reason = config === null ? "the configuration is no JSON object of strings" : module.configure(config);
  if (reason === null) return 0;
  log(Level.Error, reason);
  return 1;
}
