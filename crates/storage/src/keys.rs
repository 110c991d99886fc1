//! The layout of keys: etcd's, with a separator after every part, so that a prefix never matches half a name.
//!
//! `/registry/GROUP/RESOURCE/CLUSTER/NAMESPACE/NAME`, and without `NAMESPACE/` when cluster-scoped.

/// Where all objects live.
pub const ROOT: &str = "/registry/";

/// The part that stands for the core group, whose name is empty.
const CORE: &str = "core";

/// The prefix of a resource in a logical cluster; ends with `/`.
///
/// ```
/// use detectviz_storage::keys::resource_prefix;
/// assert_eq!(resource_prefix("", "configmaps", "root"), "/registry/core/configmaps/root/");
/// ```
pub fn resource_prefix(group: &str, resource: &str, cluster: &str) -> String {
    let group = if group.is_empty() { CORE } else { group };
    format!("{ROOT}{group}/{resource}/{cluster}/")
}

/// The prefix of one namespace inside a resource; ends with `/`.
pub fn namespace_prefix(resource_prefix: &str, namespace: &str) -> String {
    format!("{resource_prefix}{namespace}/")
}

/// The key of an object; `namespace` is absent for a cluster-scoped one.
pub fn object_key(resource_prefix: &str, namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) => format!("{resource_prefix}{namespace}/{name}"),
        None => format!("{resource_prefix}{name}"),
    }
}

/// The resource prefix that a key of this layout starts with; `None` for any other key.
pub fn prefix_of(key: &str) -> Option<&str> {
    let rest = key.strip_prefix(ROOT)?;
    let (end, _) = rest.match_indices('/').nth(2)?;
    let prefix = &key[..ROOT.len() + end + 1];
    (key.len() > prefix.len()).then_some(prefix)
}

/// The group and the plural that a resource prefix stands for; the core group is empty.
pub fn resource_of(prefix: &str) -> Option<(&str, &str)> {
    let mut parts = prefix.strip_prefix(ROOT)?.split('/');
    let (group, resource) = (parts.next()?, parts.next()?);
    Some((if group == CORE { "" } else { group }, resource))
}

/// Whether a key lies under `within`, a prefix that ends with `/`, or is `within`.
pub fn is_within(key: &str, within: &str) -> bool {
    if within.ends_with('/') { key.starts_with(within) } else { key == within }
}

/// All that a key of a resource lies within, the widest first: the resource's prefix, its namespace, and itself.
pub fn scopes<'a>(resource_prefix: &str, key: &'a str) -> impl Iterator<Item = &'a str> + use<'a> {
    let start = resource_prefix.len().saturating_sub(1);
    let ends = key.match_indices('/').map(|(at, _)| at + 1).skip_while(move |end| *end <= start);
    ends.chain([key.len()]).map(|end| &key[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_resource() {
        let prefix = resource_prefix("apps.example.io", "widgets", "root");
        let namespaced = object_key(&prefix, Some("default"), "a");
        assert_eq!(namespaced, "/registry/apps.example.io/widgets/root/default/a");
        assert_eq!(prefix_of(&namespaced), Some(prefix.as_str()));
        assert_eq!(prefix_of(&object_key(&prefix, None, "a")), Some(prefix.as_str()));
        assert!(namespaced.starts_with(&namespace_prefix(&prefix, "default")));
    }

    #[test]
    fn a_key_lies_within_its_resource_its_namespace_and_itself() {
        let prefix = resource_prefix("", "configmaps", "root");
        let namespaced = object_key(&prefix, Some("default"), "a");
        let namespace = namespace_prefix(&prefix, "default");
        assert_eq!(scopes(&prefix, &namespaced).collect::<Vec<_>>(), [&*prefix, &*namespace, &*namespaced]);
        let cluster_scoped = object_key(&prefix, None, "a");
        assert_eq!(scopes(&prefix, &cluster_scoped).collect::<Vec<_>>(), [&*prefix, &*cluster_scoped]);
        assert!(scopes(&prefix, &namespaced).all(|scope| is_within(&namespaced, scope)));
        assert!(!is_within(&format!("{namespaced}b"), &namespaced));
        assert_eq!(resource_of(&prefix), Some(("", "configmaps")));
        assert_eq!(resource_of("/registry/a.io/b/root/"), Some(("a.io", "b")));
    }

    #[test]
    fn other_keys_belong_to_no_resource() {
        for key in ["", "/registry/", "/registry/a/b/c", "/registry/a/b/c/", "/other/a/b/c/d"] {
            assert_eq!(prefix_of(key), None, "{key}");
        }
    }
}
