// @ts-ignore: decorator
@external("millrun", "log")
declare function hostLog(level: i32, p: usize, n: usize): void;

// @ts-ignore: decorator
@external("millrun", "context")
declare function hostContext(p: usize, room: usize): usize;

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "environ_sizes_get")
declare function environSizesGet(count: usize, size: usize): i32;

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "environ_get")
declare function environGet(pointers: usize, buffer: usize): i32;

/** How much a log line matters. */
export enum Level {
  Debug,
  Info,
  Warn,
  Error,
}

/** Writes a line to the deployment's log (millrun wasm logs NAME). */
export function log(level: Level, message: string): void {
  const text = String.UTF8.encode(message);
  hostLog(level, changetype<usize>(text), text.byteLength);
}

/** Where the records of the current call come from. */
export class Call {
  topic: string = "";
  partition: i32 = 0;
  /** What the records' offsets are deltas of. */
  baseOffset: i64 = 0;
  /** What a raw record's time is a delta of, in milliseconds. */
  baseTimestamp: i64 = 0;

  /** Asks the host for the current call: all empty while a module is being configured. */
  static current(): Call {
    const call = new Call();
    const size = hostContext(0, 0);
    if (size < 26) return call;
    const buffer = new ArrayBuffer(<i32>size);
    const p = changetype<usize>(buffer);
    hostContext(p, size);
    call.partition = load<i32>(p, 4);
    call.baseOffset = load<i64>(p, 8);
    call.baseTimestamp = load<i64>(p, 16);
    call.topic = String.UTF8.decodeUnsafe(p + 26, min(<i32>load<u16>(p, 24), <i32>size - 26));
    return call;
  }
}

/** The topics that the deployment writes to, in the order in which a transform numbers them. */
export function outputs(): string[] {
  const sizes = new StaticArray<usize>(2);
  const p = changetype<usize>(sizes);
  environSizesGet(p, p + sizeof<usize>());
  const pointers = new StaticArray<usize>(<i32>sizes[0]);
  const buffer = new ArrayBuffer(<i32>sizes[1]);
  environGet(changetype<usize>(pointers), changetype<usize>(buffer));
  const topics: string[] = [];
  for (let i = 0; i < pointers.length; i++) {
    const variable = String.UTF8.decodeUnsafe(pointers[i], changetype<usize>(buffer) + buffer.byteLength - pointers[i], true);
    const name = "MILLRUN_OUTPUT_TOPIC_" + topics.length.toString() + "=";
    if (variable.startsWith(name)) topics.push(variable.substring(name.length));
  }
  return topics;
}
