//! A plugin says where it listens in the first line of its stdout: `core|app|network|address|protocol|certificate`.
//!
//! The host starts the executable with [`environment`]; the plugin checks the cookie, listens, and prints a
//! [`Handshake`]; the host reads that one line (no more than [`MAX_LINE_BYTES`]), parses it and connects.
//! Rules: go-plugin's, as Grafana's plugins use them (gRPC only, protocol version 2, no AutoMTLS by default).

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// The variable that tells a plugin that a host started it, and not a person.
pub const MAGIC_COOKIE_KEY: &str = "grafana_plugin_type";
/// The value of [`MAGIC_COOKIE_KEY`]; the same for apps and data sources.
pub const MAGIC_COOKIE_VALUE: &str = "datasource";
/// Lists the protocol versions that the host speaks, separated by commas.
pub const PROTOCOL_VERSIONS: &str = "PLUGIN_PROTOCOL_VERSIONS";
/// The lowest TCP port that a plugin may listen on (TCP is for systems without unix sockets).
pub const MIN_PORT: &str = "PLUGIN_MIN_PORT";
/// The highest TCP port that a plugin may listen on.
pub const MAX_PORT: &str = "PLUGIN_MAX_PORT";
/// The folder for the plugin's unix socket; `TMPDIR` when not set.
pub const UNIX_SOCKET_DIR: &str = "PLUGIN_UNIX_SOCKET_DIR";
/// The version of the handshake itself.
pub const CORE_VERSION: u32 = 1;
/// The plugin protocol that this crate speaks: `pluginv2`.
pub const APP_VERSION: u32 = 2;
/// The service name to ask `grpc.health.v1.Health/Check` for.
pub const HEALTH_SERVICE: &str = "plugin";
/// More than any handshake line needs (certificate included); a host stops reading there.
pub const MAX_LINE_BYTES: usize = 16 * 1024;

/// Shorter certificate fields are ignored, as go-plugin does.
const MIN_CERTIFICATE_CHARS: usize = 50;

/// Returns the variables that a host sets for a plugin; the socket folder comes on top.
#[must_use]
pub fn environment() -> [(&'static str, &'static str); 4] {
    [
        (MAGIC_COOKIE_KEY, MAGIC_COOKIE_VALUE),
        (PROTOCOL_VERSIONS, "2"),
        (MIN_PORT, "10000"),
        (MAX_PORT, "25000"),
    ]
}

/// Where a plugin listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A unix socket's path.
    Unix(PathBuf),
    /// A TCP address, always of this machine.
    Tcp(SocketAddr),
}

impl Address {
    fn parse(network: &str, address: &str) -> Result<Self, HandshakeError> {
        match network {
            "unix" if address.is_empty() => Err(HandshakeError::Address(address.to_owned())),
            "unix" => Ok(Self::Unix(PathBuf::from(address))),
            "tcp" => address.parse().map(Self::Tcp).map_err(|_| HandshakeError::Address(address.to_owned())),
            _ => Err(HandshakeError::Network(network.to_owned())),
        }
    }
}

/// Prints `network|address`, the two fields in the line.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix|{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp|{address}"),
        }
    }
}

/// What a plugin's first line says. The protocol is always gRPC and the handshake's version always
/// [`CORE_VERSION`]: [`Handshake::parse`] refuses all else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// The plugin protocol version that the plugin chose.
    pub app_version: u32,
    /// Where it listens.
    pub address: Address,
    /// The plugin's certificate, DER. Only with AutoMTLS: then the socket speaks TLS.
    pub certificate: Option<Vec<u8>>,
    /// Whether brokered connections share this one; only when the host asked for it.
    pub multiplexed: bool,
}

impl Handshake {
    /// Returns the handshake of a plugin that listens on `address`: version 2, no TLS, no multiplexing.
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self { app_version: APP_VERSION, address, certificate: None, multiplexed: false }
    }

    /// Reads a plugin's first line, its end included or not.
    ///
    /// `offered` are the versions that the host named in [`PROTOCOL_VERSIONS`]. A plugin that knows none of them
    /// prints its own all the same, so refusing is up to the host.
    ///
    /// # Errors
    /// The first field that breaks a rule.
    pub fn parse(line: &str, offered: &[u32]) -> Result<Self, HandshakeError> {
        let fields: Vec<&str> = line.trim().split('|').map(str::trim).collect();
        let &[core, app, network, address, ref rest @ ..] = &fields[..] else {
            return Err(HandshakeError::NotAHandshake(excerpt(line)));
        };
        check_core(core)?;
        let app_version = parse_app(app, offered)?;
        let address = Address::parse(network, address)?;
        // With four fields only, go-plugin means its older protocol net/rpc.
        check_protocol(rest.first().copied().unwrap_or("netrpc"))?;
        let certificate = parse_certificate(rest.get(1).copied().unwrap_or_default())?;
        let multiplexed = parse_multiplexed(rest.get(2).copied().unwrap_or_default())?;
        Ok(Self { app_version, address, certificate, multiplexed })
    }
}

/// Prints the line without its end, as the plugin must.
impl fmt::Display for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{CORE_VERSION}|{}|{}|grpc|", self.app_version, self.address)?;
        if let Some(certificate) = &self.certificate {
            f.write_str(&STANDARD_NO_PAD.encode(certificate))?;
        }
        if self.multiplexed { f.write_str("|true") } else { Ok(()) }
    }
}

/// Why a first line was refused. Each names what was found and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// Fewer than four fields: some other output, or no plugin at all.
    #[error("read the plugin's first line {0:?}: not a handshake, which has fields separated by `|`")]
    NotAHandshake(String),
    /// Another handshake.
    #[error("accept handshake version {0:?}: only {CORE_VERSION} is known")]
    CoreVersion(String),
    /// Another protocol than any offered.
    #[error("accept plugin protocol version {found:?}: offered were {offered:?}")]
    AppVersion {
        /// What the plugin chose.
        found: String,
        /// What it could choose from.
        offered: Vec<u32>,
    },
    /// Neither unix nor TCP.
    #[error("use network {0:?}: only `unix` and `tcp` are known")]
    Network(String),
    /// Empty, or not an address of its network.
    #[error("read the plugin's address {0:?}: must be a socket's path (unix) or IP:PORT (tcp)")]
    Address(String),
    /// net/rpc, named or meant by leaving the field out, or something unknown.
    #[error("speak protocol {0:?}: only `grpc` is known")]
    Protocol(String),
    /// Not base64.
    #[error("decode the plugin's certificate: must be base64 without padding")]
    Certificate,
    /// Neither true nor false.
    #[error("read the multiplexing field {0:?}: must be `true` or `false`")]
    Multiplexed(String),
}

/// What of a wrong line is shown: enough to recognise it.
fn excerpt(line: &str) -> String {
    line.trim().chars().take(120).collect()
}

fn check_core(field: &str) -> Result<(), HandshakeError> {
    match field.parse() {
        Ok(CORE_VERSION) => Ok(()),
        _ => Err(HandshakeError::CoreVersion(field.to_owned())),
    }
}

fn parse_app(field: &str, offered: &[u32]) -> Result<u32, HandshakeError> {
    let version = field.parse().ok().filter(|version| offered.contains(version));
    version.ok_or_else(|| HandshakeError::AppVersion { found: field.to_owned(), offered: offered.to_vec() })
}

fn check_protocol(field: &str) -> Result<(), HandshakeError> {
    if field == "grpc" { Ok(()) } else { Err(HandshakeError::Protocol(field.to_owned())) }
}

fn parse_certificate(field: &str) -> Result<Option<Vec<u8>>, HandshakeError> {
    if field.len() <= MIN_CERTIFICATE_CHARS {
        return Ok(None);
    }
    STANDARD_NO_PAD.decode(field).map(Some).map_err(|_| HandshakeError::Certificate)
}

fn parse_multiplexed(field: &str) -> Result<bool, HandshakeError> {
    match field {
        "" | "false" => Ok(false),
        "true" => Ok(true),
        _ => Err(HandshakeError::Multiplexed(field.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Handshake, HandshakeError> {
        Handshake::parse(line, &[APP_VERSION])
    }

    #[test]
    fn reads_the_line_of_a_real_plugin() {
        let handshake = parse("1|2|unix|/dir/plugin3987020279|grpc|\n").unwrap();
        assert_eq!(handshake, Handshake::new(Address::Unix("/dir/plugin3987020279".into())));
        assert_eq!(handshake.to_string(), "1|2|unix|/dir/plugin3987020279|grpc|");
    }

    #[test]
    fn reads_tcp_without_trailing_fields_and_with_crlf() {
        let handshake = parse("1|2|tcp|127.0.0.1:10000|grpc\r\n").unwrap();
        assert_eq!(handshake.address, Address::Tcp(([127, 0, 0, 1], 10000).into()));
    }

    #[test]
    fn certificate_and_multiplexing_survive_a_round_trip() {
        let address = Address::Tcp(([127, 0, 0, 1], 1).into());
        let certificate = Some(vec![0x30; 61]);
        let handshake = Handshake { app_version: 2, address, certificate, multiplexed: true };
        let line = handshake.to_string();
        assert!(line.ends_with("|true") && !line.contains('='), "{line}");
        assert_eq!(parse(&line), Ok(handshake));
    }

    #[test]
    fn short_certificate_field_is_ignored() {
        assert_eq!(parse("1|2|unix|/s|grpc|c2hvcnQ").unwrap().certificate, None);
    }

    #[test]
    fn refuses_each_broken_field_by_its_name() {
        use HandshakeError as E;
        let app = |found: &str| E::AppVersion { found: found.to_owned(), offered: vec![2] };
        let long = "!".repeat(60);
        for (line, error) in [
            ("", E::NotAHandshake(String::new())),
            ("panic: no config", E::NotAHandshake("panic: no config".to_owned())),
            ("1|2|unix", E::NotAHandshake("1|2|unix".to_owned())),
            ("2|2|unix|/s|grpc|", E::CoreVersion("2".to_owned())),
            ("one|2|unix|/s|grpc|", E::CoreVersion("one".to_owned())),
            ("1|9|unix|/s|grpc|", app("9")),
            ("1|-2|unix|/s|grpc|", app("-2")),
            ("1||unix|/s|grpc|", app("")),
            ("1|2|udp|/s|grpc|", E::Network("udp".to_owned())),
            ("1|2|unix||grpc|", E::Address(String::new())),
            ("1|2|tcp|localhost|grpc|", E::Address("localhost".to_owned())),
            ("1|2|unix|/s", E::Protocol("netrpc".to_owned())),
            ("1|2|unix|/s|netrpc|", E::Protocol("netrpc".to_owned())),
            ("1|2|unix|/s||", E::Protocol(String::new())),
            (&format!("1|2|unix|/s|grpc|{long}"), E::Certificate),
            ("1|2|unix|/s|grpc||maybe", E::Multiplexed("maybe".to_owned())),
        ] {
            assert_eq!(parse(line), Err(error), "{line:?}");
        }
    }

    #[test]
    fn any_offered_version_will_do() {
        assert_eq!(Handshake::parse("1|3|unix|/s|grpc|", &[2, 3]).unwrap().app_version, 3);
    }

    #[test]
    fn a_wrong_line_is_shown_in_part_only() {
        let Err(HandshakeError::NotAHandshake(shown)) = parse(&"x".repeat(5000)) else { panic!("accepted") };
        assert_eq!(shown.len(), 120);
    }
}
