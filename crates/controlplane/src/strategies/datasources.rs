//! DataSources: the settings of a plugin; only the address is of a form that every plugin shares.

use detectviz_api::Cause;
use detectviz_server::strategy::Strategy;
use serde_json::Value;

use super::causes::invalid;
use super::text;

pub(super) struct DataSources;

impl Strategy for DataSources {
    fn validate(&self, object: &Value) -> Vec<Cause> {
        let url = text(object, "/spec/url");
        if url.is_empty() || is_http(url) {
            return Vec::new();
        }
        vec![invalid("spec.url", url, "must be an http or https URL (e.g. 'https://example.com:9090/path')")]
    }
}

/// Whether `url` has the scheme http or https, and a host behind it.
fn is_http(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let is_scheme = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_clean = !url.contains(|c: char| c.is_whitespace() || c.is_control());
    is_scheme && is_clean && !host.is_empty() && !host.starts_with(':')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_address_is_an_http_url() {
        for (url, allowed) in [
            ("", true),
            ("http://localhost:9090", true),
            ("HTTPS://example.com/a?b", true),
            ("http://[::1]:80/", true),
            ("localhost:9090", false),
            ("ftp://example.com", false),
            ("http://", false),
            ("http:///x", false),
            ("http://:80", false),
            ("http://a b", false),
        ] {
            let object = json!({"spec": {"type": "t", "url": url}});
            assert_eq!(DataSources.validate(&object).is_empty(), allowed, "{url}");
        }
        assert!(DataSources.validate(&json!({"spec": {"type": "t"}})).is_empty());
    }
}
