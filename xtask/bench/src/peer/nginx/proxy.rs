//! nginx as a reverse proxy from TLS to TLS, at its best: connections to the backend are kept, nothing is logged and
//! nothing goes to disk. Only where an answer may rest does it pass on each piece at once.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::load::Credentials;
use crate::peer::certificates::BACKEND;

/// What it shows to whom, and where it passes requests on to.
pub(crate) struct Proxy {
    /// Its certificate and key, for clients.
    pub(crate) serving: [PathBuf; 2],
    /// The CA of clients' certificates.
    pub(crate) client_ca: PathBuf,
    /// Its certificate and key, for the backend.
    pub(crate) client: [PathBuf; 2],
    /// The CA of the backend's certificate.
    pub(crate) backend_ca: PathBuf,
    /// Where the backend listens.
    pub(crate) backend: SocketAddr,
    /// As many worker processes as the server has worker threads.
    pub(crate) workers: usize,
    /// What its clients need.
    pub(crate) credentials: Credentials,
}

impl Proxy {
    pub(super) fn configuration(&self, folder: &Path, address: SocketAddr) -> String {
        let head = self.head(folder);
        let ([certificate, key], ca) = (self.serving.each_ref().map(|file| file.display()), &self.client_ca);
        format!(
            "{head}
  server {{
    listen {address} ssl http2 backlog=4096;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_client_certificate {ca};
    ssl_verify_client on;
    ssl_protocols TLSv1.3;
    location / {{ proxy_pass https://backend; }}
    location ~ ^/apis/[^/]+/[^/]+/namespaces/[^/]+/[^/]+$ {{
      proxy_pass https://backend;
      proxy_buffering off;
      proxy_read_timeout 1h;
    }}
  }}
}}
",
            ca = ca.display(),
        )
    }

    /// Whatever is no server of its own; buffers that hold what two TLS records do.
    fn head(&self, folder: &Path) -> String {
        let (workers, backend, folder) = (self.workers, self.backend, folder.display());
        let ([certificate, key], ca) = (self.client.each_ref().map(|file| file.display()), &self.backend_ca);
        format!(
            "daemon off;
worker_processes {workers};
worker_rlimit_nofile 16384;
user root;
error_log stderr error;
pid {folder}/nginx.pid;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream backend {{
    server {backend};
    keepalive 512;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
  }}
  proxy_http_version 1.1;
  proxy_set_header Connection \"\";
  proxy_buffer_size 16k;
  proxy_buffers 8 16k;
  proxy_busy_buffers_size 32k;
  proxy_max_temp_file_size 0;
  proxy_ssl_protocols TLSv1.3;
  proxy_ssl_certificate {certificate};
  proxy_ssl_certificate_key {key};
  proxy_ssl_trusted_certificate {ca};
  proxy_ssl_verify on;
  proxy_ssl_name {BACKEND};
  proxy_ssl_server_name on;",
            ca = ca.display(),
        )
    }
}
