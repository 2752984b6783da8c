use crate::find::Needle;

/// The records of a call as they stand in the stored batch: Kafka's own framing,
/// whole records one behind the other.
#[derive(Clone, Copy, Debug)]
pub struct RawRecords<'a> {
    bytes: &'a [u8],
    count: usize,
}

/// One of them. Offset and time are deltas from `Call::current()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawRecord<'a> {
    /// From `base_timestamp`, in milliseconds.
    pub timestamp_delta: i64,
    /// From `base_offset`.
    pub offset_delta: i64,
    /// `None` is null.
    pub key: Option<&'a [u8]>,
    /// `None` is null.
    pub value: Option<&'a [u8]>,
}

/// A record whose lengths do not fit: the batch was not made by a Kafka client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl From<Malformed> for String {
    fn from(_: Malformed) -> String {
        "a malformed record".to_string()
    }
}

impl<'a> RawRecords<'a> {
    /// Reads what `millrun_filter` was given.
    pub fn new(bytes: &'a [u8], count: usize) -> RawRecords<'a> {
        RawRecords { bytes, count }
    }

    /// All of it.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.count
    }

    /// A call has at least one record.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Calls `each` with every record and its index.
    pub fn each(&self, mut each: impl FnMut(usize, &RawRecord<'a>)) -> Result<(), Malformed> {
        let mut at = 0;
        for index in 0..self.count {
            let (start, end) = frame(self.bytes, at).ok_or(Malformed)?;
            each(index, &body(&self.bytes[start..end]).ok_or(Malformed)?);
            at = end;
        }
        Ok(())
    }

    /// Searches all records at once, and only then looks which records were hit:
    /// calls `hit` with each record that has the needle anywhere in its bytes, and
    /// its index. Whoever asks for a value looks there again.
    pub fn search(&self, needle: &Needle, mut hit: impl FnMut(usize, &RawRecord<'a>)) -> Result<(), Malformed> {
        let (mut at, mut index) = (0, 0);
        while let Some(place) = needle.find_from(self.bytes, at) {
            loop {
                if index == self.count {
                    return Ok(()); // the needle is empty, and all records have been seen
                }
                let (start, end) = frame(self.bytes, at).ok_or(Malformed)?;
                at = end;
                index += 1;
                if place < end {
                    hit(index - 1, &body(&self.bytes[start..end]).ok_or(Malformed)?);
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Where the record at `at` has its first and its last byte behind its length.
#[inline]
fn frame(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut rest = bytes.get(at..)?;
    let size = usize::try_from(varint(&mut rest)?).ok()?;
    let start = bytes.len() - rest.len();
    (size <= rest.len()).then_some((start, start + size))
}

fn body(bytes: &[u8]) -> Option<RawRecord<'_>> {
    let mut rest = bytes.get(1..)?; // behind the attributes
    Some(RawRecord {
        timestamp_delta: varint(&mut rest)?,
        offset_delta: varint(&mut rest)?,
        key: field(&mut rest)?,
        value: field(&mut rest)?,
    })
}

fn field<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let size = varint(rest)?;
    if size < 0 {
        return Some(None);
    }
    let (bytes, after) = rest.split_at_checked(usize::try_from(size).ok()?)?;
    *rest = after;
    Some(Some(bytes))
}

#[inline]
fn varint(rest: &mut &[u8]) -> Option<i64> {
    let mut n = 0;
    for (i, &b) in rest.iter().enumerate().take(10) {
        n |= u64::from(b & 0x7f) << (7 * i);
        if b < 0x80 {
            *rest = &rest[i + 1..];
            return Some((n >> 1) as i64 ^ -((n & 1) as i64));
        }
    }
    None
}

/// The answer of a raw filter: which records go on. All are off at first.
pub struct Bitmap<'a> {
    pub(crate) bits: &'a mut [u8],
}

impl Bitmap<'_> {
    /// Lets a record go on.
    #[inline]
    pub fn keep(&mut self, index: usize) {
        self.bits[index >> 3] |= 1 << (index & 7);
    }

    /// Keeps what was dropped and drops what was kept.
    pub fn invert(&mut self) {
        for byte in self.bits.iter_mut() {
            *byte = !*byte;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::Random;

    fn put(into: &mut Vec<u8>, n: i64) {
        let mut n = (n << 1 ^ n >> 63) as u64;
        while n >= 0x80 {
            into.push(n as u8 | 0x80);
            n >>= 7;
        }
        into.push(n as u8);
    }

    type Pair = (Option<Vec<u8>>, Option<Vec<u8>>);

    fn section(records: &[Pair]) -> Vec<u8> {
        let mut all = Vec::new();
        for (i, (key, value)) in records.iter().enumerate() {
            let mut body = vec![0];
            put(&mut body, 3 * i as i64);
            put(&mut body, i as i64);
            for field in [key, value] {
                put(&mut body, field.as_ref().map_or(-1, |f| f.len() as i64));
                body.extend(field.iter().flatten());
            }
            put(&mut body, 1);
            body.extend([2, b'h', 2, b'a']); // a header h=a
            put(&mut all, body.len() as i64);
            all.extend(body);
        }
        all
    }

    #[test]
    fn search_finds_what_looking_at_each_record_finds() {
        let mut random = Random(3);
        for _ in 0..3_000 {
            let field = |random: &mut Random| (random.below(5) > 0).then(|| random.bytes(80, 3).iter().map(|b| b + b'a').collect());
            let records: Vec<_> = (0..1 + random.below(20)).map(|_| (field(&mut random), field(&mut random))).collect();
            let bytes = section(&records);
            let raw = RawRecords::new(&bytes, records.len());
            let mut read = Vec::new();
            raw.each(|i, r| read.push((i, r.offset_delta, r.timestamp_delta, r.key.map(<[u8]>::to_vec), r.value.map(<[u8]>::to_vec))))
                .unwrap();
            for (i, r) in read.iter().enumerate() {
                assert_eq!(r, &(i, i as i64, 3 * i as i64, records[i].0.clone(), records[i].1.clone()));
            }
            let needle = Needle::new(random.bytes(5, 3).iter().map(|b| b + b'a').collect::<Vec<_>>());
            let (mut got, mut want) = (Vec::new(), Vec::new());
            raw.search(&needle, |i, r| got.extend(r.value.is_some_and(|v| needle.is_in(v)).then_some(i)))
                .unwrap();
            raw.each(|i, r| want.extend(r.value.is_some_and(|v| needle.is_in(v)).then_some(i))).unwrap();
            assert_eq!(got, want);
        }
    }

    #[test]
    fn what_does_not_fit_is_malformed_and_never_read_beyond() {
        let good = section(&[(Some(b"k".to_vec()), Some(b"needle".to_vec()))]);
        let needle = Needle::new("needle");
        for at in 0..good.len() {
            for b in [0, 1, 2, 0x7f, 0x80, 0xff] {
                let mut bytes = good.clone();
                bytes[at] = b;
                let raw = RawRecords::new(&bytes, 1);
                let _ = (raw.each(|_, _| ()), raw.search(&needle, |_, _| ()));
            }
            let cut = RawRecords::new(&good[..at], 1);
            assert_eq!(cut.each(|_, _| ()), Err(Malformed));
        }
        assert_eq!(RawRecords::new(&good, 2).each(|_, _| ()), Err(Malformed));
    }

    #[test]
    fn a_bitmap_has_its_first_record_in_the_lowest_bit() {
        let mut bits = [0; 2];
        let mut bitmap = Bitmap { bits: &mut bits };
        bitmap.keep(0);
        bitmap.keep(9);
        assert_eq!(bitmap.bits, [1, 2]);
        bitmap.invert();
        assert_eq!(bits, [0xfe, 0xfd]);
    }
}
