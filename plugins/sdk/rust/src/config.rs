use std::collections::BTreeMap;

/// What the deployment was given with `--config`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config(BTreeMap<String, String>);

const MALFORMED: &str = "the configuration is no JSON object of strings";

impl Config {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// All keys and values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// Refuses keys that are not among those named.
    pub fn only(&self, keys: &[&str]) -> Result<(), String> {
        let unknown: Vec<String> = self.0.keys().filter(|k| !keys.contains(&k.as_str())).map(|k| format!("{k:?}")).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        Err(format!("unknown key {} (known: {})", unknown.join(", "), keys.join(", ")))
    }

    /// Reads one JSON object of strings.
    pub fn parse(text: &[u8]) -> Result<Config, String> {
        let mut reader = Reader { rest: text };
        reader.object().map(Config).ok_or_else(|| MALFORMED.to_string())
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Config {
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a str)>>(pairs: T) -> Config {
        Config(pairs.into_iter().map(|(k, v)| (k.to_string(), v.to_string())).collect())
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn object(&mut self) -> Option<BTreeMap<String, String>> {
        let mut all = BTreeMap::new();
        self.take(b'{')?;
        while self.take(b'}').is_none() {
            if !all.is_empty() {
                self.take(b',')?;
            }
            let key = self.string()?;
            self.take(b':')?;
            all.insert(key, self.string()?);
        }
        self.blank();
        self.rest.is_empty().then_some(all)
    }

    fn blank(&mut self) {
        while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    fn take(&mut self, c: u8) -> Option<()> {
        self.blank();
        self.rest = self.rest.strip_prefix(&[c])?;
        Some(())
    }

    fn string(&mut self) -> Option<String> {
        self.take(b'"')?;
        let end = crate::json::skip_string(self.rest, 0)?;
        let mut text = Vec::new();
        crate::json::unescape(&mut text, &self.rest[..end - 1]);
        self.rest = &self.rest[end..];
        String::from_utf8(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_is_read_like_json() {
        for (text, want) in [
            (r#"{}"#, vec![]),
            (r#" { "a" : "b" , "c":"" } "#, vec![("a", "b"), ("c", "")]),
            (
                r#"{"a":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\ud83dx"}"#,
                vec![("a", "\"\\/\x08\x0c\n\r\té😀\u{fffd}x")],
            ),
            (r#"{"a":"1","a":"2"}"#, vec![("a", "2")]),
            (r#"{"é":"ü"}"#, vec![("é", "ü")]),
        ] {
            assert_eq!(Config::parse(text.as_bytes()), Ok(want.into_iter().collect()), "{text}");
        }
        for text in [
            "",
            "{",
            r#"{"a"}"#,
            r#"{"a":1}"#,
            r#"{"a":"b",}"#,
            r#"{"a":"b"}x"#,
            r#"["a"]"#,
            r#"{"a":"\x"}"#,
            r#"{"a":"\u12"}"#,
            "{\"a\":\"\n\"}",
            r#"{"a":"b" "c":"d"}"#,
        ] {
            assert_eq!(Config::parse(text.as_bytes()), Err(MALFORMED.to_string()), "{text}");
        }
    }

    #[test]
    fn unknown_keys_are_named() {
        let config = Config::from_iter([("b", ""), ("a", ""), ("field", "x")]);
        assert_eq!(config.only(&["field", "op"]), Err(r#"unknown key "a", "b" (known: field, op)"#.to_string()));
        assert_eq!(config.only(&["a", "b", "field"]), Ok(()));
        assert_eq!(config.iter().count(), 3);
    }
}
