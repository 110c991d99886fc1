//! `resourceVersion` and `resourceVersionMatch`, row by row of the documented table.

use std::sync::atomic::{AtomicBool, Ordering};

use detectviz_tests::{Client, Server, Storage, editions, variants, wait_until};
use serde_json::{Value, json};

use super::{joined, refuse};
use crate::support::{CONFIG_MAPS, config_map, create, version};

/// What the version of a list has to be.
enum Of {
    /// Exactly this one.
    Exactly(u64),
    /// The newest one.
    Newest,
}

#[test]
fn a_list_is_of_the_version_that_was_asked_for() {
    variants(|server| {
        let admin = server.admin();
        let a = version(&create(&admin, CONFIG_MAPS, &config_map("a", "1")));
        let b = version(&create(&admin, CONFIG_MAPS, &config_map("b", "1")));
        let c = create(&admin, CONFIG_MAPS, &config_map("c", "1"));
        admin.delete(format!("{CONFIG_MAPS}/a")).expect(200);
        let newest = version(&admin.get(CONFIG_MAPS).expect(200));
        assert!(a < b && b < version(&c) && version(&c) < newest);
        use Of::{Exactly, Newest};
        for (query, names, of) in [
            (String::new(), "b,c", Newest),
            ("resourceVersion=".into(), "b,c", Newest),
            ("resourceVersion=0".into(), "b,c", Newest),
            ("resourceVersion=0&resourceVersionMatch=NotOlderThan".into(), "b,c", Newest),
            (format!("resourceVersion={a}"), "b,c", Newest),
            (format!("resourceVersion={newest}"), "b,c", Newest),
            (format!("resourceVersion={b}&resourceVersionMatch=NotOlderThan"), "b,c", Newest),
            (format!("resourceVersion={b}&resourceVersionMatch=NotOlderThan&limit=9"), "b,c", Newest),
            (format!("resourceVersion={a}&resourceVersionMatch=Exact"), "a", Exactly(a)),
            (format!("resourceVersion={b}&resourceVersionMatch=Exact"), "a,b", Exactly(b)),
            (format!("resourceVersion={b}&resourceVersionMatch=Exact&limit=1"), "a", Exactly(b)),
            // A page of a named version is of exactly that version, from before `resourceVersionMatch`.
            (format!("resourceVersion={b}&limit=9"), "a,b", Exactly(b)),
            (format!("resourceVersion={b}&limit=0"), "b,c", Newest),
            // Of any version there are no pages.
            ("resourceVersion=0&limit=1".into(), "b,c", Newest),
            ("limit=1".into(), "b", Newest),
            (
                format!("resourceVersion={b}&resourceVersionMatch=Exact&fieldSelector=metadata.name%3Da"),
                "a",
                Exactly(b),
            ),
            (format!("resourceVersion={b}&resourceVersionMatch=Exact&labelSelector=x"), "", Exactly(b)),
        ] {
            let list = admin.get(format!("{CONFIG_MAPS}?{query}")).expect(200);
            assert_eq!(joined(&list), names, "{query}");
            match of {
                Exactly(wanted) => assert_eq!(version(&list), wanted, "{query}"),
                Newest => assert!(version(&list) >= newest, "{query}: {list}"),
            }
        }
        for query in ["", "?resourceVersion=", "?resourceVersion=0", &format!("?resourceVersion={newest}")] {
            let object = admin.get(format!("{CONFIG_MAPS}/c{query}")).expect(200);
            assert_eq!(object, c, "{query}");
        }
        let gone = admin.get(format!("{CONFIG_MAPS}/a?resourceVersion={a}"));
        gone.refused(404, "NotFound");
    });
}

const NO_NUMBER: &str = "invalid resource version: resourceVersion: Invalid value: \"x\": strconv.ParseUint: parsing \"x\": invalid syntax";

#[test]
fn versions_that_make_no_sense_are_refused_in_upstreams_words() {
    variants(|server| {
        let admin = server.admin();
        create(&admin, CONFIG_MAPS, &config_map("a", "1"));
        let list = |query: &str| format!("{CONFIG_MAPS}?{query}");
        let invalid = |why: &str| format!("ListOptions.meta.k8s.io \"\" is invalid: {why}");
        let forbidden = |why: &str| invalid(&format!("resourceVersionMatch: Forbidden: {why}"));
        let rows: Vec<(String, u16, &str, String)> = vec![
            (list("resourceVersion=x"), 400, "BadRequest", NO_NUMBER.into()),
            (format!("{CONFIG_MAPS}/a?resourceVersion=x"), 400, "BadRequest", NO_NUMBER.into()),
            (list("resourceVersion=-1"), 400, "BadRequest", NO_NUMBER.replace('x', "-1").replace("synta-1", "syntax")),
            (
                list("resourceVersion=18446744073709551616"),
                400,
                "BadRequest",
                "invalid resource version: resourceVersion: Invalid value: \"18446744073709551616\": strconv.ParseUint: \
                 parsing \"18446744073709551616\": value out of range"
                    .into(),
            ),
            (
                list("resourceVersionMatch=Exact"),
                422,
                "Invalid",
                forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided"),
            ),
            (
                list("resourceVersionMatch=Exact&resourceVersion=0"),
                422,
                "Invalid",
                forbidden("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""),
            ),
            (
                list("resourceVersionMatch=NotOlderThan&resourceVersion=1&continue=x"),
                422,
                "Invalid",
                forbidden("resourceVersionMatch is forbidden when continue is provided"),
            ),
            (
                list("resourceVersionMatch=Newest&resourceVersion=1"),
                422,
                "Invalid",
                invalid(
                    "resourceVersionMatch: Unsupported value: \"Newest\": supported values: \"Exact\", \"NotOlderThan\", \"\"",
                ),
            ),
            (
                list("sendInitialEvents=true"),
                422,
                "Invalid",
                invalid("sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"),
            ),
        ];
        let rows: Vec<_> = rows
            .iter()
            .map(|(path, code, reason, message)| (&**path, (*code, *reason, &**message)))
            .collect();
        refuse(&admin, &rows);
        let status = admin.get(list("resourceVersionMatch=Exact")).json();
        let cause = json!([{
            "reason": "FieldValueForbidden", "field": "resourceVersionMatch",
            "message": "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
        }]);
        assert_eq!(
            status["details"],
            json!({"group": "meta.k8s.io", "kind": "ListOptions", "causes": cause})
        );
    });
}

#[test]
fn a_version_of_the_future_is_a_timeout_that_says_why() {
    variants(|server| {
        let admin = server.admin();
        let now = version(&create(&admin, CONFIG_MAPS, &config_map("a", "1")));
        let future = now + 1_000_000;
        for path in [
            format!("{CONFIG_MAPS}?resourceVersion={future}"),
            format!("{CONFIG_MAPS}?resourceVersion={future}&limit=1"),
            format!("{CONFIG_MAPS}?resourceVersion={future}&resourceVersionMatch=Exact"),
            format!("{CONFIG_MAPS}?resourceVersion={future}&resourceVersionMatch=NotOlderThan"),
            format!("{CONFIG_MAPS}/a?resourceVersion={future}"),
        ] {
            let answer = admin.get(&path);
            assert_eq!(answer.header("retry-after"), Some("1"), "{path}");
            let status = answer.refused(504, "Timeout");
            let message = status["message"].as_str().unwrap();
            let expected = format!("Timeout: Too large resource version: {future}, current: ");
            assert!(message.starts_with(&expected), "{status}");
            let cause = json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"});
            assert_eq!(status["details"], json!({"causes": [cause], "retryAfterSeconds": 1}), "{path}");
        }
    });
}

#[test]
fn any_version_never_goes_back() {
    variants(|server| {
        let (admin, done) = (server.admin(), AtomicBool::new(false));
        let path = format!("{CONFIG_MAPS}/one");
        create(&admin, CONFIG_MAPS, &config_map("one", "0"));
        let write = |admin: &Client| {
            for round in 0..60 {
                let mut object = admin.get(&path).expect(200);
                object["data"]["value"] = round.to_string().into();
                admin.update(&path, &object).expect(200);
            }
            done.store(true, Ordering::Release);
        };
        // A server that was just started may have nothing yet of any version.
        wait_until("any version has the object", || {
            let answer = admin.get(format!("{path}?resourceVersion=0"));
            if answer.code == 200 { Ok(()) } else { Err(answer.to_string()) }
        });
        let read = |admin: &Client| {
            let mut last = 0;
            while !done.load(Ordering::Acquire) {
                let list = admin.get(format!("{CONFIG_MAPS}?resourceVersion=0")).expect(200);
                let one = version(&admin.get(format!("{path}?resourceVersion=0")).expect(200));
                let seen = [version(&list), version(&list["items"][0]), one];
                assert!(seen[1] <= seen[0] && last <= seen[1] && seen[1] <= one, "{last}, then {seen:?}");
                last = seen[1].max(one);
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| write(&admin));
            scope.spawn(|| read(&admin));
        });
    });
}

/// Writes the object so often that what is remembered of its history goes beyond `bytes`.
fn churn(client: &Client, name: &str, size: usize, times: usize) {
    let value = "x".repeat(size);
    for round in 0..times {
        let object: Value = config_map(name, &format!("{round}{value}"));
        client.update(format!("{CONFIG_MAPS}/{name}"), &object).expect(200);
    }
}

#[test]
fn what_the_cache_forgot_the_store_still_has() {
    variants(|server| {
        let admin = server.admin();
        let (old, token) = begin(&admin);
        let exact = format!("{CONFIG_MAPS}?resourceVersion={old}&resourceVersionMatch=Exact");
        let before = admin.get(&exact).expect(200);
        // More than the cache's window, less than the store's history.
        churn(&admin, "d", 100_000, 110);
        assert_eq!(admin.get(&exact).expect(200), before);
        let one = admin.get(format!("{exact}&fieldSelector=metadata.name%3Dd")).expect(200);
        assert_eq!(one["items"], json!([before["items"][3]]));
        let page = admin.get(format!("{CONFIG_MAPS}?limit=1&continue={token}")).expect(200);
        assert_eq!((joined(&page), version(&page)), ("c".into(), old));
        assert_eq!(page["metadata"]["remainingItemCount"], 1);
    });
}

/// Four objects: the version of their first page of two, and the token of the second.
fn begin(admin: &Client) -> (u64, String) {
    for name in ["a", "b", "c", "d"] {
        create(admin, CONFIG_MAPS, &config_map(name, "1"));
    }
    let first = admin.get(format!("{CONFIG_MAPS}?limit=2")).expect(200);
    (version(&first), first["metadata"]["continue"].as_str().unwrap().to_owned())
}

#[test]
fn what_the_store_forgot_is_expired_and_a_list_goes_on_nevertheless() {
    // Those whose history ends by its size; that of etcd ends by time.
    for storage in [Storage::Embedded, Storage::Memory] {
        let server = Server::builder(editions()[0]).storage(storage).start();
        let admin = server.admin();
        let (old, token) = begin(&admin);
        churn(&admin, "d", 1_000_000, 110);
        let exact = format!("{CONFIG_MAPS}?resourceVersion={old}&resourceVersionMatch=Exact");
        let status = admin.get(&exact).refused(410, "Expired");
        assert_eq!(status["message"], "The resourceVersion for the provided list is too old.");
        let status = admin.get(format!("{CONFIG_MAPS}?limit=1&continue={token}")).refused(410, "Expired");
        let message = status["message"].as_str().unwrap();
        assert!(message.contains("or use the continue token in this response"), "{status}");
        let token = status["metadata"]["continue"].as_str().unwrap();
        create(&admin, CONFIG_MAPS, &config_map("bb", "new"));
        let page = admin.get(format!("{CONFIG_MAPS}?limit=2&continue={token}")).expect(200);
        assert_eq!(joined(&page), "bb,c", "behind the same key, in the newest state");
        assert!(version(&page) > old && page["metadata"]["remainingItemCount"] == 1);
        let token = page["metadata"]["continue"].as_str().unwrap();
        create(&admin, CONFIG_MAPS, &config_map("e", "newer"));
        let last = admin.get(format!("{CONFIG_MAPS}?limit=9&continue={token}")).expect(200);
        assert_eq!((joined(&last), version(&last)), ("d".into(), version(&page)), "one snapshot again");
        // An object's own version has no past.
        assert!(admin.get(format!("{CONFIG_MAPS}/d?resourceVersion={old}")).expect(200).is_object());
    }
}
