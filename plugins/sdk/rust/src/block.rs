//! Sixteen bytes at once: WebAssembly's SIMD where it is switched on, and the same
//! steps one by one elsewhere, so that what is built on them is tested on any machine.

pub(crate) const SIZE: usize = 16;

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod lanes {
    use core::arch::wasm32::*;

    #[derive(Clone, Copy)]
    pub(crate) struct Block(v128);

    impl Block {
        #[inline(always)]
        pub(crate) fn load(b: &[u8], at: usize) -> Block {
            let bytes = &b[at..at + super::SIZE];
            // SAFETY: there are sixteen bytes, and the load asks for no alignment.
            Block(unsafe { v128_load(bytes.as_ptr().cast()) })
        }
        #[inline(always)]
        pub(crate) fn equal(self, byte: u8) -> Block {
            Block(u8x16_eq(self.0, u8x16_splat(byte)))
        }
        #[inline(always)]
        pub(crate) fn below(self, byte: u8) -> Block {
            Block(u8x16_lt(self.0, u8x16_splat(byte)))
        }
        #[inline(always)]
        pub(crate) fn same(self, other: Block) -> Block {
            Block(u8x16_eq(self.0, other.0))
        }
        #[inline(always)]
        pub(crate) fn and(self, other: Block) -> Block {
            Block(v128_and(self.0, other.0))
        }
        #[inline(always)]
        pub(crate) fn or(self, other: Block) -> Block {
            Block(v128_or(self.0, other.0))
        }
        #[inline(always)]
        pub(crate) fn any(self) -> bool {
            v128_any_true(self.0)
        }
        /// Bit i is set if byte i is all ones.
        #[inline(always)]
        pub(crate) fn mask(self) -> u32 {
            u32::from(u8x16_bitmask(self.0))
        }
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod lanes {
    #[derive(Clone, Copy)]
    pub(crate) struct Block([u8; super::SIZE]);

    impl Block {
        #[inline(always)]
        pub(crate) fn load(b: &[u8], at: usize) -> Block {
            Block(b[at..at + super::SIZE].try_into().unwrap())
        }
        #[inline(always)]
        fn each(self, f: impl Fn(usize, u8) -> u8) -> Block {
            Block(std::array::from_fn(|i| f(i, self.0[i])))
        }
        #[inline(always)]
        pub(crate) fn equal(self, byte: u8) -> Block {
            self.each(|_, b| if b == byte { 0xff } else { 0 })
        }
        #[inline(always)]
        pub(crate) fn below(self, byte: u8) -> Block {
            self.each(|_, b| if b < byte { 0xff } else { 0 })
        }
        #[inline(always)]
        pub(crate) fn same(self, other: Block) -> Block {
            self.each(|i, b| if b == other.0[i] { 0xff } else { 0 })
        }
        #[inline(always)]
        pub(crate) fn and(self, other: Block) -> Block {
            self.each(|i, b| b & other.0[i])
        }
        #[inline(always)]
        pub(crate) fn or(self, other: Block) -> Block {
            self.each(|i, b| b | other.0[i])
        }
        #[inline(always)]
        pub(crate) fn any(self) -> bool {
            self.mask() != 0
        }
        #[inline(always)]
        pub(crate) fn mask(self) -> u32 {
            self.0.iter().enumerate().fold(0, |m, (i, b)| m | u32::from(b >> 7) << i)
        }
    }
}

pub(crate) use lanes::Block;
