//! The configuration file while the server runs: a good one is followed, a bad one is refused as a whole, and what needs a
//! restart is told.

use detectviz_tests::{Edition, Server, editions, switchable};

use super::{FLIGHTS, FLIGHTS_SERVICE, await_no_remark, await_remark, sample, status, toggles, with_both};
use crate::support::{API_SERVICES, await_available, create};

const SUCCESSFUL: &str = "apiserver_last_reload_successful{subject=\"configuration\"}";

#[test]
fn a_bad_file_is_refused_as_a_whole_and_named() {
    switchable(|builder| {
        let (server, _example, _plugins) = with_both(builder.allow_log("not read again"));
        let admin = server.admin();
        assert_eq!(sample(&admin, SUCCESSFUL), Some(1));
        let bad =
            "storage = \"etc\"\n[feature_toggles]\nkubernetesAggregator = false\nkubernetesAgregator = 7\n";
        server.reconfigure(bad);
        let line = server.await_log("not read again");
        for part in ["storage", "config.toml:1", "kubernetesagregator", "config.toml:4"] {
            assert!(line.contains(part), "{part}: {line}");
        }
        await_remark(&admin, "configuration", "2 mistakes");
        assert_eq!(sample(&admin, SUCCESSFUL), Some(0));
        server.hangup();
        server.await_log("SIGHUP");
        assert_eq!(admin.get(FLIGHTS).code, 200, "the toggle stays as it was");
        std::fs::remove_file(server.folder().join("config.toml")).unwrap();
        await_remark(&admin, "configuration", "cannot read the file");
        server.reconfigure(&toggles(false, true));
        await_available(&admin, FLIGHTS_SERVICE, "False", Some("AggregatorDisabled"));
        await_no_remark(&admin, "configuration");
        assert_eq!(sample(&admin, SUCCESSFUL), Some(1));
        let told = server.log().iter().filter(|line| line.contains("not read again")).count();
        assert_eq!(told, 2, "each is told once");
    });
}

#[test]
fn what_needs_a_restart_is_told_once() {
    let server = Server::builder(editions()[0]).config("").allow_log("needs a restart").start();
    let admin = server.admin();
    server.reconfigure("[limits]\nmax_body_bytes = 2048\n");
    let line = server.await_log("needs a restart");
    assert!(line.contains("limits.max_body_bytes") && line.contains("config.toml:2"), "{line}");
    await_remark(&admin, "option limits.max_body_bytes", "next start");
    server.hangup();
    server.await_log("SIGHUP");
    server.reconfigure("");
    await_no_remark(&admin, "option limits.max_body_bytes");
    let told = server.log().iter().filter(|line| line.contains("needs a restart")).count();
    assert_eq!(told, 1);
}

#[test]
fn a_flag_wins_over_the_file() {
    switchable(|builder| {
        let server = builder.toggle("kubernetesAggregator", false).config(&toggles(false, false)).start();
        server.reconfigure(&toggles(true, true));
        server.await_log("dataplaneAggregator=true");
        let entries = status(&server.admin())["entries"].clone();
        assert_eq!((&entries[0]["wouldStart"], &entries[1]["wouldStart"]), (&false.into(), &true.into()));
    });
}

#[test]
fn oss_says_what_it_lacks_when_a_toggle_is_flipped() {
    if !editions().contains(&Edition::Oss) {
        return;
    }
    let server = Server::builder(Edition::Oss).config(&toggles(false, false)).start();
    let admin = server.admin();
    let remote = serde_json::json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": "v1.remote.example.com"},
        "spec": {"group": "remote.example.com", "version": "v1", "groupPriorityMinimum": 1000,
            "versionPriority": 15, "insecureSkipTLSVerify": true,
            "service": {"namespace": "default", "name": "nobody", "port": 443}},
    });
    create(&admin, API_SERVICES, &remote);
    let before = server.log().iter().filter(|line| line.contains("not started")).count();
    server.reconfigure(&toggles(true, true));
    server.await_log("feature toggles changed");
    detectviz_tests::wait_for("both are told again", || {
        let now = server.log().iter().filter(|line| line.contains("the oss edition has no")).count();
        (now >= before + 2).then_some(())
    });
    let entries = status(&admin)["entries"].clone();
    assert_eq!(entries[0]["reason"], "the oss edition has no aggregator runner");
    let path = format!("{API_SERVICES}/v1.remote.example.com");
    await_available(&admin, &path, "False", Some("AggregatorNotInEdition"));
}
