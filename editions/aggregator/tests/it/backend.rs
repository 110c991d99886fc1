//! The real example API server as a process, with certificates of ours so that it can come back under the same ones.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::process::Child;

use crate::world::Ca;

/// Builds the binary once, and says where it is.
fn binary() -> &'static PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--package", "extension-apiserver", "--quiet"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null())
            .status()
            .unwrap();
        assert!(built.success(), "extension-apiserver should build");
        let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_owned();
        target.join("debug/extension-apiserver")
    })
}

/// Certificates, and the process while it lives.
pub(crate) struct Backend {
    folder: Arc<tempfile::TempDir>,
    pub(crate) serving_ca: Arc<Ca>,
    pub(crate) front_proxy: Arc<Ca>,
    pub(crate) port: u16,
    child: Option<Child>,
}

impl Backend {
    pub(crate) async fn start() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let (serving_ca, front_proxy) = (Arc::new(Ca::new("serving")), Arc::new(Ca::new("front-proxy")));
        std::fs::write(folder.path().join("ca.pem"), front_proxy.pem()).unwrap();
        serving_ca.issue(folder.path(), "serving", &["flights.default.svc"]);
        let mut backend = Self { folder, serving_ca, front_proxy, port: 0, child: None };
        backend.restart().await;
        backend
    }

    /// Another process that is as good as this one, on a port of its own.
    pub(crate) async fn another(&self) -> Self {
        let (folder, serving_ca) = (Arc::clone(&self.folder), Arc::clone(&self.serving_ca));
        let mut another =
            Self { folder, serving_ca, front_proxy: Arc::clone(&self.front_proxy), port: 0, child: None };
        another.restart().await;
        another
    }

    /// Has the process finish what it has begun, and end.
    pub(crate) async fn terminate(&mut self) {
        let mut child = self.child.take().unwrap();
        let id = Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
        kill_process(id, Signal::TERM).unwrap();
        assert!(child.wait().await.unwrap().success());
    }

    /// The certificate of the front proxy that the backend believes.
    pub(crate) fn front_proxy_client(&self) -> (PathBuf, PathBuf) {
        self.front_proxy.issue(self.folder.path(), "front-proxy-client", &[])
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub(crate) async fn kill(&mut self) {
        self.child.take().unwrap().kill().await.unwrap();
    }

    /// Starts the process, on the port that it had before if it had one.
    pub(crate) async fn restart(&mut self) {
        let file = |name: &str| self.folder.path().join(name);
        let info = file("info.json");
        let _ = std::fs::remove_file(&info);
        let mut child = tokio::process::Command::new(binary())
            .args(["--seed", "--requestheader-allowed-names", "front-proxy-client"])
            .args(["--secure-port", &self.port.to_string()])
            .arg("--requestheader-client-ca-file")
            .arg(file("ca.pem"))
            .arg("--tls-cert-file")
            .arg(file("serving.crt"))
            .arg("--tls-private-key-file")
            .arg(file("serving.key"))
            .arg("--write-info")
            .arg(&info)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let text = loop {
            match std::fs::read_to_string(&info) {
                Ok(text) => break text,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
            assert_eq!(child.try_wait().unwrap(), None, "the server should be running");
        };
        let info: Value = serde_json::from_str(&text).unwrap();
        self.port = u16::try_from(info["port"].as_u64().unwrap()).unwrap();
        self.child = Some(child);
    }
}
