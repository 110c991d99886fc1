//! What the figures depend on besides the code.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Serialize;

/// How often the disk is asked to keep something before its time is told.
const SYNCS: usize = 200;

/// The machine.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    /// The processor's model.
    pub(crate) cpu: String,
    /// How many cores this process may use.
    pub(crate) cores: usize,
    /// The kernel's name and release.
    pub(crate) kernel: String,
    /// Device and file system that hold the data.
    pub(crate) disk: String,
    /// The median time of an append of 4 KiB with `fdatasync`, in microseconds: the floor of a durable write.
    pub(crate) sync: f64,
}

/// How busy the machine is.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Load {
    /// Processes that ran or wanted to, on average over the last minute.
    pub(crate) minute: f64,
}

impl Machine {
    /// Looks at the machine, and at the disk that holds `folder`.
    ///
    /// # Errors
    /// When the disk cannot be written to.
    pub(crate) fn look(folder: &Path) -> anyhow::Result<Self> {
        let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        Ok(Self {
            cpu: model(&cpus).unwrap_or("unknown").to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: format!("Linux {}", kernel.trim()),
            disk: disk(&mounts, folder).unwrap_or_else(|| "an unknown disk".to_owned()),
            sync: sync(folder)?.as_secs_f64() * 1e6,
        })
    }
}

impl Load {
    /// The load now.
    pub(crate) fn now() -> Self {
        let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let minute = text.split(' ').next().and_then(|minute| minute.parse().ok());
        Self { minute: minute.unwrap_or(0.0) }
    }

    /// Whether others used so much of the machine that figures are doubtful.
    pub(crate) fn busy(self, cores: usize) -> bool {
        self.minute > cores as f64 / 4.0
    }
}

fn model(cpus: &str) -> Option<&str> {
    let line = cpus.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim())
}

/// The mount with the longest path above `folder`, which is absolute.
fn disk(mounts: &str, folder: &Path) -> Option<String> {
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ');
        Some((words.next()?, words.next()?, words.next()?))
    });
    let above = mounts.filter(|(_, place, _)| folder.starts_with(place));
    above.max_by_key(|(_, place, _)| place.len()).map(|(device, _, system)| format!("{device} ({system})"))
}

fn sync(folder: &Path) -> anyhow::Result<Duration> {
    let path = folder.join("sync");
    let mut file = std::fs::File::create(&path).with_context(|| format!("create {}", path.display()))?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let began = Instant::now();
        file.write_all(&[7; 4096]).context("write to the disk")?;
        file.sync_data().context("sync to the disk")?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    std::fs::remove_file(&path).context("remove a file")?;
    Ok(times[SYNCS / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_is_the_one_mounted_nearest() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /data xfs rw 0 0\n";
        assert_eq!(disk(mounts, Path::new("/data/x")).as_deref(), Some("/dev/b (xfs)"));
        assert_eq!(disk(mounts, Path::new("/database")).as_deref(), Some("/dev/a (ext4)"));
    }

    #[test]
    fn a_machine_with_load_is_busy() {
        assert!(Load { minute: 1.0 }.busy(2) && !Load { minute: 0.3 }.busy(2));
    }
}
