//! The licences of what is compiled in, as their authors ask: each text once, under the names of those it is for.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;

use super::packages::Packages;

/// How the names of files with licences and notices begin.
const NAMES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"];

/// All texts of all packages that are not ours. A package that brings none is named with its expression.
///
/// # Errors
/// When a package's folder cannot be read.
pub(super) fn texts(packages: &Packages) -> anyhow::Result<String> {
    let (mut texts, mut silent) = (BTreeMap::<String, Vec<String>>::new(), String::new());
    for package in packages.others.values().filter(|package| package.source.is_some()) {
        let name = format!("{} {}", package.name, package.version);
        let folder = package.manifest_path.parent().context("find a package's folder")?;
        let found = of(folder).with_context(|| format!("read the licences of {name}"))?;
        if found.is_empty() {
            let _ = writeln!(silent, "{name}: {}", package.license.as_deref().unwrap_or("not said"));
        }
        for text in found {
            let names = texts.entry(text).or_default();
            if names.last() != Some(&name) {
                names.push(name.clone());
            }
        }
    }
    // In the order of those that they are for, not of the texts.
    let mut texts: Vec<_> = texts.into_iter().map(|(text, names)| (names.join(", "), text)).collect();
    texts.sort();
    let line = "=".repeat(80);
    let mut all = "What the binary is made of, beside code of its own, and the licences of it.\n".to_owned();
    for (names, text) in texts {
        let _ = write!(all, "\n{line}\n{names}\n{line}\n\n{text}\n");
    }
    if !silent.is_empty() {
        let _ = write!(all, "\n{line}\nWithout a text in the package\n{line}\n\n{silent}");
    }
    Ok(all)
}

/// The texts of a package.
fn of(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut files =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    files.sort();
    let is_licence = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_uppercase();
        path.is_file() && NAMES.iter().any(|begin| name.starts_with(begin))
    };
    let text = |path: &std::path::PathBuf| -> anyhow::Result<String> {
        let text = String::from_utf8_lossy(&std::fs::read(path)?).replace("\r\n", "\n");
        Ok(text.trim_end().to_owned())
    };
    files.iter().filter(|path| is_licence(path)).map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::packages::tests::example;

    #[test]
    fn a_text_is_said_once_and_what_has_none_is_named() {
        let place = std::env::temp_dir().join(format!("xtask-licences-{}", std::process::id()));
        let mut packages = example();
        for (index, package) in packages.others.values_mut().enumerate() {
            let folder = place.join(index.to_string());
            std::fs::create_dir_all(&folder).unwrap();
            package.manifest_path = folder.join("Cargo.toml");
            package.source.get_or_insert_with(|| "registry".to_owned());
            if package.name == "a" {
                std::fs::write(folder.join("LICENSE-MIT"), "Permission is granted\r\n").unwrap();
                std::fs::write(folder.join("README"), "Read me").unwrap();
            }
        }
        let all = texts(&packages).unwrap();
        assert!(all.contains("\na 1.0.0, a 2.0.0+x\n"), "{all}");
        assert_eq!((all.matches("Permission is granted\n").count(), all.contains("Read me")), (1, false));
        assert!(all.contains("ours 0.1.0: Apache-2.0"), "{all}");
        std::fs::remove_dir_all(place).unwrap();
    }
}
