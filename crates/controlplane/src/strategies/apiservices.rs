//! APIServices: the name says the group-version, and what stands in `spec` must fit together.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use detectviz_api::Cause;
use detectviz_core::backend_policy::Fault;
use detectviz_core::{BackendPolicy, Catalog};
use detectviz_server::strategy::Strategy;
use serde_json::Value;
use std::sync::Arc;

use super::causes::{forbidden, invalid, required, unsupported};
use super::{local, names, reset_status, text};

pub(super) struct ApiServices {
    /// Knows what this server serves itself.
    pub(super) catalog: Arc<Catalog>,
}

impl Strategy for ApiServices {
    /// A local one is available at once.
    fn prepare_create(&self, object: &mut Value) {
        reset_status(object);
        if object["spec"].is_object() && !is_remote(object) {
            local::available().apply(object);
        }
    }

    fn validate(&self, object: &Value) -> Vec<Cause> {
        let mut faults = spec_faults(object);
        if is_remote(object) {
            faults.extend(local::taken(&self.catalog, object, "spec.service"));
        }
        faults
    }

    fn warnings(&self, object: &Value, _: Option<&Value>) -> Vec<String> {
        let (_, faults) = BackendPolicy::read(object);
        faults.iter().map(Fault::to_string).collect()
    }

    /// One that was given away before this server came to serve the group-version itself may be kept and repaired: it has
    /// no effect, and its condition says so.
    fn validate_update(&self, object: &Value, old: &Value) -> Vec<Cause> {
        let mut faults = if is_remote(old) { spec_faults(object) } else { self.validate(object) };
        faults.extend(condition_faults(object));
        faults
    }
}

fn is_remote(object: &Value) -> bool {
    object["spec"]["service"].is_object()
}

fn spec_faults(object: &Value) -> Vec<Cause> {
    let spec = &object["spec"];
    if spec.is_null() {
        return vec![required("spec", "")];
    }
    let mut faults = names::faults(object);
    if text(spec, "/group").is_empty() && spec["version"] != "v1" {
        faults.push(required("spec.group", "only v1 may have an empty group and it better be legacy kube"));
    }
    faults.extend(priority_faults(spec));
    faults.extend(if is_remote(object) { remote_faults(spec) } else { local_faults(spec) });
    faults
}

/// A condition is True, False or Unknown.
fn condition_faults(object: &Value) -> Vec<Cause> {
    const STATUSES: [&str; 3] = ["True", "False", "Unknown"];
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let fault = |(index, condition): (usize, &Value)| {
        let status = text(condition, "/status");
        let field = format!("status.conditions[{index}].status");
        (!STATUSES.contains(&status)).then(|| unsupported(&field, status, &STATUSES))
    };
    conditions.into_iter().flatten().enumerate().filter_map(fault).collect()
}

fn priority_faults(spec: &Value) -> Vec<Cause> {
    let fault = |(field, most): (&str, i64)| {
        let priority = spec[field].as_i64().filter(|priority| !(1..=most).contains(priority))?;
        Some(invalid(&format!("spec.{field}"), priority, &format!("must be positive and less than {most}")))
    };
    [("groupPriorityMinimum", 20_000), ("versionPriority", 1_000)].into_iter().filter_map(fault).collect()
}

/// What an APIService without a service may not have: there is nothing to connect to.
fn local_faults(spec: &Value) -> Vec<Cause> {
    let mut faults = Vec::new();
    let bundle = text(spec, "/caBundle");
    if !bundle.is_empty() {
        faults.push(invalid("spec.caBundle", size(bundle), "local APIServices may not have a caBundle"));
    }
    if spec["insecureSkipTLSVerify"] == true {
        let why = "local APIServices may not have insecureSkipTLSVerify";
        faults.push(invalid("spec.insecureSkipTLSVerify", true, why));
    }
    faults
}

fn remote_faults(spec: &Value) -> Vec<Cause> {
    let mut faults = Vec::new();
    for field in ["namespace", "name"] {
        if text(&spec["service"], &format!("/{field}")).is_empty() {
            faults.push(required(&format!("spec.service.{field}"), ""));
        }
    }
    if let Some(port) = spec["service"]["port"].as_i64().filter(|port| !(1..=65535).contains(port)) {
        let why = "port is not valid: must be between 1 and 65535, inclusive";
        faults.push(invalid("spec.service.port", port, why));
    }
    if text(spec, "/group").is_empty() {
        faults.push(forbidden("spec.service", "the core group is always served by this server itself"));
    }
    let bundle = text(spec, "/caBundle");
    if spec["insecureSkipTLSVerify"] == true && !bundle.is_empty() {
        faults.push(invalid("spec.insecureSkipTLSVerify", true, "may not be true if caBundle is present"));
    }
    if !bundle.is_empty() && !has_certificate(bundle) {
        let why = "must hold at least one certificate in PEM, between BEGIN CERTIFICATE and END CERTIFICATE";
        faults.push(invalid("spec.caBundle", size(bundle), why));
    }
    faults
}

/// How large a bundle is, in place of the bundle itself.
fn size(bundle: &str) -> String {
    format!("{} bytes", super::keyed::decoded_len(bundle))
}

/// Whether `bundle` holds a PEM certificate. What is no base64 passes: that is the schema's to refuse. So does blank
/// space, which manifests hold where something else puts the certificate in later.
fn has_certificate(bundle: &str) -> bool {
    let Ok(bytes) = STANDARD.decode(bundle) else { return true };
    let pem = String::from_utf8_lossy(&bytes);
    if pem.trim().is_empty() {
        return true;
    }
    let begin = pem.find("-----BEGIN CERTIFICATE-----");
    begin.is_some_and(|begin| pem[begin..].contains("-----END CERTIFICATE-----"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategies::read;
    use serde_json::json;

    fn rules() -> ApiServices {
        ApiServices { catalog: crate::fake::catalog() }
    }

    fn check(name: &str, spec: &Value, expected: &[&str]) {
        let object = json!({"metadata": {"name": name}, "spec": spec});
        let faults = read(&rules().validate(&object));
        assert_eq!(faults.len(), expected.len(), "{faults:#?}");
        for (fault, expected) in faults.iter().zip(expected) {
            assert!(fault.starts_with(expected), "{fault} should start with {expected}");
        }
    }

    #[test]
    fn the_name_says_the_group_version() {
        check("v1.", &json!({"version": "v1"}), &[]);
        check("v1.example.org", &json!({"group": "example.org", "version": "v1"}), &[]);
        check(
            "x",
            &json!({"group": "example.org", "version": "v1"}),
            &[
                "metadata.name: Invalid value: \"x\": must be `spec.version+\".\"+spec.group`: \"v1.example.org\"",
            ],
        );
        check(
            "1.",
            &json!({"version": "1"}),
            &["spec.version: Invalid value: \"1\": a DNS-1035 label", "spec.group: Required value: only v1"],
        );
        check("v1.A", &json!({"group": "A", "version": "v1"}), &["spec.group: Invalid value: \"A\""]);
        check("v1.", &Value::Null, &["spec: Required value"]);
    }

    #[test]
    fn what_belongs_to_a_service_stands_only_beside_one() {
        let local =
            json!({"group": "a.b", "version": "v1", "caBundle": "eA==", "insecureSkipTLSVerify": true});
        check(
            "v1.a.b",
            &local,
            &[
                "spec.caBundle: Invalid value: \"1 bytes\": local APIServices may not have a caBundle",
                "spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have",
            ],
        );
        let mut remote = local;
        remote["service"] = json!({"port": 443});
        check(
            "v1.a.b",
            &remote,
            &[
                "spec.service.namespace: Required value",
                "spec.service.name: Required value",
                "spec.insecureSkipTLSVerify: Invalid value: true: may not be true if caBundle is present",
                "spec.caBundle: Invalid value: \"1 bytes\": must hold at least one certificate in PEM",
            ],
        );
        let service = json!({"namespace": "a", "name": "b"});
        check(
            "v1.",
            &json!({"version": "v1", "service": service}),
            &[
                "spec.service: Forbidden: the core group",
                "spec.service: Forbidden: v1 is served by this server itself",
            ],
        );
    }

    #[test]
    fn priorities_and_ports_have_bounds() {
        check(
            "v1.a.b",
            &json!({"group": "a.b", "version": "v1", "groupPriorityMinimum": 0, "versionPriority": 1001,
                "service": {"namespace": "a", "name": "b", "port": 65536}}),
            &[
                "spec.groupPriorityMinimum: Invalid value: 0: must be positive and less than 20000",
                "spec.versionPriority: Invalid value: 1001: must be positive and less than 1000",
                "spec.service.port: Invalid value: 65536: port is not valid: must be between 1 and 65535, inclusive",
            ],
        );
        check(
            "v1.a.b",
            &json!({"group": "a.b", "version": "v1", "groupPriorityMinimum": 20000, "versionPriority": 1000}),
            &[],
        );
    }

    #[test]
    fn a_bundle_holds_certificates() {
        let pem = STANDARD.encode("# mine\n-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n");
        let service = json!({"namespace": "a", "name": "b"});
        for bundle in [pem.as_str(), "Cg==", "no base64"] {
            let spec = json!({"group": "a.b", "version": "v1", "service": service, "caBundle": bundle});
            check("v1.a.b", &spec, &[]);
        }
    }

    #[test]
    fn an_annotation_that_means_nothing_is_warned_of() {
        let warned = |annotation: &str| {
            let object = json!({"metadata": {"annotations": {annotation: "0"}}});
            rules().warnings(&object, None)
        };
        let warnings = warned("aggregator.detectviz.io/timeout-seconds");
        let expected = "annotation \"aggregator.detectviz.io/timeout-seconds\": \"0\" must be a whole number from 1 to 3600";
        assert_eq!(warnings, [expected]);
        assert_eq!(warned("aggregator.detectviz.io/timeout").len(), 1);
        assert!(warned("example.org/timeout-seconds").is_empty());
    }

    #[test]
    fn a_new_object_has_no_status_but_that_a_local_one_is_available() {
        let mut object = json!({"spec": {"service": {}}, "status": {"conditions": []}});
        rules().prepare_create(&mut object);
        assert_eq!(object, json!({"spec": {"service": {}}}));
        let mut object = json!({"spec": {}, "status": {"conditions": [{"type": "Mine", "status": "True"}]}});
        rules().prepare_create(&mut object);
        let found = detectviz_api::condition::find(&object, "Available");
        assert_eq!(found, Some(("True", "Local", "Local APIServices are always available")));
        assert_eq!(object["status"]["conditions"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn what_is_served_here_is_given_to_no_other_server() {
        let object = |group: &str, service: Value| json!({"metadata": {"name": format!("v1.{group}")}, "spec": {"group": group, "version": "v1", "service": service}});
        let service = json!({"namespace": "a", "name": "b"});
        let remote = object("coordination.k8s.io", service.clone());
        let why = "spec.service: Forbidden: coordination.k8s.io/v1 is served by this server itself, as one of its \
                   built-in APIs, and by no other";
        assert_eq!(read(&rules().validate(&remote)), [why]);
        let local = object("coordination.k8s.io", Value::Null);
        assert!(rules().validate(&local).is_empty());
        assert_eq!(read(&rules().validate_update(&remote, &local)), [why]);
        // What was there before this server served it can still be edited, and let go.
        assert!(rules().validate_update(&remote, &remote).is_empty());
        assert!(rules().validate_update(&local, &remote).is_empty());
        assert!(rules().validate(&object("coordination.example", service)).is_empty());
    }

    #[test]
    fn a_condition_holds_or_not_or_nobody_knows() {
        let object = |status: &str| {
            json!({"metadata": {"name": "v1.a.b"}, "spec": {"group": "a.b", "version": "v1"},
                "status": {"conditions": [{"type": "A", "status": "True"}, {"type": "B", "status": status}]}})
        };
        for status in ["True", "False", "Unknown"] {
            assert!(rules().validate_update(&object(status), &object("True")).is_empty());
        }
        let why = "status.conditions[1].status: Unsupported value: \"Maybe\": supported values: \"True\", \"False\", \"Unknown\"";
        assert_eq!(read(&rules().validate_update(&object("Maybe"), &object("True"))), [why]);
    }
}
