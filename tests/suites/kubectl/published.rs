//! What the server says of itself: resources, versions, schemas.

use super::lines;
use detectviz_tests::{Line, Server, every_line};

/// What can be asked, and is not kept.
const REVIEWS: [&str; 6] = [
    "localsubjectaccessreviews.authorization.k8s.io",
    "selfsubjectaccessreviews.authorization.k8s.io",
    "selfsubjectreviews.authentication.k8s.io",
    "selfsubjectrulesreviews.authorization.k8s.io",
    "subjectaccessreviews.authorization.k8s.io",
    "tokenreviews.authentication.k8s.io",
];

const STORED: [&str; 27] = [
    "apiservices.apiregistration.k8s.io",
    "configmaps",
    "dataplaneservices.aggregation.grafana.app",
    "datasources.datasource.detectviz.io",
    "endpoints",
    "endpointslices.discovery.k8s.io",
    "events",
    "events.events.k8s.io",
    "externalnames.service.grafana.app",
    "flowschemas.flowcontrol.apiserver.k8s.io",
    "leases.coordination.k8s.io",
    "limitranges",
    "mutatingadmissionpolicies.admissionregistration.k8s.io",
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io",
    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "namespaces",
    "nodes",
    "pods",
    "podtemplates",
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io",
    "resourcequotas",
    "secrets",
    "serviceaccounts",
    "services",
    "validatingadmissionpolicies.admissionregistration.k8s.io",
    "validatingadmissionpolicybindings.admissionregistration.k8s.io",
    "validatingwebhookconfigurations.admissionregistration.k8s.io",
];

#[test]
fn discovery_lists_resources_with_short_names_and_versions() {
    every_line(|server| {
        let resources = server.kubectl("api-resources --no-headers").ok();
        for expected in [
            ["configmaps", "cm", "v1", "true", "ConfigMap"].as_slice(),
            &["namespaces", "ns", "v1", "false", "Namespace"],
            &["events", "ev", "v1", "true", "Event"],
            &["secrets", "v1", "true", "Secret"],
            &["serviceaccounts", "sa", "v1", "true", "ServiceAccount"],
            &["services", "svc", "v1", "true", "Service"],
            &["endpoints", "ep", "v1", "true", "Endpoints"],
            &["resourcequotas", "quota", "v1", "true", "ResourceQuota"],
            &["limitranges", "limits", "v1", "true", "LimitRange"],
            &["endpointslices", "discovery.k8s.io/v1", "true", "EndpointSlice"],
            &["apiservices", "apiregistration.k8s.io/v1", "false", "APIService"],
            &["externalnames", "service.grafana.app/v0alpha1", "true", "ExternalName"],
            &["dataplaneservices", "aggregation.grafana.app/v0alpha1", "false", "DataPlaneService"],
            &["datasources", "ds", "datasource.detectviz.io/v0alpha1", "true", "DataSource"],
        ] {
            let mut rows = resources.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            assert!(rows.any(|row| row == expected), "no {expected:?} in\n{resources}");
        }
        let versions = server.kubectl("api-versions").ok();
        let expected = [
            "admissionregistration.k8s.io/v1",
            "aggregation.grafana.app/v0alpha1",
            "apiregistration.k8s.io/v1",
            "authentication.k8s.io/v1",
            "authorization.k8s.io/v1",
            "coordination.k8s.io/v1",
            "datasource.detectviz.io/v0alpha1",
            "discovery.k8s.io/v1",
            "events.k8s.io/v1",
            "flowcontrol.apiserver.k8s.io/v1",
            "flowcontrol.apiserver.k8s.io/v1beta1",
            "flowcontrol.apiserver.k8s.io/v1beta2",
            "flowcontrol.apiserver.k8s.io/v1beta3",
            "service.grafana.app/v0alpha1",
            "v1",
        ];
        assert_eq!(lines(&versions), expected);
    });
}

fn resources(server: &Server, filter: &str) -> Vec<String> {
    let names = server.kubectl(&format!("api-resources -o name {filter}")).ok();
    let mut names: Vec<_> = names.lines().map(str::to_owned).collect();
    names.sort_unstable();
    names
}

#[test]
fn resources_are_filtered_by_what_discovery_says_of_them() {
    every_line(|server| {
        let mut all = [&STORED[..], &REVIEWS].concat();
        all.sort_unstable();
        assert_eq!(resources(&server, ""), all);
        assert_eq!(resources(&server, "--verbs=create"), all);
        assert_eq!(resources(&server, "--verbs=create,delete,get,list,patch,update,watch"), STORED);
        assert!(resources(&server, "--verbs=fly").is_empty());
        let whole = resources(&server, "--verbs=deletecollection");
        let expected: Vec<_> = STORED.into_iter().filter(|name| *name != "namespaces").collect();
        assert_eq!(whole, expected);
        let cluster = [
            "apiservices.apiregistration.k8s.io",
            "dataplaneservices.aggregation.grafana.app",
            "flowschemas.flowcontrol.apiserver.k8s.io",
            "mutatingadmissionpolicies.admissionregistration.k8s.io",
            "mutatingadmissionpolicybindings.admissionregistration.k8s.io",
            "mutatingwebhookconfigurations.admissionregistration.k8s.io",
            "namespaces",
            "nodes",
            "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io",
            "validatingadmissionpolicies.admissionregistration.k8s.io",
            "validatingadmissionpolicybindings.admissionregistration.k8s.io",
            "validatingwebhookconfigurations.admissionregistration.k8s.io",
        ];
        assert_eq!(resources(&server, "--namespaced=false --verbs=get"), cluster);
        assert_eq!(
            resources(&server, "--api-group=service.grafana.app"),
            ["externalnames.service.grafana.app"]
        );
        let wide = server.kubectl("api-resources -o wide").ok();
        let row = wide.lines().find(|line| line.starts_with("configmaps")).unwrap();
        let verbs = match server.line() {
            Line::Current => "create,delete,deletecollection,get,list,patch,update,watch",
            Line::Old => "[create delete deletecollection get list patch update watch]",
        };
        assert!(row.contains(verbs), "{row}");
    });
}

#[test]
fn a_category_stands_for_its_resources() {
    every_line(|server| {
        let services = server.kubectl("get api-extensions -o name").ok();
        assert!(lines(&services).contains(&"apiservice.apiregistration.k8s.io/v1."), "{services}");
        assert_eq!(server.kubectl("get all").ok(), "");
        server.kubectl("create service externalname outside --external-name=example.com").ok();
        assert_eq!(server.kubectl("get all -o name").ok(), "service/outside");
        // The old line colours the address.
        let info = server.kubectl("cluster-info").ok();
        assert!(info.contains("is running at") && info.contains(server.url()), "{info}");
    });
}

/// The fields that an explanation lists, each with its depth.
fn fields(explained: &str) -> Vec<(usize, String)> {
    let fields = explained.lines().skip_while(|line| !line.starts_with("FIELDS")).skip(1);
    let fields = fields.filter(|line| line.contains('<') && line.starts_with(' '));
    let indented = |line: &str| line.len() - line.trim_start().len();
    let fields: Vec<_> =
        fields.map(|line| (indented(line), line.split_whitespace().next().unwrap().to_owned())).collect();
    let mut depths: Vec<_> = fields.iter().map(|(indent, _)| *indent).collect();
    depths.sort_unstable();
    depths.dedup();
    fields
        .into_iter()
        .map(|(indent, name)| (depths.iter().position(|have| *have == indent).unwrap(), name))
        .collect()
}

#[test]
fn every_resource_is_explained_whole_by_both_documents() {
    every_line(|server| {
        for resource in STORED {
            // The old line takes what follows a dot for a field.
            let short = resource.split('.').next().unwrap();
            let resource = match resource {
                // So does any line where a resource of the core group has the same name.
                "events.events.k8s.io" => "events --api-version=events.k8s.io/v1",
                _ if server.line() == Line::Old => short,
                whole => whole,
            };
            let explained = server.kubectl(&format!("explain {resource} --recursive")).ok();
            let found = fields(&explained);
            let names: Vec<_> = found.iter().map(|(_, name)| name.as_str()).collect();
            for name in ["apiVersion", "kind", "metadata", "ownerReferences", "blockOwnerDeletion", "uid"] {
                assert!(names.contains(&name), "{resource} has no {name}:\n{explained}");
            }
            if server.line() == Line::Current {
                let by_v2 = format!("explain {resource} --recursive --output=plaintext-openapiv2");
                assert_eq!(fields(&server.kubectl(&by_v2).ok()), found, "{resource}");
            }
            assert!(server.kubectl(&format!("explain {resource}")).ok().contains("DESCRIPTION:"));
        }
    });
}

#[test]
fn one_field_is_explained_with_its_type_and_meaning() {
    every_line(|server| {
        for (field, expected) in [
            ("configmap", "Configuration for programs to read."),
            ("configmap.binaryData", "<map[string]string>"),
            ("apiservice.spec.caBundle", "caBundle"),
            ("event.involvedObject.fieldPath", "<string>"),
            ("ns.status.conditions.lastTransitionTime", "When the status last changed."),
            ("secret.metadata.ownerReferences.uid", "<string>"),
            ("ds.metadata.labels", "<map[string]string>"),
        ] {
            let explained = server.kubectl(&format!("explain {field}")).ok();
            assert!(explained.contains(expected), "{field}: {explained}");
        }
        let missing = server.kubectl("explain configmap.nothing").fails();
        assert!(missing.contains("field \"nothing\" does not exist"), "{missing}");
        let version = server.kubectl("explain apiservice --api-version=apiregistration.k8s.io/v1").ok();
        assert!(version.contains("APIService"), "{version}");
    });
}
