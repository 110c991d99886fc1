//! HTTP/1.1 over TLS, byte for byte. Libraries put right what a test wants to send wrong: a path with `//`, a header in an
//! odd spelling, a NUL. So requests are written here as they are, and only answers are parsed.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::{CertificateDer, ServerName};

use crate::certificates::Certificate;
use crate::wait::BOUND;

/// How to connect: where, under which name, trusting and showing what.
#[derive(Clone)]
pub(crate) struct Endpoint {
    address: SocketAddr,
    name: ServerName<'static>,
    tls: Arc<ClientConfig>,
    /// Whether the kernel keeps little that was not read.
    small_buffer: bool,
}

/// Bytes of a small receive buffer.
const SMALL_BUFFER: usize = 64 * 1024;

impl Endpoint {
    pub(crate) fn new(
        address: SocketAddr,
        name: &str,
        ca: CertificateDer<'static>,
        shown: Option<&Certificate>,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(ca).expect("trust a CA");
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("use TLS as it comes")
            .with_root_certificates(roots);
        let config = match shown {
            None => config.with_no_client_auth(),
            Some(Certificate { chain, key }) => {
                config.with_client_auth_cert(chain.clone(), key.clone_key()).expect("show a certificate")
            }
        };
        let name = ServerName::try_from(name.to_owned()).expect("use a server name");
        Self { address, name, tls: Arc::new(config), small_buffer: false }
    }

    pub(crate) fn with_small_buffer(&self) -> Self {
        Self { small_buffer: true, ..self.clone() }
    }

    /// The same endpoint, which offers this application protocol alone.
    pub(crate) fn with_protocol(&self, protocol: &[u8]) -> Self {
        let mut tls = self.tls();
        tls.alpn_protocols = vec![protocol.to_vec()];
        Self { tls: Arc::new(tls), ..self.clone() }
    }

    /// Sets what the endpoint wants of a new connection.
    pub(crate) fn prepare(&self, socket: impl AsFd) -> io::Result<()> {
        if self.small_buffer {
            set_socket_recv_buffer_size(socket, SMALL_BUFFER)?;
        }
        Ok(())
    }

    pub(crate) fn host(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn name(&self) -> ServerName<'static> {
        self.name.clone()
    }

    pub(crate) fn tls(&self) -> ClientConfig {
        ClientConfig::clone(&self.tls)
    }

    pub(crate) fn connect(&self) -> io::Result<Connection> {
        let socket = TcpStream::connect(self.address)?;
        socket.set_nodelay(true)?;
        self.prepare(&socket)?;
        // What hangs fails as a read that timed out.
        socket.set_read_timeout(Some(BOUND))?;
        socket.set_write_timeout(Some(BOUND))?;
        let session =
            ClientConnection::new(Arc::clone(&self.tls), self.name.clone()).map_err(io::Error::other)?;
        Ok(Connection(BufReader::new(StreamOwned::new(session, socket))))
    }
}

/// One connection; requests follow one another on it.
pub struct Connection(BufReader<StreamOwned<ClientConnection, TcpStream>>);

/// The head of an answer.
pub(crate) struct Head {
    pub(crate) code: u16,
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }
}

impl Connection {
    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the server has closed the connection.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stream = self.0.get_mut();
        stream.write_all(bytes)?;
        stream.flush()
    }

    /// The status code of the next answer; `None` when the server closes the connection without one.
    pub fn answer_code(&mut self) -> Option<u16> {
        self.head().ok().map(|head| head.code)
    }

    /// Reads a status line with its headers, whose names come in lower case.
    pub(crate) fn head(&mut self) -> io::Result<Head> {
        let status = self.line()?;
        let code = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        let code = code.ok_or_else(|| invalid(format!("no status line: {status:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            match line.split_once(':') {
                Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
                None if line.is_empty() => return Ok(Head { code, headers }),
                None => return Err(invalid(format!("no header: {line:?}"))),
            }
        }
    }

    /// The certificate that the server has shown, in DER; `None` before the first bytes were exchanged.
    pub fn server_certificate(&self) -> Option<Vec<u8>> {
        let shown = self.0.get_ref().conn.peer_certificates()?;
        shown.first().map(|certificate| certificate.to_vec())
    }

    /// Whether the server ends the connection in order, without another byte of an answer.
    pub fn ends(&mut self) -> bool {
        matches!(self.0.fill_buf(), Ok([]))
    }

    /// The next chunk of an answer in chunks; nothing behind the last, whose trailers are what `trailers` then has.
    ///
    /// # Errors
    /// When the server sends no chunk.
    pub fn chunk(&mut self, trailers: &mut Vec<String>) -> io::Result<Option<Vec<u8>>> {
        let size = usize::from_str_radix(&self.line()?, 16).map_err(invalid)?;
        if size == 0 {
            loop {
                match self.line()? {
                    line if line.is_empty() => return Ok(None),
                    line => trailers.push(line),
                }
            }
        }
        let mut data = vec![0; size];
        self.0.read_exact(&mut data)?;
        self.line()?;
        Ok(Some(data))
    }

    /// Reads until the server ends, or cuts the connection.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // What was read before a cut counts.
        let _ = self.0.read_to_end(&mut bytes);
        bytes
    }

    /// Says that nothing more comes, and goes on reading.
    ///
    /// # Errors
    /// When the server has closed the connection.
    pub fn finish(&mut self) -> io::Result<()> {
        let stream = self.0.get_mut();
        stream.conn.send_close_notify();
        stream.flush()?;
        stream.sock.shutdown(std::net::Shutdown::Write)
    }

    /// The stream, of which some bytes may be read already.
    pub(crate) fn stream(&mut self) -> &mut BufReader<StreamOwned<ClientConnection, TcpStream>> {
        &mut self.0
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end_matches(['\r', '\n']).to_owned()),
        }
    }

    /// The body that follows `head`.
    pub(crate) fn body(self, method: &str, head: &Head) -> io::Result<Body> {
        let framing = match (head.header("content-length"), head.header("transfer-encoding")) {
            _ if method == "HEAD" || matches!(head.code, 204 | 304) => Framing::Length(0),
            (_, Some("chunked")) => Framing::Chunk(0),
            (Some(length), _) => Framing::Length(length.parse().map_err(invalid)?),
            (None, _) => Framing::Close,
        };
        Ok(Body { connection: self, framing })
    }
}

enum Framing {
    /// So many bytes are left.
    Length(usize),
    /// So many bytes of this chunk are left.
    Chunk(usize),
    /// The last chunk was read.
    End,
    /// The body ends with the connection.
    Close,
}

/// A body as it comes in. An end that the framing does not announce is an error, so a cut connection is never taken for
/// a whole body.
pub(crate) struct Body {
    connection: Connection,
    framing: Framing,
}

impl Body {
    /// The connection, for the next request; `None` while the body is not read whole.
    pub(crate) fn into_connection(self) -> Option<Connection> {
        matches!(self.framing, Framing::Length(0) | Framing::End).then_some(self.connection)
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        let line = self.connection.line()?;
        let size = usize::from_str_radix(line.split(';').next().unwrap_or_default(), 16).map_err(invalid)?;
        self.framing = Framing::Chunk(size);
        if size == 0 {
            while !self.connection.line()?.is_empty() {}
            self.framing = Framing::End;
        }
        Ok(())
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if matches!(self.framing, Framing::Chunk(0)) {
            self.next_chunk()?;
        }
        let limit = match &self.framing {
            Framing::Length(left) | Framing::Chunk(left) => buffer.len().min(*left),
            Framing::End => 0,
            Framing::Close => buffer.len(),
        };
        if limit == 0 {
            return Ok(0);
        }
        let read = self.connection.0.read(&mut buffer[..limit])?;
        match &mut self.framing {
            Framing::Length(left) | Framing::Chunk(left) => {
                if read == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                *left -= read;
                if matches!(self.framing, Framing::Chunk(0)) {
                    self.connection.line()?;
                }
            }
            Framing::End | Framing::Close => {}
        }
        Ok(read)
    }
}

fn invalid(fault: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, fault)
}
