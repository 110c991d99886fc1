//! The two examples: an aggregated API server, and a plugin in its folder.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::certificates::{Authority, Certificate};
use crate::environment;
use crate::http::Client;
use crate::process::Running;
use crate::server::Server;
use crate::wait::wait_for;
use crate::wire::Endpoint;

/// The name in the example server's certificate: the Service's, by which an aggregator asks for it.
const SERVING_NAME: &str = "flights.default.svc";
/// The example server's unix socket, in its folder.
const SOCKET: &str = "flights.sock";
/// The example plugin's id.
pub const PLUGIN: &str = "detectviz-hostmetrics-datasource";

/// The example API server; it is killed with the value.
pub struct ExtensionServer {
    process: Running,
    folder: PathBuf,
    authority: Arc<Authority>,
    port: u16,
    /// How it learns whom to believe.
    trust: Vec<String>,
}

impl ExtensionServer {
    /// Starts it on a free port with three flights, trusting the front proxy of `server`.
    ///
    /// # Panics
    /// When it does not listen.
    pub fn start(server: &Server) -> Self {
        Self::named(server, Authority::new("flights-ca"), SERVING_NAME)
    }

    /// The same with a certificate that `authority` signs, for another name.
    ///
    /// # Panics
    /// When it does not listen.
    pub fn named(server: &Server, authority: Authority, name: &str) -> Self {
        let trust = [
            "--requestheader-client-ca-file=front-proxy-ca.crt",
            "--requestheader-allowed-names=front-proxy-client",
        ];
        Self::believing(server, trust.map(str::to_owned).into(), authority, name)
    }

    /// Starts it on a free port with three flights and nothing but the administrator's kubeconfig of `server`: whom to
    /// believe, whose a token is and who may do what, it asks there.
    ///
    /// # Panics
    /// When it does not listen.
    pub fn delegating(server: &Server) -> Self {
        let kubeconfig = server.data_dir().join("admin.kubeconfig");
        let trust = vec!["--kubeconfig".to_owned(), kubeconfig.to_string_lossy().into_owned()];
        Self::believing(server, trust, Authority::new("flights-ca"), SERVING_NAME)
    }

    fn believing(server: &Server, trust: Vec<String>, authority: Authority, name: &str) -> Self {
        let folder = server.folder().join("flights");
        std::fs::create_dir(&folder).expect("make a folder");
        let (certificate, key) = authority.server(name);
        let front_proxy = server.pki("front-proxy-ca").with_extension("crt");
        std::fs::write(folder.join("serving.crt"), certificate).expect("write a certificate");
        std::fs::write(folder.join("serving.key"), key).expect("write a key");
        std::fs::copy(front_proxy, folder.join("front-proxy-ca.crt")).expect("copy the front-proxy CA");
        let (process, port) = run(&folder, &trust, 0);
        Self { process, folder, authority: Arc::new(authority), port, trust }
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The unix socket that it listens on too, with plain HTTP.
    pub fn socket(&self) -> PathBuf {
        self.folder.join(SOCKET)
    }

    /// Starts another process with the same certificate, on a port of its own; what it keeps it keeps for itself.
    ///
    /// # Panics
    /// When it does not listen.
    #[must_use]
    pub fn another(&self) -> Self {
        let folder = self.folder.with_file_name("flights-too");
        std::fs::create_dir(&folder).expect("make a folder");
        for file in ["serving.crt", "serving.key", "front-proxy-ca.crt"] {
            std::fs::copy(self.folder.join(file), folder.join(file)).expect("copy a certificate");
        }
        let (process, port) = run(&folder, &self.trust, 0);
        let trust = self.trust.clone();
        Self { process, folder, authority: Arc::clone(&self.authority), port, trust }
    }

    /// Has it finish what it has begun, and end.
    pub fn terminate(&mut self) {
        self.process.terminate();
        self.process.wait();
    }

    /// Where it listens, as the annotation of an APIService says it.
    pub fn target(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Starts it again where it was, with what it had at first.
    ///
    /// # Panics
    /// When it does not listen.
    pub fn restart(&mut self) {
        self.kill();
        (self.process, self.port) = run(&self.folder, &self.trust, self.port);
    }

    /// A client that asks the example server itself.
    ///
    /// # Panics
    /// Never: the CA is one of ours.
    pub fn client(&self, certificate: Option<&Certificate>) -> Client {
        let ca = CertificateDer::from_pem_slice(self.authority.pem().as_bytes()).expect("read our own CA");
        Client::new(Endpoint::new(([127, 0, 0, 1], self.port).into(), SERVING_NAME, ca, certificate))
    }

    /// Kills the example server.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// The objects that register the example server: an ExternalName and an APIService.
    pub fn manifests(&self) -> [Value; 2] {
        let name = json!({
            "apiVersion": "service.grafana.app/v0alpha1", "kind": "ExternalName",
            "metadata": {"name": "flights", "namespace": "default"}, "spec": {"host": "127.0.0.1"},
        });
        let service = json!({
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": {"name": "v1.example.detectviz.io"},
            "spec": {
                "group": "example.detectviz.io", "version": "v1",
                "groupPriorityMinimum": 1000, "versionPriority": 15, "caBundle": STANDARD.encode(self.authority.pem()),
                "service": {"name": "flights", "namespace": "default", "port": self.port},
            },
        });
        [name, service]
    }
}

/// Runs the example server, and gives the port that it listens on.
fn run(folder: &Path, trust: &[String], port: u16) -> (Running, u16) {
    let info = folder.join("info.json");
    // There is none at the first start.
    let _ = std::fs::remove_file(&info);
    let mut command = Command::new(environment::example("extension-apiserver"));
    command.env_clear().current_dir(folder).args(trust).args(["--tls-cert-file", "serving.crt"]);
    command.args(["--tls-private-key-file", "serving.key", "--write-info", "info.json", "--seed"]);
    command.args(["--unix-socket", SOCKET]);
    let mut process = Running::start(command.args(["--secure-port", &port.to_string()]), "");
    let port = wait_for("the example server listens", || {
        let text = std::fs::read_to_string(&info).ok();
        let port = text.and_then(|text| serde_json::from_str::<Value>(&text).ok()?["port"].as_u64());
        assert!(port.is_some() || !process.has_ended(), "{}", process.errors().join("\n"));
        port
    });
    (process, port.try_into().expect("a port in the info file"))
}

/// A plugin folder with the example plugin in it.
pub struct PluginFolder {
    path: PathBuf,
    executable: PathBuf,
}

impl PluginFolder {
    /// Makes it below `parent`.
    ///
    /// # Panics
    /// When the example plugin was not built.
    pub fn install(parent: &Path) -> Self {
        let path = parent.join("plugins");
        let folder = path.join(PLUGIN);
        std::fs::create_dir_all(&folder).expect("make a plugin folder");
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/host-metrics-plugin/plugin.json");
        std::fs::copy(manifest, folder.join("plugin.json")).expect("copy plugin.json");
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let executable = folder.join(format!("gpx_host_metrics_{}_{architecture}", std::env::consts::OS));
        std::fs::copy(environment::example("host-metrics-plugin"), &executable).expect("copy the plugin");
        Self { path, executable }
    }

    /// What `--plugin-dir` says.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The processes that run this very file, by id.
    ///
    /// # Panics
    /// When there is no `/proc`.
    pub fn processes(&self) -> Vec<u32> {
        let entries = std::fs::read_dir("/proc").expect("read /proc").flatten();
        let runs =
            |id: &u32| std::fs::read_link(format!("/proc/{id}/exe")).is_ok_and(|exe| exe == self.executable);
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(runs).collect()
    }
}
