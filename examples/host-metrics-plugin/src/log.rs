//! A log line is one JSON object on stderr, in the keys that hosts of go-plugin read (`@level`, `@message`, …).

use std::io::{self, Write as _};

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Something that went as it should.
pub(crate) fn info(message: &str, fields: &Value) {
    write("info", message, fields);
}

/// Something that is wrong, while the plugin goes on.
pub(crate) fn warn(message: &str, fields: &Value) {
    write("warn", message, fields);
}

/// Something that a person must look at.
pub(crate) fn error(message: &str, fields: &Value) {
    write("error", message, fields);
}

fn write(level: &str, message: &str, fields: &Value) {
    let now = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
    let line = line(level, message, &now, fields);
    // There is nowhere left to report that stderr is closed.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Joins the fixed keys and the fields of one event.
fn line(level: &str, message: &str, timestamp: &str, fields: &Value) -> Value {
    let mut line = json!({
        "@level": level,
        "@message": message,
        "@module": "host-metrics",
        "@timestamp": timestamp,
    });
    for (key, value) in fields.as_object().into_iter().flatten() {
        line[key] = value.clone();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_beside_the_fixed_keys() {
        let line = line("warn", "part unreadable", "2026-01-02T03:04:05Z", &json!({"part": "/proc/stat"}));
        let expected = json!({
            "@level": "warn", "@message": "part unreadable", "@module": "host-metrics",
            "@timestamp": "2026-01-02T03:04:05Z", "part": "/proc/stat",
        });
        assert_eq!(line, expected);
    }
}
