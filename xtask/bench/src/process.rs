//! A measured process: a child that dies with us, and what the kernel says of its time and memory.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

/// The unit of times in `/proc/PID/stat`: `USER_HZ`, 100 on every architecture that Linux has today.
const TICK: Duration = Duration::from_millis(10);

/// A running child. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    id: u32,
    output: Lines<BufReader<ChildStdout>>,
    log: PathBuf,
}

/// Memory of one process, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Memory {
    /// All that is resident, with the binary's pages.
    pub(crate) resident: f64,
    /// What no file backs: heap and stacks.
    pub(crate) anonymous: f64,
    /// The highest that `resident` was since the peak was last forgotten.
    pub(crate) peak: f64,
}

impl Process {
    /// Starts a command, whose stderr goes to the file `log`. Only from the main task: the child dies with the
    /// thread that started it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let stderr = std::fs::File::create(log).with_context(|| format!("create {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
        detectviz_tether::tether(&mut command);
        let mut command = tokio::process::Command::from(command);
        let mut child = command.kill_on_drop(true).spawn().with_context(|| format!("start {program}"))?;
        let id = child.id().context("find the child's id")?;
        let output = child.stdout.take().context("read the child's output")?;
        Ok(Self { child, id, output: BufReader::new(output).lines(), log: log.to_owned() })
    }

    /// Waits for a line that begins with `prefix`, and returns the rest of it.
    ///
    /// # Errors
    /// When the process ends before.
    pub(crate) async fn line(&mut self, prefix: &str) -> anyhow::Result<String> {
        while let Some(line) = self.output.next_line().await.context("read the child's output")? {
            if let Some(rest) = line.strip_prefix(prefix) {
                return Ok(rest.trim().to_owned());
            }
        }
        bail!("the child ended before it said {prefix:?}; {}", self.tail())
    }

    /// An error when the process has ended.
    ///
    /// # Errors
    /// As said.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait().context("look after the child")? {
            Some(status) => bail!("the child ended: {status}; {}", self.tail()),
            None => Ok(()),
        }
    }

    /// Kills the process as `kill -9` does, and waits until it is gone.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("kill the child")
    }

    /// The CPU time so far, of the process and its descendants, to 10 ms.
    ///
    /// # Errors
    /// When the process has ended.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        Ok(TICK * self.family()?.iter().map(|stat| stat.ticks).sum::<u32>())
    }

    /// The anonymous memory now, of the process and its descendants, in bytes.
    ///
    /// # Errors
    /// When the process has ended.
    pub(crate) fn anonymous(&self) -> anyhow::Result<f64> {
        let of = |stat: &Stat| memory(stat.id).map(|memory| memory.anonymous);
        self.family()?.iter().map(of).sum()
    }

    /// The process and its descendants.
    fn family(&self) -> anyhow::Result<Vec<Stat>> {
        let (mut family, mut others): (Vec<_>, Vec<_>) = processes()?.partition(|stat| stat.id == self.id);
        anyhow::ensure!(!family.is_empty(), "find the process {}", self.id);
        let mut next = 0;
        while let Some(id) = family.get(next).map(|stat| stat.id) {
            family.extend(others.extract_if(.., |stat| stat.parent == id));
            next += 1;
        }
        Ok(family)
    }

    /// The memory now.
    ///
    /// # Errors
    /// When the process has ended.
    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        memory(self.id)
    }

    /// Forgets how high the memory was.
    ///
    /// # Errors
    /// When the process has ended. Source: `clear_refs` of proc(5).
    pub(crate) fn reset_peak(&self) -> anyhow::Result<()> {
        std::fs::write(format!("/proc/{}/clear_refs", self.id), "5").context("forget the peak of the memory")
    }

    fn tail(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(5).collect();
        format!("its log ends:\n{}", lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }
}

fn memory(id: u32) -> anyhow::Result<Memory> {
    let path = format!("/proc/{id}/status");
    let status = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    Memory::parse(&status).with_context(|| format!("understand {path}"))
}

impl Memory {
    fn parse(status: &str) -> Option<Self> {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            Some(line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok()? * 1024.0)
        };
        Some(Self { resident: field("VmRSS")?, anonymous: field("RssAnon")?, peak: field("VmHWM")? })
    }
}

struct Stat {
    id: u32,
    parent: u32,
    ticks: u32,
}

impl Stat {
    /// Source: `stat` of proc(5). The name, in parentheses, may hold anything.
    fn parse(text: &str) -> Option<Self> {
        let (id, rest) = text.split_once(' ')?;
        let fields: Vec<&str> = rest.rsplit_once(") ")?.1.split(' ').collect();
        let number = |index: usize| fields.get(index)?.parse::<u32>().ok();
        Some(Self { id: id.parse().ok()?, parent: number(1)?, ticks: number(11)? + number(12)? })
    }
}

fn processes() -> anyhow::Result<impl Iterator<Item = Stat>> {
    let entries = std::fs::read_dir("/proc").context("list the processes")?;
    Ok(entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        path.file_name()?.to_str()?.parse::<u32>().ok()?;
        Stat::parse(&std::fs::read_to_string(path.join("stat")).ok()?)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_process_is_called() {
        let stat = Stat::parse("42 (a) b (c) S 7 1 1 0 -1 0 0 0 0 0 150 50 0 0 20 0").unwrap();
        assert_eq!((stat.id, stat.parent, stat.ticks), (42, 7, 200));
    }

    #[test]
    fn memory_is_in_bytes() {
        let memory = Memory::parse("VmHWM:\t   30 kB\nVmRSS:\t   20 kB\nRssAnon:\t   10 kB\n").unwrap();
        assert_eq!(memory, Memory { resident: 20480.0, anonymous: 10240.0, peak: 30720.0 });
    }
}
