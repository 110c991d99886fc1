//! The ConfigMap `extension-apiserver-authentication` in `kube-system`: all that an extension API server must know to
//! believe this server, as kube-apiserver publishes it, so that one built for Kubernetes needs a kubeconfig and no flags.
//!
//! What others wrote there stays, as upstream: several servers may speak for users, and of a CA that is replaced both
//! halves are trusted until the old one ends. Delete the ConfigMap to drop what is no longer trusted before its time.
//! Other than upstream, the names of identity headers are this server's alone.

use detectviz_api::{Reason, Status};
use detectviz_core::informer::{Informer, Objects};
use detectviz_core::{Loopback, RunContext};
use detectviz_server::pki::merged_bundle;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::watch;

use super::retry::Pace;
use super::write::{edit, is_stores};

const NAME: &str = "extension-apiserver-authentication";
const COLLECTION: &str = "/api/v1/namespaces/kube-system/configmaps";
/// How often certificates that ended are looked for.
const RECHECK: Duration = Duration::from_hours(1);

/// The headers by which this server says for whom it speaks. Never merged: extension API servers believe the first one
/// that a request has, and of another name than these nobody removes from a request what its sender wrote there.
const IDENTITY_HEADERS: [(&str, &str); 4] = [
    ("requestheader-username-headers", "X-Remote-User"),
    ("requestheader-uid-headers", "X-Remote-Uid"),
    ("requestheader-group-headers", "X-Remote-Group"),
    ("requestheader-extra-headers-prefix", "X-Remote-Extra-"),
];

/// What extension API servers must know of this one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtensionTrust {
    /// PEM of the CAs that sign users' certificates.
    pub client_ca: String,
    /// PEM of the CAs that sign the certificate by which this server speaks for users.
    pub front_proxy_ca: String,
    /// The common names that such a certificate carries.
    pub front_proxy_names: Vec<String>,
}

impl ExtensionTrust {
    /// The data of the ConfigMap, with what `there` says already.
    fn data(&self, there: &Value) -> Value {
        let text = |key: &str| there[key].as_str().unwrap_or_default();
        let now = OffsetDateTime::now_utc();
        let mut data = Map::new();
        for (key, ours) in
            [("client-ca-file", &self.client_ca), ("requestheader-client-ca-file", &self.front_proxy_ca)]
        {
            data.insert(key.to_owned(), merged_bundle(text(key), ours, now).into());
        }
        let names = "requestheader-allowed-names";
        let ours: Vec<&str> = self.front_proxy_names.iter().map(String::as_str).collect();
        data.insert(names.to_owned(), merged_list(text(names), &ours).into());
        for (key, header) in IDENTITY_HEADERS {
            data.insert(key.to_owned(), json!([header]).to_string().into());
        }
        data.into()
    }

    /// Gives `object` its data; returns whether it differed.
    fn restore(&self, object: &mut Value) -> bool {
        let data = self.data(&object["data"]);
        let differs = object["data"] != data;
        object["data"] = data;
        differs
    }
}

/// The texts of the JSON list `there`, if it is one, and then `ours`, each once, as JSON.
fn merged_list(there: &str, ours: &[&str]) -> String {
    let mut merged: Vec<String> = Vec::new();
    let there: Vec<String> = serde_json::from_str(there).unwrap_or_default();
    for text in there.into_iter().chain(ours.iter().map(|text| (*text).to_owned())) {
        if !merged.contains(&text) {
            merged.push(text);
        }
    }
    json!(merged).to_string()
}

/// Keeps the ConfigMap; a new value of `trust` is added to it at once.
pub(super) fn start(
    context: &RunContext,
    loopback: &Arc<dyn Loopback>,
    trust: &watch::Receiver<ExtensionTrust>,
) {
    let selection = format!("{COLLECTION}?fieldSelector=metadata.name%3D{NAME}");
    let mut objects = Informer::start(context, Arc::clone(loopback), &selection);
    let (loopback, mut trust) = (Arc::clone(loopback), trust.clone());
    context.spawn(async move {
        objects.synced().await;
        let mut pace = Pace::new();
        loop {
            let wanted = trust.borrow_and_update().clone();
            let settled = pass(&*loopback, &wanted, &objects.objects()).await;
            let change = async {
                tokio::select! {
                    () = objects.changed() => {}
                    Ok(()) = trust.changed() => {}
                    () = tokio::time::sleep(RECHECK) => {}
                }
            };
            pace.next(settled, change).await;
        }
    });
}

/// Brings the ConfigMap in order; returns whether that was taken.
async fn pass(loopback: &dyn Loopback, trust: &ExtensionTrust, objects: &Objects) -> bool {
    let kept = match objects.values().next() {
        Some(seen) => {
            let path = format!("{COLLECTION}/{NAME}");
            edit(loopback, &path, "", seen, |object| trust.restore(object)).await
        }
        None => create(loopback, trust).await,
    };
    match kept {
        Ok(()) => true,
        // The namespace is still being made.
        Err(refusal) if refusal.is(Reason::NotFound) || is_stores(&refusal) => false,
        Err(refusal) => {
            tracing::warn!(configmap = NAME, error = %refusal, "publish what extension API servers must know again");
            false
        }
    }
}

async fn create(loopback: &dyn Loopback, trust: &ExtensionTrust) -> Result<(), Status> {
    let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}});
    trust.restore(&mut object);
    match loopback.create(COLLECTION, &object).await {
        // The view is behind; what is there is looked at when it has caught up.
        Err(refusal) if refusal.is(Reason::AlreadyExists) => Ok(()),
        answer => answer.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;
    use detectviz_core::health::Checks;

    const PATH: &str = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";

    fn trust(name: &str) -> ExtensionTrust {
        ExtensionTrust { front_proxy_names: vec![name.to_owned()], ..ExtensionTrust::default() }
    }

    fn names(fake: &Fake) -> String {
        let object = fake.object(PATH).unwrap_or_default();
        object["data"]["requestheader-allowed-names"].as_str().unwrap_or_default().to_owned()
    }

    #[test]
    fn lists_are_merged_and_what_is_no_list_is_replaced() {
        for (there, expected) in
            [("", r#"["a"]"#), (r#"["b","a"]"#, r#"["b","a"]"#), ("[1]", r#"["a"]"#), ("x", r#"["a"]"#)]
        {
            assert_eq!(merged_list(there, &["a"]), expected, "{there}");
        }
    }

    #[test]
    fn no_header_is_believed_that_a_client_could_send() {
        let poisoned = json!({
            "requestheader-username-headers": r#"["X-Evil","X-Remote-User"]"#,
            "requestheader-group-headers": r#"["X-Evil-Group"]"#,
            "requestheader-extra-headers-prefix": r#"["X-"]"#,
        });
        let mut object = json!({"data": poisoned});
        assert!(trust("one").restore(&mut object));
        let told = object["data"].to_string();
        assert!(!told.contains("Evil") && !told.contains(r#"\"X-\""#), "{told}");
        assert_eq!(object["data"]["requestheader-username-headers"], r#"["X-Remote-User"]"#);
        assert!(!trust("one").restore(&mut object), "nothing is left to do");
    }

    #[tokio::test]
    async fn it_is_published_kept_and_follows_what_is_trusted() {
        let fake = Fake::new();
        let loopback = fake.loopback();
        let context = RunContext::new(Arc::new(Checks::default()));
        let sender = watch::Sender::new(trust("one"));
        fake.fail_next(2);
        start(&context, &loopback, &sender.subscribe());
        fake.until(|fake| names(fake) == r#"["one"]"#).await;
        let data = fake.object(PATH).unwrap()["data"].clone();
        let keys: Vec<_> = data.as_object().unwrap().keys().cloned().collect();
        let expected = [
            "client-ca-file",
            "requestheader-allowed-names",
            "requestheader-client-ca-file",
            "requestheader-extra-headers-prefix",
            "requestheader-group-headers",
            "requestheader-uid-headers",
            "requestheader-username-headers",
        ];
        assert_eq!(keys, expected);
        assert_eq!(data["requestheader-extra-headers-prefix"], r#"["X-Remote-Extra-"]"#);

        sender.send_replace(trust("two"));
        fake.until(|fake| names(fake) == r#"["one","two"]"#).await;

        loopback.delete(PATH).await.unwrap();
        fake.until(|fake| names(fake) == r#"["two"]"#).await;

        let mut edited = fake.object(PATH).unwrap();
        edited["data"] = json!({"requestheader-allowed-names": "garbage", "mine": "1"});
        loopback.update(PATH, &edited).await.unwrap();
        fake.until(|fake| names(fake) == r#"["two"]"#).await;
        context.cancel();
        context.drained().await;
    }

    #[tokio::test]
    async fn what_is_in_order_is_not_written_again() {
        let fake = Fake::new();
        assert!(pass(&*fake.loopback(), &trust("one"), &Objects::default()).await);
        let written = fake.revision();
        assert!(pass(&*fake.loopback(), &trust("one"), &fake.view(COLLECTION)).await);
        assert_eq!(fake.revision(), written);
    }
}
