use crate::block::{Block, SIZE};

/// Whether two slices hold the same bytes.
#[inline]
pub fn equals(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    if a.len() < SIZE {
        return a.iter().zip(b).all(|(x, y)| x == y);
    }
    let same = |at: usize| Block::load(a, at).same(Block::load(b, at)).mask() == 0xffff;
    let last = a.len() - SIZE;
    (0..last).step_by(SIZE).all(same) && same(last)
}

/// Where `needle` first occurs. Whoever looks for the same bytes again and again
/// keeps a [`Needle`].
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    search(haystack, 0, needle, probes(needle))
}

/// Bytes to look for, prepared once.
#[derive(Clone, Debug)]
pub struct Needle {
    bytes: Vec<u8>,
    probes: (usize, usize),
}

impl Needle {
    /// Prepares a search. An empty needle is found everywhere.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Needle {
        let bytes = bytes.into();
        let probes = probes(&bytes);
        Needle { bytes, probes }
    }

    /// What is looked for.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it occurs.
    #[inline]
    pub fn is_in(&self, haystack: &[u8]) -> bool {
        self.find(haystack).is_some()
    }

    /// Where it first occurs.
    #[inline]
    pub fn find(&self, haystack: &[u8]) -> Option<usize> {
        self.find_from(haystack, 0)
    }

    /// Where it first occurs at `from` or behind it, counted from the start of `haystack`.
    #[inline]
    pub fn find_from(&self, haystack: &[u8], from: usize) -> Option<usize> {
        search(haystack, from, &self.bytes, self.probes)
    }
}

/// The two places of a needle, in order, whose bytes are the rarest in text: what
/// whole blocks are compared with.
fn probes(needle: &[u8]) -> (usize, usize) {
    let mut best = (0, needle.len().saturating_sub(1));
    if needle.len() < 3 {
        return best;
    }
    let mut order: Vec<usize> = (0..needle.len().min(256)).collect();
    order.sort_by_key(|&i| commonness(needle[i]));
    let first = order[0];
    // The same byte twice tells less than two bytes.
    let second = order[1..].iter().copied().find(|&i| needle[i] != needle[first]).unwrap_or(order[1]);
    best.0 = first.min(second);
    best.1 = first.max(second);
    best
}

/// How often a byte is met in JSON and other text, roughly.
fn commonness(b: u8) -> u8 {
    match b {
        b'"' | b' ' | b'e' | 0 => 7,
        b':' | b',' | b'a' | b't' | b'o' | b'i' | b'n' | b's' | b'r' => 6,
        b'0' | b'1' => 5,
        b'a'..=b'z' => 4,
        b'2'..=b'9' => 3,
        b'{' | b'}' | b'[' | b']' | b'.' | b'-' | b'_' | b'/' => 2,
        b'A'..=b'Z' => 1,
        _ => 0,
    }
}

fn search(haystack: &[u8], from: usize, needle: &[u8], probes: (usize, usize)) -> Option<usize> {
    let n = needle.len();
    if from > haystack.len() || haystack.len() - from < n {
        return None;
    }
    if n == 0 {
        return Some(from);
    }
    let starts = haystack.len() - n + 1; // one past the last place where it can begin
    let (first, second) = (needle[probes.0], needle[probes.1]);
    let (ahead, behind) = probes;
    let candidates = |at: usize| {
        Block::load(haystack, at + ahead)
            .equal(first)
            .and(Block::load(haystack, at + behind).equal(second))
    };
    let confirm = |at: usize, mut mask: u32| {
        while mask != 0 {
            let start = at + mask.trailing_zeros() as usize;
            if equals(&haystack[start..start + n], needle) {
                return Some(start);
            }
            mask &= mask - 1;
        }
        None
    };
    let mut at = from;
    while at + 4 * SIZE <= starts {
        let (a, b, c, d) = (candidates(at), candidates(at + SIZE), candidates(at + 2 * SIZE), candidates(at + 3 * SIZE));
        if a.or(b).or(c.or(d)).any() {
            for (i, block) in [a, b, c, d].into_iter().enumerate() {
                let hit = confirm(at + i * SIZE, block.mask());
                if hit.is_some() {
                    return hit;
                }
            }
        }
        at += 4 * SIZE;
    }
    while at + SIZE <= starts {
        let hit = confirm(at, candidates(at).mask());
        if hit.is_some() {
            return hit;
        }
        at += SIZE;
    }
    (at..starts).find(|&at| haystack[at + ahead] == first && haystack[at + behind] == second && equals(&haystack[at..at + n], needle))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::Random;

    fn plain(haystack: &[u8], needle: &[u8]) -> Option<usize> {
        (0..=haystack.len().checked_sub(needle.len())?).find(|&at| haystack[at..].starts_with(needle))
    }

    #[test]
    fn find_agrees_with_a_plain_search() {
        let mut random = Random(1);
        for turn in 0..60_000 {
            let letters = [2, 3, 26, 256][turn % 4];
            let haystack = random.bytes([3, 20, 70, 300][turn / 4 % 4], letters);
            let needle = if random.below(2) == 0 && !haystack.is_empty() {
                let start = random.below(haystack.len());
                haystack[start..start + random.below(haystack.len() - start + 1)].to_vec()
            } else {
                random.bytes(8, letters)
            };
            assert_eq!(find(&haystack, &needle), plain(&haystack, &needle), "{needle:?} in {haystack:?}");
            let from = random.below(haystack.len() + 2);
            let want = haystack.get(from..).and_then(|rest| plain(rest, &needle)).map(|at| at + from);
            assert_eq!(
                Needle::new(needle.as_slice()).find_from(&haystack, from),
                want,
                "{needle:?} in {haystack:?} from {from}"
            );
        }
    }

    #[test]
    fn equals_agrees_with_the_language() {
        let mut random = Random(2);
        for _ in 0..20_000 {
            let a = random.bytes(70, 256);
            let mut b = a.clone();
            if !b.is_empty() && random.below(2) == 0 {
                let at = random.below(b.len());
                b[at] ^= 1 << random.below(8);
            }
            assert_eq!(equals(&a, &b), a == b, "{a:?} {b:?}");
            assert!(!equals(&a, &[&b[..], b"x"].concat()));
        }
    }

    #[test]
    fn rare_bytes_are_probed() {
        assert_eq!(probes(b"\"status\":\"XY\""), (10, 11));
        assert_eq!(probes(b""), (0, 0));
        assert_eq!(probes(b"ab"), (0, 1));
        let (a, b) = probes(b"eee~eee@");
        assert_eq!((a, b), (3, 7));
    }
}
