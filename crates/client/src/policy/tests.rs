//! The policy against every way to write an address.

use super::*;

type Case = (&'static str, fn(SocketAddr) -> Refused);

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn what_can_never_be_a_backend_is_refused() {
    let policy = DialPolicy::new();
    let cases: [Case; 20] = [
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
        ("[fd00:ec2::23]:80", Refused::Metadata),
        ("192.0.0.192:80", Refused::Metadata),
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
    for text in ["127.0.0.1:80", "[::1]:80", "10.0.0.1:80", "192.168.1.1:80", "[fd00::1]:80", "192.0.2.1:80"]
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

#[test]
fn networks_of_the_option_are_refused_until_it_says_otherwise() {
    let policy = DialPolicy::new();
    let network: Network = "10.0.0.0/8".parse().unwrap();
    policy.deny_networks(vec!["fd00::/8".parse().unwrap(), network]);
    for text in ["10.1.2.3:80", "[::ffff:10.1.2.3]:80", "[64:ff9b::a01:203]:80", "[2002:a01:203::1]:80"] {
        assert_eq!(policy.check(address(text)), Err(Refused::Denied(address(text), network)));
    }
    assert!(policy.check(address("[fd12::1]:80")).is_err());
    assert_eq!(policy.check(address("11.0.0.1:80")), Ok(()));
    policy.deny_networks(Vec::new());
    assert_eq!(policy.check(address("10.1.2.3:80")), Ok(()));
}

#[test]
fn our_own_socket_is_refused_under_every_path() {
    let folder = tempfile::tempdir().unwrap();
    let [own, other, link] = ["own", "other", "link"].map(|name| folder.path().join(name));
    let _own = std::os::unix::net::UnixListener::bind(&own).unwrap();
    let _other = std::os::unix::net::UnixListener::bind(&other).unwrap();
    std::os::unix::fs::symlink(&own, &link).unwrap();
    let policy = DialPolicy::new();
    assert_eq!(policy.check_socket(&own), Ok(()));
    policy.deny_socket(own.clone());
    for path in [&own, &link, &folder.path().join("../").join(folder.path().file_name().unwrap()).join("own")]
    {
        assert_eq!(policy.check_socket(path), Err(Refused::OwnSocket), "{}", path.display());
    }
    assert_eq!(policy.check_socket(&other), Ok(()));
}

#[test]
fn no_link_leads_out_of_the_folders_of_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let [inside, outside, alias] = ["inside", "outside", "alias"].map(|name| folder.path().join(name));
    for made in [&inside, &outside] {
        std::fs::create_dir(made).unwrap();
    }
    let [good, secret] = [inside.join("good"), outside.join("secret")];
    let _sockets = [&good, &secret].map(|path| std::os::unix::net::UnixListener::bind(path).unwrap());
    let links = [inside.join("file"), inside.join("folder")];
    std::os::unix::fs::symlink(&secret, &links[0]).unwrap();
    std::os::unix::fs::symlink(&outside, &links[1]).unwrap();
    // The folder itself may be named by a link, as /var/run is.
    std::os::unix::fs::symlink(&inside, &alias).unwrap();
    let policy = DialPolicy::new();
    policy.confine_sockets(vec![alias.clone()]);
    for path in [&good, &alias.join("good")] {
        assert_eq!(policy.check_socket(path), Ok(()), "{}", path.display());
    }
    for path in [&secret, &links[0], &links[1].join("secret"), &alias.join("folder/secret")] {
        assert_eq!(policy.check_socket(path), Err(Refused::OutsideSocket), "{}", path.display());
    }
    policy.confine_sockets(Vec::new());
    assert_eq!(policy.check_socket(&good), Err(Refused::OutsideSocket), "no folder is none");
}

/// Every way in which an IPv6 address can carry an IPv4 address.
fn disguises(v4: Ipv4Addr) -> Vec<Ipv6Addr> {
    let [a, b, c, d] = v4.octets().map(u16::from);
    let (high, low) = (a << 8 | b, c << 8 | d);
    vec![
        v4.to_ipv6_mapped(),
        Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0x64, 0xff9b, 1, 7, 7, 7, high, low),
        Ipv6Addr::new(0x2002, high, low, 1, 2, 3, 4, 5),
        Ipv6Addr::new(0x2001, 0, 1, 2, 3, 4, !high, !low),
        Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
        Ipv6Addr::new(0xfd00, 1, 2, 3, 0, 0x5efe, high, low),
        Ipv6Addr::new(0xfd00, 1, 2, 3, 0x200, 0x5efe, high, low),
    ]
}

proptest::proptest! {
    #[test]
    fn no_disguise_makes_an_address_another_one(bits: u32, port: u16, listener: u16, length in 0..=32_u32) {
        let v4 = Ipv4Addr::from_bits(bits);
        let policy = DialPolicy::new();
        policy.deny_listener(SocketAddr::from(([127, 0, 0, 1], listener)));
        let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
        let network = format!("{}/{length}", Ipv4Addr::from_bits(!bits & mask));
        policy.deny_networks(vec![network.parse().unwrap()]);
        let plain = policy.check(SocketAddr::from((v4, port)));
        for v6 in disguises(v4) {
            // Judged as itself too: `::` and `::1` are no disguise of 0.0.0.0 and 0.0.0.1.
            let disguised = policy.check(SocketAddr::from((v6, port)));
            proptest::prop_assert_eq!(disguised.is_err(), plain.is_err() && !(v6 == Ipv6Addr::LOCALHOST && port != listener), "{}", v6);
        }
    }

    #[test]
    fn what_is_refused_always_is_refused_whatever_else_is_allowed(bits: u16, port: u16) {
        let [a, b] = bits.to_be_bytes();
        let policy = DialPolicy::new();
        for v4 in [Ipv4Addr::new(169, 254, a, b), Ipv4Addr::new(0, a, b, 1), Ipv4Addr::new(224 + a % 16, b, a, b)] {
            proptest::prop_assert!(policy.check(SocketAddr::from((v4, port))).is_err(), "{}", v4);
            for v6 in disguises(v4).into_iter().filter(|v6| *v6 != Ipv6Addr::LOCALHOST) {
                proptest::prop_assert!(policy.check(SocketAddr::from((v6, port))).is_err(), "{}", v6);
            }
        }
    }
}
