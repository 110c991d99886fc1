//! Authentication and authorization by the API server that we stand behind, in Kubernetes' standard way: what there is to
//! know of its CAs is in a ConfigMap, a token is a `TokenReview`, a permission a `SubjectAccessReview`. All it takes is
//! a kubeconfig.

mod client;
mod kubeconfig;

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use self::client::Client;
use self::kubeconfig::Kubeconfig;
use crate::identity::Identity;
use crate::status::Status;

const CONFIG_MAP: &str = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";
/// How often the ConfigMap is read again: a CA is replaced long before it ends.
pub(crate) const REFRESH: Duration = Duration::from_secs(5);

/// Whom the ConfigMap says to believe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Believed {
    /// PEM of the CAs of users' certificates.
    pub(crate) client_ca: String,
    /// PEM of the CAs of front proxies.
    pub(crate) front_proxy_ca: String,
    /// Common names of front proxies; empty allows all.
    pub(crate) front_proxy_names: Vec<String>,
}

/// What is asked about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Access<'a> {
    /// A verb on flights.
    Flights { verb: &'a str, namespace: Option<&'a str>, name: Option<&'a str> },
    /// Reading a path.
    Path(&'a str),
}

/// Asks the API server.
pub(crate) struct Delegate(Client);

impl Delegate {
    /// Delegates to the server that the kubeconfig names.
    ///
    /// # Errors
    /// Names the file, and what is wrong with it.
    pub(crate) fn new(kubeconfig: &Path) -> anyhow::Result<Self> {
        Client::new(Kubeconfig::read(kubeconfig).context("read kubeconfig")?)
            .map(Self)
            .context("use kubeconfig")
    }

    /// Whom to believe, as the ConfigMap says it now.
    ///
    /// # Errors
    /// When the server does not answer, or says nothing of the sort.
    pub(crate) async fn believed(&self) -> anyhow::Result<Believed> {
        let data = self.0.get(CONFIG_MAP).await?["data"].take();
        let text = |key: &str| data[key].as_str().unwrap_or_default().to_owned();
        let names = serde_json::from_str(&text("requestheader-allowed-names"));
        Ok(Believed {
            client_ca: text("client-ca-file"),
            front_proxy_ca: text("requestheader-client-ca-file"),
            front_proxy_names: names.context("read requestheader-allowed-names")?,
        })
    }

    /// Whose the token is; `None` when it is nobody's.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub(crate) async fn review_token(&self, token: &str) -> anyhow::Result<Option<Identity>> {
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}});
        let answer = self.0.create("/apis/authentication.k8s.io/v1/tokenreviews", &review).await?;
        let status = &answer["status"];
        Ok((status["authenticated"] == true).then(|| identity(&status["user"])))
    }

    /// Decides whether `identity` may do this.
    ///
    /// # Errors
    /// 403 with the server's reason; 500 when it cannot be asked: nothing is allowed then.
    pub(crate) async fn authorize(&self, identity: &Identity, access: Access<'_>) -> Result<(), Status> {
        let review = question(identity, access);
        let answer = self.0.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", &review).await;
        let answer = answer.map_err(|error| {
            tracing::warn!(error = format!("{error:#}"), "cannot ask who may do what");
            Status::cannot_authorize()
        })?;
        if answer["status"]["allowed"] == true {
            return Ok(());
        }
        Err(match access {
            Access::Flights { verb, namespace, name } => {
                Status::forbidden(&identity.user, verb, namespace, name)
            }
            Access::Path(path) => Status::forbidden_path(&identity.user, path),
        })
    }
}

fn question(identity: &Identity, access: Access<'_>) -> Value {
    use crate::route::{GROUP, RESOURCE, VERSION};
    let mut spec = json!({
        "user": identity.user, "uid": identity.uid, "groups": identity.groups, "extra": identity.extra,
    });
    match access {
        Access::Flights { verb, namespace, name } => {
            spec["resourceAttributes"] = json!({
                "verb": verb, "group": GROUP, "version": VERSION, "resource": RESOURCE,
                "namespace": namespace.unwrap_or_default(), "name": name.unwrap_or_default(),
            });
        }
        Access::Path(path) => spec["nonResourceAttributes"] = json!({"verb": "get", "path": path}),
    }
    json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec})
}

fn identity(user: &Value) -> Identity {
    let texts = |list: &Value| serde_json::from_value(list.clone()).unwrap_or_default();
    Identity {
        user: user["username"].as_str().unwrap_or_default().to_owned(),
        uid: user["uid"].as_str().unwrap_or_default().to_owned(),
        groups: texts(&user["groups"]),
        extra: serde_json::from_value(user["extra"].clone()).unwrap_or_default(),
    }
}
