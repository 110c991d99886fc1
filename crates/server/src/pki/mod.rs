//! The server's own certificates: **three CAs that never vouch for one another**.
//!
//! | CA | whom it vouches for | who trusts it |
//! |---|---|---|
//! | serving | this server, to its clients | kubeconfigs, `caBundle`s |
//! | client | users, to this server | this server's listener |
//! | front-proxy | this server as a proxy, to aggregated servers | aggregated servers |
//!
//! With one CA for all, any user's certificate would be good enough to pose as the front proxy, whose word on who
//! asks an aggregated server believes (CVE-2018-1002105 shows what that is worth).

mod authority;
mod bundle;
mod error;
mod files;
mod kubeconfig;
mod leaf;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use detectviz_api::identity::SYSTEM_MASTERS;
use sha2::{Digest as _, Sha256};

pub use authority::{Authority, is_ca};
pub use bundle::{merged_bundle, pem_bundle};
pub use error::PkiError;
pub use files::{PRIVATE, PUBLIC, write_atomically, write_if_changed};
pub use kubeconfig::{admin_kubeconfig, ensure_admin_kubeconfig};
pub use leaf::Leaf;

use leaf::{Purpose, Usage};
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// The user name in the administrator's certificate.
pub const ADMIN: &str = "admin";
/// The name in the certificate that this server shows to aggregated servers. They must allow this name.
pub const FRONT_PROXY_CLIENT: &str = "front-proxy-client";

/// The names that the server always answers to: on this machine, and as `kubernetes` inside a cluster.
const SERVING_NAMES: [&str; 4] = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
const SERVING_IPS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// What the serving certificate must cover beside `localhost`, `kubernetes[.default[.svc]]` and the loopback
/// addresses.
#[derive(Clone, Debug, Default)]
pub struct PkiRequest {
    /// DNS names.
    pub serving_names: Vec<String>,
    /// IP addresses, such as the bind address.
    pub serving_ips: Vec<IpAddr>,
}

/// The name by which the administrator's kubeconfig asks for the certificate of the server's own CA where another one is
/// shown to everybody else. Upstream's, for its own loopback.
pub const OWN_NAME: &str = "apiserver-loopback-client";

/// The certificates of one data folder, all of them present and good for at least 30 more days.
pub struct Pki {
    serving_ca: Authority,
    client_ca: Authority,
    front_proxy_ca: Authority,
    serving: Leaf,
    admin: Leaf,
    front_proxy_client: Leaf,
}

impl Pki {
    /// Opens the certificates in `dir`, making the folder (0700) and whatever is missing. Leaf certificates that end
    /// soon, do not cover `request`, or were signed by another CA are renewed; a CA is never replaced. A start that
    /// finds everything in order generates no key and writes nothing. Call it under the data folder's lock.
    ///
    /// # Errors
    /// [`PkiError`], naming the file that a person must look at.
    pub fn load_or_create(dir: &Path, request: &PkiRequest) -> Result<Self, PkiError> {
        files::make_private_folder(dir)?;
        let serving_ca = Authority::load_or_create(dir, "serving-ca")?;
        let client_ca = Authority::load_or_create(dir, "client-ca")?;
        let front_proxy_ca = Authority::load_or_create(dir, "front-proxy-ca")?;
        let client = |file, common_name, organization| Purpose {
            file,
            common_name,
            organization,
            usage: Usage::Client,
        };
        let admin = client("admin", ADMIN, Some(SYSTEM_MASTERS));
        let front_proxy = client("front-proxy-client", FRONT_PROXY_CLIENT, None);
        Ok(Self {
            serving: serving_leaf(dir, request, &serving_ca)?,
            admin: Leaf::load_or_issue(dir, &admin, &client_ca)?,
            front_proxy_client: Leaf::load_or_issue(dir, &front_proxy, &front_proxy_ca)?,
            serving_ca,
            client_ca,
            front_proxy_ca,
        })
    }

    /// Signs [`Self::serving`]: what clients must trust.
    pub fn serving_ca(&self) -> &Authority {
        &self.serving_ca
    }

    /// Signs users' certificates: what the listener trusts.
    pub fn client_ca(&self) -> &Authority {
        &self.client_ca
    }

    /// Signs [`Self::front_proxy_client`]: what aggregated servers must trust as `requestheader` CA.
    pub fn front_proxy_ca(&self) -> &Authority {
        &self.front_proxy_ca
    }

    /// The listener's certificate and key.
    pub fn serving(&self) -> &Leaf {
        &self.serving
    }

    /// The administrator's certificate and key: user `admin` in `system:masters`.
    pub fn admin(&self) -> &Leaf {
        &self.admin
    }

    /// What this server shows to aggregated servers when it speaks for a user.
    pub fn front_proxy_client(&self) -> &Leaf {
        &self.front_proxy_client
    }

    /// SHA-256 of the client CA's certificate, in hexadecimal: two servers with the same one know the same users.
    pub fn client_ca_fingerprint(&self) -> String {
        let digest = Sha256::digest(self.client_ca.certificate());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// When a certificate ends, in seconds since 1970; `None` for what is no certificate.
pub fn not_after(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(parsed.validity().not_after.timestamp())
}

fn serving_leaf(dir: &Path, request: &PkiRequest, authority: &Authority) -> Result<Leaf, PkiError> {
    let mut names: Vec<String> = SERVING_NAMES.map(str::to_owned).to_vec();
    names.extend(request.serving_names.iter().cloned());
    let mut ips = SERVING_IPS.to_vec();
    ips.extend(&request.serving_ips);
    let (names, ips) = (unique(names), unique(ips));
    let purpose = Purpose {
        file: "serving",
        common_name: "detectviz",
        organization: None,
        usage: Usage::Server { names: &names, ips: &ips },
    };
    Leaf::load_or_issue(dir, &purpose, authority)
}

fn unique<T: Ord>(mut values: Vec<T>) -> Vec<T> {
    values.sort_unstable();
    values.dedup();
    values
}

#[cfg(test)]
mod tests;
