//! `detectviz store`: what an administrator does to the embedded store, with the built binary.

use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use detectviz_tests::{Server, command, editions, every_edition, wait_for};
use serde_json::Value;

use crate::support::{CONFIG_MAPS, config_map, create, names, version};

/// Runs a command on the store in `data`, which has to end with this exit code.
fn store(data: &Path, words: &str, file: Option<&Path>, code: i32) -> Output {
    let mut command = command(editions()[0], &["store"]);
    command.args(words.split_whitespace()).arg("--data-dir").arg(data).args(file);
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{words}: {errors}");
    output
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_backup_under_load_has_everything_that_was_acknowledged_before() {
    let mut server = Server::builder(editions()[0]).start();
    let (data, file) = (server.data_dir(), server.folder().join("backup"));
    let (acknowledged, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut before = 0;
    std::thread::scope(|scope| {
        let admin = server.admin();
        scope.spawn(|| {
            let admin = admin;
            while !stop.load(Ordering::Relaxed) {
                let name = format!("n{:06}", acknowledged.load(Ordering::Relaxed));
                create(&admin, CONFIG_MAPS, &config_map(&name, &name));
                acknowledged.fetch_add(1, Ordering::Release);
            }
        });
        for round in 1..=3 {
            wait_for("some more creates", || {
                (acknowledged.load(Ordering::Acquire) > before + 50).then_some(())
            });
            before = acknowledged.load(Ordering::Acquire);
            let made = json(&store(&data, "backup --force -o json", Some(&file), 0));
            assert!(made["keys"].as_u64().unwrap() >= before as u64, "round {round}: {made}");
        }
        assert!(errors(&store(&data, "backup", Some(&file), 1)).contains("--force"));
        assert!(
            errors(&store(&data, "restore", Some(&file), 1))
                .contains("another process uses this data folder")
        );
        assert!(errors(&store(&data, "compact", None, 1)).contains("a running server does it by itself"));
        store(&data, "check", None, 0);
        stop.store(true, Ordering::Relaxed);
    });
    server.stop();

    // Elsewhere, a server shows what is in it.
    let restored = Server::builder(editions()[0]);
    store(&restored.data_dir(), "restore", Some(&file), 0);
    let list = restored.start().admin().get(CONFIG_MAPS).expect(200);
    let names = names(&list);
    let expected: Vec<_> = (0..names.len()).map(|number| format!("n{number:06}")).collect();
    assert_eq!(names, expected);
    assert!(names.len() >= before, "{} of {before}", names.len());
}

#[test]
fn a_restore_goes_forward_and_ends_old_watches() {
    every_edition(|edition| {
        let mut server = Server::builder(edition).start();
        let (data, file) = (server.data_dir(), server.folder().join("backup"));
        create(&server.admin(), CONFIG_MAPS, &config_map("kept", "x"));
        store(&data, "backup", Some(&file), 0);
        let lost = version(&create(&server.admin(), CONFIG_MAPS, &config_map("lost", "x")));
        server.stop();

        let restored = json(&store(&data, "restore -o json --bump-revision 5000", Some(&file), 0));
        assert!(
            Path::new(restored["replaced"].as_str().unwrap()).join("manifest").parent().unwrap().is_dir()
        );
        let again = server.setup().start();
        let admin = again.admin();
        let list = admin.get(CONFIG_MAPS).expect(200);
        assert_eq!(names(&list), ["kept"]);
        assert!(version(&list) >= lost + 5000, "{} after {lost}", version(&list));
        assert!(version(&create(&admin, CONFIG_MAPS, &config_map("new", "x"))) > version(&list));
        for old in [version(&list["items"][0]), lost, lost + 1] {
            let mut watch = admin.watch(format!("{CONFIG_MAPS}?watch=true&resourceVersion={old}"));
            let error = watch.expect("ERROR");
            assert_eq!((&error["code"], &error["reason"]), (&410.into(), &"Expired".into()), "{error}");
        }
    });
}

/// The file of the store whose name begins so, and that has content.
fn file_of(data: &Path, prefix: &str) -> std::path::PathBuf {
    let entries = std::fs::read_dir(data.join("store")).unwrap().map(|entry| entry.unwrap().path());
    let mut named = entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(prefix));
    named.find(|path| path.metadata().unwrap().len() > 0).unwrap()
}

#[test]
fn a_check_finds_a_flipped_byte_and_names_it() {
    let mut server = Server::builder(editions()[0]).start();
    for number in 0..5 {
        create(&server.admin(), CONFIG_MAPS, &config_map(&format!("n{number}"), "x"));
    }
    server.stop();
    let data = server.data_dir();
    let report = json(&store(&data, "check -o json", None, 0));
    let resources = report["resources"].as_array().unwrap();
    assert!(resources.iter().any(|size| size["resource"] == "core/configmaps" && size["objects"] == 5));

    for kind in ["wal-", "part-"] {
        let file = file_of(&data, kind);
        let whole = std::fs::read(&file).unwrap();
        let mut damaged = whole.clone();
        damaged[20] ^= 4;
        std::fs::write(&file, damaged).unwrap();
        let found = store(&data, "check", None, 1);
        let text = String::from_utf8_lossy(&found.stdout).into_owned();
        assert!(text.contains(&format!("{} at byte 0", file.display())), "{text}");
        assert!(errors(&found).contains("restore a backup"));
        std::fs::write(&file, whole).unwrap();
        // The rest of the rounds has parts instead of a log.
        store(&data, "compact", None, 0);
    }
    assert_eq!(names(&server.setup().start().admin().get(CONFIG_MAPS).expect(200)).len(), 5);
}

#[test]
fn other_storage_says_what_to_use_instead() {
    let endpoints = Some(("DETECTVIZ_ETCD__ENDPOINTS", "http://127.0.0.1:2379"));
    for (storage, variable, says) in
        [("etcd", endpoints, "etcdctl snapshot save"), ("memory", None, "kubectl get")]
    {
        let setup = Server::builder(editions()[0]);
        let mut command = command(editions()[0], &["store", "check"]);
        let output = command
            .env("DETECTVIZ_STORAGE", storage)
            .envs(variable)
            .arg("--data-dir")
            .arg(setup.data_dir())
            .output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(errors(&output).contains(says), "{}", errors(&output));
    }
    let nothing = Server::builder(editions()[0]);
    assert!(errors(&store(&nothing.data_dir(), "check", None, 1)).contains("no store in this folder"));
    assert!(!nothing.data_dir().exists());
}
