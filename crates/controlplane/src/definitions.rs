//! The built-in resources as data: a file each, embedded, and read once at start.

use anyhow::Context;
use detectviz_api::definition::Definition;
use detectviz_core::ApiGroupBuilder;
use detectviz_schema::Fragments;
use std::sync::Arc;

/// The name and content of a file in `definitions/`.
macro_rules! file {
    ($name:literal) => {
        (concat!("definitions/", $name), include_str!(concat!("../definitions/", $name)))
    };
}

/// Every definition, in the order in which groups, and resources in them, are installed.
const FILES: [(&str, &str); 22] = [
    file!("namespaces.yaml"),
    file!("configmaps.yaml"),
    file!("secrets.yaml"),
    file!("serviceaccounts.yaml"),
    file!("services.yaml"),
    file!("endpoints.yaml"),
    file!("resourcequotas.yaml"),
    file!("limitranges.yaml"),
    file!("events.yaml"),
    file!("events.events.k8s.io.yaml"),
    file!("leases.yaml"),
    file!("endpointslices.yaml"),
    file!("apiservices.yaml"),
    file!("tokenreviews.yaml"),
    file!("selfsubjectreviews.yaml"),
    file!("subjectaccessreviews.yaml"),
    file!("localsubjectaccessreviews.yaml"),
    file!("selfsubjectaccessreviews.yaml"),
    file!("selfsubjectrulesreviews.yaml"),
    file!("externalnames.yaml"),
    file!("dataplaneservices.yaml"),
    file!("datasources.yaml"),
];

/// The schemas that definitions share.
const FRAGMENTS: (&str, &str) = file!("fragments.yaml");

/// The built-in API groups with their definitions, in a stable order.
///
/// # Errors
/// When a file is no definition; the error names the file.
pub fn groups() -> anyhow::Result<Vec<ApiGroupBuilder>> {
    let mut groups: Vec<ApiGroupBuilder> = Vec::new();
    for (file, text) in FILES {
        let definition: Definition =
            yaml_serde::from_str(text).with_context(|| format!("read definition {file}"))?;
        let definition = Arc::new(definition);
        match groups.iter_mut().find(|builder| builder.group == definition.group) {
            Some(builder) => builder.definitions.push(definition),
            None => groups.push(ApiGroupBuilder {
                group: definition.group.clone(),
                priority: priority(&definition.group).0,
                definitions: vec![definition],
            }),
        }
    }
    Ok(groups)
}

/// The schemas that the definitions name in `$ref`.
///
/// # Errors
/// When the file is no map of schemas; the error names the file.
pub fn fragments() -> anyhow::Result<Fragments> {
    let (file, text) = FRAGMENTS;
    yaml_serde::from_str(text).with_context(|| format!("read schema fragments {file}"))
}

/// The priorities of the group and of the version that a local APIService says: the core group as upstream has it,
/// then upstream's other groups, then all others, as discovery lists them.
pub(crate) fn priority(group: &str) -> (i64, i64) {
    match group {
        "" => (18_000, 1),
        group if group.ends_with(".k8s.io") => (17_000, 15),
        _ => (1000, 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use detectviz_schema::Compiled;

    #[test]
    fn every_definition_compiles_and_has_its_place() {
        let fragments = fragments().unwrap();
        let groups = groups().unwrap();
        let mut served = Vec::new();
        for builder in &groups {
            for definition in &builder.definitions {
                Compiled::new(Definition::clone(definition), &fragments).unwrap();
                served.push(format!("{}/{}", definition.group, definition.names.plural));
            }
        }
        assert_eq!(
            served,
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
                "service.grafana.app/externalnames",
                "aggregation.grafana.app/dataplaneservices",
                "datasource.detectviz.io/datasources",
            ]
        );
    }

    #[test]
    fn every_file_of_the_folder_is_in_the_table() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/definitions");
        let mut there: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| format!("definitions/{}", entry.unwrap().file_name().into_string().unwrap()))
            .collect();
        let mut known: Vec<_> = FILES.iter().chain([&FRAGMENTS]).map(|(file, _)| *file).collect();
        there.sort_unstable();
        known.sort_unstable();
        assert_eq!(there, known);
    }
}
