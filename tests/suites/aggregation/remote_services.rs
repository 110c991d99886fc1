//! The file of remote services: what it names is registered, what goes from it goes, and nothing else is touched.

use std::path::PathBuf;

use detectviz_tests::{Authority, Builder, Client, ExtensionServer, Server, enterprise, wait_for};
use serde_json::{Value, json};

use super::{FLIGHTS, GONE, SERVICE};
use crate::support::{API_SERVICES, await_available, create, names};

const EXTERNAL_NAMES: &str = "/apis/service.grafana.app/v0alpha1/namespaces/default/externalnames";
/// The name in the certificate of what the file calls `example.detectviz.io/v1`.
const SERVING_NAME: &str = "v1.example.detectviz.io.default.svc";
/// What the server says of a file that it cannot use, and of an object that it did not make.
const KEPT: &str = "keep the remote services of before";
const FOREIGN: &str = "leave alone what the remote services file did not make";

/// A server to be started with both files, and the files.
fn configured(builder: Builder, bundle: &str, services: &str) -> (Builder, PathBuf) {
    let (file, ca) = (builder.folder().join("services.yaml"), builder.folder().join("remote-ca.crt"));
    std::fs::write(&file, services).unwrap();
    std::fs::write(&ca, bundle).unwrap();
    let config = format!(
        "[aggregator]\navailability_interval_seconds = 1\nremote_services_file = {file:?}\n\
         api_service_ca_bundle_file = {ca:?}\n"
    );
    let allowed = builder.allow_log(GONE).allow_log(KEPT).allow_log(FOREIGN);
    (allowed.config(&config), file)
}

fn exists(client: &Client, collection: &str, name: &str) -> bool {
    client.get(format!("{collection}/{name}")).code == 200
}

fn entry(group: &str, host: &str, port: u16) -> String {
    format!("- group: {group}\n  version: v1\n  host: {host}\n  port: {port}\n")
}

fn spec(client: &Client, collection: &str, name: &str) -> Value {
    client.get(format!("{collection}/{name}")).expect(200)["spec"].clone()
}

#[test]
fn what_the_file_names_is_registered_and_goes_with_it() {
    enterprise(|builder| {
        let authority = Authority::new("remote-ca");
        let (builder, file) = configured(builder, authority.pem(), "[]");
        let server = builder.start();
        let admin = server.admin();
        let example = ExtensionServer::named(&server, authority, SERVING_NAME);
        let write = |text: String| std::fs::write(&file, text).unwrap();

        let named = entry("example.detectviz.io", "127.0.0.1", example.port());
        write(named.clone() + &entry("other.example.com", "127.0.0.1", 1));
        wait_for("the APIService is made", || (admin.get(SERVICE).code == 200).then_some(()));
        await_available(&admin, SERVICE, "True", Some("Passed"));
        assert_eq!(names(&admin.get(FLIGHTS).expect(200)).len(), 3);
        await_available(&admin, &format!("{API_SERVICES}/v1.other.example.com"), "False", None);
        assert!(exists(&admin, EXTERNAL_NAMES, "v1.other.example.com"));

        // Changed, gone, and mistaken: what was right stays.
        write(entry("other.example.com", "localhost", 2) + &named);
        wait_for("the host is changed", || {
            (spec(&admin, EXTERNAL_NAMES, "v1.other.example.com")["host"] == "localhost").then_some(())
        });
        wait_for("the port is changed", || {
            (spec(&admin, API_SERVICES, "v1.other.example.com")["service"]["port"] == 2).then_some(())
        });
        write(named.clone());
        wait_for("the other one is gone", || {
            let any = [API_SERVICES, EXTERNAL_NAMES]
                .iter()
                .any(|path| exists(&admin, path, "v1.other.example.com"));
            (!any).then_some(())
        });
        write(named + "- nothing\n");
        let line =
            wait_for("the mistake is told", || server.log().into_iter().find(|line| line.contains(KEPT)));
        assert!(line.contains(&format!("{}:5", file.display())), "{line}");
        assert_eq!(names(&admin.get(FLIGHTS).expect(200)).len(), 3);
    });
}

#[test]
fn what_somebody_else_made_stays_and_what_the_file_made_is_made_again() {
    enterprise(|builder| {
        let authority = Authority::new("remote-ca");
        let text = entry("hand.example.com", "127.0.0.1", 1) + &entry("file.example.com", "127.0.0.1", 1);
        let (builder, file) = configured(builder, authority.pem(), "[]");
        let server = builder.start();
        let admin = server.admin();
        let hand = json!({
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": {"name": "v1.hand.example.com"},
            "spec": {"group": "hand.example.com", "version": "v1", "groupPriorityMinimum": 7, "versionPriority": 7,
                     "insecureSkipTLSVerify": true, "service": {"name": "mine", "namespace": "default", "port": 443}},
        });
        create(&admin, API_SERVICES, &hand);
        std::fs::write(&file, text).unwrap();
        let name = "v1.file.example.com";
        wait_for("the file's is made", || exists(&admin, API_SERVICES, name).then_some(()));
        wait_for("the other's is left alone", || {
            server.log().into_iter().find(|line| line.contains(FOREIGN))
        });
        assert_eq!(spec(&admin, API_SERVICES, "v1.hand.example.com")["groupPriorityMinimum"], 7);

        let uid = |collection: &str| {
            let found = admin.get(format!("{collection}/{name}"));
            (found.code == 200).then(|| found.json()["metadata"]["uid"].clone())
        };
        for collection in [API_SERVICES, EXTERNAL_NAMES] {
            let before = uid(collection);
            admin.delete(format!("{collection}/{name}")).expect(200);
            wait_for("it is made again", || uid(collection).filter(|uid| Some(uid) != before.as_ref()));
        }
        std::fs::write(&file, "").unwrap();
        wait_for("the file's is gone", || (!exists(&admin, API_SERVICES, name)).then_some(()));
        assert!(exists(&admin, API_SERVICES, "v1.hand.example.com"));
    });
}

#[test]
fn mistakes_are_all_told_at_the_start() {
    enterprise(|builder| {
        let text = "- group: example.detectviz.io\n  version: v1\n  host: a b\n  port: 0\n- no: thing\n";
        let (builder, file) = configured(builder, "junk", text);
        let mut process = builder.spawn();
        assert_eq!(process.code(), 2);
        let errors = process.errors().join("\n");
        for line in [3, 4, 5] {
            let origin = format!("aggregator.remote_services_file (from {}:{line}): ", file.display());
            assert!(errors.contains(&origin), "{errors}");
        }
        assert!(errors.contains("CA bundle must contain at least one certificate"), "{errors}");
    });
}

#[test]
fn without_the_option_what_an_earlier_file_made_goes() {
    enterprise(|builder| {
        let authority = Authority::new("remote-ca");
        let (builder, _) = configured(builder, authority.pem(), &entry("a.example.com", "127.0.0.1", 1));
        let mut server: Server = builder.start();
        let name = "v1.a.example.com";
        wait_for("it is made", || exists(&server.admin(), API_SERVICES, name).then_some(()));
        server.stop();
        std::fs::write(server.folder().join("config.toml"), "").unwrap();
        let again = server.setup().start();
        wait_for("it is gone", || (!exists(&again.admin(), API_SERVICES, name)).then_some(()));
        wait_for("its name is gone", || (!exists(&again.admin(), EXTERNAL_NAMES, name)).then_some(()));
    });
}
