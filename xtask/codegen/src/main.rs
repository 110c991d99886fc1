//! Turns the proto files of `crates/pluginv2` and `crates/storage` into the committed Rust beside them.
//!
//! Nothing is generated while building, so neither `protoc` nor this binary is needed to build; it is run by
//! hand after a change of a proto file, and with `--check` by whoever wants to know that nobody forgot.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

/// A folder of proto files, and where their Rust goes; both below `crates`.
struct Source {
    protos: &'static str,
    /// The files, each of a package of its own.
    files: &'static [&'static str],
    generated: &'static str,
    /// Whether servers are generated too.
    servers: bool,
}

const SOURCES: [Source; 2] = [
    Source {
        protos: "pluginv2/proto",
        files: &["goplugin.proto", "health.proto", "pluginv2.proto"],
        generated: "pluginv2/src/generated",
        servers: true,
    },
    Source {
        protos: "storage/proto",
        files: &["etcd.proto"],
        generated: "storage/src/etcd/generated",
        servers: false,
    },
];

/// Messages that carry secrets: their `Debug` is written by hand and shows none.
const SECRETIVE: [&str; 2] = [".pluginv2.AppInstanceSettings", ".pluginv2.DataSourceInstanceSettings"];

/// File name to text.
type Files = BTreeMap<String, String>;

fn main() -> anyhow::Result<ExitCode> {
    let check = parse_arguments(std::env::args().skip(1))?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates");
    let mut stale = false;
    for source in &SOURCES {
        stale |= update(&root, source, check).with_context(|| format!("generate from {}", source.protos))?;
    }
    if stale && check {
        report("generated code differs from the proto files: run `cargo run -p detectviz-codegen`")?;
        return Ok(ExitCode::FAILURE);
    }
    report(if stale { "generated code written" } else { "generated code is up to date" })?;
    Ok(ExitCode::SUCCESS)
}

/// Returns whether the committed files differ from the generated ones; replaces them unless this is a check.
fn update(root: &Path, source: &Source, check: bool) -> anyhow::Result<bool> {
    let committed = root.join(source.generated);
    let generated = generate(root, source)?;
    let stale = read_dir(&committed)? != generated;
    if stale && !check {
        replace(&committed, &generated)?;
    }
    Ok(stale)
}

/// Returns whether `--check` is given.
fn parse_arguments(arguments: impl Iterator<Item = String>) -> anyhow::Result<bool> {
    let mut check = false;
    for argument in arguments {
        if argument != "--check" {
            bail!("read argument `{argument}`: only `--check` is known");
        }
        check = true;
    }
    Ok(check)
}

/// Generates all files in a temporary folder and returns their text.
fn generate(root: &Path, source: &Source) -> anyhow::Result<Files> {
    let mut compiler = protox::Compiler::new([root.join(source.protos)]).context("open the proto folder")?;
    let descriptors = compiler
        .include_source_info(true)
        .include_imports(true)
        .open_files(source.files)
        .context("compile the proto files")?
        .file_descriptor_set();
    let out = tempfile::tempdir().context("create a temporary folder")?;
    tonic_prost_build::configure()
        .build_transport(false)
        .build_server(source.servers)
        .emit_rerun_if_changed(false)
        .btree_map(".") // the same settings are the same bytes in every call
        .bytes(".") // frames and bodies are passed on without a copy
        .skip_debug(SECRETIVE)
        .out_dir(out.path())
        .compile_fds(descriptors)
        .context("generate code")?;
    read_dir(out.path())
}

/// Reads every file of a flat folder.
fn read_dir(folder: &Path) -> anyhow::Result<Files> {
    let entries = fs::read_dir(folder).with_context(|| format!("read folder {}", folder.display()))?;
    entries.map(|entry| read_entry(&entry?.path())).collect()
}

fn read_entry(path: &Path) -> anyhow::Result<(String, String)> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let name = path.file_name().context("a folder's entry has a name")?;
    Ok((name.to_string_lossy().into_owned(), text))
}

/// Makes `folder` hold exactly `files`.
fn replace(folder: &Path, files: &Files) -> anyhow::Result<()> {
    for stale in read_dir(folder)?.keys().filter(|name| !files.contains_key(*name)) {
        fs::remove_file(folder.join(stale)).with_context(|| format!("remove {stale}"))?;
    }
    for (name, text) in files {
        let path: PathBuf = folder.join(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

fn report(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("write to stdout")
}
