//! Who is who, and who may what. What a client says about itself never counts; what it proves does.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use detectviz_tests::{Authority, Client, Server, every_edition, variants};
use serde_json::{Value, json};

use crate::support::{CONFIG_MAPS, config_map, create};

/// Every spelling in which a header's name has been smuggled past a check somewhere.
pub(crate) const FORGERIES: [(&str, &str); 12] = [
    ("X-Remote-User", "admin"),
    ("x-remote-user", "admin"),
    ("X-REMOTE-USER", "admin"),
    ("X_Remote_User", "admin"),
    ("X-Remote_User", "admin"),
    ("X-Remote-Group", "system:masters"),
    ("x_remote_group", "system:masters"),
    ("X-Remote-Groups", "system:masters"),
    ("X-Remote-Uid", "1"),
    ("X-Remote-Extra-Scopes", "all"),
    ("X-Remote-Extra-acme.com%2fscopes", "all"),
    ("X_REMOTE_EXTRA_scopes", "all"),
];

/// A client to which every forgery is added.
pub(crate) fn forging(client: &Client) -> Client {
    FORGERIES.iter().fold(client.clone(), |client, (name, value)| client.with(name, value))
}

#[test]
fn nobody_reads_health_and_version_and_nothing_else() {
    variants(|server| {
        let nobody = server.anonymous();
        for path in ["/livez", "/readyz", "/healthz", "/livez/ping", "/version"] {
            assert_eq!(nobody.get(path).code, 200, "{path}");
        }
        for path in ["/api", "/apis", "/openapi/v3", "/metrics", "/statusz", "/", "/nothing"] {
            let refused = nobody.get(path).refused(403, "Forbidden");
            let expected = format!("forbidden: User \"system:anonymous\" cannot get path \"{path}\"");
            assert_eq!(refused["message"], expected);
        }
        let refused = nobody.get(CONFIG_MAPS).refused(403, "Forbidden");
        assert_eq!(
            refused["message"],
            "configmaps is forbidden: User \"system:anonymous\" cannot list resource \"configmaps\" in API group \"\" \
             in the namespace \"default\""
        );
        nobody.request("POST", "/version").send().refused(403, "Forbidden");
    });
}

#[test]
fn a_user_of_no_group_is_forbidden_in_upstreams_words() {
    variants(|server| {
        let jane = server.user("jane", None);
        let refused = jane.delete(format!("{CONFIG_MAPS}/one")).refused(403, "Forbidden");
        assert_eq!(
            refused["message"],
            "configmaps \"one\" is forbidden: User \"jane\" cannot delete resource \"configmaps\" in API group \"\" \
             in the namespace \"default\""
        );
        let refused = jane.create("/api/v1/namespaces", &json!({})).refused(403, "Forbidden");
        assert_eq!(
            refused["message"],
            "namespaces is forbidden: User \"jane\" cannot create resource \"namespaces\" in API group \"\" at the \
             cluster scope"
        );
        // Whether something is there is not told either.
        jane.get(format!("{CONFIG_MAPS}/none")).refused(403, "Forbidden");
        assert_eq!(jane.get("/readyz").code, 200);
    });
}

#[test]
fn the_administrator_and_every_other_master_may_all() {
    variants(|server| {
        create(&server.admin(), CONFIG_MAPS, &config_map("one", "x"));
        let second = server.user("second", Some("system:masters"));
        assert_eq!(second.get(format!("{CONFIG_MAPS}/one")).code, 200);
        // The word counts as a group, and not as a name.
        server.user("system:masters", Some("jane")).get(CONFIG_MAPS).refused(403, "Forbidden");
    });
}

#[test]
fn a_certificate_of_another_ca_fails_the_handshake() {
    variants(|server| {
        let stranger = Authority::new("detectviz-client-ca").client("admin", Some("system:masters"));
        let others = ["serving-ca", "front-proxy-ca"];
        let of_others =
            others.map(|ca| Authority::load(&server.pki(ca)).client("admin", Some("system:masters")));
        for certificate in [stranger].iter().chain(&of_others) {
            let refused = server.client(Some(certificate)).request("GET", "/version").try_send();
            assert!(refused.is_err(), "{:?}", refused.map(|answer| answer.text()));
        }
    });
}

#[test]
fn the_three_cas_and_all_keys_are_apart_and_private() {
    every_edition(|edition| {
        let server = Server::builder(edition).start();
        let read = |name: &str| std::fs::read_to_string(server.pki(name)).unwrap();
        let mut seen = BTreeSet::new();
        for name in ["serving-ca", "client-ca", "front-proxy-ca", "serving", "admin", "front-proxy-client"] {
            assert!(seen.insert(read(&format!("{name}.crt"))), "{name}.crt is another's");
            assert!(seen.insert(read(&format!("{name}.key"))), "{name}.key is another's");
        }
        let keys: Vec<_> = std::fs::read_dir(server.data_dir().join("pki"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "key"))
            .collect();
        assert_eq!(keys.len(), 6, "{keys:?}");
        let secrets = keys.into_iter().chain([server.data_dir().join("admin.kubeconfig")]);
        for path in secrets {
            let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", path.display());
        }
        let folder = std::fs::metadata(server.data_dir()).unwrap().permissions().mode() & 0o777;
        assert_eq!(folder, 0o700);
    });
}

fn with_tokens(edition: detectviz_tests::Edition) -> Server {
    let builder = Server::builder(edition);
    let file = builder.folder().join("tokens.csv");
    std::fs::write(&file, "right,root,1,\"system:masters\"\nplain,jane,2\n").unwrap();
    builder.config(&format!("[auth]\ntoken_file = {file:?}\n")).start()
}

#[test]
fn a_token_of_the_file_is_a_user_and_another_is_refused() {
    every_edition(|edition| {
        let server = with_tokens(edition);
        let nobody = server.anonymous();
        assert_eq!(nobody.token("right").get(CONFIG_MAPS).code, 200);
        let refused = nobody.token("plain").get(CONFIG_MAPS).refused(403, "Forbidden");
        assert!(refused["message"].as_str().unwrap().contains("User \"jane\""), "{refused}");
        for wrong in ["wrong", "", "right ,x", "RIGHT", "rightx", "righ"] {
            let answer = nobody.token(wrong).get(CONFIG_MAPS);
            answer.refused(401, "Unauthorized");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{wrong:?}");
        }
        // A wrong token is no reason to fall back to being nobody.
        nobody.token("wrong").get("/version").refused(401, "Unauthorized");
        assert_eq!(nobody.with("authorization", "bearer right").get(CONFIG_MAPS).code, 200);
        assert!(!server.log().iter().any(|line| line.contains("wrong")), "the log has a token");
    });
}

#[test]
fn headers_that_say_who_somebody_is_change_nothing() {
    variants(|server| {
        let jane = server.user("jane", None);
        let expected = jane.get(CONFIG_MAPS).refused(403, "Forbidden")["message"].clone();
        for (name, value) in FORGERIES {
            let refused = jane.with(name, value).get(CONFIG_MAPS).refused(403, "Forbidden");
            assert_eq!(refused["message"], expected, "{name}");
        }
        assert_eq!(forging(&jane).get(CONFIG_MAPS).refused(403, "Forbidden")["message"], expected);
        let nobody = forging(&server.anonymous()).get(CONFIG_MAPS).refused(403, "Forbidden");
        assert!(nobody["message"].as_str().unwrap().contains("system:anonymous"), "{nobody}");
        // Nor do they take anything away.
        assert_eq!(forging(&server.admin()).get(CONFIG_MAPS).code, 200);
    });
}

#[test]
fn impersonation_is_refused_instead_of_ignored() {
    variants(|server| {
        for (name, value) in [
            ("Impersonate-User", "jane"),
            ("impersonate-group", "system:masters"),
            ("Impersonate_User", "jane"),
            ("Impersonate-Uid", "1"),
            ("Impersonate-Extra-Scopes", "all"),
        ] {
            let refused = server.admin().with(name, value).get(CONFIG_MAPS).refused(403, "Forbidden");
            assert!(refused["message"].as_str().unwrap().contains("impersonation"), "{refused}");
            server.user("jane", None).with(name, value).get(CONFIG_MAPS).refused(403, "Forbidden");
        }
    });
}

#[test]
fn every_answer_has_an_id_of_ours() {
    variants(|server| {
        let admin = server.admin().with("Audit-Id", "forged");
        let ids: BTreeSet<_> =
            (0..3).map(|_| admin.get("/version").header("audit-id").unwrap().to_owned()).collect();
        assert_eq!(ids.len(), 3);
        assert!(!ids.iter().any(|id| id.contains("forged")), "{ids:?}");
        let status: Value = admin.get("/nothing").refused(404, "NotFound");
        assert_eq!(status["metadata"], json!({}));
    });
}
