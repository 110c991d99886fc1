//! The archive as somebody else finds it: unpacked by the system's own tar, run, and looked through.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::process;

/// Unpacks `archive`, whose folder is called `name`, beside it, and compares its program with `binary`.
///
/// # Errors
/// When something is not as it was, the program does not run, or a path of this machine is in it.
pub(super) fn verify(
    archive: &Path,
    name: &str,
    binary: &Path,
    host_paths: &[(PathBuf, &'static str)],
) -> anyhow::Result<()> {
    let place = archive.with_extension("unpacked");
    std::fs::create_dir_all(&place).context("make a folder to unpack in")?;
    process::quiet(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(&place))
        .context("unpack it")?;
    let program = place.join(name).join("detectviz");
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("read {}", path.display()));
    let bytes = read(&program)?;
    ensure!(bytes == read(binary)?, "the program is not the one that was built");
    for (path, _) in host_paths {
        let path = path.to_string_lossy();
        ensure!(!holds(&bytes, path.as_bytes()), "the program names the folder {path} of this machine");
    }
    let says = |binary: &Path| process::quiet(Command::new(binary).arg("--version"));
    let (unpacked, built) = (says(&program)?, says(binary)?);
    ensure!(unpacked == built, "the program says that it is {unpacked:?}, and not {built:?}");
    eprint!("{unpacked}");
    std::fs::remove_dir_all(&place).context("remove what was unpacked")?;
    std::fs::remove_file(binary).context("remove the program beside the archive")
}

/// Whether a path stands in `bytes`, as a folder of something.
fn holds(bytes: &[u8], path: &[u8]) -> bool {
    let wanted = [path, b"/"].concat();
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_as_the_folder_of_something() {
        assert!(holds(b"\0/checkout/x/lib.rs\0", b"/checkout/x"));
        assert!(!holds(b"\0/checkout/xy/lib.rs\0", b"/checkout/x"));
    }
}
