//! What a remote APIService asks for, as plain data: two equal values ask for the same, so nothing is rebuilt.

mod endpoint;
mod resolve;
pub(crate) mod targets;

pub(crate) use endpoint::{Endpoint, url};
use resolve::Reference;
pub(crate) use resolve::{Slices, Surroundings};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use detectviz_api::{GroupVersion, meta, names};
use detectviz_client::Address;
use detectviz_core::BackendPolicy;
use detectviz_core::backend_policy::Fault;
use detectviz_core::informer::Objects;
use serde_json::Value;

use crate::error::Unavailable;

/// The port of a service that names none.
const DEFAULT_PORT: i64 = 443;
/// What an APIService must say whose backend is reached over TLS.
const NO_TRUST: &str = "spec.caBundle is missing: it must hold the CA of the backend's certificate, unless \
                        spec.insecureSkipTLSVerify is true; the system's CAs are not used";

/// One remote APIService.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The APIService's name, `VERSION.GROUP`.
    pub(crate) name: String,
    /// The group-version that it stands for.
    pub(crate) group_version: GroupVersion,
    /// `groupPriorityMinimum` and `versionPriority`.
    pub(crate) priority: (i64, i64),
    /// Where its backend is.
    pub(crate) endpoint: Result<Endpoint, Unavailable>,
    /// What may be asked of it at once.
    pub(crate) policy: BackendPolicy,
    /// What is wrong with the annotations that say so.
    pub(crate) policy_faults: Vec<Fault>,
}

impl Wanted {
    /// Reads an APIService, whose service is resolved `by` what was last seen. `None` for a local one, and for one whose
    /// name is not that of its group-version: such a one stands for nothing.
    pub(crate) fn read(api_service: &Value, by: &Surroundings) -> Option<Self> {
        let spec = &api_service["spec"];
        let reference = reference(api_service)?;
        let group_version = group_version(api_service)?;
        let number = |field: &str| spec[field].as_i64().unwrap_or_default();
        let (policy, policy_faults) = BackendPolicy::read(api_service);
        Some(Self {
            name: meta::name(api_service).to_owned(),
            group_version,
            priority: (number("groupPriorityMinimum"), number("versionPriority")),
            endpoint: endpoint(api_service, &reference, by),
            policy,
            policy_faults,
        })
    }
}

/// Whether a Service must say where the backend of an APIService is, since nothing that comes before it does.
pub(crate) fn needs_a_service(api_service: &Value, external_names: &Objects) -> bool {
    let annotations = &api_service["metadata"]["annotations"];
    reference(api_service).is_some_and(|reference| reference.needs_a_service(annotations, external_names))
}

/// The service that a remote APIService names.
fn reference(api_service: &Value) -> Option<Reference> {
    let service = api_service["spec"]["service"].as_object()?;
    let text = |field: &str| service.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let port = service.get("port").and_then(Value::as_i64).unwrap_or(DEFAULT_PORT);
    Some(Reference { namespace: text("namespace"), name: text("name"), port })
}

fn group_version(api_service: &Value) -> Option<GroupVersion> {
    let text = |field: &str| api_service["spec"][field].as_str();
    let (group, version) = (text("group")?, text("version")?);
    names::check_dns_subdomain(group).ok()?;
    names::check_dns_label(version).ok()?;
    let gv = GroupVersion::new(group, version);
    (gv.api_service_name() == meta::name(api_service)).then_some(gv)
}

fn endpoint(api_service: &Value, reference: &Reference, by: &Surroundings) -> Result<Endpoint, Unavailable> {
    let spec = &api_service["spec"];
    let mut endpoint = Endpoint {
        addresses: reference.resolve(&api_service["metadata"]["annotations"], by)?,
        server_name: format!("{}.{}.svc", reference.name, reference.namespace),
        ca_bundle: None,
        insecure: spec["insecureSkipTLSVerify"].as_bool().unwrap_or_default(),
    };
    endpoint.ca_bundle = ca_bundle(spec).map_err(|why| Unavailable::Backend {
        url: endpoint.url(),
        why: format!("read spec.caBundle: {why}"),
    })?;
    let is_checked = endpoint.ca_bundle.is_some() || endpoint.insecure;
    if !is_checked && endpoint.addresses.iter().any(|address| matches!(address, Address::Tcp { .. })) {
        return Err(Unavailable::Backend { url: endpoint.url(), why: NO_TRUST.to_owned() });
    }
    Ok(endpoint)
}

fn ca_bundle(spec: &Value) -> Result<Option<Bytes>, base64::DecodeError> {
    let text = spec["caBundle"].as_str().filter(|text| !text.is_empty());
    text.map(|text| STANDARD.decode(text).map(Bytes::from)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn api_service(change: impl FnOnce(&mut Value)) -> Value {
        let mut object = json!({
            "metadata": {"name": "v1.example.io"},
            "spec": {
                "group": "example.io", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 5,
                "service": {"namespace": "ns", "name": "svc", "port": 8443}, "caBundle": "YWJj",
            },
        });
        change(&mut object);
        object
    }

    fn read(object: &Value) -> Option<Wanted> {
        let external_name =
            json!({"metadata": {"namespace": "ns", "name": "svc"}, "spec": {"host": "127.0.0.1"}});
        let external_names = Objects::unit("ns/svc".to_owned(), external_name.into());
        Wanted::read(object, &Surroundings { external_names, ..Surroundings::default() })
    }

    #[test]
    fn a_service_is_resolved_through_the_external_name() {
        let wanted = read(&api_service(|_| {})).unwrap();
        assert_eq!(
            (wanted.priority, wanted.group_version.to_string()),
            ((100, 5), "example.io/v1".to_owned())
        );
        let endpoint = wanted.endpoint.unwrap();
        assert_eq!(endpoint.url(), "https://127.0.0.1:8443");
        assert_eq!(endpoint.server_name, "svc.ns.svc");
        assert_eq!(endpoint.ca_bundle.as_deref(), Some(&b"abc"[..]));
        let no_port = read(&api_service(|object| object["spec"]["service"]["port"] = Value::Null)).unwrap();
        assert_eq!(no_port.endpoint.unwrap().url(), "https://127.0.0.1:443");
    }

    #[test]
    fn what_cannot_be_a_backend_has_its_reason() {
        let reason = |change: fn(&mut Value)| {
            read(&api_service(change)).unwrap().endpoint.map_err(|why| (why.reason(), why.to_string()))
        };
        let (reason_text, message) = reason(|o| o["spec"]["service"]["name"] = "other".into()).unwrap_err();
        assert_eq!(reason_text, "ServiceNotFound");
        assert!(message.starts_with("service/other in \"ns\" is not present"), "{message}");
        assert_eq!(reason(|o| o["spec"]["service"]["port"] = 0.into()).unwrap_err().0, "ServicePortError");
        assert_eq!(
            reason(|o| o["spec"]["service"]["port"] = 65536.into()).unwrap_err().0,
            "ServicePortError"
        );
        assert_eq!(reason(|o| o["spec"]["caBundle"] = "%".into()).unwrap_err().0, "FailedDiscoveryCheck");
        let (_, untrusted) = reason(|o| o["spec"]["caBundle"] = Value::Null).unwrap_err();
        assert!(untrusted.contains("spec.caBundle is missing"), "{untrusted}");
        assert!(
            reason(|o| o["spec"] = json!({
                "group": "example.io", "version": "v1", "insecureSkipTLSVerify": true,
                "service": {"namespace": "ns", "name": "svc"},
            }))
            .is_ok()
        );
    }

    #[test]
    fn local_and_misnamed_ones_are_no_business_of_ours() {
        let none = |change: fn(&mut Value)| assert_eq!(read(&api_service(change)), None);
        none(|o| o["spec"]["service"] = Value::Null);
        none(|o| o["metadata"]["name"] = "v2.example.io".into());
        none(|o| {
            o["metadata"]["name"] = "v1/x.example.io".into();
            o["spec"]["version"] = "v1/x".into();
        });
        none(|o| {
            o["metadata"]["name"] = "v1.".into();
            o["spec"]["group"] = "".into();
        });
        assert_eq!(read(&json!("no object")), None);
    }
}
