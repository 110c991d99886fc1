//! Who talks to the server: kubectl, or curl with the admin certificate where there is no kubectl.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::manifests::Manifest;
use crate::process;

/// The clients of this machine, and what they need to reach the server.
pub(super) struct Client {
    kubectl: Option<PathBuf>,
    curl: Option<PathBuf>,
    data_dir: PathBuf,
    address: String,
}

/// What an object says about being available.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Availability {
    /// Nothing while no condition says.
    pub(super) is_true: Option<bool>,
    /// For people: status, reason and message.
    pub(super) text: String,
}

impl Client {
    /// Takes what is there; `address` is the server's.
    pub(super) fn choose(kubectl: Option<PathBuf>, data_dir: &Path, address: String) -> Self {
        Self { kubectl, curl: process::which("curl"), data_dir: data_dir.to_owned(), address }
    }

    /// Whether nothing here can talk to the server.
    pub(super) fn is_none(&self) -> bool {
        self.kubectl.is_none() && self.curl.is_none()
    }

    /// A kubectl call as the administrator, where there is a kubectl.
    pub(super) fn kubectl(&self, args: &[&str]) -> Option<Command> {
        let mut command = Command::new(self.kubectl.as_ref()?);
        command.arg("--kubeconfig").arg(self.data_dir.join("admin.kubeconfig")).args(args);
        Some(command)
    }

    /// A curl call of a path as the administrator, where there is a curl.
    pub(super) fn curl(&self, path: &str, args: &[&str]) -> Option<Command> {
        let mut command = Command::new(self.curl.as_ref()?);
        let pki = self.data_dir.join("pki");
        command.arg("-sS").arg("--cacert").arg(pki.join("serving-ca.crt"));
        command.arg("--cert").arg(pki.join("admin.crt")).arg("--key").arg(pki.join("admin.key"));
        command.args(args).arg(format!("{}{path}", self.address));
        Some(command)
    }

    /// Creates or updates all objects.
    pub(super) fn apply(&self, manifests: &[Manifest]) -> anyhow::Result<()> {
        match self.kubectl(&["apply", "-f", "-"]) {
            Some(command) => apply_all(command, manifests),
            None => manifests.iter().try_for_each(|manifest| self.put(manifest)),
        }
    }

    /// Patches an object with curl, or creates it where there is none.
    fn put(&self, manifest: &Manifest) -> anyhow::Result<()> {
        let body = manifest.body.to_string();
        let patched = self.send("PATCH", &manifest.path(), "application/merge-patch+json", &body)?;
        let (code, answer) = match patched {
            (404, _) => self.send("POST", &manifest.collection, "application/json", &body)?,
            patched => patched,
        };
        if !(200..300).contains(&code) {
            bail!("apply {}: the server answered {code}: {answer}", manifest.name);
        }
        eprintln!("{} applied", manifest.name);
        Ok(())
    }

    fn send(&self, method: &str, path: &str, content: &str, body: &str) -> anyhow::Result<(u16, String)> {
        let content = format!("Content-Type: {content}");
        let args = ["-X", method, "-H", &content, "-d", body, "-w", "\n%{http_code}"];
        let mut command = self.curl(path, &args).context("find curl")?;
        let answer = process::quiet(&mut command)?;
        let (body, code) = answer.rsplit_once('\n').context("read the code of the answer")?;
        Ok((code.parse().context("read the code of the answer")?, body.to_owned()))
    }

    /// What an object's `Available` condition says now.
    pub(super) fn availability(&self, manifest: &Manifest) -> Availability {
        let path = manifest.path();
        let get = self.kubectl(&["get", "--raw", &path]).or_else(|| self.curl(&path, &[]));
        let Some(text) = get.and_then(|mut command| process::quiet(&mut command).ok()) else {
            return Availability { is_true: None, text: "not readable yet".to_owned() };
        };
        availability(&serde_json::from_str(&text).unwrap_or_default())
    }
}

/// Gives all manifests to one `kubectl apply`, a document each: of a `List`, kubectl validates nothing without OpenAPI v2.
fn apply_all(mut command: Command, manifests: &[Manifest]) -> anyhow::Result<()> {
    let documents: Vec<String> = manifests.iter().map(|manifest| manifest.body.to_string()).collect();
    process::echo(&command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = command.spawn().context("start kubectl")?;
    let mut stdin = child.stdin.take().context("write to kubectl")?;
    let written = stdin.write_all(documents.join("\n").as_bytes());
    drop(stdin);
    let Output { status, stdout, .. } = child.wait_with_output().context("wait for kubectl")?;
    eprint!("{}", String::from_utf8_lossy(&stdout));
    if !status.success() {
        bail!("`kubectl apply` failed: {status}");
    }
    written.context("write to kubectl")
}

fn availability(object: &Value) -> Availability {
    let conditions = object["status"]["conditions"].as_array();
    let condition = conditions.and_then(|all| all.iter().find(|condition| condition["type"] == "Available"));
    let Some(condition) = condition else {
        return Availability { is_true: None, text: "no Available condition yet".to_owned() };
    };
    let word = |key: &str| condition[key].as_str().unwrap_or_default().to_owned();
    let text = format!("Available={} {} {}", word("status"), word("reason"), word("message"));
    Availability { is_true: Some(word("status") == "True"), text: text.trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn availability_is_true_only_when_the_condition_says_so() {
        let object = |status: &str| {
            let condition =
                json!({"type": "Available", "status": status, "reason": "Passed", "message": "m"});
            json!({"status": {"conditions": [{"type": "Other", "status": "True"}, condition]}})
        };
        let expected = Availability { is_true: Some(true), text: "Available=True Passed m".to_owned() };
        assert_eq!(availability(&object("True")), expected);
        assert_eq!(availability(&object("False")).is_true, Some(false));
        assert_eq!(availability(&object("Unknown")).is_true, Some(false));
        assert_eq!(availability(&json!({"status": {}})).is_true, None);
        assert_eq!(availability(&Value::Null).is_true, None);
    }
}
