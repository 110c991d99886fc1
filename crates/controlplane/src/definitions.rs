//! The built-in resources as data: a file each, embedded as the JSON that `build.rs` makes of it, and read once at start.

use anyhow::Context;
use detectviz_api::GroupVersion;
use detectviz_api::definition::Definition;
use detectviz_core::ApiGroupBuilder;
use detectviz_schema::Fragments;
use std::sync::Arc;

/// The name of a file in `definitions/`, and what it says.
macro_rules! file {
    ($name:literal) => {
        (
            concat!("definitions/", $name, ".yaml"),
            include_str!(concat!(env!("OUT_DIR"), "/definitions/", $name, ".json")),
        )
    };
}

/// Every definition, in the order in which groups, and resources in them, are installed.
const FILES: [(&str, &str); 33] = [
    file!("namespaces"),
    file!("configmaps"),
    file!("secrets"),
    file!("serviceaccounts"),
    file!("services"),
    file!("endpoints"),
    file!("resourcequotas"),
    file!("limitranges"),
    file!("events"),
    file!("events.events.k8s.io"),
    file!("pods"),
    file!("nodes"),
    file!("podtemplates"),
    file!("leases"),
    file!("endpointslices"),
    file!("apiservices"),
    file!("tokenreviews"),
    file!("selfsubjectreviews"),
    file!("subjectaccessreviews"),
    file!("localsubjectaccessreviews"),
    file!("selfsubjectaccessreviews"),
    file!("selfsubjectrulesreviews"),
    // Extension API servers watch these; see `strategies/unserved.rs`.
    file!("mutatingwebhookconfigurations"),
    file!("validatingwebhookconfigurations"),
    file!("validatingadmissionpolicies"),
    file!("validatingadmissionpolicybindings"),
    file!("mutatingadmissionpolicies"),
    file!("mutatingadmissionpolicybindings"),
    file!("flowschemas"),
    file!("prioritylevelconfigurations"),
    file!("externalnames"),
    file!("dataplaneservices"),
    file!("datasources"),
];

/// The workloads that this server keeps and nothing runs, for those who test what works with them. Nothing of these
/// files is read unless they are asked for.
const BATTERIES: [(&str, &str); 18] = [
    file!("batteries/deployments"),
    file!("batteries/replicasets"),
    file!("batteries/statefulsets"),
    file!("batteries/daemonsets"),
    file!("batteries/controllerrevisions"),
    file!("batteries/jobs"),
    file!("batteries/cronjobs"),
    file!("batteries/replicationcontrollers"),
    file!("batteries/persistentvolumes"),
    file!("batteries/persistentvolumeclaims"),
    file!("batteries/horizontalpodautoscalers"),
    file!("batteries/poddisruptionbudgets"),
    file!("batteries/ingresses"),
    file!("batteries/ingressclasses"),
    file!("batteries/networkpolicies"),
    file!("batteries/priorityclasses"),
    file!("batteries/storageclasses"),
    file!("batteries/runtimeclasses"),
];

/// The schemas that definitions share.
const FRAGMENTS: [(&str, &str); 6] = [
    file!("fragments"),
    file!("fragments/pods"),
    file!("fragments/containers"),
    file!("fragments/volumes"),
    file!("fragments/selection"),
    file!("fragments/nodes"),
];

/// The schemas that the definitions of batteries share, besides.
const BATTERY_FRAGMENTS: [(&str, &str); 7] = [
    file!("batteries/fragments/core"),
    file!("batteries/fragments/apps"),
    file!("batteries/fragments/batch"),
    file!("batteries/fragments/autoscaling"),
    file!("batteries/fragments/policy"),
    file!("batteries/fragments/networking"),
    file!("batteries/fragments/node"),
];

/// Which of the built-in resources are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Those that are always installed.
    Always,
    /// The batteries too.
    Batteries,
}

impl Extent {
    /// With the batteries, or without.
    pub fn of(batteries: bool) -> Self {
        if batteries { Self::Batteries } else { Self::Always }
    }
}

/// The built-in API groups that are always installed, with their definitions, in a stable order.
///
/// # Errors
/// When a file is no definition; the error names the file.
pub fn groups() -> anyhow::Result<Vec<ApiGroupBuilder>> {
    groups_of(Extent::Always)
}

/// The built-in API groups of that extent with their definitions, in a stable order.
///
/// # Errors
/// When a file is no definition; the error names the file.
pub fn groups_of(extent: Extent) -> anyhow::Result<Vec<ApiGroupBuilder>> {
    let mut groups: Vec<ApiGroupBuilder> = Vec::new();
    for (file, text) in files(extent, &FILES, &BATTERIES) {
        let definition: Definition =
            serde_json::from_str(text).with_context(|| format!("read definition {file}"))?;
        let definition = Arc::new(definition);
        match groups.iter_mut().find(|builder| builder.group == definition.group) {
            Some(builder) => builder.definitions.push(definition),
            None => groups.push(ApiGroupBuilder {
                group: definition.group.clone(),
                priority: group_priority(&definition.group),
                definitions: vec![definition],
            }),
        }
    }
    Ok(groups)
}

/// The schemas that the definitions of that extent name in `$ref`.
///
/// # Errors
/// When a file is no map of schemas; the error names the file.
pub fn fragments_of(extent: Extent) -> anyhow::Result<Fragments> {
    let mut all = Fragments::new();
    for (file, text) in files(extent, &FRAGMENTS, &BATTERY_FRAGMENTS) {
        let fragments: Fragments =
            serde_json::from_str(text).with_context(|| format!("read schema fragments {file}"))?;
        all.extend(fragments);
    }
    Ok(all)
}

/// The schemas that the definitions that are always installed name in `$ref`.
///
/// # Errors
/// When a file is no map of schemas; the error names the file.
pub fn fragments() -> anyhow::Result<Fragments> {
    fragments_of(Extent::Always)
}

type File = (&'static str, &'static str);

fn files<'a>(extent: Extent, always: &'a [File], batteries: &'a [File]) -> impl Iterator<Item = &'a File> {
    let batteries = if extent == Extent::Batteries { batteries } else { &[] };
    always.iter().chain(batteries)
}

/// Where a group-version that is served here stands in discovery: the priority of its group among groups, and its own in
/// the group, as its local APIService says. Those of Kubernetes' groups are kube-apiserver's, so that clients see one
/// order everywhere; all others come behind them.
pub fn priority(gv: &GroupVersion) -> (i64, i64) {
    let version = match (&*gv.group, &*gv.version) {
        ("", _) => 1,
        ("autoscaling", "v2") => 30,
        ("flowcontrol.apiserver.k8s.io", "v1") => 21,
        ("flowcontrol.apiserver.k8s.io", "v1beta3") => 18,
        ("flowcontrol.apiserver.k8s.io", "v1beta1") => 12,
        _ => 15,
    };
    (group_priority(&gv.group), version)
}

fn group_priority(group: &str) -> i64 {
    match group {
        "apiregistration.k8s.io" => 20_000,
        "" => 18_000,
        "apps" => 17_800,
        "events.k8s.io" => 17_750,
        "authentication.k8s.io" => 17_700,
        "authorization.k8s.io" => 17_600,
        "autoscaling" => 17_500,
        "batch" => 17_400,
        "certificates.k8s.io" => 17_300,
        "networking.k8s.io" => 17_200,
        "policy" => 17_100,
        "rbac.authorization.k8s.io" => 17_000,
        "storage.k8s.io" => 16_800,
        "apiextensions.k8s.io" | "admissionregistration.k8s.io" => 16_700,
        "scheduling.k8s.io" => 16_600,
        "coordination.k8s.io" => 16_500,
        "node.k8s.io" => 16_300,
        "discovery.k8s.io" => 16_200,
        "flowcontrol.apiserver.k8s.io" => 16_100,
        _ => 1000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use detectviz_schema::Compiled;

    fn served(extent: Extent) -> Vec<String> {
        let fragments = fragments_of(extent).unwrap();
        let mut served = Vec::new();
        for builder in &groups_of(extent).unwrap() {
            for definition in &builder.definitions {
                Compiled::built_in(Definition::clone(definition), &fragments).unwrap();
                served.push(format!("{}/{}", definition.group, definition.names.plural));
            }
        }
        served
    }

    #[test]
    fn every_definition_compiles_and_has_its_place() {
        assert_eq!(
            served(Extent::Always),
            [
                "/namespaces",
                "/configmaps",
                "/secrets",
                "/serviceaccounts",
                "/services",
                "/endpoints",
                "/resourcequotas",
                "/limitranges",
                "/events",
                "/pods",
                "/nodes",
                "/podtemplates",
                "events.k8s.io/events",
                "coordination.k8s.io/leases",
                "discovery.k8s.io/endpointslices",
                "apiregistration.k8s.io/apiservices",
                "authentication.k8s.io/tokenreviews",
                "authentication.k8s.io/selfsubjectreviews",
                "authorization.k8s.io/subjectaccessreviews",
                "authorization.k8s.io/localsubjectaccessreviews",
                "authorization.k8s.io/selfsubjectaccessreviews",
                "authorization.k8s.io/selfsubjectrulesreviews",
                "admissionregistration.k8s.io/mutatingwebhookconfigurations",
                "admissionregistration.k8s.io/validatingwebhookconfigurations",
                "admissionregistration.k8s.io/validatingadmissionpolicies",
                "admissionregistration.k8s.io/validatingadmissionpolicybindings",
                "admissionregistration.k8s.io/mutatingadmissionpolicies",
                "admissionregistration.k8s.io/mutatingadmissionpolicybindings",
                "flowcontrol.apiserver.k8s.io/flowschemas",
                "flowcontrol.apiserver.k8s.io/prioritylevelconfigurations",
                "service.grafana.app/externalnames",
                "aggregation.grafana.app/dataplaneservices",
                "datasource.detectviz.io/datasources",
            ]
        );
    }

    #[test]
    fn batteries_come_with_all_that_they_name() {
        let all = served(Extent::Batteries);
        assert_eq!(all.len(), FILES.len() + BATTERIES.len());
        for resource in
            ["/pods", "/persistentvolumes", "apps/deployments", "batch/jobs", "node.k8s.io/runtimeclasses"]
        {
            assert!(all.iter().any(|one| one == resource), "{resource}");
        }
    }

    /// In kube-apiserver's order, and with a place of its own for each of Kubernetes' groups.
    #[test]
    fn groups_stand_where_kubernetes_has_them() {
        let groups = groups_of(Extent::Batteries).unwrap();
        let versions = groups.iter().flat_map(ApiGroupBuilder::group_versions);
        let mut versions: Vec<_> = versions.map(|gv| (priority(&gv), gv.to_string())).collect();
        versions.sort_by(|a, b| b.cmp(a));
        let kubernetes = versions.iter().take_while(|((group, _), _)| *group > 1000);
        let expected = [
            "apiregistration.k8s.io/v1",
            "v1",
            "apps/v1",
            "events.k8s.io/v1",
            "authentication.k8s.io/v1",
            "authorization.k8s.io/v1",
            "autoscaling/v2",
            "batch/v1",
            "networking.k8s.io/v1",
            "policy/v1",
            "storage.k8s.io/v1",
            "admissionregistration.k8s.io/v1",
            "scheduling.k8s.io/v1",
            "coordination.k8s.io/v1",
            "node.k8s.io/v1",
            "discovery.k8s.io/v1",
            "flowcontrol.apiserver.k8s.io/v1",
            "flowcontrol.apiserver.k8s.io/v1beta3",
            "flowcontrol.apiserver.k8s.io/v1beta2",
            "flowcontrol.apiserver.k8s.io/v1beta1",
        ];
        assert_eq!(kubernetes.map(|(_, gv)| gv.as_str()).collect::<Vec<_>>(), expected);
        let mut ours = versions.iter().filter(|((group, _), _)| *group == 1000);
        assert!(ours.all(|(_, gv)| gv.contains("grafana.app") || gv.contains("detectviz.io")));
    }

    #[test]
    fn no_fragment_stands_in_two_files() {
        let mut names = std::collections::BTreeSet::new();
        for (file, text) in files(Extent::Batteries, &FRAGMENTS, &BATTERY_FRAGMENTS) {
            let fragments: Fragments = serde_json::from_str(text).unwrap();
            for name in fragments.into_keys() {
                assert!(names.insert(name.clone()), "{name} stands in {file} again");
            }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_in_the_table() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/");
        let mut there = Vec::new();
        let mut open = vec![std::path::PathBuf::from(format!("{folder}definitions"))];
        while let Some(next) = open.pop() {
            for path in std::fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
                match path.is_dir() {
                    true => open.push(path),
                    false => there.push(path.to_str().unwrap().strip_prefix(folder).unwrap().to_owned()),
                }
            }
        }
        let tables = [FILES.as_slice(), &BATTERIES, &FRAGMENTS, &BATTERY_FRAGMENTS].concat();
        let mut known: Vec<_> = tables.iter().map(|(file, _)| *file).collect();
        there.sort_unstable();
        known.sort_unstable();
        assert_eq!(there, known);
    }
}
