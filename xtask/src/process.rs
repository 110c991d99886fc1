//! Child processes that end before xtask goes on: shown before they run, and an error names the command.

use std::borrow::Cow;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, bail};

/// Prints a command to stderr, dim on a terminal.
pub(crate) fn echo(command: &Command) {
    let line = line(command);
    if std::io::stderr().is_terminal() {
        eprintln!("\x1b[2m$ {line}\x1b[0m");
    } else {
        eprintln!("$ {line}");
    }
}

/// Runs a command whose output goes to the person; an exit code other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    echo(command);
    let status = command.stdin(Stdio::null()).status().with_context(|| start_error(command))?;
    if !status.success() {
        bail!("`{}` failed: {status}", line(command));
    }
    Ok(())
}

/// Shows and runs a command, and returns what it printed to stdout; its stderr goes to the person.
pub(crate) fn capture(command: &mut Command) -> anyhow::Result<String> {
    echo(command);
    let output = output(command.stderr(Stdio::inherit()))?;
    text(command, output)
}

/// Runs a command without showing it; its stderr becomes part of the error.
pub(crate) fn quiet(command: &mut Command) -> anyhow::Result<String> {
    let output = output(command)?;
    text(command, output)
}

/// Runs a command without showing it, and returns whatever came out.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<Output> {
    command.stdin(Stdio::null()).output().with_context(|| start_error(command))
}

fn text(command: &Command, output: Output) -> anyhow::Result<String> {
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed: {} {}", line(command), output.status, stderr.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("read the output of `{}`", line(command)))
}

/// Finds an executable by name in the folders of `PATH`.
pub(crate) fn which(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// A command as a person would type it here: a program on `PATH` by its name, paths from this folder on.
pub(crate) fn line(command: &Command) -> String {
    let here = std::env::current_dir().map(|here| format!("{}/", here.display())).unwrap_or_default();
    let program = Path::new(command.get_program());
    let name = program
        .file_name()
        .and_then(|name| name.to_str())
        .filter(|name| which(name).as_deref() == Some(program));
    let program = name.map_or_else(|| program.to_string_lossy(), Cow::from);
    let words = std::iter::once(program).chain(command.get_args().map(|arg| arg.to_string_lossy()));
    words.map(|word| quoted(word.strip_prefix(&here).unwrap_or(&word))).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn start_error(command: &Command) -> String {
    format!("start `{}`", command.get_program().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_command_can_be_pasted_into_a_shell() {
        let mut command = Command::new("curl");
        command.args(["-d", r#"{"a":"it's"}"#, "https://127.0.0.1:6443/x"]);
        command.arg(std::env::current_dir().unwrap().join("data/admin.crt"));
        assert_eq!(line(&command), r#"curl -d '{"a":"it'\''s"}' https://127.0.0.1:6443/x data/admin.crt"#);
    }

    #[test]
    fn a_failed_command_is_named_with_its_reason() {
        let error =
            quiet(Command::new("sh").args(["-c", "echo broken >&2; exit 3"])).unwrap_err().to_string();
        assert!(error.contains("broken") && error.contains("exit status: 3"), "{error}");
    }
}
