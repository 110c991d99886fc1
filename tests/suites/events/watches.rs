//! A watch of either group sees what is written through both, in its own shape: the same changes in the same order.

use detectviz_tests::{Transport, variants};
use serde_json::{Value, json};

use super::{EVENTS, NEW_EVENTS, new_event, old_event, other_form};
use crate::support::{create, version};

#[test]
fn every_change_comes_once_and_in_order_in_the_shape_of_the_watch() {
    variants(|server| {
        let admin = server.admin();
        create(&admin, EVENTS, &old_event("before"));
        let open = |collection: &str| {
            let path = format!("{collection}?watch=true");
            // Twice, so that what is encoded for one is there for the other.
            Transport::ALL
                .into_iter()
                .chain([Transport::Http1])
                .map(|way| admin.watch_over(way, &path))
                .collect::<Vec<_>>()
        };
        let (mut core, mut new) = (open(EVENTS), open(NEW_EVENTS));
        for round in 0..20 {
            let name = format!("e{round}");
            match round % 2 {
                0 => create(&admin, EVENTS, &old_event(&name)),
                _ => create(&admin, NEW_EVENTS, &new_event(&name)),
            };
            let (touched, gone) = if round % 3 == 0 { (EVENTS, NEW_EVENTS) } else { (NEW_EVENTS, EVENTS) };
            let labels = json!({"metadata": {"labels": {"round": round.to_string()}}}).to_string();
            let patch = admin
                .request("PATCH", format!("{touched}/{name}"))
                .body("application/merge-patch+json", labels);
            patch.send().expect(200);
            admin.delete(format!("{gone}/{name}")).expect(200);
        }
        let mut seen: Vec<Vec<Value>> = Vec::new();
        for watch in core.iter_mut().chain(&mut new) {
            assert_eq!(watch.expect("ADDED")["metadata"]["name"], "before");
            seen.push(watch.take(60).collect());
        }
        let expected: Vec<(String, String)> = (0..20)
            .flat_map(|round| {
                ["ADDED", "MODIFIED", "DELETED"].map(|kind| (kind.to_owned(), format!("e{round}")))
            })
            .collect();
        for events in &seen {
            let told = events.iter().map(|event| {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                (text(&event["type"]), text(&event["object"]["metadata"]["name"]))
            });
            assert_eq!(told.collect::<Vec<_>>(), expected);
            assert!(events.windows(2).all(|pair| version(&pair[0]["object"]) < version(&pair[1]["object"])));
        }
        let (core, new) = seen.split_at(core.len());
        assert!(core.iter().all(|events| *events == core[0]) && new.iter().all(|events| *events == new[0]));
        for (core, new) in core[0].iter().zip(&new[0]) {
            assert_eq!(new["object"], other_form(&core["object"]));
        }
    });
}

#[test]
fn a_watch_resumes_selects_and_marks_in_its_own_shape() {
    variants(|server| {
        let admin = server.admin();
        let first = create(&admin, EVENTS, &old_event("first"));
        let second = create(&admin, NEW_EVENTS, &new_event("second"));
        let from = version(&first);
        let mut resumed = admin.watch(format!("{NEW_EVENTS}?watch=true&resourceVersion={from}"));
        assert_eq!(resumed.expect("ADDED"), second);
        let initial =
            "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
        let selector = "fieldSelector=regarding.kind%3DSecret";
        let mut selected = admin.watch(format!("{NEW_EVENTS}?{initial}&{selector}"));
        assert_eq!(selected.expect("ADDED"), second);
        let mark = selected.expect("BOOKMARK");
        assert_eq!((&mark["apiVersion"], &mark["kind"]), (&json!("events.k8s.io/v1"), &json!("Event")));
        // What leaves the selection is shown as it was, with the version of its leaving.
        let mut elsewhere = admin.get(format!("{EVENTS}/second")).expect(200);
        elsewhere["involvedObject"]["kind"] = "ConfigMap".into();
        let elsewhere = admin.update(format!("{EVENTS}/second"), &elsewhere).expect(200);
        let left = selected.expect("DELETED");
        assert_eq!((&left["regarding"]["kind"], version(&left)), (&json!("Secret"), version(&elsewhere)));
        assert_eq!(resumed.expect("MODIFIED"), other_form(&elsewhere));
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        let narrow = admin.with("Accept", table);
        let mut rows = narrow.watch(format!("{NEW_EVENTS}?watch=true&fieldSelector=metadata.name%3Dfirst"));
        let row = rows.expect("ADDED")["rows"][0].clone();
        assert_eq!((&row["cells"][3], &row["cells"][6]), (&json!("configmap/m"), &json!("it failed")));
        assert_eq!(row["object"]["metadata"], first["metadata"]);
    });
}
