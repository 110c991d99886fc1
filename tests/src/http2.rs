//! A watch over HTTP/2, whose frames a library reads; each watch has a connection of its own, and no thread.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsConnector;

use crate::http::Request;
use crate::wait::BOUND;
use crate::watch::Lines;
use crate::wire::Endpoint;

/// An open watch.
pub(crate) struct Http2Watch {
    runtime: Runtime,
    body: Incoming,
    pending: Vec<u8>,
    lines: VecDeque<String>,
}

impl Http2Watch {
    pub(crate) fn open(request: &Request<'_>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let body = runtime.block_on(begin(request))?;
        Ok(Self { runtime, body, pending: Vec::new(), lines: VecDeque::new() })
    }

    fn take(&mut self, data: &[u8]) -> io::Result<()> {
        self.pending.extend_from_slice(data);
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            self.lines.push_back(String::from_utf8(line).map_err(io::Error::other)?);
        }
        Ok(())
    }
}

impl Lines for Http2Watch {
    fn next_line(&mut self) -> io::Result<Option<String>> {
        while self.lines.is_empty() {
            let frame = async { tokio::time::timeout(BOUND, self.body.frame()).await };
            let Some(frame) = self.runtime.block_on(frame)? else { return Ok(None) };
            let data = frame.map_err(io::Error::other)?.into_data().unwrap_or_default();
            self.take(&data)?;
        }
        Ok(self.lines.pop_front())
    }
}

#[allow(clippy::disallowed_methods, reason = "the dial policy is the server's, and this is a client")]
async fn begin(request: &Request<'_>) -> io::Result<Incoming> {
    let endpoint = request.endpoint();
    let mut tls = endpoint.tls();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let socket = std::net::TcpStream::connect(endpoint.host())?;
    endpoint.prepare(&socket)?;
    socket.set_nonblocking(true)?;
    let socket = TcpStream::from_std(socket)?;
    let stream = TlsConnector::from(std::sync::Arc::new(tls)).connect(endpoint.name(), socket).await?;
    let (mut send, connection) =
        http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
    tokio::spawn(connection);
    let response = send.send_request(head(request, endpoint)?).await.map_err(io::Error::other)?;
    match response.status().as_u16() {
        200 => Ok(response.into_body()),
        code => Err(io::Error::other(format!("status {code}"))),
    }
}

fn head(request: &Request<'_>, endpoint: &Endpoint) -> io::Result<hyper::Request<Empty<Bytes>>> {
    let uri = format!("https://{}{}", endpoint.host(), request.path());
    let mut head = hyper::Request::get(uri);
    for (name, value) in request.headers() {
        head = head.header(name, value);
    }
    head.body(Empty::new()).map_err(io::Error::other)
}
