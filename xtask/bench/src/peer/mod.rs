//! What others reach on the same machine in the same run: etcd as a store, nginx as the floor of serving and of
//! passing on bytes.

mod backend;
mod certificates;
mod etcd;
mod grpc;
mod nginx;

pub(crate) use backend::Backend;
pub(crate) use etcd::{Etcd, Putter, Ranger, etcd_binary, etcd_version};
pub(crate) use nginx::{Nginx, Proxy, nginx_version};

use std::net::{SocketAddr, TcpListener};

use anyhow::Context as _;

/// Loopback addresses that were free a moment ago, for programs that cannot choose one themselves.
fn free_addresses<const N: usize>() -> anyhow::Result<[SocketAddr; N]> {
    let bind = || TcpListener::bind("127.0.0.1:0").context("find a free port");
    let listeners = (0..N).map(|_| bind()).collect::<anyhow::Result<Vec<_>>>()?;
    let mut addresses = [SocketAddr::from(([127, 0, 0, 1], 0)); N];
    for (address, listener) in addresses.iter_mut().zip(&listeners) {
        *address = listener.local_addr().context("find a free port")?;
    }
    Ok(addresses)
}
