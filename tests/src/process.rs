//! Child processes that end with the test, and whose lines can be awaited.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::wait::{BOUND, wait_for};

/// What a process printed so far, line by line.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    fn follow(source: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let sink = lines.clone();
        // Ends with the pipe, which ends with the process.
        std::thread::spawn(move || {
            for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
                sink.change(|state| state.lines.push(String::from_utf8_lossy(&line).into_owned()));
            }
            sink.change(|state| state.ended = true);
        });
        lines
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.1.notify_all();
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).lines.clone()
    }

    /// The first line from number `from` on that passes, with its number; `None` when the output ended without one.
    fn find(&self, from: usize, passes: impl Fn(&str) -> bool) -> Option<(usize, String)> {
        let (end, (state, changed)) = (Instant::now() + BOUND, &*self.0);
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let mut numbered = state.lines.iter().enumerate().skip(from);
            if let Some((number, line)) = numbered.find(|(_, line)| passes(line)) {
                return Some((number, line.clone()));
            }
            if state.ended {
                return None;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no line came within {}s after {:?}", BOUND.as_secs(), state.lines);
            state = changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until the output has ended.
    fn whole(&self) -> Vec<String> {
        // No line passes, so this ends with the output.
        self.find(0, |_| false);
        self.all()
    }
}

/// A running child process; it is killed with the value.
pub struct Running {
    child: Child,
    name: String,
    stdout: Lines,
    stderr: Lines,
    read: usize,
}

impl Running {
    /// Starts `command`, which reads `stdin`.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(command: &mut Command, stdin: &str) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|fault| panic!("start {name}: {fault}"));
        let stdout = Lines::follow(child.stdout.take().expect("stdout is piped"));
        let stderr = Lines::follow(child.stderr.take().expect("stderr is piped"));
        // A child that ends without reading is judged by its exit code.
        let _ = child.stdin.take().expect("stdin is piped").write_all(stdin.as_bytes());
        Self { child, name, stdout, stderr, read: 0 }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line of standard output; `None` once it has ended.
    pub fn next_line(&mut self) -> Option<String> {
        let (number, line) = self.stdout.find(self.read, |_| true)?;
        self.read = number + 1;
        Some(line)
    }

    /// The first line of standard error that contains `text`.
    ///
    /// # Panics
    /// When the process ends without it.
    pub fn await_error_line(&self, text: &str) -> String {
        let found = self.stderr.find(0, |line| line.contains(text));
        let all = || self.stderr.all().join("\n");
        found.unwrap_or_else(|| panic!("{} ended without the line {text:?}:\n{}", self.name, all())).1
    }

    /// The lines of standard output so far.
    pub fn output(&self) -> Vec<String> {
        self.stdout.all()
    }

    /// The lines of standard error so far.
    pub fn errors(&self) -> Vec<String> {
        self.stderr.all()
    }

    /// Asks the process to end.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Asks the process to read its files again.
    pub fn hangup(&self) {
        self.signal(Signal::HUP);
    }

    /// Stops the process until [`Self::resume`], as a machine that hangs; it does nothing more when this returns.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
        // An error means that it has ended, which is as still as it gets.
        let _ = waitpid(Some(Pid::from_child(&self.child)), WaitOptions::UNTRACED);
    }

    /// Lets the process go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        // An error means that it has ended already, which the caller finds out by waiting.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Kills the process at once, as `kill -9` does.
    pub fn kill(&mut self) {
        // Both fail only for a process that has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Whether the process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Waits until the process has ended by itself, and its output is whole.
    ///
    /// # Panics
    /// When it does not end.
    pub fn wait(&mut self) -> ExitStatus {
        let what = format!("{} ends", self.name);
        let status = wait_for(&what, || self.child.try_wait().expect("wait for a child"));
        self.stdout.whole();
        self.stderr.whole();
        status
    }

    /// Like [`Self::wait`], giving the exit code; a signal counts as in a shell.
    pub fn code(&mut self) -> i32 {
        let status = self.wait();
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}
