//! What a plugin is told of a call's surroundings: organisation, user, versions. Nothing of the client's request goes
//! along: no header, no cookie, no credential (CVE-2022-31130).

use std::collections::BTreeMap;

use detectviz_api::Identity;
use detectviz_api::identity::SYSTEM_MASTERS;
use detectviz_pluginv2::proto::{DataSourceInstanceSettings, PluginContext, User};

use crate::plugin::{GRAFANA_VERSION, Manifest, go_arch, go_os};

/// The bounds that SQL plugins insist on, Grafana's defaults. A constant: a plugin rebuilds its instances whenever the
/// configuration differs by a byte from that of the call before.
const GRAFANA_CONFIG: [(&str, &str); 4] = [
    ("GF_SQL_MAX_CONN_LIFETIME_SECONDS_DEFAULT", "14400"),
    ("GF_SQL_MAX_IDLE_CONNS_DEFAULT", "100"),
    ("GF_SQL_MAX_OPEN_CONNS_DEFAULT", "100"),
    ("GF_SQL_ROW_LIMIT", "1000000"),
];

/// Why a namespace stands for no organisation.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NamespaceError {
    /// Organisation 1 has another name.
    #[error("read namespace {0:?}: organisation 1 is the namespace \"default\"")]
    First(String),
    /// The part behind the prefix is no number.
    #[error("read namespace {0:?}: org-N needs a number above 1, stacks-N and stack-N any number")]
    Number(String),
}

/// The organisation that a namespace stands for; -1 is none. Grafana's rule.
pub(crate) fn org_id(namespace: &str) -> Result<i64, NamespaceError> {
    let number = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| text.parse::<i64>().ok()).flatten();
        number.ok_or_else(|| NamespaceError::Number(namespace.to_owned()))
    };
    if namespace == "default" {
        return Ok(1);
    }
    if let Some(id) = namespace.strip_prefix("org-") {
        return match number(id)? {
            0 => Err(NamespaceError::Number(namespace.to_owned())),
            1 => Err(NamespaceError::First(namespace.to_owned())),
            id => Ok(id),
        };
    }
    match namespace.strip_prefix("stacks-").or_else(|| namespace.strip_prefix("stack-")) {
        Some(id) => number(id).map(|_| 1),
        None => Ok(-1),
    }
}

/// The context of a call for `identity` in `namespace`.
pub(crate) fn plugin_context(
    identity: &Identity,
    namespace: &str,
    manifest: &Manifest,
    settings: DataSourceInstanceSettings,
) -> Result<PluginContext, NamespaceError> {
    Ok(PluginContext {
        org_id: org_id(namespace)?,
        plugin_id: manifest.id.clone(),
        user: Some(user(identity)),
        data_source_instance_settings: Some(settings),
        grafana_config: grafana_config(),
        plugin_version: manifest.version.clone(),
        user_agent: format!("Grafana/{GRAFANA_VERSION} ({}; {})", go_os(), go_arch()),
        namespace: namespace.to_owned(),
        ..PluginContext::default()
    })
}

fn user(identity: &Identity) -> User {
    let role = if identity.is_in(SYSTEM_MASTERS) { "Admin" } else { "Viewer" };
    let name = || identity.name.clone();
    User { login: name(), name: name(), email: String::new(), role: role.to_owned() }
}

fn grafana_config() -> BTreeMap<String, String> {
    GRAFANA_CONFIG.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_stand_for_organisations() {
        for (namespace, id) in [
            ("default", 1),
            ("org-2", 2),
            ("org-31", 31),
            ("stacks-7", 1),
            ("stack-7", 1),
            ("kube-system", -1),
            ("organic", -1),
        ] {
            assert_eq!(org_id(namespace), Ok(id), "{namespace}");
        }
        assert_eq!(org_id("org-1"), Err(NamespaceError::First("org-1".into())));
        for namespace in ["org-0", "org-x", "org-", "org-+2", "stacks-x", "stacks-", "stack-1a"] {
            assert!(matches!(org_id(namespace), Err(NamespaceError::Number(_))), "{namespace}");
        }
    }

    #[test]
    fn only_masters_are_admins() {
        assert_eq!(user(&Identity::loopback()).role, "Admin");
        let viewer = user(&Identity::authenticated("jo", []));
        assert_eq!((viewer.login.as_str(), viewer.role.as_str()), ("jo", "Viewer"));
    }
}
