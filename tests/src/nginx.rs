//! nginx with static files, as an API server that nobody wrote for us: it answers reads over TLS, and only to those who show
//! a certificate of the front proxy.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::Value;

use crate::certificates::{Authority, Certificate};
use crate::http::Client;
use crate::process::Running;
use crate::server::Server;
use crate::wait::wait_for;
use crate::wire::Endpoint;

/// A running nginx; it is killed with the value.
pub struct Nginx {
    _process: Running,
    authority: Authority,
    name: String,
    port: u16,
}

impl Nginx {
    /// Starts it with these documents, each at its path, with the certificate of `name`, believing the front proxy of
    /// `server`; `None` where there is no nginx.
    ///
    /// # Panics
    /// When it does not listen.
    pub fn start(server: &Server, name: &str, documents: &[(&str, Value)]) -> Option<Self> {
        let binary = binary()?;
        let (folder, authority) = (server.folder().join("nginx"), Authority::new("nginx-ca"));
        std::fs::create_dir(&folder).expect("make a folder");
        let (certificate, key) = authority.server(name);
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("write a file");
        write("serving.crt", &certificate);
        write("serving.key", &key);
        std::fs::copy(server.pki("front-proxy-ca").with_extension("crt"), folder.join("clients.crt"))
            .expect("copy the front-proxy CA");
        let mut locations = String::new();
        for (number, (path, document)) in documents.iter().enumerate() {
            write(&format!("{number}.json"), &document.to_string());
            locations
                .push_str(&format!("location = {path} {{ alias {}/{number}.json; }}\n", folder.display()));
        }
        // Nobody else takes a port that was free a moment ago but by chance.
        let listener = TcpListener::bind("127.0.0.1:0").expect("find a free port");
        let port = listener.local_addr().expect("a port").port();
        drop(listener);
        write("nginx.conf", &configuration(&folder, port, &locations));
        let mut command = Command::new(binary);
        command.arg("-p").arg(&folder).args(["-c", "nginx.conf", "-e", "stderr"]);
        let mut process = Running::start(&mut command, "");
        wait_for("nginx listens", || {
            assert!(!process.has_ended(), "{}", process.errors().join("\n"));
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Some(Self { _process: process, authority, name: name.to_owned(), port })
    }

    /// A client that asks nginx itself.
    ///
    /// # Panics
    /// Never: the CA is one of ours.
    pub fn client(&self, certificate: Option<&Certificate>) -> Client {
        let ca = CertificateDer::from_pem_slice(self.authority.pem().as_bytes()).expect("read our own CA");
        Client::new(Endpoint::new(([127, 0, 0, 1], self.port).into(), &self.name, ca, certificate))
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The CA of its certificate, as an APIService has it.
    pub fn ca_bundle(&self) -> String {
        STANDARD.encode(self.authority.pem())
    }
}

/// What `cargo xtask test` found.
fn binary() -> Option<PathBuf> {
    let named = std::env::var_os("XTASK_NGINX").map(PathBuf::from);
    if named.is_none() {
        eprintln!("not tested with nginx: XTASK_NGINX names none");
    }
    named
}

fn configuration(folder: &Path, port: u16, locations: &str) -> String {
    let folder = folder.display();
    // A folder that ends with a test is closed to others, also to the user that workers of root would be.
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    format!(
        "daemon off;
{user}
worker_processes 1;
error_log stderr error;
pid {folder}/nginx.pid;
events {{ worker_connections 64; }}
http {{
  access_log off;
  default_type application/json;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/serving.crt;
    ssl_certificate_key {folder}/serving.key;
    ssl_client_certificate {folder}/clients.crt;
    ssl_verify_client on;
    location / {{ return 404; }}
    {locations}
  }}
}}
"
    )
}
