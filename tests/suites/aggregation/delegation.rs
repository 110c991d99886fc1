//! An extension API server that knows nothing but a kubeconfig: whom to believe, whose a token is and who may do what, it
//! asks us, as every server built for Kubernetes does.

use detectviz_tests::{Authority, Certificate, ExtensionServer, Server, enterprise, every_edition, wait_for};
use serde_json::{Value, json};

use super::{FLIGHTS, SERVICE, WHOAMI, register};
use crate::support::await_available;

const CONFIG_MAP: &str = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";

fn published(server: &Server) -> Option<Value> {
    let answer = server.admin().get(CONFIG_MAP);
    (answer.code == 200).then(|| answer.json())
}

/// Whether the ConfigMap says what it must of the certificates in the server's folder.
fn is_whole(server: &Server, object: &Value) -> bool {
    let pem = |name: &str| {
        let text = std::fs::read_to_string(server.pki(name).with_extension("crt")).unwrap();
        text.replace("\r\n", "\n")
    };
    object["data"]
        == json!({
            "client-ca-file": pem("client-ca"),
            "requestheader-client-ca-file": pem("front-proxy-ca"),
            "requestheader-allowed-names": r#"["front-proxy-client"]"#,
            "requestheader-username-headers": r#"["X-Remote-User"]"#,
            "requestheader-uid-headers": r#"["X-Remote-Uid"]"#,
            "requestheader-group-headers": r#"["X-Remote-Group"]"#,
            "requestheader-extra-headers-prefix": r#"["X-Remote-Extra-"]"#,
        })
}

#[test]
fn what_extension_servers_must_know_is_published_and_comes_back() {
    every_edition(|edition| {
        let server = Server::builder(edition).all_controllers().start();
        let until_whole = |what: &str| {
            wait_for(what, || published(&server).filter(|object| is_whole(&server, object)));
        };
        until_whole("what extension API servers must know is published");
        let uid = published(&server).unwrap()["metadata"]["uid"].clone();
        let admin = server.admin();
        let mut edited = published(&server).unwrap();
        edited["data"] = json!({"requestheader-allowed-names": "garbage"});
        admin.update(CONFIG_MAP, &edited).expect(200);
        until_whole("it is restored");
        admin.delete(CONFIG_MAP).expect(200);
        until_whole("it is made again");
        assert_ne!(published(&server).unwrap()["metadata"]["uid"], uid);
        // Another server may speak for users too: what it wrote stays.
        let mut shared = published(&server).unwrap();
        shared["data"]["requestheader-allowed-names"] = r#"["another"]"#.into();
        admin.update(CONFIG_MAP, &shared).expect(200);
        wait_for("both names are allowed", || {
            let names = published(&server)?["data"]["requestheader-allowed-names"].clone();
            (names == r#"["another","front-proxy-client"]"#).then_some(())
        });
    });
}

#[test]
fn an_extension_server_needs_a_kubeconfig_and_nothing_else() {
    enterprise(|builder| {
        let tokens = builder.folder().join("tokens.csv");
        std::fs::write(&tokens, "meister,max,8,\"system:masters\"\ngeheim,jane,7,\"crew\"\n").unwrap();
        let server = builder
            .all_controllers()
            .config(&format!(
                "[aggregator]\navailability_interval_seconds = 1\n[auth]\ntoken_file = {tokens:?}\n"
            ))
            .start();
        wait_for("what extension API servers must know is published", || published(&server));
        let example = ExtensionServer::delegating(&server);
        register(&server.admin(), &example);
        await_available(&server.admin(), SERVICE, "True", Some("Passed"));
        assert_eq!(server.kubectl("get flights -o name").ok().lines().count(), 3);
        assert!(server.kubectl("explain flight.spec").ok().contains("destination"));

        // Straight at the extension server, where tokens and permissions are ours all the same.
        let nobody = example.client(None);
        nobody.token("meister").get(FLIGHTS).expect(200);
        nobody.get(FLIGHTS).refused(401, "Unauthorized");
        nobody.token("falsch").get(FLIGHTS).refused(401, "Unauthorized");
        let refused = nobody.token("geheim").get(FLIGHTS).refused(403, "Forbidden");
        assert!(refused["message"].as_str().unwrap().contains("User \"jane\" cannot list"), "{refused}");
        nobody.token("geheim").get("/apis/example.detectviz.io/v1").refused(403, "Forbidden");
        let max = nobody.token("meister").get(WHOAMI).expect(200);
        assert_eq!((&max["user"], &max["uid"]), (&json!("max"), &json!("8")));
        assert_eq!(max["groups"], json!(["system:masters", "system:authenticated"]));
    });
}

#[test]
fn an_extension_server_tells_front_proxies_from_users() {
    enterprise(|builder| {
        let server = builder.all_controllers().start();
        wait_for("what extension API servers must know is published", || published(&server));
        let example = ExtensionServer::delegating(&server);
        let forging = |certificate: &Certificate| {
            let client = example.client(Some(certificate));
            client.with("X-Remote-User", "root").with("X-Remote-Group", "system:masters")
        };
        // A user's certificate is good for that user, and for nobody's headers.
        let seen = forging(&Certificate::load(&server.pki("admin"))).get(WHOAMI).expect(200);
        assert_eq!(seen["user"], "admin", "{seen}");
        let users = Authority::load(&server.pki("client-ca"));
        let posing = forging(&users.client("front-proxy-client", None));
        assert_eq!(posing.get(WHOAMI).expect(200)["user"], "front-proxy-client");
        posing.get(FLIGHTS).refused(403, "Forbidden");
        // The front proxy's is good for its headers, within what the user may do.
        let proxy = Certificate::load(&server.pki("front-proxy-client"));
        assert_eq!(forging(&proxy).get(WHOAMI).expect(200)["user"], "root");
        forging(&proxy).get(FLIGHTS).expect(200);
        example.client(Some(&proxy)).with("X-Remote-User", "jane").get(FLIGHTS).refused(403, "Forbidden");
    });
}
