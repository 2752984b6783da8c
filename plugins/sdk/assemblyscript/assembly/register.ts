import { Filter, RawFilter, Transform } from "./module";

let theFilter: Filter | null = null;
let theRawFilter: RawFilter | null = null;
let theTransform: Transform | null = null;

/** Makes it the module whose functions "filter" exports. Once, at the top level. */
export function registerFilter(module: Filter): void {
  theFilter = module;
}

/** Makes it the module whose functions "raw_filter" exports. Once, at the top level. */
export function registerRawFilter(module: RawFilter): void {
  theRawFilter = module;
}

/** Makes it the module whose functions "transform" exports. Once, at the top level. */
export function registerTransform(module: Transform): void {
  theTransform = module;
}

export function registeredFilter(): Filter {
  const module = theFilter;
  if (module === null) throw new Error("call registerFilter(new ...) at the top level");
  return module;
}

export function registeredRawFilter(): RawFilter {
  const module = theRawFilter;
  if (module === null) throw new Error("call registerRawFilter(new ...) at the top level");
  return module;
}

export function registeredTransform(): Transform {
  const module = theTransform;
  if (module === null) throw new Error("call registerTransform(new ...) at the top level");
  return module;
}
