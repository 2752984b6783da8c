//! Looks into JSON as it stands in a record, without building anything from it. All
//! of the text is checked against RFC 8259 (bytes above 127 are not), as what is no
//! JSON must not match. Of a key that an object holds twice the last counts.
//!
//! ```
//! use millrun::json;
//!
//! let path = json::Path::parse("customer.addresses.0.city").unwrap();
//! let value = br#"{"customer":{"addresses":[{"city":"Br\u00fcgge"}]}}"#;
//! let field = json::field(value, &path).unwrap();
//! assert_eq!(field, br#""Br\u00fcgge""#); // as it stands
//! assert!(json::equals(field, "Brügge".as_bytes())); // what it says
//! ```

use crate::block::{Block, SIZE};

/// How deep arrays and objects may lie in each other: deeper text is taken for no
/// JSON, so that a record cannot use up the stack.
const MAX_DEPTH: usize = 1_000;

/// Leads to a value inside a JSON text.
#[derive(Clone, Debug)]
pub struct Path(Vec<Step>);

#[derive(Clone, Debug)]
struct Step {
    key: Vec<u8>,
    index: Option<usize>, // of an array, if the key is made of digits
}

impl Path {
    /// Reads a dotted path, as `customer.addresses.0.city`.
    pub fn parse(text: &str) -> Result<Path, String> {
        if text.is_empty() {
            return Err("an empty path".to_string());
        }
        let mut steps = Vec::new();
        for part in text.split('.') {
            if part.is_empty() {
                return Err(format!("the path {text:?} has an empty part"));
            }
            steps.push(Step {
                key: part.as_bytes().to_vec(),
                index: index(part.as_bytes()),
            });
        }
        if steps.len() > MAX_DEPTH {
            return Err(format!("a path of more than {MAX_DEPTH} parts"));
        }
        Ok(Path(steps))
    }
}

fn index(part: &[u8]) -> Option<usize> {
    let mut n = 0;
    for (i, c) in part.iter().enumerate() {
        if !c.is_ascii_digit() || n > 1 << 24 || i > 0 && n == 0 {
            return None;
        }
        n = n * 10 + usize::from(c - b'0');
    }
    Some(n)
}

/// Finds the value at the path, as it stands in the text: `None` if there is none or
/// if the text, anywhere, is no JSON.
pub fn field<'a>(text: &'a [u8], path: &Path) -> Option<&'a [u8]> {
    let mut lookup = Lookup {
        text,
        path: &path.0,
        found: None,
    };
    let end = lookup.value(skip_blank(text, 0), 0)?;
    if skip_blank(text, end) != text.len() {
        return None;
    }
    lookup.found
}

/// Whether a value is a string.
pub fn is_string(value: &[u8]) -> bool {
    value.first() == Some(&b'"')
}

/// Whether a value, or a text from elsewhere, is a JSON number.
pub fn is_number(value: &[u8]) -> bool {
    skip_number(value, 0) == Some(value.len())
}

/// What a value says: a string's content without its quotes and escapes, anything
/// else as it stands. `scratch` takes what has to be unescaped.
pub fn text<'a>(value: &'a [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    if !is_string(value) {
        return value;
    }
    let raw = &value[1..value.len() - 1];
    if !raw.contains(&b'\\') {
        return raw;
    }
    scratch.clear();
    unescape(scratch, raw);
    scratch
}

/// Whether a value says `want`: see [`text`].
pub fn equals(value: &[u8], want: &[u8]) -> bool {
    if is_string(value) && value.contains(&b'\\') {
        return text(value, &mut Vec::new()) == want;
    }
    crate::equals(if is_string(value) { &value[1..value.len() - 1] } else { value }, want)
}

/// Appends a string's content, given as it stands between its quotes. Half of a
/// surrogate pair becomes U+FFFD.
pub fn unescape(into: &mut Vec<u8>, raw: &[u8]) {
    let mut at = 0;
    while at < raw.len() {
        if raw[at] != b'\\' || at + 1 == raw.len() {
            into.push(raw[at]);
            at += 1;
            continue;
        }
        at += 2;
        match raw[at - 1] {
            b'b' => into.push(8),
            b'f' => into.push(12),
            b'n' => into.push(b'\n'),
            b'r' => into.push(b'\r'),
            b't' => into.push(b'\t'),
            b'u' => {
                let high = hex4(raw, at);
                at += 4;
                let mut c = char::from_u32(high);
                if (0xd800..0xdc00).contains(&high) && raw.get(at..at + 2) == Some(br"\u") {
                    let low = hex4(raw, at + 2);
                    if (0xdc00..0xe000).contains(&low) {
                        c = char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
                        at += 6;
                    }
                }
                into.extend_from_slice(c.unwrap_or(char::REPLACEMENT_CHARACTER).encode_utf8(&mut [0; 4]).as_bytes());
            }
            other => into.push(other),
        }
    }
}

/// Four hexadecimal digits; what is none counts as 0.
fn hex4(raw: &[u8], at: usize) -> u32 {
    (at..at + 4).fold(0, |n, i| n << 4 | raw.get(i).and_then(|c| (*c as char).to_digit(16)).unwrap_or(0))
}

/// Appends text as a JSON string with its quotes, escaping only what has to be.
pub fn append_string(into: &mut Vec<u8>, text: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    into.push(b'"');
    for &c in text {
        match c {
            b'"' | b'\\' => into.extend([b'\\', c]),
            b'\n' => into.extend(*b"\\n"),
            b'\r' => into.extend(*b"\\r"),
            b'\t' => into.extend(*b"\\t"),
            0..=0x1f => into.extend([b'\\', b'u', b'0', b'0', HEX[usize::from(c >> 4)], HEX[usize::from(c & 15)]]),
            _ => into.push(c),
        }
    }
    into.push(b'"');
}

struct Lookup<'a, 'p> {
    text: &'a [u8],
    path: &'p [Step],
    found: Option<&'a [u8]>,
}

impl Lookup<'_, '_> {
    /// Where the value at `at` ends, which lies on the path, `depth` steps down.
    fn value(&mut self, at: usize, depth: usize) -> Option<usize> {
        let text = self.text;
        let opening = *text.get(at)?;
        if depth == self.path.len() {
            let end = skip_value(text, at, depth)?;
            self.found = Some(&text[at..end]);
            return Some(end);
        }
        if opening != b'{' && opening != b'[' {
            return skip_scalar(text, at);
        }
        let (step, object) = (&self.path[depth], opening == b'{');
        let closing = opening + 2; // [ and { come two before ] and }
        let mut at = skip_blank(text, at + 1);
        if text.get(at) == Some(&closing) {
            return Some(at + 1);
        }
        for index in 0.. {
            let mut on_path = step.index == Some(index);
            if object {
                let end = skip_quoted(text, at)?;
                on_path = same_key(&text[at + 1..end - 1], &step.key);
                at = skip_colon(text, end)?;
            }
            if on_path {
                self.found = None; // of a key that comes twice the last counts, whatever it holds
                at = self.value(at, depth + 1)?;
            } else {
                at = skip_value(text, at, depth + 1)?;
            }
            let (after, more) = next(text, at, closing)?;
            if !more {
                return Some(after);
            }
            at = after;
        }
        None
    }
}

/// Compares a key as it stands in the text with a step's.
#[inline]
fn same_key(raw: &[u8], key: &[u8]) -> bool {
    if raw.len() == key.len() {
        return crate::equals(raw, key) && !key.contains(&b'\\') || raw.contains(&b'\\') && escaped_key(raw, key);
    }
    raw.len() > key.len() && raw.contains(&b'\\') && escaped_key(raw, key)
}

#[cold]
fn escaped_key(raw: &[u8], key: &[u8]) -> bool {
    let mut content = Vec::new();
    unescape(&mut content, raw);
    content == key
}

#[inline]
fn skip_blank(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

/// Where the string whose first character is at `at`, behind its quote, ends.
#[inline]
pub(crate) fn skip_string(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        while at + SIZE <= text.len() {
            let block = Block::load(text, at);
            let special = block.equal(b'"').or(block.equal(b'\\')).or(block.below(b' ')).mask();
            if special != 0 {
                at += special.trailing_zeros() as usize;
                break;
            }
            at += SIZE;
        }
        match *text.get(at)? {
            b'"' => return Some(at + 1),
            0..=0x1f => return None,
            b'\\' => at = skip_escape(text, at + 1)?,
            _ => at += 1, // in the last bytes of the text
        }
    }
}

#[inline]
fn skip_quoted(text: &[u8], at: usize) -> Option<usize> {
    if text.get(at) != Some(&b'"') {
        return None;
    }
    skip_string(text, at + 1)
}

/// Steps over what follows a backslash.
fn skip_escape(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 1),
        b'u' => text.get(at + 1..at + 5)?.iter().all(u8::is_ascii_hexdigit).then_some(at + 5),
        _ => None,
    }
}

fn digits(text: &[u8], at: usize) -> usize {
    at + text[at..].iter().take_while(|c| c.is_ascii_digit()).count()
}

fn skip_number(text: &[u8], mut at: usize) -> Option<usize> {
    if text.get(at) == Some(&b'-') {
        at += 1;
    }
    at = match text.get(at)? {
        b'0' => at + 1,
        b'1'..=b'9' => digits(text, at),
        _ => return None,
    };
    if text.get(at) == Some(&b'.') {
        let end = digits(text, at + 1);
        if end == at + 1 {
            return None;
        }
        at = end;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = text.get(at) {
            at += 1;
        }
        let end = digits(text, at);
        if end == at {
            return None;
        }
        at = end;
    }
    Some(at)
}

/// Where the string, number or literal at `at` ends.
#[inline]
fn skip_scalar(text: &[u8], at: usize) -> Option<usize> {
    let word: &[u8] = match *text.get(at)? {
        b'"' => return skip_string(text, at + 1),
        b'-' | b'0'..=b'9' => return skip_number(text, at),
        b't' => b"true",
        b'f' => b"false",
        b'n' => b"null",
        _ => return None,
    };
    text[at..].starts_with(word).then_some(at + word.len())
}

/// Where the value at `at` ends, which lies in `depth` arrays and objects.
#[inline]
fn skip_value(text: &[u8], at: usize, depth: usize) -> Option<usize> {
    match text.get(at)? {
        b'{' | b'[' => skip_container(text, at, depth),
        _ => skip_scalar(text, at),
    }
}

/// Keeps a bit for each array and object that is open instead of calling itself.
fn skip_container(text: &[u8], mut at: usize, depth: usize) -> Option<usize> {
    let mut objects = [0u64; MAX_DEPTH / 64 + 1];
    let mut open = 0;
    loop {
        let c = *text.get(at)?;
        if c == b'{' || c == b'[' {
            open += 1;
            if depth + open > MAX_DEPTH {
                return None;
            }
            let bit = 1 << (open & 63);
            objects[open >> 6] &= !bit;
            at = skip_blank(text, at + 1);
            if c == b'{' {
                objects[open >> 6] |= bit;
            }
            if text.get(at) != Some(&(c + 2)) {
                if c == b'{' {
                    at = skip_colon(text, skip_quoted(text, at)?)?;
                }
                continue;
            }
        } else {
            at = skip_scalar(text, at)?;
        }
        loop {
            let object = objects[open >> 6] >> (open & 63) & 1 != 0;
            let (after, more) = next(text, at, if object { b'}' } else { b']' })?;
            at = after;
            if more {
                if object {
                    at = skip_colon(text, skip_quoted(text, at)?)?;
                }
                break;
            }
            open -= 1;
            if open == 0 {
                return Some(at);
            }
        }
    }
}

/// Steps over the colon after a key to where the value starts.
#[inline]
fn skip_colon(text: &[u8], at: usize) -> Option<usize> {
    let at = skip_blank(text, at);
    (text.get(at) == Some(&b':')).then(|| skip_blank(text, at + 1))
}

/// Steps over a comma to the token after it, or over the closing bracket, after
/// which there is no more.
#[inline]
fn next(text: &[u8], at: usize, closing: u8) -> Option<(usize, bool)> {
    let at = skip_blank(text, at);
    match *text.get(at)? {
        b',' => Some((skip_blank(text, at + 1), true)),
        c if c == closing => Some((at + 1, false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, path: &str) -> Option<String> {
        field(text.as_bytes(), &Path::parse(path).unwrap()).map(|b| String::from_utf8(b.to_vec()).unwrap())
    }

    #[test]
    fn fields_are_found_as_they_stand() {
        let value = r#" { "n" : 10 , "s":"abc", "deep":{"list":[ {"x":true},{"x":[]} , {}]},"k\u0041":1,"nil":null,"a":1,"a":{"b":2},"a":{"c":3} } "#;
        for (path, want) in [
            ("n", Some("10")),
            ("s", Some("\"abc\"")),
            ("deep.list.0.x", Some("true")),
            ("deep.list.1.x", Some("[]")),
            ("deep.list.2", Some("{}")),
            ("deep.list.3", None),
            ("deep.list.00", None),
            ("kA", Some("1")),
            ("nil", Some("null")),
            ("nil.x", None),
            ("a.b", None),
            ("a.c", Some("3")),
            ("none", None),
        ] {
            assert_eq!(at(value, path).as_deref(), want, "{path}");
        }
    }

    #[test]
    fn what_is_no_json_has_no_fields() {
        let good = r#"{"a":1,"b":["x\n\u00e9",-0.5e+3,true,false,null,{"c":{}}]}"#;
        assert!(at(good, "a").is_some());
        for cut in 0..good.len() {
            assert_eq!(at(&good[..cut], "a"), None, "{}", &good[..cut]);
        }
        for bad in [
            "",
            " ",
            "1",
            "[]",
            "\"a\"",
            "{\"a\":01}",
            "{\"a\":1}x",
            "{\"a\":1,}",
            "{\"a\":1 \"b\":2}",
            "{\"a\" 1}",
            "{a:1}",
            "{\"a\":1,\"b\":\"\t\"}",
            r#"{"a":1,"b":"\x"}"#,
            r#"{"a":1,"b":"\u12g4"}"#,
            r#"{"a":1,"b":1.}"#,
            r#"{"a":1,"b":.1}"#,
            r#"{"a":1,"b":1e}"#,
            r#"{"a":1,"b":-}"#,
            r#"{"a":1,"b":nul}"#,
            r#"{"a":1,"b":[1,]}"#,
            r#"{"a":1,"b":[1}}"#,
            r#"{"a":1,"b":{"c"}}"#,
        ] {
            assert_eq!(at(bad, "a"), None, "{bad}");
        }
        let nested = |n: usize| format!("{{\"a\":1,\"b\":{}{}}}", "[".repeat(n), "]".repeat(n));
        assert!(at(&nested(999), "a").is_some());
        assert_eq!(at(&nested(1000), "a"), None);
    }

    #[test]
    fn strings_say_what_they_escape() {
        let mut scratch = Vec::new();
        for (value, want) in [
            (r#""abc""#, "abc"),
            (r#""a\"\\\/\b\f\n\r\t\u00e9""#, "a\"\\/\x08\x0c\n\r\té"),
            (r#""\ud83d\ude00 \ud83d \ude00 \ud83dx""#, "😀 \u{fffd} \u{fffd} \u{fffd}x"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
            ("12.50", "12.50"),
            (r#"{"a":"\n"}"#, r#"{"a":"\n"}"#),
        ] {
            assert_eq!(text(value.as_bytes(), &mut scratch), want.as_bytes(), "{value}");
            assert!(equals(value.as_bytes(), want.as_bytes()), "{value}");
            assert!(!equals(value.as_bytes(), b"other"), "{value}");
            if value.starts_with('"') {
                let mut again = Vec::new();
                append_string(&mut again, want.as_bytes());
                assert_eq!(text(&again, &mut scratch), want.as_bytes(), "{value}");
            }
        }
        assert!(is_number(b"-1.5e3") && !is_number(b"1 ") && !is_number(b"") && !is_number(b"01"));
    }

    #[test]
    fn paths_that_lead_nowhere_are_refused() {
        assert!(Path::parse("").unwrap_err().contains("empty path"));
        assert!(Path::parse("a..b").unwrap_err().contains("empty part"));
        assert!(Path::parse(&"a.".repeat(1000)).is_err());
        assert!(Path::parse(&["a"; 1001].join(".")).unwrap_err().contains("more than 1000"));
    }
}
