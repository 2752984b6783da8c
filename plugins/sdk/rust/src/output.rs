use crate::record::Record;

/// What a field of a row may be set to: bytes or text, or `None` for null.
pub trait Field<'a> {
    /// The bytes; `None` is null.
    fn bytes(self) -> Option<&'a [u8]>;
}

impl<'a> Field<'a> for &'a [u8] {
    fn bytes(self) -> Option<&'a [u8]> {
        Some(self)
    }
}

impl<'a, const N: usize> Field<'a> for &'a [u8; N] {
    fn bytes(self) -> Option<&'a [u8]> {
        Some(self)
    }
}

impl<'a> Field<'a> for &'a Vec<u8> {
    fn bytes(self) -> Option<&'a [u8]> {
        Some(self)
    }
}

impl<'a> Field<'a> for &'a str {
    fn bytes(self) -> Option<&'a [u8]> {
        Some(self.as_bytes())
    }
}

impl<'a> Field<'a> for &'a String {
    fn bytes(self) -> Option<&'a [u8]> {
        Some(self.as_bytes())
    }
}

impl<'a> Field<'a> for Option<&'a [u8]> {
    fn bytes(self) -> Option<&'a [u8]> {
        self
    }
}

/// The rows of a call, kept from one call to the next so that nothing is allocated.
#[derive(Default)]
pub(crate) struct Buffers {
    rows: Vec<u8>,
    headers: Vec<u8>, // of the row that is open: count, then headers
}

impl Buffers {
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
    }

    pub(crate) fn rows(&self) -> &[u8] {
        &self.rows
    }
}

/// Takes the rows that are made of one record.
pub struct Output<'r> {
    buffers: &'r mut Buffers,
    record: &'r Record<'r>,
    source: u32,
}

const COPIED: i32 = -2;
const NULL: i32 = -1;

impl<'r> Output<'r> {
    pub(crate) fn new(buffers: &'r mut Buffers, record: &'r Record<'r>, source: u32) -> Output<'r> {
        Output { buffers, record, source }
    }

    /// Begins a row for one of the deployment's outputs, counted from 0. What is not
    /// set on it is the record's. It is written when it goes out of scope.
    pub fn to(&mut self, output: u16) -> Row<'_> {
        self.buffers.headers.clear();
        Row {
            record_headers: self.record.headers,
            buffers: self.buffers,
            source: self.source,
            output,
            timestamp: -1,
            partition: None,
            key: None,
            value: None,
            headers: None,
        }
    }
}

/// One record on its way out.
pub struct Row<'o> {
    buffers: &'o mut Buffers,
    record_headers: Option<&'o [u8]>,
    source: u32,
    output: u16,
    timestamp: i64,
    partition: Option<i32>,
    key: Option<Option<&'o [u8]>>, // None: the record's
    value: Option<Option<&'o [u8]>>,
    headers: Option<u32>, // how many there are in buffers; None: the record's
}

impl<'o> Row<'o> {
    /// Sets the key.
    pub fn key(mut self, key: impl Field<'o>) -> Self {
        self.key = Some(key.bytes());
        self
    }

    /// Sets the value.
    pub fn value(mut self, value: impl Field<'o>) -> Self {
        self.value = Some(value.bytes());
        self
    }

    /// Sets the time in milliseconds.
    pub fn timestamp(mut self, ms: i64) -> Self {
        self.timestamp = ms;
        self
    }

    /// Picks the partition, counted from 0; it must exist.
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Drops the record's headers.
    pub fn no_headers(mut self) -> Self {
        self.buffers.headers.clear();
        self.headers = Some(0);
        self
    }

    /// Adds a header to those of the record, which the module must have asked for
    /// (`Wants::HEADERS`), or to none after [`Row::no_headers`].
    ///
    /// # Panics
    /// If the record's headers were not asked for.
    pub fn header<'h>(mut self, key: &str, value: impl Field<'h>) -> Self {
        let block = &mut self.buffers.headers;
        let count = match (self.headers, self.record_headers) {
            (Some(count), _) => count,
            (None, Some(record)) => {
                block.clear();
                block.extend_from_slice(record);
                crate::record::u32_at(record, 0)
            }
            (None, None) => panic!("header() needs Wants::HEADERS among the module's WANTS, or no_headers() before it"),
        };
        if block.is_empty() {
            block.extend([0; 4]);
        }
        let value = value.bytes();
        block.extend((key.len() as u32).to_le_bytes());
        block.extend_from_slice(key.as_bytes());
        block.extend(value.map_or(NULL, |v| v.len() as i32).to_le_bytes());
        block.extend_from_slice(value.unwrap_or_default());
        self.headers = Some(count + 1);
        self
    }
}

impl Drop for Row<'_> {
    fn drop(&mut self) {
        let size = |field: Option<Option<&[u8]>>| field.map_or(COPIED, |bytes| bytes.map_or(NULL, |b| b.len() as i32));
        let Buffers { rows, headers } = &mut *self.buffers;
        let headers_len = match self.headers {
            None => COPIED,
            Some(0) => 0,
            Some(count) => {
                headers[..4].copy_from_slice(&count.to_le_bytes());
                headers.len() as i32
            }
        };
        let mut head = [0; 32];
        head[..8].copy_from_slice(&self.timestamp.to_le_bytes());
        head[8..12].copy_from_slice(&size(self.key).to_le_bytes());
        head[12..16].copy_from_slice(&size(self.value).to_le_bytes());
        head[16..20].copy_from_slice(&headers_len.to_le_bytes());
        head[20..24].copy_from_slice(&self.source.to_le_bytes());
        head[24..26].copy_from_slice(&self.output.to_le_bytes());
        if let Some(partition) = self.partition {
            head[26] = 1;
            head[28..].copy_from_slice(&partition.to_le_bytes());
        }
        rows.extend_from_slice(&head);
        rows.extend_from_slice(self.key.flatten().unwrap_or_default());
        rows.extend_from_slice(self.value.flatten().unwrap_or_default());
        if headers_len > 0 {
            rows.extend_from_slice(headers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Rows;
    use crate::vectors::vector;

    #[test]
    fn rows_come_out_as_the_golden_bytes() {
        let golden = vector("input-rows");
        let record = Rows::new(&golden).next().unwrap();
        let mut buffers = Buffers::default();
        for _ in 0..2 {
            // the second time in buffers that were used
            buffers.clear();
            let mut out = Output::new(&mut buffers, &record, 0);
            out.to(0).value("HELLO");
            out.to(1)
                .timestamp(1_700_000_000_002)
                .partition(4)
                .key(b"a")
                .value(None)
                .no_headers()
                .header("x", b"y");
            assert_eq!(buffers.rows(), vector("output-rows"));
        }
    }

    #[test]
    fn headers_are_added_to_the_records() {
        let golden = vector("input-rows");
        let record = Rows::new(&golden).next().unwrap();
        let mut buffers = Buffers::default();
        Output::new(&mut buffers, &record, 7).to(2).header("b", None).header("c", &"1".to_string());
        let rows = buffers.rows();
        let block = &rows[32..];
        let read = Record {
            timestamp: 0,
            offset_delta: 0,
            key: None,
            value: None,
            headers: Some(block),
        };
        let all: Vec<_> = read.headers().collect();
        assert_eq!(all, [(&b"trace"[..], Some(&b"\x7f"[..])), (b"b", None), (b"c", Some(b"1"))]);
        assert_eq!(&rows[16..26], [block.len() as u8, 0, 0, 0, 7, 0, 0, 0, 2, 0]);
    }

    #[test]
    #[should_panic(expected = "needs Wants::HEADERS")]
    fn headers_that_were_not_asked_for_cannot_be_added_to() {
        let golden = vector("input-rows-value");
        let record = Rows::new(&golden).next().unwrap();
        Output::new(&mut Buffers::default(), &record, 0).to(0).header("a", None);
    }
}
