//! HTTP/2 by hand: a request's header block is written as the test says, with whatever a library would refuse to send.

use std::io::{self, Read as _};

use crate::http::Client;
use crate::wire::Connection;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// A connection that speaks HTTP/2, one request at a time.
pub struct Http2 {
    connection: Connection,
    stream: u32,
}

/// What came back on a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// An answer: whether its status was 200, and the body.
    Answer {
        /// Whether the head says so in the one byte that HPACK has for it.
        ok: bool,
        /// The body.
        body: Vec<u8>,
    },
    /// The stream was reset with this code.
    Reset(u32),
    /// The connection ended.
    Closed,
}

impl Http2 {
    /// Opens a connection.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn open(client: &Client) -> io::Result<Self> {
        let mut connection = client.connect_http2()?;
        connection.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
        connection.send(&frame(SETTINGS, 0, 0, &[]))?;
        Ok(Self { connection, stream: 1 })
    }

    /// Sends a request of these fields, pseudo ones first, a body if it is not empty, and these trailers; gives what comes.
    ///
    /// # Errors
    /// When the connection is cut in the middle of a frame.
    pub fn request(
        &mut self,
        fields: &[(&str, &str)],
        body: &[u8],
        trailers: &[(&str, &str)],
    ) -> io::Result<Reply> {
        let stream = self.stream;
        self.stream += 2;
        let last = |is_last: bool| if is_last { END_STREAM } else { 0 };
        let alone = body.is_empty() && trailers.is_empty();
        let mut bytes = frame(HEADERS, END_HEADERS | last(alone), stream, &block(fields));
        if !body.is_empty() {
            bytes.extend(frame(DATA, last(trailers.is_empty()), stream, body));
        }
        if !trailers.is_empty() {
            bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(trailers)));
        }
        self.connection.send(&bytes)?;
        self.reply(stream)
    }

    /// Begins so many requests and takes each back at once (CVE-2023-44487); gives how many could be sent.
    pub fn reset_rapidly(&mut self, fields: &[(&str, &str)], count: usize) -> usize {
        let block = block(fields);
        (0..count)
            .take_while(|_| {
                let stream = self.stream;
                self.stream += 2;
                let mut bytes = frame(HEADERS, END_HEADERS | END_STREAM, stream, &block);
                // CANCEL.
                bytes.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
                self.connection.send(&bytes).is_ok()
            })
            .count()
    }

    /// Begins a header block and never ends it (RUSTSEC-2024-0332); gives how many frames could be sent.
    pub fn continue_headers(&mut self, fields: &[(&str, &str)], count: usize) -> usize {
        let (stream, block) = (self.stream, block(fields));
        let begun = self.connection.send(&frame(HEADERS, 0, stream, &block)).is_ok();
        (0..count)
            .take_while(|_| begun && self.connection.send(&frame(CONTINUATION, 0, stream, &block)).is_ok())
            .count()
    }

    /// Reads until the server has closed the connection; says whether it told so.
    ///
    /// # Errors
    /// When the connection stays open.
    pub fn closed(&mut self) -> io::Result<bool> {
        let mut told = false;
        loop {
            let mut head = [0; 9];
            match self.connection.read_exact(&mut head) {
                Ok(()) => {}
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => return Err(fault),
                Err(_) => return Ok(told),
            }
            told |= head[3] == GOAWAY;
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            if self.connection.read_exact(&mut vec![0; length]).is_err() {
                return Ok(told);
            }
        }
    }

    fn reply(&mut self, wanted: u32) -> io::Result<Reply> {
        let (mut ok, mut body) = (false, Vec::new());
        loop {
            let mut head = [0; 9];
            if self.connection.read_exact(&mut head).is_err() {
                return Ok(Reply::Closed);
            }
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let (kind, flags) = (head[3], head[4]);
            let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
            let mut payload = vec![0; length];
            self.connection.read_exact(&mut payload)?;
            match kind {
                SETTINGS if flags & ACK == 0 => self.connection.send(&frame(SETTINGS, ACK, 0, &[]))?,
                GOAWAY => return Ok(Reply::Closed),
                RST_STREAM if stream == wanted => {
                    let code: [u8; 4] = payload.try_into().unwrap_or_default();
                    return Ok(Reply::Reset(u32::from_be_bytes(code)));
                }
                // `:status: 200` is entry 8 of the static table.
                HEADERS if stream == wanted => ok |= payload.first() == Some(&0x88),
                DATA if stream == wanted => body.extend(payload),
                _ => continue,
            }
            if matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
                return Ok(Reply::Answer { ok, body });
            }
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header block of literals, none of them indexed or compressed.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in fields.iter().flat_map(|(name, value)| [("name", name), ("value", value)]) {
        if text.0 == "name" {
            bytes.push(0);
        }
        // A length in seven bits, or more in the bytes behind.
        let mut length = text.1.len();
        if length < 127 {
            bytes.push(length as u8);
        } else {
            bytes.push(127);
            length -= 127;
            while length >= 128 {
                bytes.push((length % 128 + 128) as u8);
                length /= 128;
            }
            bytes.push(length as u8);
        }
        bytes.extend(text.1.as_bytes());
    }
    bytes
}
