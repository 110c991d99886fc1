//! What is handed out: of each edition one archive with all that belongs to it, its bill of materials, and checksums.
//! The same commit, compiler and folder give the same bytes: files are sorted, times are the commit's, and no path of
//! this machine is left in them.

mod archive;
mod bill;
mod licences;
mod packages;
mod verify;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use self::archive::Entry;
use self::packages::Packages;
use crate::build::{Edition, Selection, place};
use crate::process;
use crate::workspace::Workspace;

/// The profile of what is handed out, and the folder that cargo puts it in.
const PROFILE: &str = "dist";
/// The shells that have completions, and where a shell looks for them.
const COMPLETIONS: [(&str, &str); 3] =
    [("bash", "detectviz.bash"), ("fish", "detectviz.fish"), ("zsh", "_detectviz")];
const SUMS: &str = "SHA256SUMS";

/// `cargo xtask dist`
#[derive(clap::Args)]
#[command(after_help = "Puts into target/dist/archives, for this machine's target:
  detectviz-EDITION-VERSION-TARGET.tar.gz     the binary, README, licences, shell completions, the bill
  detectviz-EDITION-VERSION-TARGET.cdx.json   the bill of materials, CycloneDX 1.5
  SHA256SUMS                                  check it with `sha256sum --check`

The binaries are optimized across crates, which takes some minutes. Times in the archives are SOURCE_DATE_EPOCH, or else
the commit's.

  cargo xtask dist
  cargo xtask dist --edition oss")]
pub(crate) struct Args {
    /// What to archive
    #[arg(long, value_enum, default_value_t)]
    edition: Selection,
}

/// One edition that is handed out.
struct Release<'a> {
    workspace: &'a Workspace,
    edition: Edition,
    version: String,
    target: String,
    /// Seconds since 1970, for every file.
    time: u64,
}

/// Builds, archives and verifies the selected editions.
pub(crate) fn dist(workspace: &Workspace, args: &Args) -> anyhow::Result<()> {
    if workspace.commit().ends_with("-dirty") {
        eprintln!(
            "note: there are changes that are not committed; the archives say so in `detectviz version`"
        );
    }
    let folder = workspace.dist().join("archives");
    // Of an older version there would be files that no line of the sums is about.
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("empty {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let (target, time) = (host()?, time(workspace)?);
    let mut made = Vec::new();
    for edition in args.edition.editions() {
        let packages = Packages::of(workspace, edition, &target)?;
        let version = packages.root.version.clone();
        let release = Release { workspace, edition, version, target: target.clone(), time };
        made.extend(release.make(&packages, &folder)?);
    }
    std::fs::write(folder.join(SUMS), sums(&made)?).context("write the checksums")?;
    made.push(folder.join(SUMS));
    made.iter().for_each(|file| println!("{}", file.display()));
    Ok(())
}

impl Release<'_> {
    fn name(&self) -> String {
        format!("detectviz-{}-{}-{}", self.edition.name(), self.version, self.target)
    }

    /// Makes the archive and the bill in `folder`, and verifies the archive.
    fn make(&self, packages: &Packages, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let name = self.name();
        eprintln!("{name}: build");
        let binary = self.build()?;
        eprintln!("{name}: archive");
        let bill = bill::bill(packages, &self.target)?;
        let mut entries = self.entries(&binary, packages)?;
        entries.push(Entry::file("detectviz.cdx.json", bill.clone().into_bytes()));
        let entries = entries.into_iter().map(|entry| entry.below(&name)).collect();
        let archive = folder.join(format!("{name}.tar.gz"));
        std::fs::write(&archive, archive::archive(entries, self.time)?).context("write the archive")?;
        let bill_file = folder.join(format!("{name}.cdx.json"));
        std::fs::write(&bill_file, bill).context("write the bill of materials")?;
        eprintln!("{name}: verify");
        verify::verify(&archive, &name, &binary, &self.host_paths())
            .with_context(|| format!("verify {}", archive.display()))?;
        Ok(vec![archive, bill_file])
    }

    /// The finished binary.
    fn build(&self) -> anyhow::Result<PathBuf> {
        let mut cargo = self.workspace.cargo(&["build", "--locked", "--profile", PROFILE]);
        cargo.args(["--package", self.edition.package(), "--target", &self.target]);
        let paths = self.host_paths();
        let remap = |flag: &str| {
            let words = paths.iter().map(|(path, name)| format!("{flag}={}={name}", path.display()));
            words.collect::<Vec<_>>()
        };
        // Separated by the only character that no path has; what the person has set in RUSTFLAGS is not for others.
        cargo.env("CARGO_ENCODED_RUSTFLAGS", remap("--remap-path-prefix").join("\x1f"));
        cargo.env("CFLAGS", remap("-ffile-prefix-map").join(" "));
        process::run(&mut cargo).context("build what is handed out")?;
        let built = self.workspace.target().join(&self.target).join(PROFILE).join(self.edition.package());
        let placed = self.workspace.dist().join("archives").join(format!(".{}", self.edition.package()));
        place(&built, &placed)?;
        Ok(placed)
    }

    /// The folders of this machine that names in a binary may begin with, and what they are called instead.
    fn host_paths(&self) -> Vec<(PathBuf, &'static str)> {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let of = |name: &str, folder: &str| {
            std::env::var_os(name).map(PathBuf::from).or_else(|| Some(home.as_ref()?.join(folder)))
        };
        let mut paths = vec![(self.workspace.root().to_owned(), "detectviz")];
        paths.extend(of("CARGO_HOME", ".cargo").map(|path| (path, "cargo")));
        paths.extend(of("RUSTUP_HOME", ".rustup").map(|path| (path, "rustup")));
        paths
    }

    /// All files but the bill.
    fn entries(&self, binary: &Path, packages: &Packages) -> anyhow::Result<Vec<Entry>> {
        let read =
            |name: &str| std::fs::read(self.workspace.path(name)).with_context(|| format!("read {name}"));
        let program = std::fs::read(binary).with_context(|| format!("read {}", binary.display()))?;
        let mut entries = vec![
            Entry::program("detectviz", program),
            Entry::file("README.md", read("README.md")?),
            Entry::file("LICENSE", read("LICENSE")?),
            Entry::file("THIRD-PARTY-LICENSES.txt", licences::texts(packages)?.into_bytes()),
        ];
        for (shell, file) in COMPLETIONS {
            let script = process::quiet(Command::new(binary).args(["completions", shell]))?;
            entries.push(Entry::file(&format!("completions/{file}"), script.into_bytes()));
        }
        Ok(entries)
    }
}

/// The target that rustc builds for unless it is told otherwise.
fn host() -> anyhow::Result<String> {
    let told = process::quiet(Command::new("rustc").arg("-vV"))?;
    let line = told.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned).context("find the line `host:` in what `rustc -vV` says")
}

/// Seconds since 1970: what `SOURCE_DATE_EPOCH` says (reproducible-builds.org), else when the commit was made, else 0.
fn time(workspace: &Workspace) -> anyhow::Result<u64> {
    if let Ok(given) = std::env::var("SOURCE_DATE_EPOCH") {
        return given.parse().with_context(|| format!("SOURCE_DATE_EPOCH must be seconds, it is {given:?}"));
    }
    let told = process::quiet(&mut workspace.git(&["log", "-1", "--format=%ct"]));
    Ok(told.ok().and_then(|time| time.trim().parse().ok()).unwrap_or(0))
}

/// The lines that `sha256sum --check` reads.
fn sums(files: &[PathBuf]) -> anyhow::Result<String> {
    let mut lines = String::new();
    for file in files {
        let bytes = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        lines += &format!("{digest}  {name}\n");
    }
    Ok(lines)
}
