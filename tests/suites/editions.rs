//! An edition says what it has, what it lacks, and why something did not start: in the log, on the command line, on
//! `/statusz`, and on the objects that ask for it.

use std::process::Command;

use detectviz_tests::{Client, Edition, PLUGIN, Running, Server, command, editions, every_edition, variants};
use serde_json::{Value, json};

use crate::support::{API_SERVICES, DATAPLANE_SERVICES, await_available, create};

fn remote_api_service() -> Value {
    json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": "v1.remote.example.com"},
        "spec": {"group": "remote.example.com", "version": "v1", "groupPriorityMinimum": 1000,
            "versionPriority": 15, "insecureSkipTLSVerify": true,
            "service": {"namespace": "default", "name": "nobody", "port": 443}},
    })
}

fn data_plane_service() -> Value {
    json!({
        "apiVersion": "aggregation.grafana.app/v0alpha1", "kind": "DataPlaneService",
        "metadata": {"name": "v0alpha1.plugin.example.com"},
        "spec": {"pluginID": PLUGIN, "pluginType": "datasource", "group": "plugin.example.com",
            "version": "v0alpha1", "services": [{"type": "query"}]},
    })
}

/// Creates one object for each runner, and waits for the reasons for which they are not available.
fn refused_with(admin: &Client, reasons: [&str; 2], says: [&str; 2]) {
    create(admin, API_SERVICES, &remote_api_service());
    create(admin, DATAPLANE_SERVICES, &data_plane_service());
    let paths = [
        format!("{API_SERVICES}/v1.remote.example.com"),
        format!("{DATAPLANE_SERVICES}/v0alpha1.plugin.example.com"),
    ];
    for ((path, reason), says) in paths.iter().zip(reasons).zip(says) {
        let message = await_available(admin, path, "False", Some(reason));
        assert!(message.contains(says), "{message}");
    }
}

/// The rows of the edition's table by name: whether it is provided, would start, and why.
fn rows(report: &Value) -> Vec<(&str, bool, bool, &str)> {
    let text = |value: &'static str| move |row: &'_ Value| row[value].as_bool().unwrap();
    let (provided, starts) = (text("provided"), text("wouldStart"));
    let entries = report["entries"].as_array().unwrap().iter();
    entries
        .map(|row| {
            (row["name"].as_str().unwrap(), provided(row), starts(row), row["reason"].as_str().unwrap())
        })
        .collect()
}

fn run(command: &mut Command) -> Value {
    let mut process = Running::start(command, "");
    assert_eq!(process.code(), 0, "{:?}", process.errors());
    serde_json::from_str(&process.output().join("\n")).unwrap()
}

const OSS_WITH_TOGGLES: [(&str, bool, bool, &str); 2] = [
    ("aggregator", false, false, "the oss edition has no aggregator runner"),
    ("dataplane", false, false, "the oss edition has no dataplane runner"),
];

#[test]
fn oss_with_both_toggles_on_starts_and_says_what_it_lacks() {
    if !editions().contains(&Edition::Oss) {
        return;
    }
    let server = Server::builder(Edition::Oss).runners().start();
    for (name, _, _, reason) in OSS_WITH_TOGGLES {
        let line = server.await_log(&format!("name=\"{name}\""));
        assert!(line.contains("not started") && line.contains(reason), "{line}");
    }
    let admin = server.admin();
    let status = admin.request("GET", "/statusz").header("Accept", "application/json").send().expect(200);
    assert_eq!(rows(&status), OSS_WITH_TOGGLES);
    let page = admin.get("/statusz").text();
    let line = "AggregatorRunner aggregator: not started: the oss edition has no aggregator runner";
    assert!(page.contains(line), "{page}");
    refused_with(
        &admin,
        ["AggregatorNotInEdition", "DataplaneNotInEdition"],
        ["the oss edition has no aggregator runner", "the oss edition has no dataplane runner"],
    );
}

#[test]
fn oss_tells_the_same_on_the_command_line() {
    if !editions().contains(&Edition::Oss) {
        return;
    }
    let mut editions = command(Edition::Oss, &["editions", "-o", "json"]);
    editions.env("DETECTVIZ_FEATURE_TOGGLES__kubernetesAggregator", "true");
    editions.env("DETECTVIZ_FEATURE_TOGGLES__DATAPLANEAGGREGATOR", "true");
    let report = run(&mut editions);
    assert_eq!(report["edition"], "oss");
    assert_eq!(rows(&report), OSS_WITH_TOGGLES);
}

#[test]
fn without_its_toggle_a_runner_is_disabled_and_its_objects_say_so() {
    every_edition(|edition| {
        let (reasons, conditions, advice) = match edition {
            Edition::Enterprise => (
                ["feature toggle kubernetesAggregator is off", "feature toggle dataplaneAggregator is off"],
                ["AggregatorDisabled", "DataplaneDisabled"],
                ["--toggle kubernetesAggregator=true", "--toggle dataplaneAggregator=true"],
            ),
            // To turn a toggle on would not help there, so nobody is told to.
            Edition::Oss => (
                ["the oss edition has no aggregator runner", "the oss edition has no dataplane runner"],
                ["AggregatorNotInEdition", "DataplaneNotInEdition"],
                ["oss edition", "oss edition"],
            ),
        };
        let report = run(&mut command(edition, &["editions", "-o", "json"]));
        for ((name, provided, starts, reason), expected) in rows(&report).into_iter().zip(reasons) {
            assert_eq!((provided, starts), (edition == Edition::Enterprise, false), "{name}");
            assert_eq!(reason, expected, "{name}");
        }
        refused_with(&Server::builder(edition).start().admin(), conditions, advice);
    });
}

#[test]
fn enterprise_starts_what_is_turned_on_and_nothing_else() {
    if !editions().contains(&Edition::Enterprise) {
        return;
    }
    let server = Server::builder(Edition::Enterprise).toggle("DATAPLANEAGGREGATOR", true).start();
    let status =
        server.admin().request("GET", "/statusz").header("Accept", "application/json").send().expect(200);
    assert_eq!(
        rows(&status),
        [
            ("aggregator", true, false, "feature toggle kubernetesAggregator is off"),
            ("dataplane", true, true, "feature toggle dataplaneAggregator is on"),
        ]
    );
    let aggregator = server.await_log("name=\"aggregator\"");
    assert!(aggregator.contains("not started"), "{aggregator}");
    let dataplane = server.await_log("name=\"dataplane\"");
    assert!(dataplane.contains("started") && !dataplane.contains("not started"), "{dataplane}");
}

#[test]
fn the_log_tells_how_the_server_starts() {
    variants(|server| {
        let started = server.await_log("starting generic API server");
        assert!(started.contains(&format!("edition=\"{}\"", server.edition())), "{started}");
        let groups = server.await_log("registered API groups");
        for group in ["v1", "apiregistration.k8s.io/v1", "service.grafana.app/v0alpha1"] {
            assert!(groups.contains(group), "{groups}");
        }
        server.await_log("ready");
    });
}

#[test]
fn local_group_versions_have_their_own_api_services() {
    variants(|server| {
        let admin = server.admin();
        for name in ["v1.", "v1.apiregistration.k8s.io", "v0alpha1.service.grafana.app"] {
            let path = format!("{API_SERVICES}/{name}");
            detectviz_tests::wait_for(&path, || (admin.get(&path).code == 200).then_some(()));
            await_available(&admin, &path, "True", Some("Local"));
            assert_eq!(admin.get(&path).expect(200)["spec"].get("service"), None);
        }
    });
}

#[test]
fn config_tells_where_each_value_comes_from() {
    every_edition(|edition| {
        let folder = Server::builder(edition).config("secure_port = 7443\n[log]\nlevel = \"debug\"\n");
        let file = folder.folder().join("config.toml");
        let mut shown = command(edition, &["config", "-o", "json", "--config", file.to_str().unwrap()]);
        let shown = run(shown.env("DETECTVIZ_STORAGE", "memory").env("DETECTVIZ_LOG__LEVEL", "warn"));
        let value = |key: &str| {
            let values = shown["values"].as_array().unwrap();
            let found = values.iter().find(|value| value["key"] == key).unwrap();
            [&found["value"], &found["origin"]].map(|text| text.as_str().unwrap().to_owned())
        };
        assert_eq!(value("secure_port"), ["7443".to_owned(), format!("{}:1", file.display())]);
        assert_eq!(value("storage"), ["memory", "variable DETECTVIZ_STORAGE"]);
        assert_eq!(value("log.level"), ["warn", "variable DETECTVIZ_LOG__LEVEL"]);
        assert_eq!(value("bind_address"), ["127.0.0.1", "default"]);
        assert_eq!(value("feature_toggles.kubernetesAggregator"), ["false", "default"]);
    });
}

#[test]
fn the_reference_of_options_is_the_same_in_every_edition() {
    every_edition(|edition| {
        let printed = command(edition, &["config", "docs"]).output().unwrap();
        let committed = include_str!("../../docs/options.md");
        assert!(printed.status.success());
        let is_same = String::from_utf8(printed.stdout).unwrap() == committed;
        assert!(is_same, "make docs/options.md again with `config docs`");
    });
}

#[test]
fn a_shell_takes_the_completions() {
    every_edition(|edition| {
        let script = command(edition, &["completions", "bash"]).output().unwrap();
        assert!(script.status.success());
        let ask = "COMP_WORDS=(detectviz st); COMP_CWORD=1; _detectviz detectviz st detectviz; echo ${COMPREPLY[@]}";
        let mut script = String::from_utf8(script.stdout).unwrap();
        script.push_str(ask);
        let answer = std::process::Command::new("bash").arg("-c").arg(script).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&answer.stdout).trim(), "store", "{answer:?}");
    });
}

#[test]
fn version_names_the_edition() {
    every_edition(|edition| {
        let version = run(&mut command(edition, &["version", "-o", "json"]));
        assert_eq!(version["edition"], edition.name());
        for key in ["version", "commit", "rustc"] {
            assert!(version[key].as_str().is_some_and(|text| !text.is_empty()), "{version}");
        }
    });
}

#[test]
fn the_log_is_json_when_asked_for() {
    let mut server = Server::builder(editions()[0]).option("--log-format", "json").start();
    server.stop();
    let log = server.log();
    assert!(!log.is_empty());
    for line in log {
        let entry: Value = serde_json::from_str(&line).unwrap_or_else(|fault| panic!("{fault}: {line}"));
        assert_eq!(entry["level"], "INFO", "{line}");
    }
}
