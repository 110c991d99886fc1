//! A wire that can be cut: what a network between a server and etcd does.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// Forwards connections to a port of this machine, unless it is cut.
pub(crate) struct Proxy {
    address: SocketAddr,
    connected: Arc<watch::Sender<bool>>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, connected) = (listener.local_addr().unwrap(), Arc::new(watch::Sender::new(true)));
        let task = tokio::spawn(accept(listener, port, connected.clone()));
        Self { address, connected, task }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Breaks every connection, and lets none through from now on. Returns once nothing passes any more.
    pub(crate) async fn cut(&self) {
        self.connected.send_replace(false);
        self.connected.closed().await;
    }

    /// Lets connections through again.
    pub(crate) fn mend(&self) {
        self.connected.send_replace(true);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, port: u16, connected: Arc<watch::Sender<bool>>) {
    while let Ok((stream, _)) = listener.accept().await {
        if *connected.borrow() {
            // Ends with the connection, or when it is cut.
            tokio::spawn(forward(stream, port, connected.subscribe()));
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "no server dials here")]
async fn forward(mut near: TcpStream, port: u16, mut connected: watch::Receiver<bool>) {
    let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        // Also when it is mended before this is looked at.
        _ = connected.changed() => {}
    }
}
