//! The one file that a delegating server is given: where the API server is, whom to trust there, and who we are.

use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// What a kubeconfig's current context says. Certificates and keys stand in the file itself, as data.
#[derive(Debug)]
pub(super) struct Kubeconfig {
    /// `https://HOST:PORT`.
    pub(super) server: http::Uri,
    /// PEM of the CAs that may have signed the server's certificate.
    pub(super) certificate_authority: Vec<u8>,
    /// PEM of our certificate and of its key, unless there is a token.
    pub(super) client: Option<(Vec<u8>, Vec<u8>)>,
    /// Our bearer token.
    pub(super) token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    current_context: String,
    contexts: Vec<Named>,
    clusters: Vec<Named>,
    users: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    #[serde(alias = "context", alias = "cluster", alias = "user")]
    value: Fields,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
struct Fields {
    cluster: String,
    user: String,
    server: String,
    certificate_authority_data: String,
    client_certificate_data: String,
    client_key_data: String,
    token: String,
}

impl Kubeconfig {
    /// Reads the file.
    ///
    /// # Errors
    /// Names the file, and what it lacks.
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file);
        text.context("read it")
            .and_then(|text| Self::parse(&text))
            .with_context(|| file.display().to_string())
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let file: File = yaml_serde::from_str(text).context("read it as YAML")?;
        let context = find(&file.contexts, &file.current_context, "context")?;
        let cluster = find(&file.clusters, &context.cluster, "cluster")?;
        let user = find(&file.users, &context.user, "user")?;
        let decode =
            |field: &str, data: &str| STANDARD.decode(data).with_context(|| format!("decode {field}"));
        let has_client = !user.client_certificate_data.is_empty();
        let client = has_client.then(|| {
            let certificate = decode("client-certificate-data", &user.client_certificate_data)?;
            anyhow::Ok((certificate, decode("client-key-data", &user.client_key_data)?))
        });
        Ok(Self {
            server: cluster.server.parse().context("read server")?,
            certificate_authority: decode("certificate-authority-data", &cluster.certificate_authority_data)?,
            client: client.transpose()?,
            token: Some(user.token.clone()).filter(|token| !token.is_empty()),
        })
    }
}

fn find<'a>(all: &'a [Named], name: &str, what: &str) -> anyhow::Result<&'a Fields> {
    let found = all.iter().find(|named| named.name == name);
    found.map(|named| &named.value).with_context(|| format!("find {what} {name:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n\
        clusters: [{name: k, cluster: {server: 'https://a:1', certificate-authority-data: YQ==}}]\n\
        users: [{name: u, user: {token: t}}]\n";

    #[test]
    fn the_current_context_is_read() {
        let read = Kubeconfig::parse(FILE).unwrap();
        assert_eq!((read.server.port_u16(), read.token.as_deref()), (Some(1), Some("t")));
        assert!(read.certificate_authority == b"a" && read.client.is_none());
        let fault = Kubeconfig::parse(&FILE.replace("current-context: c", "current-context: d")).unwrap_err();
        assert_eq!(fault.to_string(), "find context \"d\"");
    }
}
