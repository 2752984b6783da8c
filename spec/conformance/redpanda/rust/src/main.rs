//! The guest of ../guest in Rust: what it does with a record is what the record's value says.

use std::{env, error::Error, process, time::SystemTime};

use redpanda_transform_sdk::{on_record_written, BorrowedHeader, BorrowedRecord, RecordWriter, WriteEvent, WriteOptions};
use redpanda_transform_sdk_sr::{SchemaId, SchemaRegistryClient};

type Outcome = Result<(), Box<dyn Error>>;

fn main() {
    println!("starting with {}", variable("GREETING"));
    if variable("GREETING") == "exit" {
        process::exit(3);
    }
    on_record_written(on_record)
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

fn on_record(event: WriteEvent, writer: &mut RecordWriter) -> Outcome {
    let record = &event.record;
    let (key, value) = (record.key(), record.value());
    let copy = || BorrowedRecord::new_with_headers(key, value, record.headers().to_vec());
    match std::str::from_utf8(value.unwrap_or(b"null"))? {
        "both" => {
            let other = variable("REDPANDA_OUTPUT_TOPIC_1");
            writer.write_with_options(copy(), WriteOptions::to_topic(&other))?;
            writer.write(copy())?;
        }
        "headers" => {
            let greeting = variable("GREETING");
            let mut headers = record.headers().to_vec();
            headers.push(BorrowedHeader::new(b"seen-by", Some(greeting.as_bytes())));
            headers.push(BorrowedHeader::new(b"nothing", None));
            writer.write(BorrowedRecord::new_with_headers(key, value, headers))?;
        }
        "tombstone" => writer.write(BorrowedRecord::new(key, None))?,
        "keyless" => writer.write(BorrowedRecord::new(None, value))?,
        "environment" => {
            let mut words = vec![env::args().next().unwrap_or_default()];
            for name in ["REDPANDA_INPUT_TOPIC", "REDPANDA_OUTPUT_TOPIC_0", "REDPANDA_OUTPUT_TOPIC_1", "GREETING"] {
                words.push(variable(name));
            }
            answer(writer, key, &words.join(" "))?;
        }
        "clock" => {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis();
            let written = record.timestamp().duration_since(SystemTime::UNIX_EPOCH)?.as_millis();
            answer(writer, key, &format!("{now} {written}"))?;
        }
        "registry" => {
            let found = SchemaRegistryClient::new().lookup_schema_by_id(SchemaId(7));
            answer(writer, key, if found.is_err() { "off" } else { "on" })?;
        }
        "undeclared" => {
            let wrote = writer.write_with_options(copy(), WriteOptions::to_topic("nowhere"));
            answer(writer, key, if wrote.is_err() { "refused" } else { "written" })?;
        }
        "log" => {
            println!("an info line");
            eprintln!("a warn line");
        }
        "drop" => {}
        "error" => return Err("no good".into()),
        "panic" => panic!("all is lost"),
        "exit" => process::exit(7),
        "loop" => loop {
            std::hint::black_box(value);
        },
        _ => writer.write(copy())?,
    }
    Ok(())
}

fn answer(writer: &mut RecordWriter, key: Option<&[u8]>, text: &str) -> Outcome {
    Ok(writer.write(BorrowedRecord::new(key, Some(text.as_bytes())))?)
}
