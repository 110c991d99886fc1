//! What kubectl of each line does to end objects, and what becomes of what depends on them.

use detectviz_tests::{Client, Line, Server, every_line, wait_until};
use serde_json::{Value, json};

use super::{blocking, owned};
use crate::support::{CONFIG_MAPS, create, names};

/// An owner and its child.
fn family(admin: &Client) -> Value {
    let owner = create(admin, CONFIG_MAPS, &owned("owner", &[]));
    create(admin, CONFIG_MAPS, &owned("child", &[blocking(&owner)]));
    owner
}

fn until_gone(server: &Server, name: &str) {
    let path = format!("{CONFIG_MAPS}/{name}");
    wait_until(&format!("{name} is gone"), || match server.admin().get(&*path).code {
        404 => Ok(()),
        code => Err(code),
    });
}

fn left(server: &Server) -> Vec<String> {
    names(&server.admin().get(CONFIG_MAPS).expect(200))
}

#[test]
fn in_the_background_dependents_go_after_their_owner() {
    every_line(|server| {
        for flags in ["", "--cascade=background"] {
            family(&server.admin());
            let said = server.kubectl(&format!("delete cm owner {flags}")).ok();
            assert!(said.starts_with("configmap \"owner\" deleted"), "{said}");
            assert!(!left(&server).contains(&"owner".to_owned()));
            until_gone(&server, "child");
        }
    });
}

#[test]
fn in_the_foreground_the_owner_goes_last() {
    every_line(|server| {
        family(&server.admin());
        let child = format!("{CONFIG_MAPS}/child");
        let hold = |finalizers: Value| {
            let patch = json!({"metadata": {"finalizers": finalizers}}).to_string();
            let admin = server.admin();
            let patched = admin.request("PATCH", &*child).body("application/merge-patch+json", patch).send();
            patched.expect(200);
        };
        hold(json!(["example.org/mine"]));
        server.kubectl("delete cm owner --cascade=foreground --wait=false").ok();
        wait_until("the child is going", || {
            let child = server.admin().get(&*child).expect(200);
            if child["metadata"]["deletionTimestamp"].is_string() { Ok(()) } else { Err(child) }
        });
        let owner = server.admin().get(format!("{CONFIG_MAPS}/owner")).expect(200);
        assert_eq!(owner["metadata"]["finalizers"], json!(["foregroundDeletion"]));
        hold(json!([]));
        until_gone(&server, "owner");
        assert!(left(&server).is_empty());
        // And kubectl waits for it.
        family(&server.admin());
        server.kubectl("delete cm owner --cascade=foreground").ok();
        assert!(left(&server).is_empty());
    });
}

#[test]
fn orphans_stay() {
    every_line(|server| {
        let owner = family(&server.admin());
        server.kubectl("delete cm owner --cascade=orphan").ok();
        assert_eq!(left(&server), ["child"]);
        let child = server.admin().get(format!("{CONFIG_MAPS}/child")).expect(200);
        assert!(child["metadata"]["ownerReferences"].is_null(), "{child}");
        // The name is given anew, and its object is nobody's owner.
        let again = create(&server.admin(), CONFIG_MAPS, &owned("owner", &[]));
        assert_ne!(again["metadata"]["uid"], owner["metadata"]["uid"]);
        server.kubectl("delete cm owner").ok();
        assert_eq!(left(&server), ["child"]);
    });
}

#[test]
fn many_are_deleted_by_selector_and_all_by_a_flag() {
    every_line(|server| {
        for (name, label) in [("a", "x"), ("b", "x"), ("c", "y")] {
            server.kubectl(&format!("create configmap {name}")).ok();
            server.kubectl(&format!("label cm {name} app={label}")).ok();
        }
        let tried = server.kubectl("delete cm -l app=x --dry-run=server").ok();
        assert_eq!(tried.matches("(server dry run)").count(), 2, "{tried}");
        assert_eq!(left(&server), ["a", "b", "c"]);
        server.kubectl("delete cm -l app=x").ok();
        assert_eq!(left(&server), ["c"]);
        server.kubectl("create configmap d").ok();
        server.kubectl("delete cm --all").ok();
        assert!(left(&server).is_empty());
        let raw = "/api/v1/namespaces/default/configmaps?labelSelector=app%3Dz";
        server.kubectl(&format!("delete --raw {raw}")).ok();
    });
}

#[test]
fn time_that_nothing_needs_is_not_given() {
    every_line(|server| {
        for flags in ["--grace-period=30", "--now", "--force", "--grace-period=0 --force", "--wait=false"] {
            server.kubectl("create configmap doomed").ok();
            let said = server.kubectl(&format!("delete cm doomed {flags}")).ok();
            assert!(said.contains("configmap \"doomed\""), "{said}");
            assert!(left(&server).is_empty(), "{flags}");
        }
        let refused = server.kubectl("delete cm doomed").fails();
        assert!(refused.contains("configmaps \"doomed\" not found"), "{refused}");
        server.kubectl("delete cm doomed --ignore-not-found").ok();
        if server.line() == Line::Current {
            let refused = server.kubectl("delete cm doomed --cascade=sideways").fails();
            assert!(refused.contains("invalid cascade value"), "{refused}");
        }
    });
}
