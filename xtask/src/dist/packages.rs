//! What an edition is made of: the crates that are compiled into it for one target, who needs whom, where each is from,
//! and under which licence. Cargo says which (`cargo tree`, of this edition alone, since features differ), what they are
//! (`cargo metadata`), and what their bytes must be (`Cargo.lock`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Context as _;
use serde::Deserialize;

use crate::build::Edition;
use crate::process;
use crate::workspace::Workspace;

/// Name and version: no two packages of a tree have both.
pub(super) type Id = (String, String);

/// The tree of an edition.
#[derive(Debug)]
pub(super) struct Packages {
    /// The edition itself.
    pub(super) root: Package,
    /// All others.
    pub(super) others: BTreeMap<Id, Package>,
    /// Who needs whom, the edition included.
    pub(super) needs: BTreeMap<Id, BTreeSet<Id>>,
}

/// One package.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    /// An SPDX expression, or an older form of one.
    pub(super) license: Option<String>,
    pub(super) repository: Option<String>,
    /// `None` is a package of this repository.
    pub(super) source: Option<String>,
    pub(super) manifest_path: PathBuf,
    /// SHA-256 of the package as the registry has it, in hex.
    #[serde(skip)]
    pub(super) checksum: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

impl Packages {
    /// The tree of `edition` for `target`.
    ///
    /// # Errors
    /// When Cargo.lock is not what the manifests ask for, or cargo's words cannot be understood.
    pub(super) fn of(workspace: &Workspace, edition: Edition, target: &str) -> anyhow::Result<Self> {
        let mut tree = workspace.cargo(&["tree", "--locked", "--edges", "normal,no-proc-macro"]);
        tree.args([
            "--package",
            edition.package(),
            "--target",
            target,
            "--prefix",
            "depth",
            "--format",
            "{p}",
        ]);
        let needs = edges(&process::quiet(&mut tree)?)?;
        let mut metadata = workspace.cargo(&["metadata", "--locked", "--format-version", "1"]);
        let metadata: Metadata = serde_json::from_str(&process::quiet(&mut metadata)?)
            .context("parse the output of `cargo metadata`")?;
        let lock = std::fs::read_to_string(workspace.path("Cargo.lock")).context("read Cargo.lock")?;
        Self::join(edition.package(), needs, metadata.packages, &checksums(&lock))
    }

    fn join(
        root: &str,
        needs: BTreeMap<Id, BTreeSet<Id>>,
        known: Vec<Package>,
        checksums: &BTreeMap<Id, String>,
    ) -> anyhow::Result<Self> {
        let mut known: BTreeMap<Id, Package> = known
            .into_iter()
            .map(|package| ((package.name.clone(), package.version.clone()), package))
            .collect();
        let mut others = BTreeMap::new();
        for id in needs.keys() {
            let mut package =
                known.remove(id).with_context(|| format!("find {} {} in `cargo metadata`", id.0, id.1))?;
            package.checksum = checksums.get(id).cloned();
            others.insert(id.clone(), package);
        }
        let root =
            others.keys().find(|(name, _)| name == root).cloned().context("find the edition itself")?;
        let root = others.remove(&root).context("find the edition itself")?;
        Ok(Self { root, others, needs })
    }
}

/// Who needs whom, from lines like `2anyhow v1.0.1 (/path) (*)`, which begin with the depth in the tree. What is below a
/// package is told the first time that it is named.
fn edges(tree: &str) -> anyhow::Result<BTreeMap<Id, BTreeSet<Id>>> {
    let (mut needs, mut way) = (BTreeMap::<Id, BTreeSet<Id>>::new(), Vec::<Id>::new());
    for line in tree.lines().filter(|line| !line.is_empty()) {
        let understood = || format!("understand the line {line:?} of `cargo tree`");
        let end = line.find(|c: char| !c.is_ascii_digit()).with_context(understood)?;
        let depth: usize = line[..end].parse().with_context(understood)?;
        let mut words = line[end..].split(' ');
        let (name, version) = (words.next(), words.next().and_then(|version| version.strip_prefix('v')));
        let id = (name.with_context(understood)?.to_owned(), version.with_context(understood)?.to_owned());
        way.truncate(depth);
        if let Some(parent) = way.last() {
            needs.entry(parent.clone()).or_default().insert(id.clone());
        }
        needs.entry(id.clone()).or_default();
        way.push(id);
    }
    Ok(needs)
}

/// The checksums of `Cargo.lock`.
fn checksums(lock: &str) -> BTreeMap<Id, String> {
    let packages = lock.split("[[package]]").skip(1);
    packages
        .filter_map(|package| {
            let field = |name: &str| {
                let value = package.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "))?;
                Some(value.trim_matches('"').to_owned())
            };
            Some(((field("name")?, field("version")?), field("checksum")?))
        })
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn id(name: &str, version: &str) -> Id {
        (name.to_owned(), version.to_owned())
    }

    fn package(name: &str, version: &str, license: &str, source: Option<&str>) -> Package {
        let (name, version, license) = (name.to_owned(), version.to_owned(), Some(license.to_owned()));
        Package { name, version, license, source: source.map(str::to_owned), ..Package::default() }
    }

    /// An edition that needs a crate of ours, which needs two versions of one of a registry.
    pub(in crate::dist) fn example() -> Packages {
        let tree = "0edition v0.1.0 (/checkout/edition)\n1ours v0.1.0 (/checkout/ours)\n2a v1.0.0\n2a v2.0.0+x\n1a v1.0.0 (*)\n";
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"r\"\nchecksum = \"12ab\"\n\
                    dependencies = [\n \"b\",\n]\n\n[[package]]\nname = \"ours\"\nversion = \"0.1.0\"\n";
        let registry = Some("registry+https://github.com/rust-lang/crates.io-index");
        let known = vec![
            package("unused", "1.0.0", "MIT", registry),
            package("a", "1.0.0", "MIT/Apache-2.0", registry),
            package("a", "2.0.0+x", "MIT", registry),
            package("ours", "0.1.0", "Apache-2.0", None),
            package("edition", "0.1.0", "Apache-2.0", None),
        ];
        Packages::join("edition", edges(tree).unwrap(), known, &checksums(lock)).unwrap()
    }

    #[test]
    fn the_tree_has_what_is_compiled_in_and_nothing_else() {
        let packages = example();
        assert_eq!(packages.root.name, "edition");
        let found: Vec<_> = packages.others.keys().cloned().collect();
        assert_eq!(found, [id("a", "1.0.0"), id("a", "2.0.0+x"), id("ours", "0.1.0")]);
        assert_eq!(packages.needs[&id("edition", "0.1.0")], [id("a", "1.0.0"), id("ours", "0.1.0")].into());
        assert_eq!(packages.needs[&id("ours", "0.1.0")], [id("a", "1.0.0"), id("a", "2.0.0+x")].into());
        assert_eq!(packages.others[&id("a", "1.0.0")].checksum.as_deref(), Some("12ab"));
        assert_eq!(packages.others[&id("ours", "0.1.0")].checksum, None);
    }

    #[test]
    fn a_line_that_is_not_understood_is_named() {
        let fault = edges("0edition v0.1.0\nwarning: new words\n").unwrap_err();
        assert!(format!("{fault:#}").contains("warning: new words"), "{fault:#}");
    }
}
