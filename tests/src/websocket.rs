//! A WebSocket by hand for the handshake, so that each part of it can be wrong, and by a library for the frames.

use std::io::{self, Read, Write};

use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocket as Frames};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::http::Request;
use crate::watch::Lines;
use crate::wire::Connection;

/// The key and the answer that RFC 6455 has as its example.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The server's end of a WebSocket whose handshake is done.
pub fn server_socket<S: Read + Write>(stream: S) -> Frames<S> {
    Frames::from_raw_socket(stream, Role::Server, None)
}

/// An open WebSocket.
pub struct WebSocket {
    frames: Frames<Connection>,
    /// The subprotocol that the server chose.
    pub protocol: Option<String>,
}

impl Request<'_> {
    /// The request with the headers of a WebSocket handshake.
    #[must_use]
    pub fn websocket(self) -> Self {
        self.header("Connection", "keep-alive, Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", KEY)
    }
}

impl WebSocket {
    /// Opens what `request` asks for; it needs no headers for it.
    ///
    /// # Errors
    /// When the server refuses, or the connection is cut.
    pub fn open(request: &Request<'_>) -> io::Result<Self> {
        let request = request.clone().websocket();
        let mut connection = request.connect()?;
        connection.send(&request.bytes())?;
        let head = connection.head()?;
        let accepted = head.header("sec-websocket-accept") == Some(ACCEPT);
        if head.code != 101 || !accepted {
            return Err(io::Error::other(format!("status {}, accepted: {accepted}", head.code)));
        }
        let protocol = head.header("sec-websocket-protocol").map(str::to_owned);
        Ok(Self { frames: Frames::from_raw_socket(connection, Role::Client, None), protocol })
    }

    /// The next message that is no ping or pong.
    ///
    /// # Errors
    /// When the connection is cut.
    pub fn message(&mut self) -> io::Result<Message> {
        loop {
            match self.frames.read().map_err(io::Error::other)? {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return Ok(message),
            }
        }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When the connection is cut.
    pub fn send(&mut self, message: Message) -> io::Result<()> {
        self.frames.send(message).map_err(io::Error::other)
    }

    /// Reads until the server closes, and gives its reason.
    ///
    /// # Errors
    /// When the connection is cut without a close.
    pub fn closed(&mut self) -> io::Result<Option<CloseFrame>> {
        loop {
            if let Message::Close(frame) = self.message()? {
                // The answer to the close goes out with the next call.
                match self.frames.read() {
                    Err(Error::ConnectionClosed) | Ok(_) => return Ok(frame),
                    Err(fault) => return Err(io::Error::other(fault)),
                }
            }
        }
    }
}

impl Lines for WebSocket {
    fn next_line(&mut self) -> io::Result<Option<String>> {
        match self.message()? {
            Message::Text(text) => Ok(Some(text.to_string())),
            Message::Close(_) => Ok(None),
            other => Err(io::Error::other(format!("no text: {other:?}"))),
        }
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream().read(buffer)
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream().get_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream().get_mut().flush()
    }
}
