//! May we dial this address? A backend's address comes from an API object, so whoever may write the object would
//! otherwise choose what the server, with its network position and its credentials, connects to.
//!
//! Loopback and private addresses are allowed: backends beside the server are the common case. What can never be a
//! backend is refused, and so is the server itself, since a request that came back would arrive with our own
//! identity, and go round for ever.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use arc_swap::ArcSwap;

/// Where clouds serve a machine its credentials, as far as these lie outside the link-local ranges.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
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
}

/// What may be dialled. Shared as an `Arc` by everything that dials; the listeners become known only when they
/// are bound, hence they are added later.
#[derive(Default)]
pub struct DialPolicy {
    listeners: ArcSwap<Vec<SocketAddr>>,
}

impl DialPolicy {
    /// A policy that knows no listener of ours yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Refuses our own listener from now on. A wildcard address covers every address of this machine at that port;
    /// a loopback address covers the whole loopback of both families, since names like `localhost` mean all of it.
    pub fn deny_listener(&self, bound: SocketAddr) {
        self.listeners.rcu(|listeners| {
            let mut listeners = Vec::clone(listeners);
            listeners.push(bound);
            Arc::new(listeners)
        });
    }

    /// Whether `address` may be dialled. It must be the address that is then dialled, not a name: a name may mean
    /// something else the next time it is asked for.
    ///
    /// # Errors
    /// [`Refused`] with the reason.
    pub fn check(&self, address: SocketAddr) -> Result<(), Refused> {
        let ip = effective(address.ip());
        if let Some(refused) = never_a_backend(ip) {
            return Err(refused(address));
        }
        let target = SocketAddr::new(ip, address.port());
        if self.listeners.load().iter().any(|listener| is_own(*listener, target)) {
            return Err(Refused::OwnListener(address));
        }
        Ok(())
    }
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

/// The address that a connection ends at: IPv4 hidden in IPv6 by mapping (`::ffff:0:0/96`) or by the well-known
/// NAT64 prefix (`64:ff9b::/96`, RFC 6052) is judged as the IPv4 address that it is.
fn effective(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => match v6.segments() {
            [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
                IpAddr::V4(Ipv4Addr::new(a, b, c, d))
            }
            _ => IpAddr::V6(v6),
        },
        v4 => v4,
    }
}

fn is_own(listener: SocketAddr, target: SocketAddr) -> bool {
    let (own, ip) = (effective(listener.ip()), target.ip());
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
mod tests {
    use super::*;

    type Case = (&'static str, fn(SocketAddr) -> Refused);

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_can_never_be_a_backend_is_refused() {
        let policy = DialPolicy::new();
        let cases: [Case; 18] = [
            ("0.0.0.0:80", Refused::Unspecified),
            ("0.1.2.3:80", Refused::Unspecified),
            ("[::]:80", Refused::Unspecified),
            ("[::ffff:0.0.0.0]:80", Refused::Unspecified),
            ("169.254.169.254:80", Refused::LinkLocal),
            ("169.254.0.1:443", Refused::LinkLocal),
            ("[::ffff:169.254.169.254]:80", Refused::LinkLocal),
            ("[64:ff9b::a9fe:a9fe]:80", Refused::LinkLocal),
            ("[fe80::1]:80", Refused::LinkLocal),
            ("[febf::1]:80", Refused::LinkLocal),
            ("[fd00:ec2::254]:80", Refused::Metadata),
            ("[fd20:ce::254]:80", Refused::Metadata),
            ("168.63.129.16:80", Refused::Metadata),
            ("100.100.100.200:80", Refused::Metadata),
            ("224.0.0.1:80", Refused::Multicast),
            ("239.255.255.255:80", Refused::Multicast),
            ("255.255.255.255:80", Refused::Multicast),
            ("[ff02::1]:80", Refused::Multicast),
        ];
        for (text, refused) in cases {
            assert_eq!(policy.check(address(text)), Err(refused(address(text))));
        }
    }

    #[test]
    fn machines_are_allowed_beside_us_too() {
        let policy = DialPolicy::new();
        for text in
            ["127.0.0.1:80", "[::1]:80", "10.0.0.1:80", "192.168.1.1:80", "[fd00::1]:80", "192.0.2.1:80"]
        {
            assert_eq!(policy.check(address(text)), Ok(()), "{text}");
        }
    }

    #[test]
    fn our_own_listener_is_refused_under_every_address_it_has() {
        let cases: [(&str, &[&str], &[&str]); 4] = [
            (
                "127.0.0.1:6443",
                &["127.0.0.1:6443", "127.8.8.8:6443", "[::1]:6443", "[::ffff:127.0.0.1]:6443"],
                &["127.0.0.1:6444", "192.0.2.1:6443"],
            ),
            (
                "0.0.0.0:6443",
                &["127.0.0.1:6443", "[::1]:6443", "[64:ff9b::7f00:1]:6443"],
                &["127.0.0.1:443", "192.0.2.1:6443"],
            ),
            (
                "[::]:6443",
                &["127.0.0.1:6443", "[::1]:6443"],
                &["[::1]:443", "192.0.2.1:6443", "[2001:db8::1]:6443"],
            ),
            (
                "192.0.2.1:6443",
                &["192.0.2.1:6443", "[::ffff:192.0.2.1]:6443"],
                &["127.0.0.1:6443", "192.0.2.2:6443"],
            ),
        ];
        for (listener, refused, allowed) in cases {
            let policy = DialPolicy::new();
            policy.deny_listener(address(listener));
            for text in refused {
                let expected = Err(Refused::OwnListener(address(text)));
                assert_eq!(policy.check(address(text)), expected, "{listener}");
            }
            for text in allowed {
                assert_eq!(policy.check(address(text)), Ok(()), "{listener}");
            }
        }
    }

    #[test]
    fn every_listener_is_remembered() {
        let policy = DialPolicy::new();
        policy.deny_listener(address("127.0.0.1:1"));
        policy.deny_listener(address("127.0.0.1:2"));
        assert!(policy.check(address("127.0.0.1:1")).is_err());
        assert!(policy.check(address("127.0.0.1:2")).is_err());
    }
}
