//! What an API group brings when it is installed: its definitions.

use detectviz_api::GroupVersion;
use detectviz_api::definition::Definition;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One API group, ready to be installed locally.
#[derive(Clone, Debug)]
pub struct ApiGroupBuilder {
    /// The group's name; empty for the core group.
    pub group: String,
    /// Where it stands among groups in discovery; greater comes first.
    pub priority: i64,
    /// Its resources.
    pub definitions: Vec<Arc<Definition>>,
}

impl ApiGroupBuilder {
    /// The group-versions that the definitions serve.
    pub fn group_versions(&self) -> BTreeSet<GroupVersion> {
        let versions = self.definitions.iter().flat_map(|definition| &definition.versions);
        let served = versions.filter(|version| version.served);
        served.map(|version| GroupVersion::new(self.group.as_str(), version.name.as_str())).collect()
    }
}
