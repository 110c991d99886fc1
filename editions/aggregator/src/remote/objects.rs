//! What a remote services file means as objects, and what must be done so that they are as they should be: pure
//! functions of the file and of what is there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use detectviz_api::meta;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

use super::entries::{Entry, Place};
use crate::spec::targets;

/// Marks what was made of the file: of objects with it, those that are not in the file go.
pub(super) const MADE: (&str, &str) = ("aggregator.detectviz.io/made-by", "remote-services-file");
/// The namespace of the ExternalNames.
pub(super) const NAMESPACE: &str = "default";

/// Grafana's priority of remote groups, above that of its own.
const GROUP_PRIORITY: i64 = 16_000;

/// The objects of one collection that a file asks for, by name.
pub(super) type Wanted = BTreeMap<String, Value>;

/// The APIServices of `entries`, whose certificates the CAs in `ca_bundle` (PEM) sign.
pub(super) fn api_services(entries: &[Entry], ca_bundle: Option<&[u8]>) -> Wanted {
    let one = |(index, entry): (usize, &Entry)| {
        let (gv, name) = (&entry.group_version, entry.group_version.api_service_name());
        let mut object = json!({
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": {"name": name, "labels": {MADE.0: MADE.1}},
            "spec": {
                "group": &*gv.group, "version": &*gv.version,
                "groupPriorityMinimum": GROUP_PRIORITY, "versionPriority": index + 1,
                "service": {"namespace": NAMESPACE, "name": name, "port": 443},
            },
        });
        if let (Some(pem), true) = (ca_bundle, entry.is_tls) {
            object["spec"]["caBundle"] = STANDARD.encode(pem).into();
        }
        match &entry.place {
            Place::Host(_, port) => object["spec"]["service"]["port"] = (*port).into(),
            Place::Endpoints(text) => {
                object["metadata"]["annotations"] = json!({targets::ANNOTATION: text});
            }
        }
        (name, object)
    };
    entries.iter().enumerate().map(one).collect()
}

/// The ExternalNames of `entries`.
pub(super) fn external_names(entries: &[Entry]) -> Wanted {
    let one = |entry: &Entry| {
        let Place::Host(host, _) = &entry.place else { return None };
        let name = entry.group_version.api_service_name();
        let object = json!({
            "apiVersion": "service.grafana.app/v0alpha1", "kind": "ExternalName",
            "metadata": {"namespace": NAMESPACE, "name": name, "labels": {MADE.0: MADE.1}},
            "spec": {"host": host},
        });
        Some((name, object))
    };
    entries.iter().filter_map(one).collect()
}

/// What is to be done with one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Create it.
    Create(Value),
    /// Replace it.
    Replace(Value),
    /// Delete the one of this name.
    Delete(String),
}

/// What brings `have`, the objects that are marked as made of the file, in line with `wanted`.
pub(super) fn steps(wanted: &Wanted, have: &[Value]) -> Vec<Step> {
    let have: BTreeMap<_, _> = have.iter().map(|object| (meta::name(object), object)).collect();
    let mut steps = Vec::new();
    for (name, object) in wanted {
        match have.get(&**name) {
            None => steps.push(Step::Create(object.clone())),
            Some(have) if meta::is_deleting(have) => {}
            Some(have) => steps.extend(restored(have, object).map(Step::Replace)),
        }
    }
    let gone =
        have.iter().filter(|(name, object)| !wanted.contains_key(**name) && !meta::is_deleting(object));
    steps.extend(gone.map(|(name, _)| Step::Delete((*name).to_owned())));
    steps
}

/// `have` as `wanted` says it; `None` when it is so already. What others added to the metadata stays.
fn restored(have: &Value, wanted: &Value) -> Option<Value> {
    let mut object = have.clone();
    object["apiVersion"] = wanted["apiVersion"].clone();
    object["kind"] = wanted["kind"].clone();
    let targets = |object: &Value| object["metadata"]["annotations"][targets::ANNOTATION].clone();
    let mut changed = false;
    if said(&have["spec"]) != said(&wanted["spec"]) {
        object["spec"] = wanted["spec"].clone();
        changed = true;
    }
    if targets(have) != targets(wanted) {
        match targets(wanted) {
            Value::Null => {
                if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
                    annotations.remove(targets::ANNOTATION);
                }
            }
            text => object["metadata"]["annotations"][targets::ANNOTATION] = text,
        }
        changed = true;
    }
    changed.then_some(object)
}

/// The fields of a spec that say something.
fn said(spec: &Value) -> Map<String, Value> {
    let mut said = spec.as_object().cloned().unwrap_or_default();
    said.retain(|_, value| !value.is_null() && value != "" && value != false);
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::entries::read;

    fn entries() -> Vec<Entry> {
        let text = "
- {group: a.example.com, version: v1, host: a, port: 7443}
- {group: b.example.com, version: v1, endpoints: 'https://b:1'}
- {group: c.example.com, version: v1, endpoints: 'unix:///run/c'}
";
        read(text, &["/run".into()]).unwrap()
    }

    #[test]
    fn an_entry_is_an_api_service_and_perhaps_a_name() {
        let wanted = api_services(&entries(), Some(b"pem"));
        let a = &wanted["v1.a.example.com"];
        let expected = json!({
            "group": "a.example.com", "version": "v1", "groupPriorityMinimum": 16000, "versionPriority": 1,
            "service": {"namespace": "default", "name": "v1.a.example.com", "port": 7443}, "caBundle": "cGVt",
        });
        assert_eq!((&a["spec"], &a["metadata"]["annotations"]), (&expected, &Value::Null));
        let b = &wanted["v1.b.example.com"];
        assert_eq!(b["metadata"]["annotations"], json!({targets::ANNOTATION: "https://b:1"}));
        assert_eq!((&b["spec"]["versionPriority"], &b["spec"]["caBundle"]), (&json!(2), &json!("cGVt")));
        assert_eq!(
            wanted["v1.c.example.com"]["spec"]["caBundle"],
            Value::Null,
            "nobody shows a certificate there"
        );
        let names = external_names(&entries());
        assert_eq!(names.len(), 1);
        assert_eq!(names["v1.a.example.com"]["spec"], json!({"host": "a"}));
    }

    #[test]
    fn only_what_differs_is_done() {
        let wanted = api_services(&entries(), None);
        let mut have: Vec<_> = wanted.values().cloned().collect();
        have[0]["metadata"]["annotations"]["hand"] = "made".into();
        have[0]["spec"]["insecureSkipTLSVerify"] = false.into();
        have[0]["status"] = json!({"conditions": []});
        assert_eq!(steps(&wanted, &have), []);

        have[0]["spec"]["versionPriority"] = 9.into();
        have[1]["metadata"]["annotations"][targets::ANNOTATION] = "https://elsewhere".into();
        have[2] = json!({"metadata": {"name": "v1.gone.example.com"}});
        let done = steps(&wanted, &have);
        let [Step::Replace(a), Step::Replace(b), Step::Create(c), Step::Delete(gone)] = &done[..] else {
            panic!("{done:#?}")
        };
        assert_eq!(
            (&a["spec"]["versionPriority"], &a["metadata"]["annotations"]["hand"]),
            (&json!(1), &json!("made"))
        );
        assert_eq!(b["metadata"]["annotations"][targets::ANNOTATION], "https://b:1");
        assert_eq!((meta::name(c), gone.as_str()), ("v1.c.example.com", "v1.gone.example.com"));
        let ending = json!({"metadata": {"name": "x", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
        assert_eq!(steps(&Wanted::new(), &[ending]), []);
    }

    #[test]
    fn an_entry_that_gets_a_host_loses_its_annotation() {
        let before =
            api_services(&read("- {group: a.b, version: v1, endpoints: 'https://x'}", &[]).unwrap(), None);
        let after =
            api_services(&read("- {group: a.b, version: v1, host: x, port: 443}", &[]).unwrap(), None);
        let have: Vec<_> = before.into_values().collect();
        let done = steps(&after, &have);
        let [Step::Replace(object)] = &done[..] else { panic!("{done:#?}") };
        assert_eq!(object["metadata"]["annotations"], json!({}));
    }
}
