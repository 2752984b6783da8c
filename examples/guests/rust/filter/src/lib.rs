//! Keeps the records whose value holds a text, or whose JSON has a field that says a value.
//!
//! `--config text=WORD`, or `--config field=customer.country --config value=NL`

use millrun::{json, Config, Filter, Needle, Record, Wants};

enum Condition {
    Text(Needle),
    Field(json::Path, Vec<u8>),
}

impl Filter for Condition {
    const WANTS: Wants = Wants::VALUE;

    fn configure(config: &Config) -> Result<Self, String> {
        config.only(&["text", "field", "value"])?;
        match (config.get("text"), config.get("field"), config.get("value")) {
            (Some(""), None, None) => Err("text is empty: every record would match".to_string()),
            (Some(text), None, None) => Ok(Condition::Text(Needle::new(text))),
            (None, Some(field), Some(value)) => {
                let path = json::Path::parse(field).map_err(|e| format!("field: {e}"))?;
                Ok(Condition::Field(path, value.as_bytes().to_vec()))
            }
            _ => Err("give either text, or field and value".to_string()),
        }
    }

    fn keep(&mut self, r: &Record) -> bool {
        let Some(value) = r.value else { return false };
        match self {
            Condition::Text(text) => text.is_in(value),
            Condition::Field(path, want) => json::field(value, path).is_some_and(|field| json::equals(field, want)),
        }
    }
}

millrun::filter!(Condition);
