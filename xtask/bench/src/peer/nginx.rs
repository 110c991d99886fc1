//! nginx with static files: what it costs on this machine to serve the same bytes without knowing anything of them.

mod proxy;

pub(crate) use proxy::Proxy;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::certificates::Certificates;
use crate::load::{Protocol, Target};
use crate::process::Process;

/// Where distributions put it.
const PLACES: [&str; 3] = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"];
/// How long it may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running nginx.
pub(crate) struct Nginx {
    /// Its process; the workers are its children.
    pub(crate) process: Process,
    /// How it is reached.
    pub(crate) target: Target,
}

/// What `nginx -v` says; `None` when it is not installed.
pub(crate) fn nginx_version() -> Option<String> {
    let output = Command::new(binary()?).arg("-v").output().ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    text.trim().strip_prefix("nginx version: ").map(|version| version.replace('/', " "))
}

fn binary() -> Option<PathBuf> {
    PLACES.iter().map(PathBuf::from).find(|path| path.is_file())
}

impl Nginx {
    /// Starts it over files with these names and contents; `None` when it is not installed.
    ///
    /// # Errors
    /// When it does not listen.
    pub(crate) async fn start(folder: &Path, files: &[(&str, &[u8])]) -> anyhow::Result<Option<Self>> {
        let Some(binary) = binary() else { return Ok(None) };
        let certificates = Certificates::create(&folder.join("pki"))?;
        let root = folder.join("files");
        std::fs::create_dir_all(&root).context("make the folder of files")?;
        for (name, content) in files {
            std::fs::write(root.join(name), content).with_context(|| format!("write {name}"))?;
        }
        let [address] = super::free_addresses()?;
        let text = configuration(folder, &certificates, &address.to_string());
        let target = Target { address, credentials: certificates.credentials()? };
        Self::launch(&binary, folder, &text, target).await.map(Some)
    }

    /// Starts it as a reverse proxy; `None` when it is not installed.
    ///
    /// # Errors
    /// When it does not listen.
    pub(crate) async fn start_proxy(folder: &Path, proxy: &Proxy) -> anyhow::Result<Option<Self>> {
        let Some(binary) = binary() else { return Ok(None) };
        std::fs::create_dir_all(folder).context("make the folder of nginx")?;
        let [address] = super::free_addresses()?;
        let text = proxy.configuration(folder, address);
        let target = Target { address, credentials: proxy.credentials.clone() };
        Self::launch(&binary, folder, &text, target).await.map(Some)
    }

    async fn launch(binary: &Path, folder: &Path, text: &str, target: Target) -> anyhow::Result<Self> {
        let config = folder.join("nginx.conf");
        std::fs::write(&config, text).context("write the configuration of nginx")?;
        let mut command = Command::new(binary);
        command.arg("-p").arg(folder).arg("-c").arg(&config).args(["-e", "stderr"]);
        let process = Process::start(command, &folder.join("nginx.log"))?;
        let mut own = Self { process, target };
        own.listens().await?;
        Ok(own)
    }

    async fn listens(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            self.process.check()?;
            match self.target.connect(Protocol::Http2).await {
                Ok(_) => return Ok(()),
                Err(fault) if began.elapsed() > PATIENCE => return Err(fault.context("wait for nginx")),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }
}

/// Its own defaults where they do not limit a connection's life; client certificates as the others have them.
fn configuration(folder: &Path, certificates: &Certificates, address: &str) -> String {
    let folder = folder.display();
    let file = |name: &str| certificates.file(name).display().to_string();
    let (ca, certificate, key) = (file("ca.crt"), file("server.crt"), file("server.key"));
    format!(
        "daemon off;
worker_processes auto;
user root;
error_log stderr error;
pid {folder}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  open_file_cache max=100;
  default_type application/json;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen {address} ssl http2;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_client_certificate {ca};
    ssl_verify_client on;
    ssl_protocols TLSv1.2 TLSv1.3;
    root {folder}/files;
  }}
}}
"
    )
}
