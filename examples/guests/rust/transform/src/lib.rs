//! Takes orders as JSON and makes of them what may be shown around: the id, the total
//! in cents, and the mail address without the name in it. Large orders go to the
//! second output, keyed by their id and all to partition 0; the others to the first.
//! What is no order and what was cancelled is dropped; a tombstone goes to both outputs, so
//! that whatever its key had is deleted in both.
//!
//! `--config limit=10000`: from how many cents on an order is large

use millrun::{json, Call, Config, Output, Record, Transform, Wants};

struct Orders {
    id: json::Path,
    status: json::Path,
    total: json::Path,
    email: json::Path,
    country: json::Path,
    at: json::Path,
    limit: i64,
    value: Vec<u8>,
    key: Vec<u8>,
    region: Vec<u8>,
}

impl Transform for Orders {
    const WANTS: Wants = Wants::VALUE.and(Wants::HEADERS);

    fn configure(config: &Config) -> Result<Self, String> {
        config.only(&["limit"])?;
        let limit = whole(config.get("limit").unwrap_or("10000").as_bytes()).ok_or("limit is no number of cents")?;
        Ok(Orders {
            id: json::Path::parse("id")?,
            status: json::Path::parse("status")?,
            total: json::Path::parse("total")?,
            email: json::Path::parse("customer.email")?,
            country: json::Path::parse("customer.country")?,
            at: json::Path::parse("at")?,
            limit,
            value: Vec::new(),
            key: Vec::new(),
            region: Vec::new(),
        })
    }

    fn map(&mut self, r: &Record, out: &mut Output) -> Result<(), String> {
        let Some(order) = r.value else {
            out.to(0);
            out.to(1);
            return Ok(());
        };
        let (Some(id), Some(cents)) = (json::field(order, &self.id), json::field(order, &self.total).and_then(cents)) else {
            return Ok(()); // no order
        };
        if json::field(order, &self.status).is_some_and(|status| json::equals(status, b"cancelled")) {
            return Ok(());
        }
        self.value.clear();
        self.value.extend_from_slice(b"{\"id\":");
        self.value.extend_from_slice(id);
        self.value.extend_from_slice(format!(",\"cents\":{cents}").as_bytes());
        if let Some(email) = json::field(order, &self.email).filter(|email| json::is_string(email)) {
            self.value.extend_from_slice(b",\"email\":\"***");
            let from = email.iter().rposition(|&c| c == b'@').unwrap_or(email.len() - 1);
            self.value.extend_from_slice(&email[from..]); // with its quote
        }
        self.value.push(b'}');

        let call = Call::current();
        let place = format!("{}/{}/{}", call.topic, call.partition, call.base_offset + i64::from(r.offset_delta));
        let large = cents >= self.limit;
        let mut row = out.to(u16::from(large)).value(&self.value).header("from", &place);
        if let Some(country) = json::field(order, &self.country).filter(|country| json::is_string(country)) {
            row = row.header("region", json::text(country, &mut self.region));
        }
        if let Some(at) = json::field(order, &self.at).and_then(whole) {
            row = row.timestamp(at);
        }
        if large {
            row.partition(0).key(json::text(id, &mut self.key));
        }
        Ok(())
    }
}

/// A number of at most fifteen digits and nothing else.
fn whole(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > 15 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(text.iter().fold(0, |n, c| n * 10 + i64::from(c - b'0')))
}

/// An amount as 12, 12.5 or 12.50, in cents.
fn cents(amount: &[u8]) -> Option<i64> {
    let dot = amount.iter().position(|&c| c == b'.').unwrap_or(amount.len());
    let euros = whole(&amount[..dot]).filter(|_| dot <= 12)?;
    let part = match amount.get(dot + 1..) {
        None => 0,
        Some(part) => match (whole(part)?, part.len()) {
            (tenths, 1) => tenths * 10,
            (hundredths, 2) => hundredths,
            _ => return None,
        },
    };
    Some(euros * 100 + part)
}

millrun::transform!(Orders);

#[cfg(test)]
mod tests {
    #[test]
    fn amounts_are_read_exactly() {
        for (text, want) in [
            ("12", Some(1200)),
            ("12.5", Some(1250)),
            ("0.07", Some(7)),
            ("12.505", None),
            ("-1", None),
            ("1e3", None),
            ("1234567890123", None),
        ] {
            assert_eq!(super::cents(text.as_bytes()), want, "{text}");
        }
    }
}
