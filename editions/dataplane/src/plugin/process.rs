//! One process of a plugin, from its start to its end. Whoever has it must end it; a dropped one is killed.

use std::error::Error;
use std::fmt;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use detectviz_pluginv2::handshake::{self, APP_VERSION, MAX_LINE_BYTES, UNIX_SOCKET_DIR};
use detectviz_pluginv2::health::health_check_response::ServingStatus;
use detectviz_pluginv2::{Address, Handshake, HandshakeError};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::output::{self, Log};
use super::socket_dir::SocketDir;
use super::{Connection, GRAFANA_VERSION, Plugin};

/// How long a plugin may take to end after it was told to.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);
/// How long the pipes of a process that ended are read on; one that left its group may hold them open.
const DRAIN_GRACE: Duration = Duration::from_secs(1);
/// What a plugin inherits; all else of the server's environment may be secret.
const INHERITED: [&str; 10] = [
    "PATH",
    "TMPDIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
];

/// Why a plugin does not take calls.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// There is no place for its socket.
    #[error("make the folder of the plugin's socket: {0}")]
    SocketDir(#[source] io::Error),
    /// The process did not start.
    #[error("start {path}: {source}")]
    Spawn {
        /// The executable.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It closed its stdout before a whole line.
    #[error("read the plugin's first line: it ended before it said where it listens")]
    Silent,
    /// Its first line has no end.
    #[error("read the plugin's first line: longer than {MAX_LINE_BYTES} bytes")]
    Endless,
    /// Its stdout cannot be read.
    #[error("read the plugin's first line: {0}")]
    Read(#[from] io::Error),
    /// Its first line is no handshake, or one that is not accepted.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// It listens in a way that is not used here.
    #[error("connect to the plugin at {0}: only a unix socket without TLS is accepted")]
    Address(Address),
    /// It does not listen where it says.
    #[error("connect to the plugin: {}", innermost(.0))]
    Connect(#[from] tonic::transport::Error),
    /// It does not answer about its health.
    #[error("ask for the plugin's health: {}", .0.message())]
    Health(Box<tonic::Status>),
    /// It says that it is not well.
    #[error("ask for the plugin's health: it answers {}, not SERVING", .0.as_str_name())]
    NotServing(ServingStatus),
    /// It took too long.
    #[error("wait for the plugin to start: not ready within {} s", .0.as_secs())]
    Timeout(Duration),
}

/// What really happened: tonic's own text is "transport error" whatever it was.
fn innermost<'a>(fault: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    std::iter::successors(Some(fault), |&fault| fault.source()).last().unwrap_or(fault)
}

impl StartError {
    /// What everyone may know: the kind of error. Paths and the plugin's own words are for the log.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::SocketDir(_) => "the folder of its socket cannot be made".to_owned(),
            Self::Spawn { source, .. } => format!("it cannot be started: {}", source.kind()),
            Self::Silent | Self::Endless | Self::Read(_) => "it does not say where it listens".to_owned(),
            Self::Handshake(_) => "its handshake is not accepted".to_owned(),
            Self::Address(_) => "only a unix socket without TLS is accepted".to_owned(),
            Self::Connect(_) => "it cannot be connected to".to_owned(),
            Self::Health(_) | Self::NotServing(_) => "it is not healthy".to_owned(),
            Self::Timeout(_) => self.to_string(),
        }
    }
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Exit {
    /// Its exit status, for everyone.
    pub(crate) status: String,
    /// What it said last, for the log.
    last_words: String,
}

impl fmt::Display for Exit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.last_words.as_str() {
            "" => formatter.write_str(&self.status),
            words => write!(formatter, "{}, after {words:?}", self.status),
        }
    }
}

/// A process that was started.
pub(crate) struct Process {
    child: Child,
    /// The group that the process leads, until all of it was killed.
    group: Option<Pid>,
    stdout: Option<BufReader<ChildStdout>>,
    drains: JoinSet<()>,
    log: Log,
}

impl Process {
    /// Starts the plugin's executable. Call it in a runtime's worker: the process ends with the thread that starts it.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(crate) fn spawn(plugin: &Plugin, sockets: &SocketDir) -> Result<Self, StartError> {
        let path = plugin.executable.display().to_string();
        let mut child =
            command(plugin, sockets).spawn().map_err(|source| StartError::Spawn { path, source })?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let log = Log::new(&plugin.manifest.id);
        let mut drains = JoinSet::new();
        if let Some(stderr) = child.stderr.take() {
            drains.spawn(output::drain(BufReader::new(stderr), log.clone()));
        }
        let stdout = child.stdout.take().map(BufReader::new);
        Ok(Self { child, group, stdout, drains, log })
    }

    /// Waits until the plugin takes calls.
    ///
    /// # Errors
    /// When it does not within `limit`.
    pub(crate) async fn connect(
        &mut self,
        limit: Duration,
        max_response_bytes: usize,
    ) -> Result<Connection, StartError> {
        let connected = timeout(limit, self.connect_unbounded(max_response_bytes)).await;
        connected.map_err(|_| StartError::Timeout(limit))?
    }

    async fn connect_unbounded(&mut self, max_response_bytes: usize) -> Result<Connection, StartError> {
        let handshake = self.handshake().await?;
        let path = match handshake.address {
            Address::Unix(path) if handshake.certificate.is_none() => path,
            other => return Err(StartError::Address(other)),
        };
        let connection = Connection::open(path, max_response_bytes).await?;
        match connection.health().await {
            Ok(ServingStatus::Serving) => Ok(connection),
            Ok(status) => Err(StartError::NotServing(status)),
            Err(fault) => Err(StartError::Health(Box::new(fault))),
        }
    }

    /// Reads the first line, and leaves the rest of stdout to a task.
    async fn handshake(&mut self) -> Result<Handshake, StartError> {
        let mut stdout = self.stdout.take().ok_or(StartError::Silent)?;
        let mut line = Vec::new();
        (&mut stdout).take(MAX_LINE_BYTES as u64).read_until(b'\n', &mut line).await?;
        self.drains.spawn(output::drain(stdout, self.log.clone()));
        if line.last() != Some(&b'\n') {
            return Err(if line.len() < MAX_LINE_BYTES { StartError::Silent } else { StartError::Endless });
        }
        Ok(Handshake::parse(&String::from_utf8_lossy(&line), &[APP_VERSION])?)
    }

    /// Waits until the process ends by itself, and says how.
    pub(crate) async fn ended(&mut self) -> Exit {
        let status = self.child.wait().await;
        self.account(status).await
    }

    /// Kills the process with what it started, and says how it ended.
    pub(crate) async fn kill(&mut self) -> Exit {
        self.kill_group();
        let status = self.child.wait().await;
        self.account(status).await
    }

    /// Tells the plugin to end, and kills it if it does not.
    pub(crate) async fn shutdown(&mut self, connection: &Connection) -> Exit {
        let asked = async { tokio::join!(connection.shutdown(), self.child.wait()).1 };
        match timeout(SHUTDOWN_GRACE, asked).await {
            Ok(status) => self.account(status).await,
            Err(_) => self.kill().await,
        }
    }

    fn kill_group(&self) {
        if let Some(group) = self.group {
            // No such process: it ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// After the leader was waited for: what it started ends with it, however it ended.
    async fn account(&mut self, status: io::Result<ExitStatus>) -> Exit {
        self.kill_group();
        // From now on the number may be somebody else's.
        self.group = None;
        let drained = async { while self.drains.join_next().await.is_some() {} };
        let _ = timeout(DRAIN_GRACE, drained).await;
        let status = status.map_or_else(|fault| fault.to_string(), |status| status.to_string());
        Exit { status, last_words: self.log.last_words() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_group();
    }
}

fn command(plugin: &Plugin, sockets: &SocketDir) -> Command {
    let mut command = Command::new(&plugin.executable);
    let inherited = INHERITED.iter().filter_map(|key| Some((*key, std::env::var_os(key)?)));
    command
        .env_clear()
        .envs(inherited)
        .envs(handshake::environment())
        .env(UNIX_SOCKET_DIR, sockets.path())
        .env("GF_VERSION", GRAFANA_VERSION)
        .env("GF_EDITION", "Open Source")
        .current_dir(&plugin.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own: Ctrl-C at the server's terminal is the server's to handle.
        .process_group(0)
        .kill_on_drop(true);
    // A server that is killed cannot stop its plugins.
    detectviz_tether::tether(command.as_std_mut());
    command
}
