//! The server under test: a built binary on a free port, in a folder that ends with the test, under a watched log.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tempfile::TempDir;

use crate::certificates::{Authority, Certificate};
use crate::environment::{Edition, Line};
use crate::etcd::{Etcd, EtcdLine};
use crate::http::Client;
use crate::kubectl::Kubectl;
use crate::process::Running;
use crate::wire::Endpoint;

/// Where the server keeps objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In the data folder.
    Embedded,
    /// In memory.
    Memory,
    /// In an etcd of the server's own, which ends with it.
    Etcd,
}

impl Storage {
    /// The option's value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Memory => "memory",
            Self::Etcd => "etcd",
        }
    }
}

/// A server that is about to be started.
#[derive(Clone)]
pub struct Builder {
    edition: Edition,
    arguments: Vec<String>,
    environment: Vec<(String, OsString)>,
    /// A command that becomes the server, with its arguments.
    launcher: Vec<String>,
    folder: Arc<TempDir>,
    allowed: Vec<String>,
    line: Line,
    /// Ends with the last server that uses it.
    etcd: Option<Arc<Etcd>>,
}

/// A running server. When it is dropped it is killed, and its log is judged.
pub struct Server {
    process: Running,
    builder: Builder,
    url: String,
}

/// The binary of `edition` with an environment of its own, for commands other than `serve`.
pub fn command(edition: Edition, arguments: &[&str]) -> Command {
    let mut command = Command::new(edition.binary());
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).args(arguments);
    command
}

/// Most tests say exactly which config maps there are, so that those of the server itself are not made for them.
const WITHOUT_PUBLISHERS: &str =
    "*,-root-ca-certificate-publisher-controller,-cluster-authentication-trust-controller";

impl Builder {
    fn new(edition: Edition) -> Self {
        let folder = TempDir::with_prefix("detectviz-").expect("make a folder");
        Self {
            edition,
            arguments: Vec::new(),
            environment: Vec::new(),
            launcher: Vec::new(),
            folder: Arc::new(folder),
            allowed: Vec::new(),
            line: Line::Current,
            etcd: None,
        }
    }

    /// The line of kubectl that [`Server::kubectl`] is.
    #[must_use]
    pub fn kubectl(mut self, line: Line) -> Self {
        self.line = line;
        self
    }

    /// Where objects are kept.
    #[must_use]
    pub fn storage(mut self, storage: Storage) -> Self {
        if storage != Storage::Etcd {
            return self.option("--storage", storage.name());
        }
        let etcd = Arc::new(Etcd::start(EtcdLine::Current));
        self.etcd = Some(Arc::clone(&etcd));
        self.on_etcd(&etcd)
    }

    /// Keeps objects in an etcd that the test has.
    #[must_use]
    pub fn on_etcd(self, etcd: &Etcd) -> Self {
        self.option("--storage", "etcd").option("--etcd-endpoints", &etcd.url())
    }

    /// Starts with the certificates of another server, as servers on one etcd have to.
    #[must_use]
    pub fn pki_of(self, other: &Server) -> Self {
        let (from, to) = (other.pki(""), self.data_dir().join("pki"));
        DirBuilder::new().recursive(true).mode(0o700).create(&to).expect("make a folder for certificates");
        for entry in std::fs::read_dir(from).expect("read a folder of certificates") {
            let entry = entry.expect("read a folder of certificates");
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copy a certificate");
        }
        self
    }

    /// Sets a feature toggle.
    #[must_use]
    pub fn toggle(self, name: &str, on: bool) -> Self {
        self.option("--toggle", &format!("{name}={on}"))
    }

    /// Turns both runners on, which only some editions have.
    #[must_use]
    pub fn runners(self) -> Self {
        self.toggle("kubernetesAggregator", true).toggle("dataplaneAggregator", true)
    }

    /// Where plugins are.
    #[must_use]
    pub fn plugin_dir(self, folder: &Path) -> Self {
        self.option("--plugin-dir", &folder.to_string_lossy())
    }

    /// The text of the configuration file.
    #[must_use]
    pub fn config(self, text: &str) -> Self {
        let path = self.configuration();
        replace(&path, text);
        self.option("--config", &path.to_string_lossy())
    }

    fn configuration(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    /// Runs all controllers, as a server does that is told nothing: each namespace has the config map `kube-root-ca.crt`.
    #[must_use]
    pub fn all_controllers(self) -> Self {
        self.option("--controllers", "*")
    }

    /// Any flag of `serve`.
    #[must_use]
    pub fn option(mut self, flag: &str, value: &str) -> Self {
        self.arguments.extend([flag.to_owned(), value.to_owned()]);
        self
    }

    /// Sets a variable of the server's environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Lets this command start the server, which is appended to it and has to take its place by `exec`.
    #[must_use]
    pub fn launcher(mut self, command: &[String]) -> Self {
        self.launcher = command.to_vec();
        self
    }

    /// Log lines of level WARN and ERROR that contain `text` are expected.
    #[must_use]
    pub fn allow_log(mut self, text: &str) -> Self {
        self.allowed.push(text.to_owned());
        self
    }

    /// The data folder.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Where the embedded store is.
    pub fn store_dir(&self) -> PathBuf {
        self.data_dir().join("store")
    }

    /// A folder for whatever the test needs, which ends with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The process, which may end at once.
    #[must_use]
    pub fn spawn(&self) -> Running {
        let mut command = self.command();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        // Plugins' sockets go to TMPDIR, and a server that is killed cannot take them with it.
        command.env("HOME", self.folder()).env("TMPDIR", self.folder());
        command.current_dir(self.folder()).args(&self.arguments);
        let data_dir = self.data_dir();
        let defaults = [
            ("--secure-port", "0"),
            ("--data-dir", &*data_dir.to_string_lossy()),
            ("--controllers", WITHOUT_PUBLISHERS),
        ];
        for (flag, value) in defaults {
            if !self.arguments.iter().any(|given| given == flag) {
                command.args([flag, value]);
            }
        }
        Running::start(&mut command, "")
    }

    fn command(&self) -> Command {
        let server = command(self.edition, &["serve"]);
        let Some((program, arguments)) = self.launcher.split_first() else { return server };
        let mut command = Command::new(program);
        command.env_clear().args(arguments).arg(server.get_program()).args(server.get_args());
        command.envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    /// Starts the server and waits until it says that it is ready.
    ///
    /// # Panics
    /// When it ends before.
    #[must_use]
    pub fn start(self) -> Server {
        let mut process = self.spawn();
        while let Some(line) = process.next_line() {
            if let Some(url) = line.strip_prefix("ready ") {
                let url = url.trim().to_owned();
                return Server { process, builder: self, url };
            }
        }
        panic!("the server ended before it was ready:\n{}", process.errors().join("\n"));
    }
}

impl Server {
    /// A server of `edition` that is to be configured and started.
    pub fn builder(edition: Edition) -> Builder {
        Builder::new(edition)
    }

    /// Replaces the configuration file that [`Builder::config`] wrote, which the server notices by itself.
    pub fn reconfigure(&self, text: &str) {
        replace(&self.builder.configuration(), text);
    }

    /// Asks the server to read its files again at once.
    pub fn hangup(&self) {
        self.process.hangup();
    }

    /// The address in the ready line, `https://ADDR:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What the server was started with; its data folder outlives the server while this is kept.
    pub fn setup(&self) -> Builder {
        self.builder.clone()
    }

    /// The data folder.
    pub fn data_dir(&self) -> PathBuf {
        self.builder.data_dir()
    }

    /// A folder for whatever the test needs.
    pub fn folder(&self) -> &Path {
        self.builder.folder()
    }

    /// The edition.
    pub fn edition(&self) -> Edition {
        self.builder.edition
    }

    /// Whether objects are in etcd, where a Lease is renewed all the time.
    pub fn is_on_etcd(&self) -> bool {
        self.builder.arguments.iter().any(|argument| argument.contains("--etcd-endpoints"))
    }

    /// The administrator: user `admin` in `system:masters`.
    pub fn admin(&self) -> Client {
        self.client(Some(&Certificate::load(&self.pki("admin"))))
    }

    /// Nobody.
    pub fn anonymous(&self) -> Client {
        self.client(None)
    }

    /// A user with a certificate of the client CA.
    pub fn user(&self, name: &str, group: Option<&str>) -> Client {
        self.client(Some(&Authority::load(&self.pki("client-ca")).client(name, group)))
    }

    /// A client with this certificate, or with none.
    pub fn client(&self, certificate: Option<&Certificate>) -> Client {
        let ca = CertificateDer::from_pem_file(self.pki("serving-ca").with_extension("crt"));
        self.client_of("localhost", ca.expect("read the serving CA"), certificate)
    }

    /// A client that asks for the server called `name`, whose certificate `ca` has to have signed.
    pub fn client_of(
        &self,
        name: &str,
        ca: CertificateDer<'static>,
        certificate: Option<&Certificate>,
    ) -> Client {
        let address = self.url.strip_prefix("https://").and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("{:?} is no address", self.url));
        Client::new(Endpoint::new(address, name, ca, certificate))
    }

    /// The line that [`Self::kubectl`] is.
    pub fn line(&self) -> Line {
        self.builder.line
    }

    /// kubectl as the administrator.
    pub fn kubectl(&self, arguments: &str) -> Kubectl {
        Kubectl::new(self.builder.line, arguments, &self.data_dir().join("admin.kubeconfig"), self.folder())
    }

    /// The path, without ending, of one of the server's certificates.
    pub fn pki(&self, name: &str) -> PathBuf {
        self.data_dir().join("pki").join(name)
    }

    /// The log so far.
    pub fn log(&self) -> Vec<String> {
        self.process.errors()
    }

    /// The first line of the log that contains `text`, which may still come.
    pub fn await_log(&self, text: &str) -> String {
        self.process.await_error_line(text)
    }

    /// Log lines of level WARN and ERROR that contain `text` are expected from now on.
    pub fn allow_log(&mut self, text: &str) {
        self.builder.allowed.push(text.to_owned());
    }

    /// Kills the server as `kill -9` does.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Waits until the server has ended by itself.
    pub fn wait(&mut self) -> ExitStatus {
        self.process.wait()
    }

    /// Stops the server's whole process as SIGSTOP does, until it is resumed.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// Lets the process go on.
    pub fn resume(&self) {
        self.process.resume();
    }

    /// Asks the server to end, and goes on at once.
    pub fn terminate(&self) {
        self.process.terminate();
    }

    /// Asks the server to end, and waits until it has.
    pub fn stop(&mut self) -> ExitStatus {
        self.terminate();
        self.process.wait()
    }

    fn unexpected(&self) -> Vec<String> {
        let allowed = |line: &String| self.builder.allowed.iter().any(|text| line.contains(text.as_str()));
        self.log().into_iter().filter(|line| is_complaint(line) && !allowed(line)).collect()
    }
}

/// Puts `text` into the place of the file at `path`, as a whole.
///
/// # Panics
/// When the folder cannot be written.
pub fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).expect("write a file");
    std::fs::rename(&beside, path).expect("put a file into its place");
}

/// Whether a log line is of level WARN or ERROR, in either format, or tells of a panic.
fn is_complaint(line: &str) -> bool {
    let as_json = [r#""level":"WARN""#, r#""level":"ERROR""#, "panicked at"];
    matches!(line.split_whitespace().nth(1), Some("WARN" | "ERROR"))
        || as_json.iter().any(|mark| line.contains(mark))
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill();
        if std::thread::panicking() {
            eprintln!("log of {} {}:\n{}", self.edition(), self.url, self.log().join("\n"));
            return;
        }
        let unexpected = self.unexpected();
        assert!(unexpected.is_empty(), "the log has what the test did not allow:\n{}", unexpected.join("\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_told_from_text_that_quotes_them() {
        for (line, complains) in [
            ("2026-01-01T00:00:00Z  WARN detectviz: slow", true),
            ("2026-01-01T00:00:00Z ERROR detectviz: lost", true),
            ("2026-01-01T00:00:00Z  INFO detectviz: ERROR is a level", false),
            (r#"{"timestamp":"x","level":"WARN","message":"slow"}"#, true),
            (r#"{"timestamp":"x","level":"INFO","message":"fast"}"#, false),
            ("thread 'main' panicked at src/main.rs:1:1:", true),
            ("", false),
        ] {
            assert_eq!(is_complaint(line), complains, "{line}");
        }
    }
}
