//! A real etcd, one member, on free ports and in a folder that ends with the test; it can be killed, stopped and started
//! again as it was.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::process::Running;
use crate::wait::wait_until;

/// Which etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EtcdLine {
    /// The current one, which comes as a crate.
    Current,
    /// An older one that is installed: `XTASK_ETCD`, or `etcd` on the path (Debian's is 3.4). Where there is none, the
    /// current one again.
    Installed,
}

impl EtcdLine {
    fn binary(self) -> PathBuf {
        let current = || etcd_bin_vendored::etcd_bin_path().map(Path::to_owned);
        let current = || current().unwrap_or_else(|fault| panic!("no etcd for this machine: {fault}"));
        match self {
            Self::Current => current(),
            Self::Installed => installed().unwrap_or_else(|| {
                eprintln!("no older etcd is installed: its tests run with the current one");
                current()
            }),
        }
    }
}

fn installed() -> Option<PathBuf> {
    let named = std::env::var_os("XTASK_ETCD").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path).map(|folder| folder.join("etcd"));
    named.or_else(|| found.find(|file| file.is_file()))
}

/// The files that make etcd speak TLS and ask for certificates.
#[derive(Clone, Debug)]
pub struct EtcdTls {
    /// Its certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The CA that signs the certificates of clients.
    pub client_ca: PathBuf,
}

/// A running etcd: one member, mostly the only one.
pub struct Etcd {
    process: Running,
    binary: PathBuf,
    arguments: Vec<String>,
    ports: Ports,
    scheme: &'static str,
    _folder: TempDir,
}

/// Where a member listens.
#[derive(Clone, Copy)]
struct Ports {
    client: u16,
    peer: u16,
    status: u16,
}

impl Etcd {
    /// Starts an empty one, and waits until it is ready.
    #[must_use]
    pub fn start(line: EtcdLine) -> Self {
        Self::with_tls(line, None)
    }

    /// Like [`Self::start`], with TLS.
    ///
    /// # Panics
    /// When it does not become ready.
    #[must_use]
    pub fn with_tls(line: EtcdLine, tls: Option<&EtcdTls>) -> Self {
        let [ports] = free_ports();
        let etcd = Self::member(line, 0, &[ports], tls);
        etcd.await_health();
        etcd
    }

    /// Starts three members of one cluster, and waits until they are ready.
    #[must_use]
    pub fn cluster(line: EtcdLine) -> [Self; 3] {
        let ports = free_ports::<3>();
        let members = [0, 1, 2].map(|number| Self::member(line, number, &ports, None));
        members.iter().for_each(Self::await_health);
        members
    }

    fn member(line: EtcdLine, number: usize, cluster: &[Ports], tls: Option<&EtcdTls>) -> Self {
        let folder = TempDir::with_prefix("detectviz-etcd-").expect("make a folder");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let mut arguments = arguments(folder.path(), scheme, number, cluster);
        arguments.extend(tls.map(tls_arguments).into_iter().flatten());
        let binary = line.binary();
        let process = Running::start(Command::new(&binary).args(&arguments), "");
        Self { process, binary, arguments, ports: cluster[number], scheme, _folder: folder }
    }

    /// Where clients find it.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.ports.client)
    }

    /// The port where clients find it.
    pub fn port(&self) -> u16 {
        self.ports.client
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again after it was killed, and waits until it is ready.
    pub fn restart(&mut self) {
        self.process = Running::start(Command::new(&self.binary).args(&self.arguments), "");
        self.await_health();
    }

    /// Stops it without ending it, as a machine that hangs: connections stay, and nothing is answered.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.process.resume();
    }

    fn await_health(&self) {
        wait_until("etcd is ready", || match health(self.ports.status) {
            Ok(text) if text.contains(r#""health":"true""#) => Ok(()),
            Ok(text) => Err(text),
            Err(fault) => Err(format!("{fault}: {}", self.process.errors().join("\n"))),
        });
    }
}

fn arguments(folder: &Path, scheme: &str, number: usize, cluster: &[Ports]) -> Vec<String> {
    let url = |scheme: &str, port: u16| format!("{scheme}://127.0.0.1:{port}");
    let Ports { client, peer, status } = cluster[number];
    let members = cluster.iter().enumerate();
    let members = members.map(|(number, ports)| format!("m{number}={}", url("http", ports.peer)));
    let pairs = [
        ("name", format!("m{number}")),
        ("data-dir", folder.to_string_lossy().into_owned()),
        ("listen-client-urls", url(scheme, client)),
        ("advertise-client-urls", url(scheme, client)),
        ("listen-peer-urls", url("http", peer)),
        ("initial-advertise-peer-urls", url("http", peer)),
        ("initial-cluster", members.collect::<Vec<_>>().join(",")),
        ("listen-metrics-urls", url("http", status)),
        // The network is this machine.
        ("heartbeat-interval", "50".to_owned()),
        ("election-timeout", "500".to_owned()),
    ];
    pairs.map(|(flag, value)| format!("--{flag}={value}")).into()
}

fn tls_arguments(tls: &EtcdTls) -> [String; 4] {
    let flag = |flag: &str, path: &Path| format!("--{flag}={}", path.display());
    [
        flag("cert-file", &tls.certificate),
        flag("key-file", &tls.key),
        flag("trusted-ca-file", &tls.client_ca),
        "--client-cert-auth=true".to_owned(),
    ]
}

/// Ports that nobody listens on, for so many members; taken at once, so that they differ.
fn free_ports<const N: usize>() -> [Ports; N] {
    let free = || TcpListener::bind("127.0.0.1:0").expect("find a free port");
    let port = |listener: &TcpListener| listener.local_addr().expect("a listener has an address").port();
    let taken = [(); N].map(|()| [free(), free(), free()]);
    taken.each_ref().map(|[client, peer, status]| Ports {
        client: port(client),
        peer: port(peer),
        status: port(status),
    })
}

fn health(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(b"GET /health HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}
