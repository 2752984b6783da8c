//! Filters and transforms for [millrun](https://github.com/millrun/millrun), a
//! Kafka-compatible broker whose consumers are WebAssembly modules.
//!
//! A *filter* says of each record whether it goes on:
//!
//! ```
//! use millrun::{Config, Filter, Needle, Record, Wants};
//!
//! struct Errors {
//!     word: Needle,
//! }
//!
//! impl Filter for Errors {
//!     const WANTS: Wants = Wants::VALUE;
//!
//!     fn configure(config: &Config) -> Result<Self, String> {
//!         config.only(&["word"])?;
//!         let word = config.get("word").ok_or("which word? say --config word=...")?;
//!         Ok(Errors { word: Needle::new(word) })
//!     }
//!
//!     fn keep(&mut self, r: &Record) -> bool {
//!         r.value.is_some_and(|value| self.word.is_in(value))
//!     }
//! }
//!
//! millrun::filter!(Errors);
//! # fn main() {}
//! ```
//!
//! A *transform* makes any number of records of each, for any of the deployment's outputs:
//!
//! ```
//! use millrun::{Config, Output, Record, Transform, Wants};
//!
//! struct Shout;
//!
//! impl Transform for Shout {
//!     const WANTS: Wants = Wants::VALUE;
//!
//!     fn configure(config: &Config) -> Result<Self, String> {
//!         config.only(&[]).map(|()| Shout)
//!     }
//!
//!     fn map(&mut self, r: &Record, out: &mut Output) -> Result<(), String> {
//!         if let Some(value) = r.value {
//!             out.to(0).value(&value.to_ascii_uppercase()); // all else as it is
//!         }
//!         Ok(())
//!     }
//! }
//!
//! millrun::transform!(Shout);
//! # fn main() {}
//! ```
//!
//! A *raw filter* is given the batch as it is stored, and searches all of it at once:
//!
//! ```
//! use millrun::{Bitmap, Config, Needle, RawFilter, RawRecords};
//!
//! struct Scan(Needle);
//!
//! impl RawFilter for Scan {
//!     fn configure(config: &Config) -> Result<Self, String> {
//!         config.only(&["text"])?;
//!         Ok(Scan(Needle::new(config.get("text").ok_or("say --config text=...")?)))
//!     }
//!
//!     fn keep(&mut self, records: &RawRecords, kept: &mut Bitmap) -> Result<(), String> {
//!         records.search(&self.0, |index, record| {
//!             if record.value.is_some_and(|value| self.0.is_in(value)) {
//!                 kept.keep(index);
//!             }
//!         })?;
//!         Ok(())
//!     }
//! }
//!
//! millrun::raw_filter!(Scan);
//! # fn main() {}
//! ```
//!
//! Build with `millrun wasm build`, or
//! `cargo build --release --target wasm32-unknown-unknown` and
//! `-C target-feature=+simd128`, as a `cdylib`.
//!
//! Records come a batch at a time and in order. What a [`Record`] holds is a view of
//! the batch. Nothing is promised between calls: a module may be stopped and started
//! at any time, and run in several places at once. A panic fails the call; its message
//! is the reason. Everything but the door to the host works on every platform, so that
//! a module's logic is tested with `cargo test`.

#![warn(missing_docs)]

mod block;
mod config;
mod find;
#[doc(hidden)]
pub mod guest;
mod host;
pub mod json;
mod output;
mod raw;
mod record;
#[cfg(test)]
mod vectors;

pub use config::Config;
pub use find::{equals, find, Needle};
pub use host::{log, outputs, Call, Level};
pub use output::{Field, Output, Row};
pub use raw::{Bitmap, Malformed, RawRecord, RawRecords};
pub use record::{Headers, Record, Rows, Wants};

/// A module that says of each record whether it goes on. [`filter!`] exports it.
pub trait Filter: Sized {
    /// The columns that `keep` looks at.
    const WANTS: Wants = Wants::ALL;
    /// Gets what was given with `--config`, before the first record. An error refuses
    /// the deployment and is its reason: refuse keys you do not know ([`Config::only`]).
    fn configure(config: &Config) -> Result<Self, String>;
    /// Says whether a record goes on.
    fn keep(&mut self, r: &Record) -> bool;
}

/// A module that is given the records as they stand in the batch. [`raw_filter!`] exports it.
pub trait RawFilter: Sized {
    /// See [`Filter::configure`].
    fn configure(config: &Config) -> Result<Self, String>;
    /// Marks the records that go on. An error fails the call.
    fn keep(&mut self, records: &RawRecords, kept: &mut Bitmap) -> Result<(), String>;
}

/// A module that makes records of records. [`transform!`] exports it.
pub trait Transform: Sized {
    /// The columns that `map` looks at. What a row does not set is copied from the
    /// record whether it was asked for or not.
    const WANTS: Wants = Wants::ALL;
    /// See [`Filter::configure`].
    fn configure(config: &Config) -> Result<Self, String>;
    /// Makes rows of a record: none drops it. An error fails the call, and with it
    /// everything that the call made; its text goes to the log.
    fn map(&mut self, r: &Record, out: &mut Output) -> Result<(), String>;
}

/// Makes a [`Filter`] the module. Once in a crate.
#[macro_export]
macro_rules! filter {
    ($module:ty) => {
        $crate::exports!(
            $crate::guest::Filtering<$module>,
            <$module as $crate::Filter>::configure,
            <$module as $crate::Filter>::WANTS.bits()
        );

        #[cfg(target_arch = "wasm32")]
        #[unsafe(no_mangle)]
        extern "C" fn millrun_filter(p: *const u8, len: usize, n: usize) -> *const u8 {
            $crate::guest::filter(&MILLRUN_MODULE, unsafe { $crate::guest::input(p, len) }, n)
        }
    };
}

/// Makes a [`RawFilter`] the module. Once in a crate.
#[macro_export]
macro_rules! raw_filter {
    ($module:ty) => {
        $crate::exports!(
            $crate::guest::Filtering<$module>,
            <$module as $crate::RawFilter>::configure,
            $crate::Wants::RAW.bits()
        );

        #[cfg(target_arch = "wasm32")]
        #[unsafe(no_mangle)]
        extern "C" fn millrun_filter(p: *const u8, len: usize, n: usize) -> *const u8 {
            $crate::guest::raw_filter(&MILLRUN_MODULE, unsafe { $crate::guest::input(p, len) }, n)
        }
    };
}

/// Makes a [`Transform`] the module. Once in a crate.
#[macro_export]
macro_rules! transform {
    ($module:ty) => {
        $crate::exports!(
            $crate::guest::Transforming<$module>,
            <$module as $crate::Transform>::configure,
            <$module as $crate::Transform>::WANTS.bits()
        );

        #[cfg(target_arch = "wasm32")]
        #[unsafe(no_mangle)]
        extern "C" fn millrun_transform(p: *const u8, len: usize, _n: usize) -> i64 {
            $crate::guest::transform(&MILLRUN_MODULE, unsafe { $crate::guest::input(p, len) })
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! exports {
    ($state:ty, $configure:expr, $wants:expr) => {
        // Where there is no host the module is at least used.
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn(&$crate::Config) -> Option<$state> = |config| $configure(config).map(<$state>::new).ok();

        #[cfg(target_arch = "wasm32")]
        static MILLRUN_MODULE: $crate::guest::Slot<$state> = $crate::guest::Slot::new();
        #[cfg(target_arch = "wasm32")]
        static MILLRUN_INPUT: $crate::guest::Slot<$crate::guest::Input> = $crate::guest::Slot::new();

        #[cfg(target_arch = "wasm32")]
        #[unsafe(no_mangle)]
        extern "C" fn millrun_abi_v1() {}

        #[cfg(target_arch = "wasm32")]
        #[unsafe(no_mangle)]
        extern "C" fn millrun_alloc(n: usize) -> *mut u8 {
            $crate::guest::allocate(&MILLRUN_INPUT, n)
        }

        #[cfg(target_arch = "wasm32")]
        #[unsafe(no_mangle)]
        extern "C" fn millrun_configure(p: *const u8, len: usize) -> i32 {
            $crate::guest::configure(&MILLRUN_MODULE, unsafe { $crate::guest::input(p, len) }, |config| {
                $configure(config).map(<$state>::new)
            })
        }

        #[cfg(target_arch = "wasm32")]
        #[unsafe(no_mangle)]
        extern "C" fn millrun_wants() -> u32 {
            $wants
        }
    };
}
