//! A way to a server on this machine by an address that is not loopback, of which Kubernetes lets no slice speak.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Passes connections on to a port of the loopback until it is cut.
pub struct Relay {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    to: SocketAddr,
    is_cut: AtomicBool,
    accepted: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
}

impl Relay {
    /// Listens on an address of this machine, and leads to `port` of the loopback.
    ///
    /// # Panics
    /// When this machine has no other address than loopback.
    pub fn start(port: u16) -> Self {
        let listener = TcpListener::bind((own_address(), 0)).expect("listen on an address of this machine");
        let address = listener.local_addr().expect("read own address");
        let (is_cut, accepted, open) = (AtomicBool::new(false), AtomicUsize::new(0), Mutex::default());
        let state =
            Arc::new(State { to: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), is_cut, accepted, open });
        let serving = Arc::clone(&state);
        thread::spawn(move || serving.serve(&listener));
        Self { address, state }
    }

    /// The address that it listens on.
    pub fn ip(&self) -> String {
        self.address.ip().to_string()
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many connections came.
    pub fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }

    /// Ends all connections, and refuses new ones.
    ///
    /// # Panics
    /// When a thread of it has.
    pub fn cut(&self) {
        if !self.state.is_cut.swap(true, Ordering::SeqCst) {
            // Lets the thread see it; that nobody listens any more is as well.
            let _ = TcpStream::connect(self.address);
            for stream in self.state.open.lock().expect("no thread has panicked").drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.cut();
    }
}

impl State {
    fn serve(&self, listener: &TcpListener) {
        while let Ok((near, _)) = listener.accept() {
            if self.is_cut.load(Ordering::SeqCst) {
                return;
            }
            self.accepted.fetch_add(1, Ordering::SeqCst);
            // A server that is away is what some tests are about.
            let _ = self.join(near);
        }
    }

    fn join(&self, near: TcpStream) -> io::Result<()> {
        let far = TcpStream::connect(self.to)?;
        let pairs = [(near.try_clone()?, far.try_clone()?), (far.try_clone()?, near.try_clone()?)];
        self.open.lock().expect("no thread has panicked").extend([near, far]);
        for (mut from, mut to) in pairs {
            thread::spawn(move || {
                let _ = io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
        }
        Ok(())
    }
}

/// The address by which this machine would speak to others; nothing is sent to find it out.
fn own_address() -> IpAddr {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("make a socket");
    let found = socket.connect((Ipv4Addr::new(198, 51, 100, 1), 9)).and_then(|()| socket.local_addr());
    let address = found.expect("this machine needs an address that is not loopback").ip();
    assert!(!address.is_loopback(), "this machine needs an address that is not loopback");
    address
}
