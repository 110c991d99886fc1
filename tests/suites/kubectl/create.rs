//! `kubectl create` of every kind that it knows and that is served: what it makes is shown, described and deleted.

use super::cells;
use detectviz_tests::{Builder, Line, Server, Storage, wait_until};

/// A server of each line with all its controllers, as one that is told nothing runs them.
fn every_line(body: impl Fn(Server)) {
    for (line, storage) in [(Line::Current, Storage::Embedded), (Line::Old, Storage::Etcd)] {
        let builder: Builder = Server::builder(detectviz_tests::editions()[0]).storage(storage).kubectl(line);
        body(builder.all_controllers().start());
    }
}

/// What is created by which words, the words of its description, and its row up to the age.
const CREATED: [(&str, &str, &[&str]); 9] = [
    ("configmap literal --from-literal=a=1", "configmap/literal", &["literal", "1"]),
    ("secret generic plain --from-literal=a=1", "secret/plain", &["plain", "Opaque", "1"]),
    (
        "secret docker-registry docker --docker-server=example.com --docker-username=u --docker-password=p",
        "secret/docker",
        &["docker", "kubernetes.io/dockerconfigjson", "1"],
    ),
    ("serviceaccount robot", "serviceaccount/robot", &["robot", "0"]),
    (
        "service clusterip inside --tcp=80:8080",
        "service/inside",
        &["inside", "ClusterIP", "<none>", "<none>", "80/TCP"],
    ),
    (
        "service nodeport node --tcp=80 --node-port=30080",
        "service/node",
        &["node", "NodePort", "<none>", "<none>", "80:30080/TCP"],
    ),
    (
        "service loadbalancer balanced --tcp=80",
        "service/balanced",
        &["balanced", "LoadBalancer", "<none>", "<pending>", "80/TCP"],
    ),
    (
        "service externalname outside --external-name=example.com",
        "service/outside",
        &["outside", "ExternalName", "<none>", "example.com", "<none>"],
    ),
    (
        "service clusterip headless --clusterip=None",
        "service/headless",
        &["headless", "ClusterIP", "None", "<none>", "<none>"],
    ),
];

#[test]
fn each_kind_is_created_shown_described_and_deleted() {
    every_line(|server| {
        server.kubectl("create namespace team").ok();
        for (words, name, row) in CREATED {
            assert_eq!(server.kubectl(&format!("-n team create {words}")).ok(), format!("{name} created"));
            let table = server.kubectl(&format!("-n team get {name}")).ok();
            assert_eq!(&cells(&table)[0][..row.len()], row, "{table}");
            let described = server.kubectl(&format!("-n team describe {name}")).ok();
            let short = name.split('/').nth(1).unwrap();
            assert!(
                described.lines().any(|line| line.starts_with("Name:") && line.ends_with(short)),
                "{described}"
            );
            let deleted = server.kubectl(&format!("-n team delete {name}")).ok();
            assert!(deleted.contains(short) && deleted.contains("deleted"), "{deleted}");
        }
    });
}

#[test]
fn files_become_config_maps_and_certificates_secrets() {
    every_line(|server| {
        std::fs::write(server.folder().join("page.txt"), "hello").unwrap();
        server.kubectl("create configmap files --from-file=page.txt").ok();
        assert_eq!(server.kubectl("get cm files -o jsonpath={.data.page\\.txt}").ok(), "hello");
        let pair = server.pki("admin");
        let (cert, key) = (pair.with_extension("crt"), pair.with_extension("key"));
        let words = format!("create secret tls pair --cert={} --key={}", cert.display(), key.display());
        assert_eq!(server.kubectl(&words).ok(), "secret/pair created");
        assert_eq!(
            &cells(&server.kubectl("get secret pair").ok())[0][..3],
            ["pair", "kubernetes.io/tls", "2"]
        );
    });
}

#[test]
fn quotas_and_limits_are_shown_with_their_namespace() {
    every_line(|server| {
        server.kubectl("create namespace team").ok();
        server.kubectl("-n team create quota few --hard=pods=10,requests.cpu=2").ok();
        let limits = "apiVersion: v1\nkind: LimitRange\nmetadata: {name: small}\n\
                      spec: {limits: [{type: Container, max: {cpu: '2'}}]}\n";
        server.kubectl("-n team create -f -").stdin(limits).ok();
        assert_eq!(&cells(&server.kubectl("-n team get quota").ok())[0][0], &"few");
        let described = server.kubectl("describe namespace team").ok();
        for part in ["Status:", "Active", "few", "Resource Limits", "Container"] {
            assert!(described.contains(part), "no {part} in\n{described}");
        }
        let range = server.kubectl("-n team get limits small -o jsonpath={.spec.limits[0].default.cpu}").ok();
        assert_eq!(range, "2");
        let refused = server.kubectl("-n team create quota odd --hard=gpu=1").fails();
        assert!(refused.contains("must be a standard resource for quota"), "{refused}");
    });
}

#[test]
fn each_namespace_has_its_account_and_its_ca_again_and_again() {
    every_line(|server| {
        server.kubectl("create namespace team").ok();
        let ca = std::fs::read_to_string(server.pki("serving-ca").with_extension("crt")).unwrap();
        for namespace in ["default", "kube-system", "kube-public", "team"] {
            let published = || {
                let get = "get cm kube-root-ca.crt -o jsonpath={.data.ca\\.crt}";
                let found = server.kubectl(&format!("-n {namespace} {get}")).run().stdout;
                if found.trim() == ca.trim() { Ok(()) } else { Err(found) }
            };
            let account = || {
                let found = server.kubectl(&format!("-n {namespace} get sa default -o name")).run().stdout;
                if found.trim() == "serviceaccount/default" { Ok(()) } else { Err(found) }
            };
            wait_until("the CA is published", published);
            wait_until("the account is there", account);
            server.kubectl(&format!("-n {namespace} delete sa default")).ok();
            server.kubectl(&format!("-n {namespace} delete cm kube-root-ca.crt")).ok();
            wait_until("the CA is published again", published);
            wait_until("the account is made again", account);
            let forged = r#"{"data": {"ca.crt": "forged", "more": "x"}}"#;
            server
                .kubectl(&format!("-n {namespace} patch cm kube-root-ca.crt --type=merge -p"))
                .arg(forged)
                .ok();
            wait_until("the CA is right again", published);
        }
        server.kubectl("delete namespace team").ok();
        let gone = server.kubectl("get namespace team").fails();
        assert!(gone.contains("not found"), "{gone}");
    });
}

#[test]
fn services_are_refused_in_upstreams_words() {
    every_line(|server| {
        let refused = server.kubectl("create service clusterip 0a --tcp=80").fails();
        assert!(refused.contains("a DNS-1035 label must consist of"), "{refused}");
        server.kubectl("create service clusterip fixed --tcp=80 --clusterip=10.0.0.1").ok();
        let change = r#"{"spec": {"clusterIP": "10.0.0.2", "clusterIPs": ["10.0.0.2"]}}"#;
        let refused = server.kubectl("patch service fixed --type=merge -p").arg(change).fails();
        assert!(
            refused.contains("spec.clusterIPs[0]") && refused.contains("may not change once set"),
            "{refused}"
        );
        server.kubectl("create token default").fails();
    });
}
