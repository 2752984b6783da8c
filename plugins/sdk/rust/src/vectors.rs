//! What the tests share: the golden bytes of spec/vectors, and random numbers.

/// The bytes of a golden vector.
pub(crate) fn vector(name: &str) -> Vec<u8> {
    let path = format!("{}/../../../spec/vectors/wasm/{name}.hex", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect(&path);
    let digits: Vec<&str> = text.lines().map(|line| line.split('#').next().unwrap()).collect();
    digits.join(" ").split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

/// Numbers that are the same in every run (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) % n as u64) as usize
    }

    /// Fewer than `longest` bytes, each below `letters`.
    pub(crate) fn bytes(&mut self, longest: usize, letters: usize) -> Vec<u8> {
        (0..self.below(longest)).map(|_| self.below(letters) as u8).collect()
    }
}
