//! `plugin.json`: the few fields that a host needs, each fault with the file and the field.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The file's name.
pub(crate) const FILE: &str = "plugin.json";
/// The most bytes of the file.
const MAX_BYTES: u64 = 1024 * 1024;

/// What a backend plugin says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// Its id: letters, digits, `-`, `_` and `.`.
    pub(crate) id: String,
    /// `app` or `datasource`.
    pub(crate) kind: String,
    /// The executable's name without the platform's suffix.
    pub(crate) executable: String,
    /// Its version; empty when not given.
    pub(crate) version: String,
}

/// Why a `plugin.json` was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManifestError {
    /// It cannot be read.
    #[error("read {file}: {source}")]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is larger than any sensible one.
    #[error("read {0}: larger than {MAX_BYTES} bytes")]
    TooLarge(PathBuf),
    /// It is no JSON.
    #[error("read {file}: {source}")]
    Json {
        /// The file.
        file: PathBuf,
        /// Where, and why.
        source: serde_json::Error,
    },
    /// A field is missing or has a wrong value.
    #[error("read {file}: field {field:?} must be {allowed}")]
    Field {
        /// The file.
        file: PathBuf,
        /// The field, dots between levels.
        field: &'static str,
        /// What it may be.
        allowed: &'static str,
    },
}

impl Manifest {
    /// Reads the file; `None` when the plugin has no backend.
    ///
    /// # Errors
    /// The first fault.
    pub(crate) fn read(file: &Path) -> Result<Option<Self>, ManifestError> {
        let fault = |source| ManifestError::Read { file: file.to_owned(), source };
        let mut bytes = Vec::new();
        File::open(file).and_then(|open| open.take(MAX_BYTES + 1).read_to_end(&mut bytes)).map_err(fault)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(ManifestError::TooLarge(file.to_owned()));
        }
        Self::parse(file, &bytes)
    }

    fn parse(file: &Path, bytes: &[u8]) -> Result<Option<Self>, ManifestError> {
        let json: Value = serde_json::from_slice(bytes)
            .map_err(|source| ManifestError::Json { file: file.to_owned(), source })?;
        let refuse = |field, allowed| ManifestError::Field { file: file.to_owned(), field, allowed };
        match json.get("backend") {
            Some(Value::Bool(true)) => {}
            None | Some(Value::Bool(false) | Value::Null) => return Ok(None),
            Some(_) => return Err(refuse("backend", "true or false")),
        }
        let text = |field: &str| json[field].as_str().unwrap_or_default().to_owned();
        let manifest = Self {
            id: text("id"),
            kind: text("type"),
            executable: text("executable"),
            version: json.pointer("/info/version").and_then(Value::as_str).unwrap_or_default().to_owned(),
        };
        match manifest.fault() {
            None => Ok(Some(manifest)),
            Some((field, allowed)) => Err(refuse(field, allowed)),
        }
    }

    fn fault(&self) -> Option<(&'static str, &'static str)> {
        if !is_id(&self.id) {
            return Some((
                "id",
                "letters, digits, '-', '_' and '.', at most 128, the first one a letter or digit",
            ));
        }
        if !matches!(self.kind.as_str(), "app" | "datasource") {
            return Some(("type", "app or datasource for a plugin with a backend"));
        }
        let name = self.executable.as_str();
        if name.is_empty() || name.contains(['/', '\\', '\0']) || name.contains("..") {
            return Some(("executable", "the name of a file beside plugin.json, without '/' and '..'"));
        }
        None
    }
}

/// The id becomes part of paths and of metric labels.
fn is_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    id.len() <= 128
        && id.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && id.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Option<Manifest>, String> {
        Manifest::parse(Path::new("/p/plugin.json"), json.as_bytes()).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_backend_plugin_is_read() {
        let json = r#"{"id":"a-b.c","type":"datasource","backend":true,"executable":"gpx","info":{"version":"1.2.3"},"x":1}"#;
        let expected = Manifest {
            id: "a-b.c".into(),
            kind: "datasource".into(),
            executable: "gpx".into(),
            version: "1.2.3".into(),
        };
        assert_eq!(parse(json), Ok(Some(expected)));
    }

    #[test]
    fn a_plugin_without_backend_is_none_of_our_business() {
        for json in [r#"{"id":"x","type":"panel"}"#, r#"{"backend":false}"#] {
            assert_eq!(parse(json), Ok(None));
        }
    }

    #[test]
    fn a_fault_names_file_and_field() {
        let with = |id: &str, kind: &str, executable: &str| {
            parse(&format!(r#"{{"id":"{id}","type":"{kind}","backend":true,"executable":"{executable}"}}"#))
        };
        for (result, field) in [
            (with("", "app", "x"), "id"),
            (with("../x", "app", "x"), "id"),
            (with(".x", "app", "x"), "id"),
            (with("x", "panel", "x"), "type"),
            (with("x", "app", ""), "executable"),
            (with("x", "app", "bin/x"), "executable"),
            (with("x", "app", ".."), "executable"),
            (with("x", "app", "a\\\\b"), "executable"),
            (parse(r#"{"backend":"yes"}"#), "backend"),
        ] {
            let fault = result.unwrap_err();
            assert!(
                fault.starts_with(&format!("read /p/plugin.json: field \"{field}\" must be ")),
                "{fault}"
            );
        }
        assert!(parse("{").unwrap_err().starts_with("read /p/plugin.json: "));
    }

    #[test]
    fn a_huge_file_is_not_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(MAX_BYTES + 1).unwrap();
        assert!(matches!(Manifest::read(file.path()), Err(ManifestError::TooLarge(_))));
    }
}
