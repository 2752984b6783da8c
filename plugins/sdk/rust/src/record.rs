use std::ops::BitOr;

/// Which columns of its records a module is given. Ask for few: what is not asked
/// for is not copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wants(u32);

impl Wants {
    /// The batch as it is stored: of raw filters, which ask for it themselves.
    #[doc(hidden)]
    pub const RAW: Wants = Wants(1);
    /// Rows with nothing but their offset delta.
    pub const NOTHING: Wants = Wants(0);
    /// The key.
    pub const KEY: Wants = Wants(2);
    /// The value.
    pub const VALUE: Wants = Wants(4);
    /// The headers.
    pub const HEADERS: Wants = Wants(8);
    /// The timestamp.
    pub const TIMESTAMP: Wants = Wants(16);
    /// All columns.
    pub const ALL: Wants = Wants(30);

    /// What `millrun_wants` answers.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// `a | b`, for constants.
    pub const fn and(self, other: Wants) -> Wants {
        Wants(self.0 | other.0)
    }
}

impl BitOr for Wants {
    type Output = Wants;
    fn bitor(self, other: Wants) -> Wants {
        self.and(other)
    }
}

/// One record, as far as it was asked for: a view of the batch, gone when the
/// function that got it returns.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Milliseconds since 1970; -1 if there is none or it was not asked for.
    pub timestamp: i64,
    /// The record's offset is `Call::current().base_offset` plus this.
    pub offset_delta: u32,
    /// `None`: null, or not asked for.
    pub key: Option<&'a [u8]>,
    /// `None`: null, or not asked for.
    pub value: Option<&'a [u8]>,
    pub(crate) headers: Option<&'a [u8]>,
}

impl<'a> Record<'a> {
    /// The headers in order: key and value (`None`: null) of each.
    pub fn headers(&self) -> Headers<'a> {
        match self.headers {
            Some(block) if block.len() >= 4 => Headers {
                left: u32_at(block, 0),
                rest: &block[4..],
            },
            _ => Headers { left: 0, rest: &[] },
        }
    }

    /// The value of the last header with that key: `None` if there is none,
    /// `Some(None)` if it is null.
    pub fn header(&self, key: &str) -> Option<Option<&'a [u8]>> {
        self.headers().filter(|(k, _)| *k == key.as_bytes()).map(|(_, v)| v).last()
    }

    /// The headers as they stand in a row; `None` if they were not asked for.
    pub fn raw_headers(&self) -> Option<&'a [u8]> {
        self.headers
    }
}

/// Iterates over a record's headers.
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    left: u32,
    rest: &'a [u8],
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let (key, rest) = self.rest[4..].split_at(u32_at(self.rest, 0) as usize);
        let size = i32_at(rest, 0);
        let (value, rest) = rest[4..].split_at(size.max(0) as usize);
        self.rest = rest;
        Some((key, (size >= 0).then_some(value)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Headers<'_> {}

/// Reads the rows of one call: what filters and transforms are made of, for those
/// who want a whole batch at once.
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    rest: &'a [u8],
}

const ROW_HEAD: usize = 24;

impl<'a> Rows<'a> {
    /// Reads what `millrun_filter` or `millrun_transform` was given.
    pub fn new(input: &'a [u8]) -> Rows<'a> {
        Rows { rest: input }
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        let (head, mut rest) = self.rest.split_at_checked(ROW_HEAD)?;
        let mut field = |size: i32| {
            let (bytes, after) = rest.split_at(size.max(0) as usize);
            rest = after;
            (size >= 0).then_some(bytes)
        };
        let record = Record {
            timestamp: i64_at(head, 0),
            offset_delta: u32_at(head, 20),
            key: field(i32_at(head, 8)),
            value: field(i32_at(head, 12)),
            headers: field(i32_at(head, 16)),
        };
        self.rest = rest;
        Some(record)
    }
}

#[inline]
pub(crate) fn u32_at(b: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(b[at..at + 4].try_into().unwrap())
}

#[inline]
pub(crate) fn i32_at(b: &[u8], at: usize) -> i32 {
    u32_at(b, at) as i32
}

#[inline]
pub(crate) fn i64_at(b: &[u8], at: usize) -> i64 {
    i64::from_le_bytes(b[at..at + 8].try_into().unwrap())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::vector;

    #[test]
    fn rows_read_what_the_host_writes() {
        let golden = vector("input-rows");
        let mut rows = Rows::new(&golden);
        let r = rows.next().unwrap();
        assert_eq!(
            (r.timestamp, r.offset_delta, r.key, r.value),
            (1_700_000_000_000, 0, Some(&b"k1"[..]), Some(&b"hello"[..]))
        );
        assert_eq!(r.headers().len(), 1);
        assert_eq!(r.header("trace"), Some(Some(&b"\x7f"[..])));
        assert_eq!(r.header("h"), None);
        let r = rows.next().unwrap();
        assert_eq!((r.key, r.value, r.offset_delta), (None, None, 2));
        assert_eq!(r.header("h"), Some(None));
        assert!(rows.next().is_none());
    }

    #[test]
    fn what_was_not_asked_for_is_not_there() {
        let golden = vector("input-rows-value");
        let all: Vec<Record> = Rows::new(&golden).collect();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].timestamp, all[0].key, all[0].value), (-1, None, Some(&b"hello"[..])));
        assert_eq!((all[0].headers().len(), all[0].raw_headers()), (0, None));
        assert_eq!((all[1].value, all[1].offset_delta), (None, 2));
    }

    #[test]
    fn wants_are_the_sum_of_their_bits() {
        assert_eq!(Wants::ALL, Wants::KEY | Wants::VALUE | Wants::HEADERS | Wants::TIMESTAMP);
        assert_eq!(Wants::KEY.and(Wants::VALUE).bits(), 6);
    }
}
