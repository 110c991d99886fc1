//! What this server serves itself, as APIServices: kept, ordered, and given to nobody else.

use detectviz_tests::{Client, Server, every_edition, wait_for, wait_until};
use serde_json::{Value, json};

use crate::support::{API_SERVICES, DATAPLANE_SERVICES, await_available, create};

const LABEL: &str = "kube-aggregator.kubernetes.io/automanaged";
const LEASES: &str = "/apis/apiregistration.k8s.io/v1/apiservices/v1.coordination.k8s.io";

/// Waits until the leases are registered: a server that has just started is still at it.
fn await_registered(admin: &Client) {
    wait_for("the leases are registered", || (admin.get(LEASES).code == 200).then_some(()));
    await_available(admin, LEASES, "True", Some("Local"));
}

/// The groups, in the order of both forms of discovery, which is one.
fn groups(client: &Client) -> Result<Vec<String>, String> {
    let texts = |list: &Value, pointer: &str| -> Vec<String> {
        let names = list.as_array().unwrap().iter().map(|one| one.pointer(pointer).unwrap());
        names.map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    let legacy = texts(&client.get("/apis").expect(200)["groups"], "/name");
    let wanted = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let aggregated = client.request("GET", "/apis").header("Accept", wanted).send().expect(200);
    let aggregated = texts(&aggregated["items"], "/metadata/name");
    if legacy == aggregated { Ok(legacy) } else { Err(format!("{legacy:?} is not {aggregated:?}")) }
}

#[test]
fn what_is_served_here_is_registered_and_comes_back() {
    every_edition(|edition| {
        let server = Server::builder(edition).start();
        let admin = server.admin();
        await_registered(&admin);
        let seen = admin.get(LEASES).expect(200);
        let spec = json!({"group": "coordination.k8s.io", "version": "v1", "groupPriorityMinimum": 16500, "versionPriority": 15});
        assert_eq!((&seen["spec"], &seen["metadata"]["labels"][LABEL]), (&spec, &json!("onstart")));
        admin.delete(LEASES).expect(200);
        wait_for("it is made again", || {
            let again = admin.get(LEASES);
            (again.code == 200 && again.json()["metadata"]["uid"] != seen["metadata"]["uid"]).then_some(())
        });
        await_registered(&admin);
        server
            .kubectl(
                "patch apiservice v1.coordination.k8s.io --type=merge -p {\"spec\":{\"versionPriority\":7}}",
            )
            .ok();
        wait_for("it is restored", || (admin.get(LEASES).expect(200)["spec"] == spec).then_some(()));
        let table = server.kubectl("get apiservice v1.coordination.k8s.io --no-headers").ok();
        let row: Vec<_> = table.split_whitespace().collect();
        assert_eq!(row[..3], ["v1.coordination.k8s.io", "Local", "True"], "{table}");
    });
}

#[test]
fn discovery_is_in_the_order_that_api_services_say() {
    every_edition(|edition| {
        let server = Server::builder(edition).start();
        let admin = server.admin();
        let found = groups(&admin).unwrap();
        let place = |name: &str| found.iter().position(|group| group == name);
        let ordered =
            ["apiregistration.k8s.io", "events.k8s.io", "authentication.k8s.io", "coordination.k8s.io"];
        assert!(ordered.map(place).is_sorted() && place("apiregistration.k8s.io") == Some(0), "{found:?}");
        // Whoever takes the label away says where the group stands.
        await_registered(&admin);
        let mut own = admin.get(LEASES).expect(200);
        own["metadata"]["labels"] = json!({});
        own["spec"]["groupPriorityMinimum"] = 19_999.into();
        admin.update(LEASES, &own).expect(200);
        let second = |name: &'static str| {
            wait_until(&format!("{name} is the second group"), || {
                let found = groups(&admin)?;
                if found[1] == name { Ok(()) } else { Err(format!("{found:?}")) }
            });
        };
        second("coordination.k8s.io");
        admin.delete(LEASES).expect(200);
        second("events.k8s.io");
    });
}

#[test]
fn what_is_served_here_is_given_to_nobody_else() {
    every_edition(|edition| {
        let server = Server::builder(edition).start();
        let admin = server.admin();
        await_registered(&admin);
        let served = "coordination.k8s.io/v1 is served by this server itself";
        let mut taken = admin.get(LEASES).expect(200);
        taken["spec"]["service"] = json!({"namespace": "default", "name": "evil"});
        let refused = admin.update(LEASES, &taken).refused(422, "Invalid");
        let cause = &refused["details"]["causes"][0];
        assert_eq!(
            (&cause["field"], &cause["reason"]),
            (&json!("spec.service"), &json!("FieldValueForbidden"))
        );
        assert!(cause["message"].as_str().unwrap().contains(served), "{refused}");
        let plugin = json!({
            "apiVersion": "aggregation.grafana.app/v0alpha1", "kind": "DataPlaneService",
            "metadata": {"name": "v1.coordination.k8s.io"},
            "spec": {"pluginID": "x", "pluginType": "datasource", "group": "coordination.k8s.io", "version": "v1",
                "services": [{"type": "query"}]},
        });
        let refused = admin.create(DATAPLANE_SERVICES, &plugin).refused(422, "Invalid");
        assert!(refused["message"].as_str().unwrap().contains(served), "{refused}");
        let webhook = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "x"}, "webhooks": [],
        });
        let webhooks = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
        let refused = admin.create(webhooks, &webhook).refused(422, "Invalid");
        assert_eq!(refused["details"]["causes"][0]["field"], "webhooks");
        assert_eq!(admin.get(webhooks).expect(200)["items"], json!([]));
        // A local one for what nobody serves is somebody's own, and has no effect.
        let own = json!({
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1.example.org"},
            "spec": {"group": "example.org", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1},
        });
        let created = create(&admin, API_SERVICES, &own);
        assert_eq!(created["status"]["conditions"][0]["reason"], "Local", "{created}");
        admin.get("/apis/example.org/v1").refused(404, "NotFound");
    });
}
