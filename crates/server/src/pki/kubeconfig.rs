//! The administrator's kubeconfig: one file that is all a client needs, and a secret.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::PkiError;
use super::{Pki, files};

/// A kubeconfig (YAML) for the administrator of the server at `server_url`, with the certificates in it. `server_name` is
/// what the server is asked for where that is not in the URL.
pub fn admin_kubeconfig(pki: &Pki, server_url: &str, server_name: Option<&str>) -> String {
    let server_name = server_name.map_or_else(String::new, |name| format!("    tls-server-name: {name:?}\n"));
    let ca = STANDARD.encode(pki.serving_ca().certificate_pem());
    let certificate = STANDARD.encode(pki.admin().certificate_pem());
    let key = STANDARD.encode(pki.admin().key_pem());
    format!(
        "\
apiVersion: v1
kind: Config
clusters:
- name: detectviz
  cluster:
    server: {server_url:?}
{server_name}    certificate-authority-data: {ca}
users:
- name: admin
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
contexts:
- name: detectviz
  context:
    cluster: detectviz
    user: admin
current-context: detectviz
"
    )
}

/// Writes [`admin_kubeconfig`] to `path` with mode 600, unless it is there already. Says whether it wrote.
///
/// # Errors
/// [`PkiError::Write`] with the path.
pub fn ensure_admin_kubeconfig(
    path: &Path,
    pki: &Pki,
    server_url: &str,
    server_name: Option<&str>,
) -> Result<bool, PkiError> {
    let text = admin_kubeconfig(pki, server_url, server_name);
    files::write_if_changed(path, text.as_bytes(), files::PRIVATE)
        .map_err(|source| PkiError::Write { path: path.to_owned(), source })
}
