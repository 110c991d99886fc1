//! Where an APIService's backend is, said outright: `https://HOST[:PORT]` or `unix:///PATH`, joined by commas. Plain
//! HTTP over TCP is not among it, since who asks is told in headers that nobody on the way may read or change.

use detectviz_api::go::cut;
use detectviz_client::Address;
use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};

/// The annotation of an APIService that says where its backend is, whatever `spec.service` resolves to.
pub(crate) const ANNOTATION: &str = "aggregator.detectviz.io/endpoints";

/// The most targets of one APIService.
const MAX_TARGETS: usize = 64;
/// The most faults that are told.
const MAX_FAULTS: usize = 8;
/// The longest path of a unix socket that systems take, without the byte that ends it.
const MAX_SOCKET_PATH: usize = 107;
/// The port of a target that names none.
const DEFAULT_PORT: u16 = 443;

/// Reads targets; `socket_dirs` are the folders whose unix sockets may be among them.
///
/// # Errors
/// Everything that is wrong with them, in one line.
pub(crate) fn read(text: &str, socket_dirs: &[PathBuf]) -> Result<Vec<Address>, String> {
    let parts: Vec<_> = text.split(',').map(str::trim).collect();
    if parts.len() > MAX_TARGETS {
        return Err(format!("there are {} targets, and at most {MAX_TARGETS} are allowed", parts.len()));
    }
    let (mut addresses, mut faults) = (Vec::new(), Vec::new());
    for part in parts {
        match target(part, socket_dirs) {
            Ok(address) => addresses.push(address),
            Err(why) => faults.push(format!("{:?} {why}", cut(part))),
        }
    }
    addresses.sort_unstable();
    addresses.dedup();
    faults.truncate(MAX_FAULTS);
    if faults.is_empty() { Ok(addresses) } else { Err(faults.join("; ")) }
}

fn target(text: &str, socket_dirs: &[PathBuf]) -> Result<Address, String> {
    const ALLOWED: &str = "must be https://HOST[:PORT] or unix:///PATH";
    match text.split_once("://") {
        Some(("https", rest)) => tcp(rest),
        Some(("unix", path)) => socket(path, socket_dirs).map(Address::Unix),
        Some(("http", _)) => {
            Err("would show to everybody on the way who asks: only https and unix are allowed".to_owned())
        }
        _ => Err(ALLOWED.to_owned()),
    }
}

/// Reads `HOST[:PORT]`, an IPv6 address being in brackets.
fn tcp(text: &str) -> Result<Address, String> {
    let text = text.strip_suffix('/').unwrap_or(text);
    if text.contains(['/', '?', '#']) {
        return Err("must have nothing behind its host and port: requests bring their own path".to_owned());
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("has a bracket that does not end")?;
            (host, (!port.is_empty()).then(|| port.strip_prefix(':').unwrap_or_default()))
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let host = host_name(host)?;
    let port = port.map_or(Some(DEFAULT_PORT), |port| port.parse().ok().filter(|port| *port > 0));
    Ok(Address::tcp(host, port.ok_or("must have a port from 1 to 65535")?))
}

/// A DNS name or an IP address, as one that can be dialled; it may come in brackets, or end in a dot.
///
/// # Errors
/// When it is neither.
pub(crate) fn host_name(text: &str) -> Result<String, String> {
    let bare = text.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(text);
    let name = bare.strip_suffix('.').unwrap_or(bare);
    let is_one = bare.parse::<IpAddr>().is_ok()
        || detectviz_api::names::check_dns_subdomain(&name.to_ascii_lowercase()).is_ok();
    is_one
        .then(|| name.to_owned())
        .ok_or_else(|| "must have a DNS name or an IP address for its host".to_owned())
}

/// Reads the path of a unix socket.
fn socket(path: &str, socket_dirs: &[PathBuf]) -> Result<PathBuf, String> {
    let is_plain = |part: &Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
    let path = Path::new(path);
    if !path.is_absolute() || !path.components().all(|part| is_plain(&part)) {
        return Err("must have an absolute path without \"..\"".to_owned());
    }
    if path.as_os_str().len() > MAX_SOCKET_PATH || path.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(format!("must have a path of at most {MAX_SOCKET_PATH} bytes"));
    }
    if !socket_dirs.iter().any(|folder| path.starts_with(folder)) {
        return Err("is in no folder of the option aggregator.socket_dirs".to_owned());
    }
    // Written the same way, equal paths are equal targets.
    Ok(path.components().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<String, String> {
        let addresses = read(text, &["/run/detectviz".into()])?;
        Ok(addresses.iter().map(crate::spec::url).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn targets_are_urls_and_sockets() {
        for (text, expected) in [
            ("https://a.example.com", "https://a.example.com:443"),
            ("https://b:8443/, https://a:1", "https://a:1 https://b:8443"),
            (
                "https://127.0.0.1:1,https://[::1]:2,https://[::1]",
                "https://127.0.0.1:1 https://[::1]:2 https://[::1]:443",
            ),
            ("https://a.:1,https://a:1", "https://a:1"),
            ("unix:///run/detectviz/x.sock,unix:///run//detectviz/./x.sock", "unix:///run/detectviz/x.sock"),
        ] {
            let mut words: Vec<_> = expected.split(' ').collect();
            let found = check(text).unwrap();
            let mut found: Vec<_> = found.split(' ').collect();
            words.sort_unstable();
            found.sort_unstable();
            assert_eq!(found, words, "{text}");
        }
    }

    #[test]
    fn what_is_no_target_is_named() {
        for (text, why) in [
            ("", "\"\" must be https://HOST[:PORT] or unix:///PATH"),
            ("a:8443", "\"a:8443\" must be https://"),
            ("http://a:80", "\"http://a:80\" would show to everybody on the way who asks"),
            ("ftp://a", "must be https://"),
            ("https://", "must have a DNS name"),
            ("https://user@a", "must have a DNS name"),
            ("https://a/path", "must have nothing behind its host and port"),
            ("https://a?b", "must have nothing behind its host and port"),
            ("https://::1", "must have a DNS name"),
            ("https://[::1", "a bracket that does not end"),
            ("https://[::1]443", "must have a port"),
            ("https://a:0", "must have a port from 1 to 65535"),
            ("https://a:65536", "must have a port"),
            ("https://a:443/x", "must have nothing behind its host and port"),
            ("unix://run/detectviz/x", "must have an absolute path"),
            ("unix:///run/detectviz/../docker.sock", "must have an absolute path"),
            ("unix:///var/run/docker.sock", "is in no folder of the option aggregator.socket_dirs"),
            ("unix:///run/detectvizard/x", "is in no folder"),
        ] {
            let fault = check(text).unwrap_err();
            assert!(fault.contains(why), "{text}: {fault}");
        }
        let long = format!("unix:///run/detectviz/{}", "x".repeat(100));
        assert!(check(&long).unwrap_err().contains("at most 107 bytes"));
        let many = vec!["https://a"; 65].join(",");
        assert!(check(&many).unwrap_err().contains("at most 64"));
        let both = check("http://a, unix://x").unwrap_err();
        assert!(both.contains("http://a") && both.contains("unix://x"), "{both}");
    }

    proptest::proptest! {
        /// Anything that is read can be dialled, is said again by its own text, and leaves the folders of sockets nowhere.
        #[test]
        fn whatever_is_written_is_a_target_or_refused(
            text in "(https://|unix://|http://|)(\\[|)([a-z0-9.:%@/_~-]|\\PC){0,40}(\\]|)(:[0-9]{0,6}|)(,https://a|)",
        ) {
            let Ok(addresses) = read(&text, &["/run/detectviz".into()]) else { return Ok(()) };
            proptest::prop_assert!(!addresses.is_empty() && addresses.len() <= MAX_TARGETS);
            for address in addresses {
                match &address {
                    Address::Tcp { host, port } => {
                        let odd = |c: char| c.is_whitespace() || c.is_control() || "/@%?#[]".contains(c);
                        proptest::prop_assert!(*port > 0 && !host.is_empty() && !host.contains(odd), "{host:?}");
                    }
                    Address::Unix(path) => {
                        let plain = path.components().all(|part| part != Component::ParentDir);
                        proptest::prop_assert!(plain && path.starts_with("/run/detectviz"), "{path:?}");
                    }
                }
                let again = read(&crate::spec::url(&address), &["/run/detectviz".into()]);
                proptest::prop_assert_eq!(again, Ok(vec![address]));
            }
        }
    }
}
