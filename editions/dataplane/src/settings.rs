//! A data source's settings as its plugin wants them: a `DataSource` object, and the Secret that it names.
//!
//! The plugin keeps an instance per `id` and tenant, and makes a new one only when `lastUpdatedMS` moves. Neither uid nor
//! organisation is in its key, so a weak `id` here would hand one data source's credentials to another.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use detectviz_api::{Reason, Status, meta, timestamp};
use detectviz_core::Loopback;
use detectviz_pluginv2::proto::DataSourceInstanceSettings;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Where data sources are.
const GROUP: &str = "datasource.detectviz.io";
const RESOURCE: &str = "datasources";

/// The type of a Secret that may be handed to a plugin. Any other one is not meant for it, and who may write a data
/// source need not be who may read Secrets.
const SECRET_TYPE: &str = "datasource.detectviz.io/credentials";

/// Which settings are wanted, and for whom.
pub(crate) struct Wanted<'a> {
    /// The namespace of data source and Secret.
    pub(crate) namespace: &'a str,
    /// The data source's uid: its object's name.
    pub(crate) uid: &'a str,
    /// The plugin that must be the data source's.
    pub(crate) plugin_id: &'a str,
}

/// Reads the data source through the loopback, which answers from the server's cache.
///
/// # Errors
/// 404 when there is no such data source, by the name of its real resource.
pub(crate) async fn data_source(loopback: &dyn Loopback, wanted: &Wanted<'_>) -> Result<Value, Status> {
    let (namespace, uid) = (segment(wanted.namespace), segment(wanted.uid));
    let path = format!("/apis/{GROUP}/v0alpha1/namespaces/{namespace}/{RESOURCE}/{uid}");
    loopback.get(&path).await.map_err(|status| match status.is(Reason::NotFound) {
        true => Status::not_found(GROUP, RESOURCE, wanted.uid),
        false => status,
    })
}

/// The settings that `source` stands for, with its Secret read through the loopback.
///
/// # Errors
/// 400 when it is another plugin's, or its Secret is missing, of another type, or unreadable.
pub(crate) async fn load(
    loopback: &dyn Loopback,
    source: &Value,
    wanted: &Wanted<'_>,
) -> Result<DataSourceInstanceSettings, Status> {
    let kind = text(source, "/spec/type");
    if kind != wanted.plugin_id {
        let (uid, plugin) = (wanted.uid, wanted.plugin_id);
        return Err(Status::bad_request(format!(
            "invalid datasource type: found {kind:?}, expected {plugin:?}: data source {uid:?} is another plugin's"
        )));
    }
    let secret = match text(source, "/spec/secureJsonData/secretRef/name") {
        "" => None,
        name => Some(secret(loopback, wanted, name).await?),
    };
    settings(source, secret.as_ref(), wanted)
}

async fn secret(loopback: &dyn Loopback, wanted: &Wanted<'_>, name: &str) -> Result<Value, Status> {
    let path = format!("/api/v1/namespaces/{}/secrets/{}", segment(wanted.namespace), segment(name));
    let secret = loopback.get(&path).await.map_err(|status| match status.is(Reason::NotFound) {
        true => refuse(wanted, name, "it does not exist"),
        false => status,
    })?;
    match text(&secret, "/type") {
        SECRET_TYPE => Ok(secret),
        _ => Err(refuse(wanted, name, &format!("its type must be {SECRET_TYPE:?}"))),
    }
}

fn refuse(wanted: &Wanted<'_>, secret: &str, why: &str) -> Status {
    let (uid, namespace) = (wanted.uid, wanted.namespace);
    Status::bad_request(format!(
        "unable to get plugin context: data source {uid:?} needs secret {secret:?} in namespace {namespace:?}: {why}"
    ))
}

fn settings(
    source: &Value,
    secret: Option<&Value>,
    wanted: &Wanted<'_>,
) -> Result<DataSourceInstanceSettings, Status> {
    let spec = |field: &str| text(source, &format!("/spec/{field}")).to_owned();
    let title = spec("title");
    let json_data = source.pointer("/spec/jsonData").map_or_else(|| "{}".to_owned(), Value::to_string);
    let secrets = secret.map(|secret| decrypted(secret, wanted)).transpose()?;
    Ok(DataSourceInstanceSettings {
        id: instance_id(source, wanted),
        name: if title.is_empty() { wanted.uid.to_owned() } else { title },
        url: spec("url"),
        user: spec("user"),
        database: spec("database"),
        basic_auth_enabled: source.pointer("/spec/basicAuth/enabled").and_then(Value::as_bool) == Some(true),
        basic_auth_user: spec("basicAuth/user"),
        json_data: json_data.into(),
        decrypted_secure_json_data: secrets.unwrap_or_default(),
        last_updated_ms: last_updated_ms(source, secret),
        uid: wanted.uid.to_owned(),
        api_version: String::new(),
    })
}

/// Stable, never zero, and never shared: 63 bits of a hash over namespace, uid and the object's own uid.
fn instance_id(source: &Value, wanted: &Wanted<'_>) -> i64 {
    let mut hash = Sha256::new();
    for part in [wanted.namespace, wanted.uid, meta::uid(source)] {
        hash.update(part);
        hash.update([0]);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let first = digest.iter().take(8).fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    i64::try_from(first >> 1).map_or(1, |id| id.max(1))
}

/// Rises with every change of the object or its Secret: resource versions come from one counter. Added to the time of
/// creation, so that the value is a plausible time.
fn last_updated_ms(source: &Value, secret: Option<&Value>) -> i64 {
    let version = |object: &Value| meta::resource_version(object).parse::<i64>().unwrap_or_default();
    let created = timestamp::parse(meta::field(source, "creationTimestamp"));
    let created = created.map_or(0, |at| at.unix_timestamp().saturating_mul(1000));
    created.saturating_add(version(source).max(secret.map_or(0, version)))
}

fn decrypted(secret: &Value, wanted: &Wanted<'_>) -> Result<BTreeMap<String, String>, Status> {
    let fault = |key: &str, why: &str| {
        Err(refuse(wanted, meta::name(secret), &format!("its key {key:?} must be {why}")))
    };
    let data = secret["data"].as_object().into_iter().flatten();
    data.map(|(key, value)| {
        let Ok(bytes) = STANDARD.decode(value.as_str().unwrap_or_default()) else {
            return fault(key, "base64");
        };
        let Ok(text) = String::from_utf8(bytes) else { return fault(key, "UTF-8 text") };
        Ok((key.clone(), text))
    })
    .collect()
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// `text` as one segment of a path.
fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const WANTED: Wanted<'_> = Wanted { namespace: "default", uid: "main", plugin_id: "p" };

    fn source(version: &str) -> Value {
        json!({
            "metadata": {"name": "main", "uid": "0a", "resourceVersion": version,
                         "creationTimestamp": "1970-01-01T00:00:01Z"},
            "spec": {"type": "p", "url": "http://x", "jsonData": {"b": 1, "a": 2},
                     "basicAuth": {"enabled": true, "user": "u"}},
        })
    }

    fn secret(version: &str, value: &str) -> Value {
        json!({"metadata": {"name": "s", "resourceVersion": version}, "data": {"password": value}})
    }

    #[test]
    fn settings_carry_the_spec_and_the_decoded_secret() {
        let made = settings(&source("5"), Some(&secret("3", "aHVudGVyMg==")), &WANTED).unwrap();
        assert_eq!((made.name.as_str(), made.uid.as_str(), made.url.as_str()), ("main", "main", "http://x"));
        assert!(made.basic_auth_enabled && made.basic_auth_user == "u" && made.id > 0);
        assert_eq!(made.decrypted_secure_json_data["password"], "hunter2");
        assert_eq!(serde_json::from_slice::<Value>(&made.json_data).unwrap(), json!({"a": 2, "b": 1}));
    }

    #[test]
    fn every_change_of_source_or_secret_raises_the_update_time() {
        let at = |source_version, secret_version| {
            last_updated_ms(&source(source_version), Some(&secret(secret_version, "")))
        };
        assert_eq!(at("5", "3"), 1005);
        assert!(at("5", "6") > at("5", "3") && at("7", "6") > at("5", "6"));
    }

    #[test]
    fn ids_differ_by_namespace_uid_and_object() {
        let id = |namespace, uid, source: &Value| instance_id(source, &Wanted { namespace, uid, ..WANTED });
        let mut again = source("1");
        let first = id("default", "main", &again);
        assert_eq!(first, id("default", "main", &source("2")));
        assert!(first != id("org-2", "main", &again) && first != id("default", "other", &again));
        again["metadata"]["uid"] = json!("0b");
        assert_ne!(first, id("default", "main", &again));
    }

    #[test]
    fn an_unreadable_secret_is_named_and_never_shown() {
        for (value, why) in [("!", "base64"), ("/w==", "UTF-8")] {
            let status = settings(&source("1"), Some(&secret("1", value)), &WANTED).unwrap_err();
            assert!(status.code == 400 && status.message.contains("secret \"s\""), "{status}");
            assert!(status.message.contains("\"password\"") && status.message.contains(why), "{status}");
        }
    }

    #[test]
    fn a_path_segment_is_encoded() {
        assert_eq!(segment("a_B-c.d~9 ?#%/ü"), "a_B-c.d~9%20%3F%23%25%2F%C3%BC");
    }
}
