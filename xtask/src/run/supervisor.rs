//! Owner of the children: one queue brings their lines, their ends and Ctrl-C, so every wait sees all three.
//!
//! Children are in process groups of their own, so that Ctrl-C reaches xtask alone and the order in which
//! they end is ours.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::process;

/// How long a child may take to end by itself; the server's own bound for requests under way is below it.
const GRACE: Duration = Duration::from_secs(15);
/// Between two looks whether a child has ended.
const LOOK: Duration = Duration::from_millis(50);
/// How many lines of a log an error shows.
const TAIL: usize = 15;

/// The person asked to stop; not a failure.
#[derive(Debug)]
pub(super) struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

enum Event {
    Interrupt,
    Line(&'static str, String),
    /// A child closed its stdout, which it does by ending.
    Ended(&'static str),
}

struct Started {
    name: &'static str,
    child: Child,
}

/// All children, in the order in which they were started.
pub(super) struct Supervisor {
    children: Vec<Started>,
    sender: SyncSender<Event>,
    events: Receiver<Event>,
    logs: PathBuf,
}

impl Supervisor {
    /// Takes over Ctrl-C, SIGTERM and the end of the terminal; what children log goes to files in `logs`.
    pub(super) fn new(logs: PathBuf) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&logs).with_context(|| format!("create {}", logs.display()))?;
        let (sender, events) = sync_channel(64);
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("take over Ctrl-C")?;
        let interrupts = sender.clone();
        std::thread::spawn(move || {
            for _ in signals.forever() {
                if interrupts.send(Event::Interrupt).is_err() {
                    return;
                }
            }
        });
        Ok(Self { children: Vec::new(), sender, events, logs })
    }

    /// Starts a child whose stderr goes to its log file and whose stdout is read line by line.
    pub(super) fn spawn(&mut self, name: &'static str, command: &mut Command) -> anyhow::Result<()> {
        let path = self.log(name);
        let log = File::create(&path).with_context(|| format!("create {}", path.display()))?;
        let stderr = log.try_clone().context("share the log file")?;
        process::echo(command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).process_group(0);
        let mut child = command.spawn().with_context(|| format!("start {name}"))?;
        let stdout = child.stdout.take();
        self.children.push(Started { name, child });
        let sender = self.sender.clone();
        let stdout = stdout.with_context(|| format!("read the output of {name}"))?;
        std::thread::spawn(move || forward(name, stdout, log, &sender));
        Ok(())
    }

    /// Waits for a line of a child that `wanted` takes.
    pub(super) fn line<T>(
        &mut self,
        name: &'static str,
        bound: Duration,
        wanted: impl Fn(&str) -> Option<T>,
    ) -> anyhow::Result<T> {
        let end = Instant::now() + bound;
        loop {
            match self.event(end.saturating_duration_since(Instant::now()))? {
                Some((from, line)) if from == name => {
                    if let Some(found) = wanted(&line) {
                        return Ok(found);
                    }
                }
                Some(_) => {}
                None => bail!("{name} was not ready within {}s{}", bound.as_secs(), self.tail(name)),
            }
        }
    }

    /// Looks again and again until `look` finds something.
    pub(super) fn until<T>(
        &mut self,
        bound: Duration,
        pause: Duration,
        wanted: &str,
        mut look: impl FnMut() -> Option<T>,
    ) -> anyhow::Result<T> {
        let end = Instant::now() + bound;
        while Instant::now() < end {
            if let Some(found) = look() {
                return Ok(found);
            }
            self.event(pause)?;
        }
        bail!("waited {}s until {wanted}; logs are in {}", bound.as_secs(), self.logs.display())
    }

    /// Waits until the person asks to stop, or a child ends by itself; so it always gives an error.
    pub(super) fn hold(&mut self) -> anyhow::Result<()> {
        loop {
            self.event(Duration::from_secs(3600))?;
        }
    }

    /// Ends all children, the last started first, and waits for each; a second Ctrl-C kills what is left.
    pub(super) fn end(&mut self) {
        while let Some(Started { name, mut child }) = self.children.pop() {
            // An error means that it has ended by itself.
            let asked = kill_process(Pid::from_child(&child), Signal::TERM);
            if asked.is_ok() && !self.ends(&mut child) {
                eprintln!("{name} did not end by itself and is killed");
                // As above.
                let _ = child.kill();
            }
            match child.wait() {
                Ok(status) => eprintln!("{name} ended: {status}"),
                Err(error) => eprintln!("{name} could not be waited for: {error}"),
            }
        }
    }

    /// Whether a child that was asked to end does so within its time.
    fn ends(&self, child: &mut Child) -> bool {
        let end = Instant::now() + GRACE;
        while Instant::now() < end {
            if matches!(child.try_wait(), Ok(Some(_))) {
                return true;
            }
            // Taking events keeps the child's output from filling up, and sees a second Ctrl-C.
            if matches!(self.events.recv_timeout(LOOK), Ok(Event::Interrupt)) {
                return false;
            }
        }
        false
    }

    /// The next line of any child, or nothing after `bound`; Ctrl-C and the end of a child are errors.
    fn event(&mut self, bound: Duration) -> anyhow::Result<Option<(&'static str, String)>> {
        match self.events.recv_timeout(bound) {
            Ok(Event::Line(name, line)) => Ok(Some((name, line))),
            Ok(Event::Interrupt) => Err(Interrupted.into()),
            Ok(Event::Ended(name)) => bail!("{name} ended unexpectedly{}", self.tail(name)),
            Err(_) => Ok(None),
        }
    }

    fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    /// The end of a child's log, as the second part of an error.
    fn tail(&self, name: &str) -> String {
        let path = self.log(name);
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
        format!("; the end of {}:\n{tail}", path.display())
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.end();
    }
}

/// Passes a child's lines on, and writes them to its log too, until it ends.
fn forward(name: &'static str, stdout: ChildStdout, mut log: File, events: &SyncSender<Event>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        // A full disk must not stop the child, which would block on a pipe that nobody reads.
        let _ = writeln!(log, "{line}");
        if events.send(Event::Line(name, line)).is_err() {
            return;
        }
    }
    // Nobody listens any more when xtask is about to end.
    let _ = events.send(Event::Ended(name));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn supervisor(test: &str) -> Supervisor {
        Supervisor::new(std::env::temp_dir().join(format!("xtask-{test}-{}", std::process::id()))).unwrap()
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_line_is_awaited_and_a_child_ends_by_sigterm() {
        let mut supervisor = supervisor("line");
        let script =
            "trap 'echo bye; exit 0' TERM; echo starting; echo ready now; while :; do sleep 1 & wait; done";
        supervisor.spawn("child", &mut shell(script)).unwrap();
        let found = supervisor.line("child", START, |line| line.strip_prefix("ready ").map(str::to_owned));
        assert_eq!(found.unwrap(), "now");
        supervisor.end();
        assert!(supervisor.children.is_empty());
        std::fs::remove_dir_all(&supervisor.logs).unwrap();
    }

    #[test]
    fn a_child_that_ends_is_an_error_with_the_end_of_its_log() {
        let mut supervisor = supervisor("ends");
        supervisor.spawn("child", &mut shell("echo port 6443 is in use >&2; exit 1")).unwrap();
        let error = supervisor.hold().unwrap_err().to_string();
        assert!(
            error.contains("child ended unexpectedly") && error.contains("port 6443 is in use"),
            "{error}"
        );
        std::fs::remove_dir_all(&supervisor.logs).unwrap();
    }

    const START: Duration = Duration::from_secs(60);
}
