//! What a plugin writes is its log, and must be read or it blocks. Lines become events of target `plugin`, bounded.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};
use tokio::time::sleep;
use tracing::Level;

/// The most bytes of a line that are kept; the rest of it is read and dropped.
const MAX_LINE_BYTES: usize = 8 * 1024;

/// The most lines that a plugin may log in a second; the rest is counted.
const MAX_LINES: u32 = 200;
const SECOND: Duration = Duration::from_secs(1);

/// What a process's two streams share; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    plugin: Arc<str>,
    state: Arc<Mutex<LogState>>,
}

#[derive(Debug)]
struct LogState {
    /// The last line that was not of a lower level than a warning: why a plugin died is usually in there.
    last_words: String,
    /// When this second began.
    since: Instant,
    /// The lines of this second that were logged.
    lines: u32,
    /// Those that were not.
    dropped: u64,
}

impl Log {
    /// A log of which nothing was used.
    pub(crate) fn new(plugin: &str) -> Self {
        let state = LogState { last_words: String::new(), since: Instant::now(), lines: 0, dropped: 0 };
        Self { plugin: plugin.into(), state: Arc::new(Mutex::new(state)) }
    }

    /// The start of the last warning or error.
    pub(crate) fn last_words(&self) -> String {
        self.lock().last_words.clone()
    }

    /// Takes a line: what to log of it, unless this second has had its lines.
    fn take(&self, line: &str) -> Option<Entry> {
        let entry = Entry::parse(line);
        let mut state = self.lock();
        if entry.level <= Level::WARN {
            state.last_words.clear();
            state.last_words.extend(entry.message.chars().take(200));
        }
        if state.lines == MAX_LINES {
            state.dropped += 1;
            return None;
        }
        state.lines += 1;
        Some(entry)
    }

    /// Begins another second if it is time; how many lines the last one lost.
    fn turn(&self, now: Instant) -> u64 {
        let mut state = self.lock();
        if now.saturating_duration_since(state.since) < SECOND {
            return 0;
        }
        (state.since, state.lines) = (now, 0);
        std::mem::take(&mut state.dropped)
    }

    fn has_dropped(&self) -> bool {
        self.lock().dropped > 0
    }

    fn say_dropped(&self, now: Instant) {
        let lines = self.turn(now);
        if lines > 0 {
            let plugin = &*self.plugin;
            tracing::warn!(target: "plugin", plugin, lines, "plugin writes more than {MAX_LINES} lines a second: the rest was dropped");
        }
    }

    fn lock(&self) -> MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads `output` to its end, a line an event.
pub(crate) async fn drain(mut output: impl AsyncBufRead + Unpin, log: Log) {
    let mut line = Vec::new();
    loop {
        let next = tokio::select! {
            next = next_line(&mut output, &mut line) => next.unwrap_or(false),
            // A plugin that fell silent is told of, too.
            () = sleep(SECOND), if log.has_dropped() => {
                log.say_dropped(Instant::now());
                continue;
            }
        };
        if !next {
            break;
        }
        log.say_dropped(Instant::now());
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        if !text.is_empty()
            && let Some(entry) = log.take(text)
        {
            entry.log(&log.plugin);
        }
        line.clear();
    }
    // Its last second is over.
    log.say_dropped(Instant::now() + SECOND);
}

/// Completes `line` with the rest of it, cut at the bound; false at the end. May be dropped and called again.
async fn next_line(output: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        let available = output.fill_buf().await?;
        if available.is_empty() {
            return Ok(!line.is_empty());
        }
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
        for rest in ["next\n", "last", ""] {
            line.clear();
            let any = next_line(&mut output, &mut line).await.unwrap();
            assert_eq!((any, line.as_slice()), (!rest.is_empty(), rest.as_bytes()));
        }
    }

    #[tokio::test]
    async fn the_last_warning_is_remembered() {
        let log = Log::new("p");
        drain(&b"[ERROR] why\n[INFO] bye\n"[..], log.clone()).await;
        assert_eq!(log.last_words(), "why");
    }

    #[test]
    fn a_second_has_its_lines_and_the_rest_is_counted() {
        let log = Log::new("p");
        let begin = log.lock().since;
        let logged = |count: usize| (0..count).filter(|_| log.take("[WARN] x").is_some()).count();
        assert_eq!((logged(250), log.turn(begin), logged(50)), (200, 0, 0));
        assert!(log.has_dropped());
        assert_eq!((log.turn(begin + SECOND), logged(20), log.turn(begin + 2 * SECOND)), (100, 20, 0));
    }

    #[tokio::test]
    async fn a_flood_is_read_to_its_end_and_says_what_was_lost() {
        let log = Log::new("p");
        let flood = "[INFO] x\n".repeat(10_000) + "[ERROR] why\n";
        drain(flood.as_bytes(), log.clone()).await;
        assert_eq!((log.last_words().as_str(), log.has_dropped()), ("why", false));
    }
}
