/**
 * Filters and transforms for millrun, a Kafka-compatible broker whose consumers are
 * WebAssembly modules: see README.md.
 *
 * Records come a batch at a time and in order. What a Record holds is a view of the
 * batch: it is gone when the function returns. Nothing is promised between calls: a
 * module may be stopped and started at any time, and run in several places at once.
 */
import * as json from "./json";

export { json };
export { Buffer, Bytes, Needle } from "./bytes";
export { Config } from "./config";
export { Call, Level, log, outputs } from "./host";
export { Filter, Module, RawFilter, Transform } from "./module";
export { Output, Row } from "./output";
export { Bitmap, RawRecords } from "./raw";
export { Record, Wants } from "./record";
export { registerFilter, registerRawFilter, registerTransform } from "./register";
