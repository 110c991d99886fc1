//! What a plugin writes is its log, and must be read or it blocks. Lines become events of target `plugin`, bounded.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};
use tracing::Level;

/// The most bytes of a line that are kept; the rest of it is read and dropped.
const MAX_LINE_BYTES: usize = 8 * 1024;

/// The last line that was not of a lower level than a warning: why a plugin died is usually in there.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastWords(Arc<Mutex<String>>);

impl LastWords {
    pub(crate) fn get(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, text: &str) {
        let mut words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        words.clear();
        words.extend(text.chars().take(200));
    }
}

/// Reads `output` to its end, a line an event.
pub(crate) async fn drain(plugin: String, mut output: impl AsyncBufRead + Unpin, last: LastWords) {
    let mut line = Vec::new();
    while let Ok(true) = next_line(&mut output, &mut line).await {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        if !text.is_empty() {
            let entry = Entry::parse(text);
            if entry.level <= Level::WARN {
                last.set(&entry.message);
            }
            entry.log(&plugin);
        }
    }
}

/// The next line, cut at the bound; false at the end.
async fn next_line(output: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut any = false;
    loop {
        let available = output.fill_buf().await?;
        if available.is_empty() {
            return Ok(any);
        }
        any = true;
        let end = available.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(available.len(), |end| end + 1);
        let room = MAX_LINE_BYTES - line.len();
        line.extend_from_slice(&available[..taken.min(room)]);
        output.consume(taken);
        if end.is_some() {
            return Ok(true);
        }
    }
}

/// One line of a plugin's log.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    level: Level,
    message: String,
    /// What else an hclog line carries, as JSON; empty for other lines.
    fields: String,
}

impl Entry {
    /// Reads hclog's JSON, `[LEVEL] text`, a panic, or any text.
    fn parse(line: &str) -> Self {
        if let Ok(Value::Object(object)) = serde_json::from_str(line)
            && object.contains_key("@level")
        {
            return Self::hclog(object);
        }
        let (level, message) = plain(line);
        Self { level, message: message.to_owned(), fields: String::new() }
    }

    fn hclog(mut object: Map<String, Value>) -> Self {
        let mut take = |key: &str| match object.remove(key) {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        let (level, message) = (level(&take("@level")), take("@message"));
        take("@timestamp");
        let fields = if object.is_empty() { String::new() } else { Value::Object(object).to_string() };
        Self { level, message, fields }
    }

    fn log(&self, plugin: &str) {
        let Self { level, message, fields } = self;
        // A level is part of an event's static description, hence an arm each.
        macro_rules! at {
            ($level:ident) => {
                tracing::$level!(target: "plugin", plugin, fields, "{message}")
            };
        }
        match *level {
            Level::ERROR => at!(error),
            Level::WARN => at!(warn),
            Level::INFO => at!(info),
            Level::DEBUG => at!(debug),
            _ => at!(trace),
        }
    }
}

fn plain(line: &str) -> (Level, &str) {
    if line.starts_with("panic:") || line.starts_with("fatal error:") {
        return (Level::ERROR, line);
    }
    let tagged = line.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    match tagged {
        Some((tag @ ("TRACE" | "DEBUG" | "INFO" | "WARN" | "ERROR"), rest)) => (level(tag), rest.trim()),
        _ => (Level::INFO, line),
    }
}

/// hclog's level; what it does not know counts as information.
fn level(name: &str) -> Level {
    match name.to_ascii_lowercase().as_str() {
        "trace" => Level::TRACE,
        "debug" => Level::DEBUG,
        "warn" => Level::WARN,
        "error" => Level::ERROR,
        _ => Level::INFO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_line_has_its_level() {
        for (line, level, message, fields) in [
            (r#"{"@level":"warn","@message":"m","@timestamp":"t","k":1}"#, Level::WARN, "m", r#"{"k":1}"#),
            (r#"{"@level":"off","@message":"m"}"#, Level::INFO, "m", ""),
            (r#"{"level":"warn"}"#, Level::INFO, r#"{"level":"warn"}"#, ""),
            ("[ERROR] it broke", Level::ERROR, "it broke", ""),
            ("[TRACE]x", Level::TRACE, "x", ""),
            ("[NOTE] x", Level::INFO, "[NOTE] x", ""),
            ("panic: nil", Level::ERROR, "panic: nil", ""),
            ("hello", Level::INFO, "hello", ""),
        ] {
            let expected = Entry { level, message: message.into(), fields: fields.into() };
            assert_eq!(Entry::parse(line), expected, "{line}");
        }
    }

    #[tokio::test]
    async fn a_long_line_is_cut_and_the_next_one_is_whole() {
        let text = format!("{}\nnext\nlast", "x".repeat(100_000));
        let mut output = tokio::io::BufReader::with_capacity(777, text.as_bytes());
        let mut line = Vec::new();
        assert!(next_line(&mut output, &mut line).await.unwrap());
        assert_eq!(line.len(), MAX_LINE_BYTES);
        assert!(next_line(&mut output, &mut line).await.unwrap() && line == b"next\n");
        assert!(next_line(&mut output, &mut line).await.unwrap() && line == b"last");
        assert!(!next_line(&mut output, &mut line).await.unwrap());
    }

    #[tokio::test]
    async fn the_last_warning_is_remembered() {
        let last = LastWords::default();
        drain("p".into(), &b"[ERROR] why\n[INFO] bye\n"[..], last.clone()).await;
        assert_eq!(last.get(), "why");
    }
}
