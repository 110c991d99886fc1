//! `limit` and `continue`: pages are one snapshot, and a token reaches nothing that its path does not.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use detectviz_tests::{Client, variants};
use serde_json::{Value, json};

use super::{joined, refuse};
use crate::support::{CONFIG_MAPS, config_map, create, version};

fn token(list: &Value) -> Option<&str> {
    list["metadata"]["continue"].as_str()
}

/// All pages of `path`, whose query is not empty, with what happens between two of them.
fn pages(client: &Client, path: &str, between: impl Fn(usize)) -> Vec<Value> {
    let mut pages = vec![client.get(path).expect(200)];
    while let Some(token) = token(&pages[pages.len() - 1]) {
        between(pages.len());
        pages.push(client.get(format!("{path}&continue={token}")).expect(200));
    }
    pages
}

#[test]
fn pages_are_one_snapshot_and_say_how_much_is_left() {
    variants(|server| {
        let admin = server.admin();
        for number in 0..7 {
            let mut object = config_map(&format!("n{number}"), "1");
            object["metadata"]["labels"] = json!({"odd": (number % 2).to_string()});
            create(&admin, CONFIG_MAPS, &object);
        }
        let disturb = |page: usize| {
            create(&admin, CONFIG_MAPS, &config_map(&format!("n{page}-new{}", rand()), "1"));
        };
        let all = ["n0,n1,n2", "n3,n4,n5", "n6"].as_slice();
        let walks = [
            ("limit=3", all, vec![json!(4), json!(1), Value::Null]),
            ("limit=3&labelSelector=odd%3D1", &["n1,n3,n5"], vec![Value::Null]),
            ("limit=2&labelSelector=odd", &["n0,n1", "n2,n3", "n4,n5", "n6"], vec![Value::Null; 4]),
            ("limit=6&fieldSelector=metadata.name!%3Dn0", &["n1,n2,n3,n4,n5,n6"], vec![Value::Null]),
        ];
        // The first walk is disturbed, and must not notice; the later ones would see what disturbed it.
        let first = pages(&admin, &format!("{CONFIG_MAPS}?{}", walks[0].0), disturb);
        check(&first, walks[0].1, &walks[0].2);
        for name in crate::support::names(&admin.get(CONFIG_MAPS).expect(200)) {
            if name.contains("new") {
                admin.delete(format!("{CONFIG_MAPS}/{name}")).expect(200);
            }
        }
        for (query, names, left) in walks {
            check(&pages(&admin, &format!("{CONFIG_MAPS}?{query}"), |_| ()), names, &left);
        }
        let whole =
            pages(&admin, "/api/v1/configmaps?limit=7&fieldSelector=metadata.namespace%3Ddefault", |_| ());
        assert_eq!(joined(&whole[0]), "n0,n1,n2,n3,n4,n5,n6", "an exact page has no other behind it");
        assert_eq!(token(&whole[0]), None);
    });
}

fn rand() -> u32 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos()
}

fn check(pages: &[Value], names: &[&str], left: &[Value]) {
    assert_eq!(pages.iter().map(joined).collect::<Vec<_>>(), names);
    assert!(pages.iter().all(|page| version(page) == version(&pages[0])));
    let remaining: Vec<_> = pages.iter().map(|page| page["metadata"]["remainingItemCount"].clone()).collect();
    assert_eq!(remaining, left);
}

#[test]
fn limits_are_read_as_upstream_reads_them() {
    variants(|server| {
        let admin = server.admin();
        for name in ["a", "b"] {
            create(&admin, CONFIG_MAPS, &config_map(name, "1"));
        }
        for limit in ["0", "-1", "2", "500", "9223372036854775807"] {
            let list = admin.get(format!("{CONFIG_MAPS}?limit={limit}")).expect(200);
            assert_eq!((joined(&list).as_str(), token(&list)), ("a,b", None), "{limit}");
        }
        let refused = |limit: &str, why: &str| {
            let message = format!("strconv.ParseInt: parsing {limit:?}: {why}");
            refuse(&admin, &[(&format!("{CONFIG_MAPS}?limit={limit}"), (400, "BadRequest", &message))]);
        };
        refused("", "invalid syntax");
        refused("many", "invalid syntax");
        refused("1.5", "invalid syntax");
        refused("9223372036854775808", "value out of range");
        let first = admin.get(format!("{CONFIG_MAPS}?limit=1")).expect(200);
        let more = format!("{CONFIG_MAPS}?continue={}", token(&first).unwrap());
        assert_eq!(joined(&admin.get(&more).expect(200)), "b", "without a limit, the rest");
        assert_eq!(joined(&admin.get(format!("{more}&resourceVersion=0")).expect(200)), "b");
        let message = "specifying resource version is not allowed when using continue";
        refuse(&admin, &[(&format!("{more}&resourceVersion=1"), (400, "BadRequest", message))]);
    });
}

#[test]
fn a_token_reaches_nothing_that_its_path_does_not() {
    variants(|server| {
        let admin = server.admin();
        for namespace in ["aa", "zz"] {
            create(
                &admin,
                "/api/v1/namespaces",
                &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
            );
            create(&admin, &format!("/api/v1/namespaces/{namespace}/configmaps"), &config_map("secret", "x"));
        }
        create(&admin, CONFIG_MAPS, &config_map("a", "1"));
        let last = version(&create(&admin, CONFIG_MAPS, &config_map("z", "1")));
        let made = |rv: i64, after: &str| {
            URL_SAFE_NO_PAD.encode(json!({"v": "detectviz.io/v1", "rv": rv, "after": after}).to_string())
        };
        let here = |path: &str, token: &str| {
            let answer = admin.get(format!("{path}?continue={token}"));
            match answer.code {
                200 => answer.json()["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|item| item["metadata"]["namespace"] == "default"),
                code => matches!(code, 400 | 410 | 504),
            }
        };
        let rv = i64::try_from(last).unwrap();
        for after in [
            "../aa/secret",
            "/",
            "a/../../aa/",
            "\0",
            "\u{10ffff}",
            "..",
            "",
            "default/a",
            "/registry/core/secrets/root/",
            "../../../secrets/root/",
            "~",
            " ",
            "a\nb",
            "%2e%2e/",
        ] {
            for rv in [rv, -1, 1, 0, -2, i64::MAX, i64::MIN] {
                assert!(here(CONFIG_MAPS, &made(rv, after)), "{after:?} at {rv}");
                // The cluster's resources have no namespace to leave.
                let listed = admin.get(format!("/api/v1/namespaces?continue={}", made(rv, after)));
                assert!(matches!(listed.code, 200 | 400 | 410 | 504), "{listed}");
            }
        }
        // One of another resource or namespace is a key to begin behind, and no more.
        let foreign = admin.get("/api/v1/configmaps?limit=1").expect(200);
        assert!(here(CONFIG_MAPS, token(&foreign).unwrap()));
        for broken in ["x", "%25", "e30", "eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ", &"A".repeat(3000)] {
            let status = admin.get(format!("{CONFIG_MAPS}?continue={broken}")).refused(400, "BadRequest");
            let message = status["message"].as_str().unwrap();
            assert!(message.starts_with("invalid continue token: continue key is not valid: "), "{message}");
        }
    });
}
