//! A real server of plain HTTP/1.1 at a port that it can leave and come back to, and that behaves as a test says.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::target::Address;

/// What is done with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// It is answered with this code and the place's port.
    Answer(u16),
    /// It is read, and the connection closed.
    Break,
    /// It is answered once the place is told to go on.
    Hold,
}

/// What every place has seen, by the path of the request: how often a head, and how often a body.
pub(super) type Seen = Arc<Mutex<HashMap<String, (usize, usize)>>>;

pub(super) struct Place {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    tasks: Option<JoinSet<()>>,
}

struct Shared {
    manner: Mutex<Manner>,
    go_on: Semaphore,
    connections: AtomicUsize,
    requests: AtomicUsize,
    seen: Seen,
}

impl Place {
    pub(super) async fn start(seen: &Seen) -> Self {
        let shared = Shared {
            manner: Mutex::new(Manner::Answer(200)),
            go_on: Semaphore::new(0),
            connections: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            seen: Arc::clone(seen),
        };
        let mut place = Self { address: ([127, 0, 0, 1], 0).into(), shared: Arc::new(shared), tasks: None };
        place.open().await;
        place
    }

    pub(super) fn at(&self) -> Address {
        Address::tcp("127.0.0.1", self.address.port())
    }

    /// Listens, where it did before if it did.
    pub(super) async fn open(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        let (shared, mut tasks) = (Arc::clone(&self.shared), JoinSet::new());
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                shared.connections.fetch_add(1, Ordering::SeqCst);
                connections.spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        self.tasks = Some(tasks);
    }

    /// Is gone, with all its connections.
    pub(super) async fn close(&mut self) {
        self.tasks.take().unwrap().shutdown().await;
    }

    pub(super) fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    /// Answers so many requests that are held.
    pub(super) fn go_on(&self, requests: usize) {
        self.shared.go_on.add_permits(requests);
    }

    /// Connections that were made.
    pub(super) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Requests that came.
    pub(super) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let port = stream.local_addr().unwrap().port();
    let mut stream = BufReader::new(stream);
    while let Some((path, length)) = head(&mut stream).await {
        let mut body = vec![0; length];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        shared.requests.fetch_add(1, Ordering::SeqCst);
        {
            let mut seen = shared.seen.lock().unwrap();
            let (heads, bodies) = seen.entry(path).or_default();
            *heads += 1;
            *bodies += usize::from(length > 0);
        }
        let manner = *shared.manner.lock().unwrap();
        let code = match manner {
            Manner::Break => return,
            Manner::Answer(code) => code,
            Manner::Hold => {
                shared.go_on.acquire().await.unwrap().forget();
                200
            }
        };
        let text = port.to_string();
        let answer = format!("HTTP/1.1 {code} X\r\ncontent-length: {}\r\n\r\n{text}", text.len());
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The path of the next request, and the length of its body.
async fn head(stream: &mut BufReader<TcpStream>) -> Option<(String, usize)> {
    let (mut path, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Some((path?, length));
        }
        if path.is_none() {
            path = line.split(' ').nth(1).map(str::to_owned);
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
}
