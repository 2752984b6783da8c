import { Config } from "./config";
import { Record, Wants } from "./record";
import { Output } from "./output";
import { RawRecords, Bitmap } from "./raw";

/** What all modules have. */
export abstract class Module {
  /** The columns that the module looks at: a sum of Wants. */
  wants(): u32 {
    return Wants.ALL;
  }

  /**
   * Gets what was given with --config, before the first record. A text refuses the
   * deployment and is its reason; null accepts.
   */
  configure(config: Config): string | null {
    return config.only([]);
  }
}

/** A module that says of each record whether it goes on. */
export abstract class Filter extends Module {
  /** Says whether a record goes on. An error that is thrown fails the call. */
  abstract keep(r: Record): bool;
}

/** A module that is given the records as they stand in the batch. */
export abstract class RawFilter extends Module {
  /** Marks the records that go on. An error that is thrown fails the call. */
  abstract keep(records: RawRecords, kept: Bitmap): void;
}

/** A module that makes records of records. */
export abstract class Transform extends Module {
  /**
   * Makes rows of a record: none drops it. An error that is thrown fails the call, and
   * with it everything that the call made.
   */
  abstract map(r: Record, out: Output): void;
}
