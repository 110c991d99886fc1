//! A connection that became a WebSocket: each frame of the answer's body is a message. What the client sends is read, so
//! that pings and a close are answered, and otherwise ignored, as upstream does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use detectviz_core::RunContext;
use detectviz_core::http::Body;
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::upgrade::Messages;

/// The most bytes of a message from the client, which has nothing to say.
const MAX_MESSAGE: usize = 64 * 1024;
/// How often a client is asked whether it is still there, and how long it may be silent.
const PING: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(50));
/// How long a client may take to read a message, and to answer a close.
const WRITE_TIMEOUT: Duration = Duration::from_secs(120);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends the messages until the body ends, the client goes, or the server stops; the body ends by itself then.
pub(super) async fn serve(upgraded: Upgraded, body: Body, messages: Messages, context: &RunContext) {
    let mut session = Session::new(TokioIo::new(upgraded)).await;
    match session.run(body, messages).await {
        Ok(()) => {
            let code = if context.is_draining() { CloseCode::Away } else { CloseCode::Normal };
            session.close(code).await;
        }
        Err(fault) => tracing::debug!(error = %fault, "WebSocket ended"),
    }
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, session.socket.get_mut().shutdown()).await;
}

struct Session<S> {
    socket: WebSocketStream<S>,
    /// When the client was last heard of.
    heard: Instant,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    async fn new(stream: S) -> Self {
        // What waits to be written is one message, which may be as large as an object, and the answer to one ping.
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE))
            .read_buffer_size(4096)
            .write_buffer_size(0)
            .max_write_buffer_size(usize::MAX);
        let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
        Self { socket, heard: Instant::now() }
    }

    async fn run(&mut self, mut body: Body, messages: Messages) -> Result<(), Error> {
        let mut pings = tokio::time::interval_at(Instant::now() + PING.0, PING.0);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let message = tokio::select! {
                frame = body.frame() => match frame {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => message(data, messages)?,
                        Err(_) => continue,
                    },
                    Some(Err(_)) | None => return Ok(()),
                },
                heard = self.socket.next() => {
                    let heard = heard.ok_or(Error::ConnectionClosed)??;
                    self.heard = Instant::now();
                    if heard.is_ping() {
                        self.answer().await?;
                    }
                    continue;
                }
                _ = pings.tick() => {
                    if self.heard.elapsed() > PING.1 {
                        return Err(Error::ConnectionClosed);
                    }
                    Message::Ping(Bytes::new())
                }
            };
            self.send(message).await?;
        }
    }

    /// Sends a message. That the client took it counts as a sign of life: its answer to a ping may wait behind it.
    async fn send(&mut self, message: Message) -> Result<(), Error> {
        let sent = tokio::time::timeout(WRITE_TIMEOUT, self.socket.send(message)).await;
        sent.unwrap_or(Err(Error::ConnectionClosed))?;
        self.heard = Instant::now();
        Ok(())
    }

    /// Sends the answer to a ping before more is read, so that a client which pings and never reads piles up nothing.
    async fn answer(&mut self) -> Result<(), Error> {
        let sent = tokio::time::timeout(WRITE_TIMEOUT, self.socket.flush()).await;
        sent.unwrap_or(Err(Error::ConnectionClosed))
    }

    /// Says goodbye, and waits a little for the answer.
    async fn close(&mut self, code: CloseCode) {
        let goodbye = async {
            self.socket.close(Some(CloseFrame { code, reason: Utf8Bytes::default() })).await?;
            while let Some(message) = self.socket.next().await {
                message?;
            }
            Ok::<_, Error>(())
        };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, goodbye).await;
    }
}

fn message(data: Bytes, messages: Messages) -> Result<Message, Error> {
    Ok(match messages {
        Messages::Text => {
            Message::Text(Utf8Bytes::try_from(data).map_err(|fault| Error::Utf8(fault.to_string()))?)
        }
        Messages::Binary => Message::Binary(data),
        Messages::Base64 => Message::Text(STANDARD.encode(data).into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::poll;
    use std::pin::pin;

    /// A ping of a client, with a mask of zeros.
    const PING_FRAME: [u8; 6] = [0x89, 0x80, 0, 0, 0, 0];

    #[tokio::test]
    async fn a_client_that_pings_and_never_reads_is_not_read_any_more() {
        let (mut client, server) = tokio::io::duplex(256);
        let mut session = Session::new(server).await;
        let body = Body::stream(http_body_util::StreamBody::new(futures_util::stream::pending::<
            Result<http_body::Frame<Bytes>, std::io::Error>,
        >()));
        let mut run = pin!(session.run(body, Messages::Text));
        let mut refused = 0;
        for _ in 0..100_000 {
            assert!(poll!(&mut run).is_pending());
            let is_taken = poll!(pin!(client.write(&PING_FRAME))).is_ready();
            refused = if is_taken { 0 } else { refused + 1 };
            if refused == 3 {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("pings are read whose answers cannot be written");
    }
}
