//! May we dial this address? A backend's address comes from an API object, so whoever may write the object would
//! otherwise choose what the server, with its network position and its credentials, connects to.
//!
//! Loopback and private addresses are allowed unless the option `egress.deny` names them: backends beside the server are the common case. What can never be a
//! backend is refused, and so is the server itself, since a request that came back would arrive with our own
//! identity, and go round for ever.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use detectviz_core::options::Network;

/// Where clouds serve a machine its credentials, as far as these lie outside the link-local ranges.
const METADATA: [IpAddr; 6] = [
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// Why an address must not be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Our own listener, under any of its addresses.
    #[error("{0} is this server's own listener")]
    OwnListener(SocketAddr),
    /// 169.254.0.0/16 or fe80::/10: metadata services, and whatever else is on the wire.
    #[error("{0} is a link-local address")]
    LinkLocal(SocketAddr),
    /// A cloud's metadata service outside the link-local ranges.
    #[error("{0} is a cloud metadata service")]
    Metadata(SocketAddr),
    /// 0.0.0.0/8 or ::, which systems take for "this machine".
    #[error("{0} is not the address of any machine")]
    Unspecified(SocketAddr),
    /// A group of machines, or all of them.
    #[error("{0} is a multicast or broadcast address")]
    Multicast(SocketAddr),
    /// In a network of the option `egress.deny`.
    #[error("{0} is in {1}, which the option egress.deny refuses")]
    Denied(SocketAddr, Network),
    /// A unix socket that this server listens on.
    #[error("it is this server's own socket")]
    OwnSocket,
    /// A unix socket outside of the folders where backends may be, wherever links lead.
    #[error("its file is in no folder of the option aggregator.socket_dirs")]
    OutsideSocket,
}

/// What may be dialled. Shared as an `Arc` by everything that dials; the listeners become known only when they
/// are bound, hence they are added later.
#[derive(Default)]
pub struct DialPolicy {
    listeners: ArcSwap<Vec<SocketAddr>>,
    sockets: ArcSwap<Vec<PathBuf>>,
    denied: ArcSwap<Vec<Network>>,
    /// Where unix sockets may be; anywhere, as long as nobody said.
    socket_dirs: ArcSwapOption<Vec<PathBuf>>,
}

impl DialPolicy {
    /// A policy that knows no listener of ours yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Refuses our own listener from now on. A wildcard address covers every address of this machine at that port;
    /// a loopback address covers the whole loopback of both families, since names like `localhost` mean all of it.
    pub fn deny_listener(&self, bound: SocketAddr) {
        add(&self.listeners, bound);
    }

    /// Refuses our own unix socket from now on, under whatever path.
    pub fn deny_socket(&self, path: PathBuf) {
        add(&self.sockets, path);
    }

    /// Refuses these networks from now on, and no longer those that it was told before.
    pub fn deny_networks(&self, networks: Vec<Network>) {
        self.denied.store(Arc::new(networks));
    }

    /// Refuses unix sockets from now on whose files are not in `folders`. A link in one of them leads nowhere else.
    pub fn confine_sockets(&self, folders: Vec<PathBuf>) {
        self.socket_dirs.store(Some(Arc::new(folders)));
    }

    /// Whether `address` may be dialled. It must be the address that is then dialled, not a name: a name may mean
    /// something else the next time it is asked for.
    ///
    /// # Errors
    /// [`Refused`] with the reason.
    pub fn check(&self, address: SocketAddr) -> Result<(), Refused> {
        let ip = address.ip().to_canonical();
        self.judge(address, ip)?;
        carried(ip).map_or(Ok(()), |inner| self.judge(address, IpAddr::V4(inner)))
    }

    /// Whether `address` may be dialled, as far as it ends at `ip`.
    fn judge(&self, address: SocketAddr, ip: IpAddr) -> Result<(), Refused> {
        if let Some(refused) = never_a_backend(ip) {
            return Err(refused(address));
        }
        if let Some(network) = self.denied.load().iter().find(|network| network.contains(ip)) {
            return Err(Refused::Denied(address, *network));
        }
        let target = SocketAddr::new(ip, address.port());
        if self.listeners.load().iter().any(|listener| is_own(*listener, target)) {
            return Err(Refused::OwnListener(address));
        }
        Ok(())
    }

    /// Whether the unix socket at `path` may be dialled.
    ///
    /// # Errors
    /// [`Refused::OwnSocket`], [`Refused::OutsideSocket`].
    pub fn check_socket(&self, path: &Path) -> Result<(), Refused> {
        // Files are told apart by what they are: links and mounts give one of them many paths.
        let file = |path: &Path| path.metadata().ok().map(|file| (file.dev(), file.ino()));
        let is_own = |own: &PathBuf| own == path || file(own).is_some_and(|own| file(path) == Some(own));
        if self.sockets.load().iter().any(is_own) {
            return Err(Refused::OwnSocket);
        }
        match &*self.socket_dirs.load() {
            Some(folders) if !is_within(path, folders) => Err(Refused::OutsideSocket),
            _ => Ok(()),
        }
    }
}

/// Whether the file at `path` is in one of `folders`, once all links on both ways are followed. One that is not there is
/// where its name says: connecting to it fails.
fn is_within(path: &Path, folders: &[PathBuf]) -> bool {
    let Ok(file) = path.canonicalize() else { return folders.iter().any(|folder| path.starts_with(folder)) };
    folders.iter().filter_map(|folder| folder.canonicalize().ok()).any(|folder| file.starts_with(folder))
}

fn add<T: Clone>(list: &ArcSwap<Vec<T>>, item: T) {
    list.rcu(|list| {
        let mut list = Vec::clone(list);
        list.push(item.clone());
        Arc::new(list)
    });
}

fn never_a_backend(ip: IpAddr) -> Option<fn(SocketAddr) -> Refused> {
    let (unspecified, link_local, broadcast) = match ip {
        IpAddr::V4(ip) => (ip.octets()[0] == 0, ip.is_link_local(), ip.is_broadcast()),
        IpAddr::V6(ip) => (ip.is_unspecified(), ip.is_unicast_link_local(), false),
    };
    match () {
        () if unspecified => Some(Refused::Unspecified),
        () if link_local => Some(Refused::LinkLocal),
        () if broadcast || ip.is_multicast() => Some(Refused::Multicast),
        () if METADATA.contains(&ip) => Some(Refused::Metadata),
        () => None,
    }
}

/// The IPv4 address that an IPv6 address carries, where routers or hosts translate or tunnel: a connection may end at
/// either, so both are judged. (Mapped addresses, `::ffff:0:0/96`, *are* IPv4 and never get here.)
fn carried(ip: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(ip) = ip else { return None };
    let [.., high, low] = ip.segments();
    let last = (u32::from(high) << 16) | u32::from(low);
    let carried = match ip.segments() {
        // `::a.b.c.d`, deprecated by RFC 4291 but still tunnelled by systems that are told to.
        [0, 0, 0, 0, 0, 0, ..] if last > 1 => last,
        // NAT64: the well-known prefix of RFC 6052, and the local ones of RFC 8215.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..] => last,
        // 6to4, RFC 3056.
        [0x2002, high, low, ..] => (u32::from(high) << 16) | u32::from(low),
        // Teredo, RFC 4380: the client's address, inverted.
        [0x2001, 0, ..] => !last,
        // `::ffff:0:a.b.c.d` of stateless translators, RFC 2765.
        [0, 0, 0, 0, 0xffff, 0, ..] => last,
        // ISATAP, RFC 5214: below any prefix.
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => last,
        _ => return None,
    };
    Some(Ipv4Addr::from_bits(carried))
}

fn is_own(listener: SocketAddr, target: SocketAddr) -> bool {
    let (own, ip) = (listener.ip().to_canonical(), target.ip());
    listener.port() == target.port()
        && (own == ip
            || (own.is_loopback() && ip.is_loopback())
            || (own.is_unspecified() && (ip.is_loopback() || is_of_this_machine(ip))))
}

/// Whether an interface of this machine has the address: only then can a socket be bound to it. Asked only for a
/// target at the very port of a wildcard listener.
fn is_of_this_machine(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests;
