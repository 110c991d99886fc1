//! Names of kinds and resources: a group, a version in it, and a kind or resource in that.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A group and version, written `group/version`, or `version` alone for the core group (`v1`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupVersion {
    /// The API group; empty for the core group.
    pub group: Arc<str>,
    /// The version in the group, such as `v1` or `v0alpha1`.
    pub version: Arc<str>,
}

impl GroupVersion {
    /// Names `version` of `group`; the core group is `""`.
    pub fn new(group: impl Into<Arc<str>>, version: impl Into<Arc<str>>) -> Self {
        Self { group: group.into(), version: version.into() }
    }

    /// Where the group-version is served: `/api/v1` for the core group, else `/apis/GROUP/VERSION`.
    pub fn path(&self) -> String {
        if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        }
    }

    /// The name of the APIService that stands for this group-version: `VERSION.GROUP`, and `v1.` for core.
    pub fn api_service_name(&self) -> String {
        format!("{}.{}", self.version, self.group)
    }

    /// This group-version's `kind`.
    pub fn kind(&self, kind: impl Into<Arc<str>>) -> GroupVersionKind {
        GroupVersionKind { group: self.group.clone(), version: self.version.clone(), kind: kind.into() }
    }
}

impl fmt::Display for GroupVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            f.write_str(&self.version)
        } else {
            write!(f, "{}/{}", self.group, self.version)
        }
    }
}

impl FromStr for GroupVersion {
    type Err = String;

    /// Reads an `apiVersion` value.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            None if !text.is_empty() => Ok(Self::new("", text)),
            Some((group, version)) if !group.is_empty() && !version.is_empty() && !version.contains('/') => {
                Ok(Self::new(group, version))
            }
            _ => Err(format!("unexpected GroupVersion string: {text}")),
        }
    }
}

/// A group, version and kind: the type of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupVersionKind {
    /// The API group; empty for the core group.
    pub group: Arc<str>,
    /// The version in the group.
    pub version: Arc<str>,
    /// The kind, in CamelCase.
    pub kind: Arc<str>,
}

impl GroupVersionKind {
    /// The `apiVersion` of objects of this kind.
    pub fn group_version(&self) -> GroupVersion {
        GroupVersion { group: self.group.clone(), version: self.version.clone() }
    }
}

/// A group, version and resource (the plural in the path).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupVersionResource {
    /// The API group; empty for the core group.
    pub group: Arc<str>,
    /// The version in the group.
    pub version: Arc<str>,
    /// The plural name in the path, such as `configmaps`.
    pub resource: Arc<str>,
}

impl GroupVersionResource {
    /// The group and version of the resource.
    pub fn group_version(&self) -> GroupVersion {
        GroupVersion { group: self.group.clone(), version: self.version.clone() }
    }
}

/// `resource` alone for the core group, else `resource.group`: the form in error messages.
pub fn qualified_resource(group: &str, resource: &str) -> String {
    if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_version_reads_and_prints_alike() {
        for text in ["v1", "apps/v1", "example.io/v0alpha1"] {
            assert_eq!(text.parse::<GroupVersion>().unwrap().to_string(), text);
        }
        for text in ["", "/v1", "apps/", "a/b/c"] {
            assert!(text.parse::<GroupVersion>().is_err(), "{text:?} must be refused");
        }
    }

    #[test]
    fn the_core_group_has_a_path_of_its_own() {
        assert_eq!(GroupVersion::new("", "v1").path(), "/api/v1");
        assert_eq!(GroupVersion::new("apps", "v1").path(), "/apis/apps/v1");
        assert_eq!(GroupVersion::new("", "v1").api_service_name(), "v1.");
    }
}
