//! What stands behind the exports that [`filter!`](crate::filter),
//! [`raw_filter!`](crate::raw_filter) and [`transform!`](crate::transform) make.

use crate::{Bitmap, Config, Filter, Level, Output, RawFilter, RawRecords, Rows, Transform};
use std::alloc::{alloc, dealloc, Layout};
use std::cell::UnsafeCell;

/// Holds a module between calls.
pub struct Slot<T>(UnsafeCell<Option<T>>);

// SAFETY: a guest has one thread, and the host makes one call at a time.
unsafe impl<T> Sync for Slot<T> {}

impl<T> Slot<T> {
    /// Empty, until the module is configured.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Slot<T> {
        Slot(UnsafeCell::new(None))
    }

    #[allow(clippy::mut_from_ref)]
    fn get(&self) -> &mut Option<T> {
        // SAFETY: one thread, one call at a time, and no export calls another.
        unsafe { &mut *self.0.get() }
    }
}

/// The buffer that the host writes to.
pub struct Input(*mut u8, usize);

const ALIGNMENT: usize = 16;

/// Gives the host a buffer of `n` bytes in place of the one it had; 0 if there is no memory.
pub fn allocate(slot: &Slot<Input>, n: usize) -> *mut u8 {
    let layout = |n| Layout::from_size_align(n, ALIGNMENT).ok();
    if let Some(Input(p, size)) = slot.get().take() {
        // SAFETY: it came from alloc below, with this size.
        unsafe { dealloc(p, Layout::from_size_align_unchecked(size, ALIGNMENT)) }
    }
    let n = n.max(ALIGNMENT);
    let Some(layout) = layout(n) else { return core::ptr::null_mut() };
    // SAFETY: the size is not zero.
    let p = unsafe { alloc(layout) };
    if !p.is_null() {
        *slot.get() = Some(Input(p, n));
    }
    p
}

/// The input of a call.
///
/// # Safety
/// `p` and `len` are the host's, within the buffer that it was given.
pub unsafe fn input<'a>(p: *const u8, len: usize) -> &'a [u8] {
    core::slice::from_raw_parts(p, len)
}

/// `millrun_configure`: 0, or 1 after a log line with the reason. From here on a
/// panic's message goes to the log as well.
pub fn configure<T>(slot: &Slot<T>, text: &[u8], make: impl FnOnce(&Config) -> Result<T, String>) -> i32 {
    #[cfg(target_arch = "wasm32")]
    std::panic::set_hook(Box::new(|info| crate::log(Level::Error, &info.to_string())));
    match Config::parse(text).and_then(|config| make(&config)) {
        Ok(module) => {
            *slot.get() = Some(module);
            0
        }
        Err(reason) => {
            crate::log(Level::Error, &reason);
            1
        }
    }
}

/// A filter, and the bitmap that its last call returned.
pub struct Filtering<F> {
    module: F,
    bitmap: Vec<u8>,
}

impl<F> Filtering<F> {
    /// Wraps a module.
    pub fn new(module: F) -> Self {
        Filtering { module, bitmap: Vec::new() }
    }

    fn cleared(&mut self, n: usize) {
        self.bitmap.clear();
        self.bitmap.resize(n.div_ceil(8).max(1), 0); // an empty one has no address
    }
}

/// `millrun_filter` of a filter that looks at one record after the other.
pub fn filter<F: Filter>(slot: &Slot<Filtering<F>>, input: &[u8], n: usize) -> *const u8 {
    let Some(state) = slot.get() else { return core::ptr::null() };
    state.cleared(n);
    let mut rows = Rows::new(input);
    for byte in state.bitmap.iter_mut() {
        for bit in 0..8 {
            let Some(record) = rows.next() else { break };
            *byte |= u8::from(state.module.keep(&record)) << bit;
        }
    }
    state.bitmap.as_ptr()
}

/// `millrun_filter` of a filter that is given the batch as it is stored.
pub fn raw_filter<F: RawFilter>(slot: &Slot<Filtering<F>>, input: &[u8], n: usize) -> *const u8 {
    let Some(state) = slot.get() else { return core::ptr::null() };
    state.cleared(n);
    let result = state.module.keep(&RawRecords::new(input, n), &mut Bitmap { bits: &mut state.bitmap });
    if let Err(reason) = result {
        crate::log(Level::Error, &reason);
        return core::ptr::null();
    }
    state.bitmap.as_ptr()
}

/// A transform, and the rows that its last call returned.
pub struct Transforming<T> {
    module: T,
    buffers: crate::output::Buffers,
}

impl<T> Transforming<T> {
    /// Wraps a module.
    pub fn new(module: T) -> Self {
        Transforming {
            module,
            buffers: Default::default(),
        }
    }
}

/// `millrun_transform`: the rows, or `None` after a log line with the reason.
pub fn transform<T: Transform>(slot: &Slot<Transforming<T>>, input: &[u8]) -> i64 {
    let Some(state) = slot.get() else { return -1 };
    state.buffers.clear();
    for (source, record) in Rows::new(input).enumerate() {
        let mut out = Output::new(&mut state.buffers, &record, source as u32);
        if let Err(reason) = state.module.map(&record, &mut out) {
            crate::log(Level::Error, &reason);
            return -1;
        }
    }
    let rows = state.buffers.rows();
    (rows.as_ptr() as usize as i64) << 32 | rows.len() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::vector;
    use crate::Wants;

    struct Third(u32);

    impl Filter for Third {
        const WANTS: Wants = Wants::NOTHING;
        fn configure(config: &Config) -> Result<Self, String> {
            config.only(&["of"])?;
            Ok(Third(config.get("of").unwrap_or("3").parse().map_err(|e| format!("of: {e}"))?))
        }
        fn keep(&mut self, r: &crate::Record) -> bool {
            r.offset_delta % self.0 == 0
        }
    }

    #[test]
    fn each_record_has_its_bit() {
        let slot = Slot::new();
        assert!(filter::<Third>(&slot, &[], 0).is_null());
        assert_eq!(configure(&slot, b"{}", |c| Third::configure(c).map(Filtering::new)), 0);
        for n in [100usize, 9, 8, 1, 0] {
            let mut input = Vec::new();
            for i in 0..n as u32 {
                input.extend((-1i64).to_le_bytes());
                input.extend([(-2i32).to_le_bytes(); 3].concat());
                input.extend(i.to_le_bytes());
            }
            let p = filter(&slot, &input, n);
            // SAFETY: the bitmap has a bit for each record.
            let bitmap = unsafe { core::slice::from_raw_parts(p, n.div_ceil(8)) };
            for i in 0..n {
                assert_eq!(bitmap[i / 8] >> (i % 8) & 1 == 1, i % 3 == 0, "{i} of {n}");
            }
        }
    }

    #[test]
    fn a_refusal_is_not_zero() {
        for text in ["x", r#"{"of":"many"}"#, r#"{"colour":"red"}"#] {
            assert_eq!(
                configure(&Slot::new(), text.as_bytes(), |c| Third::configure(c).map(Filtering::new)),
                1,
                "{text}"
            );
        }
    }

    struct Upper;

    impl Transform for Upper {
        fn configure(config: &Config) -> Result<Self, String> {
            config.only(&[]).map(|()| Upper)
        }
        fn map(&mut self, r: &crate::Record, out: &mut Output) -> Result<(), String> {
            let value = r.value.ok_or("a tombstone")?;
            out.to(0).value(&value.to_ascii_uppercase());
            out.to(1)
                .timestamp(1_700_000_000_002)
                .partition(4)
                .key("a")
                .value(None)
                .no_headers()
                .header("x", "y");
            Ok(())
        }
    }

    #[test]
    fn an_error_fails_the_call() {
        let slot = Slot::new();
        configure(&slot, b"{}", |c| Upper::configure(c).map(Transforming::new));
        let golden = vector("input-rows");
        assert!(transform(&slot, &golden) < 0);
        let first = golden.len() - (24 + 13);
        assert_eq!(transform(&slot, &golden[..first]) as u32 as usize, vector("output-rows").len());
        assert_eq!(slot.get().as_ref().unwrap().buffers.rows(), vector("output-rows"));
    }

    #[test]
    fn buffers_are_aligned_and_replace_each_other() {
        let slot = Slot::new();
        for n in [0, 1, 15, 4096, 100_000] {
            let p = allocate(&slot, n);
            assert!(!p.is_null() && p as usize % 16 == 0);
        }
        assert!(allocate(&slot, usize::MAX).is_null());
        assert!(slot.get().is_none());
    }
}
