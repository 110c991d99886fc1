//! What a remote APIService asks for, as plain data: two equal values ask for the same, so nothing is rebuilt.

mod endpoint;

pub(crate) use endpoint::{Address, Endpoint};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use detectviz_api::{GroupVersion, meta, names};
use serde_json::Value;

use crate::error::Unavailable;

/// The port of a service that names none.
const DEFAULT_PORT: i64 = 443;

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
}

impl Wanted {
    /// Reads an APIService; `host_of` gives the `spec.host` of the `ExternalName` of a namespace and name. `None` for a
    /// local one, and for one whose name is not that of its group-version: such a one stands for nothing.
    pub(crate) fn read(api_service: &Value, host_of: impl Fn(&str, &str) -> Option<String>) -> Option<Self> {
        let spec = &api_service["spec"];
        let service = spec["service"].as_object()?;
        let group_version = group_version(api_service)?;
        let text = |field: &str| service.get(field).and_then(Value::as_str).unwrap_or_default();
        let port = service.get("port").and_then(Value::as_i64).unwrap_or(DEFAULT_PORT);
        let number = |field: &str| spec[field].as_i64().unwrap_or_default();
        Some(Self {
            name: meta::name(api_service).to_owned(),
            group_version,
            priority: (number("groupPriorityMinimum"), number("versionPriority")),
            endpoint: endpoint(spec, (text("namespace"), text("name"), port), host_of),
        })
    }
}

fn group_version(api_service: &Value) -> Option<GroupVersion> {
    let text = |field: &str| api_service["spec"][field].as_str();
    let (group, version) = (text("group")?, text("version")?);
    names::check_dns_subdomain(group).ok()?;
    names::check_dns_label(version).ok()?;
    let gv = GroupVersion::new(group, version);
    (gv.api_service_name() == meta::name(api_service)).then_some(gv)
}

fn endpoint(
    spec: &Value,
    (namespace, name, port): (&str, &str, i64),
    host_of: impl Fn(&str, &str) -> Option<String>,
) -> Result<Endpoint, Unavailable> {
    let owned = || (namespace.to_owned(), name.to_owned());
    let host = host_of(namespace, name).filter(|host| !host.is_empty()).ok_or_else(|| {
        let (namespace, name) = owned();
        Unavailable::ServiceNotFound { namespace, name }
    })?;
    let port = u16::try_from(port).ok().filter(|port| *port > 0).ok_or_else(|| {
        let (namespace, name) = owned();
        Unavailable::ServicePort { namespace, name, port }
    })?;
    let mut endpoint = Endpoint {
        addresses: vec![Address::Tcp { host: bare(&host).to_owned(), port }],
        server_name: format!("{name}.{namespace}.svc"),
        ca_bundle: None,
        insecure: spec["insecureSkipTLSVerify"].as_bool().unwrap_or_default(),
    };
    endpoint.ca_bundle = ca_bundle(spec).map_err(|why| Unavailable::Backend {
        url: endpoint.url(),
        why: format!("read spec.caBundle: {why}"),
    })?;
    Ok(endpoint)
}

/// An IPv6 address may come in brackets.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
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
        Wanted::read(object, |namespace, name| {
            (namespace == "ns" && name == "svc").then(|| "127.0.0.1".to_owned())
        })
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
