//! Keeps the records whose value holds a text, as the filter beside it does, but
//! searches the stored batch as a whole and looks only at the records that it hits.
//!
//! `--config text=WORD`

use millrun::{Bitmap, Config, Needle, RawFilter, RawRecords};

struct Scan {
    text: Needle,
}

impl RawFilter for Scan {
    fn configure(config: &Config) -> Result<Self, String> {
        config.only(&["text"])?;
        match config.get("text") {
            None | Some("") => Err("which text? say --config text=...".to_string()),
            Some(text) => Ok(Scan { text: Needle::new(text) }),
        }
    }

    fn keep(&mut self, records: &RawRecords, kept: &mut Bitmap) -> Result<(), String> {
        records.search(&self.text, |index, record| {
            if record.value.is_some_and(|value| self.text.is_in(value)) {
                kept.keep(index);
            }
        })?;
        Ok(())
    }
}

millrun::raw_filter!(Scan);
