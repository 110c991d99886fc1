//! A watch: an event a line, or a message, for as long as the server goes on, over each way that clients have.

use std::io::{self, BufRead as _, BufReader};

use serde_json::Value;

use crate::http::Request;
use crate::http2::Http2Watch;
use crate::websocket::WebSocket;
use crate::wire::Body;

/// How a watch comes to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Chunks of HTTP/1.1.
    Http1,
    /// Frames of HTTP/2.
    Http2,
    /// Messages of a WebSocket.
    WebSocket,
}

impl Transport {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::Http1, Self::Http2, Self::WebSocket];
}

/// An open watch, which is its events. It ends when the server ends it cleanly, and panics when it is cut.
pub struct Watch {
    lines: Box<dyn Lines + Send>,
    asked: String,
}

/// Where the text of events comes from.
pub(crate) trait Lines {
    /// The next event's text; nothing at a clean end.
    fn next_line(&mut self) -> io::Result<Option<String>>;
}

impl Watch {
    pub(crate) fn open(request: &Request<'_>, transport: Transport) -> Self {
        let lines: io::Result<Box<dyn Lines + Send>> = match transport {
            Transport::Http1 => Http1Lines::open(request).map(|lines| Box::new(lines) as _),
            Transport::Http2 => Http2Watch::open(request).map(|lines| Box::new(lines) as _),
            Transport::WebSocket => WebSocket::open(request).map(|lines| Box::new(lines) as _),
        };
        let asked = request.asked();
        Self { lines: lines.unwrap_or_else(|fault| panic!("{asked}: {fault}")), asked }
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
        let line = self.lines.next_line();
        let line = line.unwrap_or_else(|fault| panic!("{} was cut: {fault}", self.asked))?;
        Some(serde_json::from_str(&line).unwrap_or_else(|fault| panic!("{fault}: {line}")))
    }
}

struct Http1Lines(BufReader<Body>);

impl Http1Lines {
    fn open(request: &Request<'_>) -> io::Result<Self> {
        let mut connection = request.connect()?;
        connection.send(&request.bytes())?;
        let head = connection.head()?;
        if head.code != 200 {
            return Err(io::Error::other(format!("status {}", head.code)));
        }
        Ok(Self(BufReader::new(connection.body("GET", &head)?)))
    }
}

impl Lines for Http1Lines {
    fn next_line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line)?;
        Ok((read > 0).then_some(line))
    }
}
