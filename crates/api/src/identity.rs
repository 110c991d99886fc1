//! Who is asking: a name and groups, as an authenticator found them. Nothing here comes from a client's word.

use std::collections::BTreeMap;

/// The group that may do everything.
pub const SYSTEM_MASTERS: &str = "system:masters";
/// The group of every caller that proved who it is.
pub const SYSTEM_AUTHENTICATED: &str = "system:authenticated";
/// The group of every caller that did not.
pub const SYSTEM_UNAUTHENTICATED: &str = "system:unauthenticated";
/// The name of a caller that did not say who it is.
pub const SYSTEM_ANONYMOUS: &str = "system:anonymous";
/// The name of the server itself, when it calls its own API.
pub const SYSTEM_APISERVER: &str = "system:apiserver";

/// An authenticated (or anonymous) caller. Upstream's `user.Info`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user name.
    pub name: String,
    /// A stable id that survives renames; empty when the authenticator knows none.
    pub uid: String,
    /// The groups, in the order the authenticator gave.
    pub groups: Vec<String>,
    /// Further claims, each with its values.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl Identity {
    /// A caller with a proven name: `groups` plus `system:authenticated`.
    pub fn authenticated(name: impl Into<String>, groups: impl IntoIterator<Item = String>) -> Self {
        let mut groups: Vec<String> = groups.into_iter().collect();
        if !groups.iter().any(|group| group == SYSTEM_AUTHENTICATED) {
            groups.push(SYSTEM_AUTHENTICATED.to_owned());
        }
        Self { name: name.into(), uid: String::new(), groups, extra: BTreeMap::new() }
    }

    /// A caller that presented no credentials.
    pub fn anonymous() -> Self {
        Self {
            name: SYSTEM_ANONYMOUS.to_owned(),
            uid: String::new(),
            groups: vec![SYSTEM_UNAUTHENTICATED.to_owned()],
            extra: BTreeMap::new(),
        }
    }

    /// The server itself, on its in-process loopback.
    pub fn loopback() -> Self {
        Self::authenticated(SYSTEM_APISERVER, [SYSTEM_MASTERS.to_owned()])
    }

    /// Whether the caller is in `group`.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|have| have == group)
    }

    /// Whether the caller proved nothing about itself.
    pub fn is_anonymous(&self) -> bool {
        self.is_in(SYSTEM_UNAUTHENTICATED)
    }
}
