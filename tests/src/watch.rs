//! A watch: an event a line, for as long as the server goes on.

use std::io::{BufRead as _, BufReader};

use serde_json::Value;

use crate::http::Request;
use crate::wire::Body;

/// An open watch, which is its events. It ends when the server ends it cleanly, and panics when it is cut.
pub struct Watch {
    lines: BufReader<Body>,
    asked: String,
}

impl Watch {
    pub(crate) fn open(request: &Request<'_>) -> Self {
        let asked = request.asked();
        let opened = request.connect().and_then(|mut connection| {
            connection.send(&request.bytes())?;
            let head = connection.head()?;
            Ok((head.code, connection.body("GET", &head)?))
        });
        let (code, body) = opened.unwrap_or_else(|fault| panic!("{asked}: {fault}"));
        assert_eq!(code, 200, "{asked}");
        Self { lines: BufReader::new(body), asked }
    }

    /// The next event's object, when the event is of this type.
    ///
    /// # Panics
    /// When it is of another, or the watch ends.
    #[track_caller]
    pub fn expect(&mut self, kind: &str) -> Value {
        let event = self.next();
        let mut event = event.unwrap_or_else(|| panic!("{} ended before {kind}", self.asked));
        assert_eq!(event["type"], kind, "{event}");
        event["object"].take()
    }
}

impl Iterator for Watch {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line);
        match read.unwrap_or_else(|fault| panic!("{} was cut: {fault}", self.asked)) {
            0 => None,
            _ => Some(serde_json::from_str(&line).unwrap_or_else(|fault| panic!("{fault}: {line}"))),
        }
    }
}
