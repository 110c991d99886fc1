//! The real kubectl of either line, with the administrator's kubeconfig and nothing else of this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::environment::Line;
use crate::process::Running;

/// One call of kubectl.
pub struct Kubectl {
    command: Command,
    stdin: String,
}

/// What kubectl did.
#[derive(Debug)]
pub struct Output {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    line: String,
}

impl Kubectl {
    /// `arguments` are split at spaces; [`Self::arg`] adds one with spaces in it.
    pub(crate) fn new(line: Line, arguments: &str, kubeconfig: &Path, home: &Path) -> Self {
        let mut command = Command::new(line.kubectl());
        command.env_clear().current_dir(home).args(arguments.split_whitespace());
        // The cache is below the home folder, and so ends with the test.
        command.env("KUBECONFIG", kubeconfig).env("HOME", home);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        Self { command, stdin: String::new() }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<PathBuf>) -> Self {
        self.command.arg(argument.into());
        self
    }

    /// Adds arguments, which are split at spaces; a bar in one of them stands for a space.
    #[must_use]
    pub fn args(mut self, arguments: &str) -> Self {
        self.command.args(arguments.split_whitespace().map(|argument| argument.replace('|', " ")));
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// What kubectl reads, for `-f -`.
    #[must_use]
    pub fn stdin(mut self, text: impl Into<String>) -> Self {
        self.stdin = text.into();
        self
    }

    /// Starts it, to be read while it runs.
    #[must_use]
    pub fn start(mut self) -> Running {
        Running::start(&mut self.command, &self.stdin)
    }

    /// Runs it to its end.
    pub fn run(self) -> Output {
        let arguments: Vec<_> = self.command.get_args().map(|argument| argument.to_string_lossy()).collect();
        let line = format!("kubectl {}", arguments.join(" "));
        let mut running = self.start();
        let code = running.code();
        let text = |lines: Vec<String>| lines.join("\n");
        Output { code, stdout: text(running.output()), stderr: text(running.errors()), line }
    }

    /// Runs it, and gives its standard output.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn ok(self) -> String {
        let output = self.run();
        assert_eq!(output.code, 0, "{output}");
        output.stdout
    }

    /// Runs it, and gives its standard error.
    ///
    /// # Panics
    /// When it succeeds.
    #[track_caller]
    pub fn fails(self) -> String {
        let output = self.run();
        assert_ne!(output.code, 0, "{output}");
        output.stderr
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ended with {}\n{}\n{}", self.line, self.code, self.stdout, self.stderr)
    }
}
