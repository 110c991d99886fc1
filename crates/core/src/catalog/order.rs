//! The order in which discovery lists groups, and versions in them: clients prefer what comes first.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;

use super::Entries;
use super::published::Published;

/// A group with its versions, most preferred first; there is at least one.
pub(super) struct Group<'a> {
    pub(super) name: &'a str,
    pub(super) versions: Vec<&'a Published>,
}

impl<'a> Group<'a> {
    /// The group of `versions`, which are in any order.
    pub(super) fn new(name: &'a str, mut versions: Vec<&'a Published>) -> Self {
        versions.sort_by(|a, b| {
            let version = |one: &Published| (one.entry.priority.1, rank(&one.entry.group_version.version));
            version(b).cmp(&version(a)).then_with(|| by_name(a, b))
        });
        Self { name, versions }
    }

    fn priority(&self) -> Option<i64> {
        self.versions.iter().map(|published| published.entry.priority.0).max()
    }
}

fn by_name(a: &Published, b: &Published) -> Ordering {
    a.entry.group_version.version.cmp(&b.entry.group_version.version)
}

/// All groups that pass, greatest priority first, then by name.
pub(super) fn groups(entries: &Entries, passes: impl Fn(&str) -> bool) -> Vec<Group<'_>> {
    let mut groups: BTreeMap<&str, Vec<&Published>> = BTreeMap::new();
    for (gv, published) in entries.iter().filter(|(gv, _)| passes(&gv.group)) {
        groups.entry(&gv.group).or_default().push(published);
    }
    let mut groups: Vec<_> = groups.into_iter().map(|(name, versions)| Group::new(name, versions)).collect();
    groups.sort_by_key(|group| Reverse(group.priority()));
    groups
}

/// How stable a version is, and its numbers: Kubernetes prefers `v2` to `v1` to `v2beta1` to `v1alpha3`, and those to
/// names of any other form.
fn rank(version: &str) -> (u8, u64, u64) {
    let number =
        |text: &str| text.parse::<u64>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let Some(rest) = version.strip_prefix('v') else { return (0, 0, 0) };
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (major, stage) = rest.split_at(digits);
    let Some(major) = number(major) else { return (0, 0, 0) };
    let staged = |stage: &str, of: u8| Some((of, major, number(stage)?));
    let found = match (stage, stage.strip_prefix("beta"), stage.strip_prefix("alpha")) {
        ("", ..) => Some((3, major, 0)),
        (_, Some(beta), _) => staged(beta, 2),
        (_, _, Some(alpha)) => staged(alpha, 1),
        _ => None,
    };
    found.unwrap_or((0, 0, 0))
}

#[cfg(test)]
mod tests {
    use super::rank;

    #[test]
    fn versions_are_ranked_as_kubernetes_does() {
        let ordered = [
            "v10",
            "v2",
            "v1",
            "v11beta2",
            "v10beta3",
            "v3beta1",
            "v1beta10",
            "v1beta2",
            "v12alpha1",
            "v11alpha2",
        ];
        assert!(ordered.is_sorted_by(|a, b| rank(a) > rank(b)));
        for other in ["foo1", "v", "v1gamma1", "v1beta", "v+1", "1"] {
            assert_eq!(rank(other), (0, 0, 0), "{other}");
        }
    }
}
