//! ExternalNames: a host and nothing else, since the port is the caller's and the scheme is always TLS.

use detectviz_api::Cause;
use detectviz_api::names::check_dns_subdomain;
use detectviz_server::strategy::Strategy;
use serde_json::Value;
use std::net::IpAddr;

use super::causes::invalid;
use super::text;

pub(super) struct ExternalNames;

impl Strategy for ExternalNames {
    fn validate(&self, object: &Value) -> Vec<Cause> {
        let host = text(object, "/spec/host");
        let is_name = || check_dns_subdomain(&host.to_ascii_lowercase()).is_ok();
        // An empty host is the schema's to refuse.
        if host.is_empty() || host.parse::<IpAddr>().is_ok() || is_name() {
            return Vec::new();
        }
        let why = "must be a DNS name or an IP address, without a scheme, a port or a path (e.g. 'example.com', \
                   or '192.0.2.1', or '2001:db8::1')";
        vec![invalid("spec.host", host, why)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_host_is_a_name_or_an_address() {
        for (host, allowed) in [
            ("example.com", true),
            ("Example.COM", true),
            ("localhost", true),
            ("127.0.0.1", true),
            ("::1", true),
            ("[::1]", false),
            ("https://example.com", false),
            ("example.com:443", false),
            ("example.com/x", false),
            ("a b", false),
            ("user@example.com", false),
        ] {
            let object = json!({"spec": {"host": host}});
            assert_eq!(ExternalNames.validate(&object).is_empty(), allowed, "{host}");
        }
    }
}
