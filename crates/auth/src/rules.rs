//! What a caller may do, as a list: what `kubectl auth can-i --list` shows. It is told, never decided by.

use detectviz_api::Verb;

/// All that a caller may do in a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// What may be done with resources.
    pub resources: Vec<ResourceRule>,
    /// What may be done at other paths.
    pub paths: Vec<PathRule>,
}

/// Verbs that are allowed for resources; `*` stands for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceRule {
    /// The verbs.
    pub verbs: Vec<String>,
    /// The API groups of the resources.
    pub groups: Vec<String>,
    /// The resources, with a subresource behind a slash.
    pub resources: Vec<String>,
    /// The names of the objects; empty for all.
    pub names: Vec<String>,
}

/// Verbs that are allowed at paths; a path may end in `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathRule {
    /// The verbs.
    pub verbs: Vec<String>,
    /// The paths.
    pub paths: Vec<String>,
}

impl Rules {
    /// Everything, everywhere.
    pub fn everything() -> Self {
        let all = || vec!["*".to_owned()];
        let resources = ResourceRule { verbs: all(), groups: all(), resources: all(), names: Vec::new() };
        Self { resources: vec![resources], paths: vec![PathRule { verbs: all(), paths: all() }] }
    }

    /// `verbs` at `paths`.
    pub fn of_paths(verbs: &[Verb], paths: impl IntoIterator<Item = String>) -> Self {
        let verbs = verbs.iter().map(|verb| verb.as_str().to_owned()).collect();
        Self { resources: Vec::new(), paths: vec![PathRule { verbs, paths: paths.into_iter().collect() }] }
    }

    /// Adds what another authorizer allows.
    pub fn add(&mut self, other: Self) {
        self.resources.extend(other.resources);
        self.paths.extend(other.paths);
    }
}
