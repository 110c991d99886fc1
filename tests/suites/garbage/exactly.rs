//! Ten thousand objects with owners: exactly what has to go goes, while others write and the server is stopped and killed.

use detectviz_tests::{Client, Server, editions, wait_until};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{bulk, owned, reference};
use crate::support::{CONFIG_MAPS, create, names};

const SECRETS: &str = "/api/v1/namespaces/default/secrets";
/// How many families there are, of [`MEMBERS`] each: 10,000 objects. Those with an even number lose their root.
const FAMILIES: usize = 250;
const MEMBERS: usize = 40;
/// A line of owners, a circle, and secrets that depend on the line.
const LINE: usize = 10;
const CIRCLE: usize = 5;
const SECRETS_EACH: usize = 20;
/// Objects that depend on the roots of two families.
const SHARED: usize = 4;

/// A family of objects, and what has to be left of it.
struct Families {
    roots: Vec<Value>,
    circles: Vec<Vec<Value>>,
    /// The shared objects, and the root that is left of their owners.
    shared: Vec<(String, String)>,
}

fn is_doomed(family: usize) -> bool {
    family.is_multiple_of(2)
}

fn map(name: &str, owners: &[Value]) -> (String, Value) {
    (CONFIG_MAPS.to_owned(), owned(name, owners))
}

fn secret(name: &str, owner: &Value) -> (String, Value) {
    let metadata = json!({"name": name, "ownerReferences": [reference(owner)]});
    (SECRETS.to_owned(), json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata}))
}

/// Creates all families.
fn create_all(admin: &Client) -> Families {
    let each = |objects: &dyn Fn(usize) -> (String, Value)| bulk(admin, (0..FAMILIES).map(objects).collect());
    let roots = each(&|family| map(&format!("f{family}-root"), &[]));
    let mut line: Vec<Vec<Value>> = vec![roots.clone()];
    for step in 0..LINE {
        let before = line.last().unwrap();
        let next = each(&|family| map(&format!("f{family}-l{step}"), &[reference(&before[family])]));
        line.push(next);
    }
    let mut circle: Vec<Vec<Value>> = Vec::new();
    for step in 0..CIRCLE {
        let before = circle.last().unwrap_or(&roots);
        let next = each(&|family| map(&format!("f{family}-c{step}"), &[reference(&before[family])]));
        circle.push(next);
    }
    let secrets = (0..FAMILIES).flat_map(|family| (0..SECRETS_EACH).map(move |number| (family, number)));
    bulk(
        admin,
        secrets
            .map(|(family, number)| secret(&format!("f{family}-s{number}"), &line[1 + number % LINE][family]))
            .collect(),
    );
    let root_name = |family: usize| roots[family]["metadata"]["name"].as_str().unwrap().to_owned();
    let mut shared = Vec::new();
    let mut objects = Vec::new();
    for (family, number) in (0..FAMILIES).flat_map(|family| (0..SHARED).map(move |number| (family, number))) {
        let (name, next) = (format!("f{family}-z{number}"), (family + 1) % FAMILIES);
        objects.push(map(&name, &[reference(&roots[family]), reference(&roots[next])]));
        shared.push((name, root_name(if is_doomed(family) { next } else { family })));
    }
    bulk(admin, objects);
    Families { roots, circles: circle, shared }
}

/// Closes each circle: its first also depends on its last.
fn close_circles(admin: &Client, families: &Families) {
    let mut kept = None;
    for family in 0..FAMILIES {
        let first = &families.circles[0][family];
        let owners = [reference(&families.roots[family]), reference(&families.circles[CIRCLE - 1][family])];
        let patch = json!({"metadata": {"ownerReferences": owners}});
        let path = format!("{CONFIG_MAPS}/{}", first["metadata"]["name"].as_str().unwrap());
        let connection = kept.take().unwrap_or_else(|| admin.connect().unwrap());
        let request = admin.request("PATCH", path).body("application/merge-patch+json", patch.to_string());
        let (answer, connection) = request.send_on(connection).unwrap();
        answer.expect(200);
        kept = connection;
    }
}

/// The names that have to be left of both kinds.
fn expected(extra: &[String]) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut maps, mut secrets) = (BTreeSet::new(), BTreeSet::new());
    for family in 0..FAMILIES {
        maps.extend((0..SHARED).map(|number| format!("f{family}-z{number}")));
        // Every fourth family loses its root, and keeps its circle: each of it depends on another.
        if !is_doomed(family) || family.is_multiple_of(4) {
            maps.extend((0..CIRCLE).map(|step| format!("f{family}-c{step}")));
        }
        if !is_doomed(family) {
            maps.insert(format!("f{family}-root"));
            maps.extend((0..LINE).map(|step| format!("f{family}-l{step}")));
            secrets.extend((0..SECRETS_EACH).map(|number| format!("f{family}-s{number}")));
        }
    }
    maps.extend(extra.iter().cloned());
    (maps, secrets)
}

fn listed(admin: &Client, path: &str) -> BTreeSet<String> {
    names(&admin.get(path).expect(200)).into_iter().collect()
}

/// Deletes the roots of the doomed families in `range`, and one of the circle of every other of them.
fn doom(admin: &Client, range: std::ops::Range<usize>) {
    for family in range.filter(|family| is_doomed(*family)) {
        admin.delete(format!("{CONFIG_MAPS}/f{family}-root")).expect(200);
        if !family.is_multiple_of(4) {
            admin.delete(format!("{CONFIG_MAPS}/f{family}-c2")).expect(200);
        }
    }
}

/// Waits until something was collected: less is there than `before`.
fn await_fewer(admin: &Client, before: usize) {
    wait_until("objects are collected", || {
        let now = listed(admin, SECRETS).len();
        if now < before { Ok(()) } else { Err(format!("{now} secrets of {before} are there")) }
    });
}

/// Writes all the time: changes objects of all families, and makes new ones that depend on a root that is left or going.
/// Returns the names of those that have to stay.
fn write_on(admin: &Client, families: &Families, stop: &AtomicBool) -> Vec<String> {
    let mut made = Vec::new();
    for round in 0.. {
        if stop.load(Ordering::Relaxed) {
            return made;
        }
        let family = round * 7 % FAMILIES;
        for object in [format!("f{family}-l{}", round % LINE), format!("f{family}-z{}", round % SHARED)] {
            let patch = json!({"data": {"round": round.to_string()}}).to_string();
            let path = format!("{CONFIG_MAPS}/{object}");
            // It may be gone, and so may the server.
            let _ = admin.request("PATCH", path).body("application/merge-patch+json", patch).try_send();
        }
        let name = format!("f{family}-new{round}");
        let object = owned(&name, &[reference(&families.roots[family])]);
        let sent = admin.request("POST", CONFIG_MAPS).json(&object).try_send();
        let stored = sent.is_ok_and(|answer| answer.code == 201);
        if stored && !is_doomed(family) {
            made.push(name);
        }
    }
    made
}

#[test]
fn of_ten_thousand_objects_exactly_those_go_that_nothing_keeps() {
    const { assert!(1 + LINE + CIRCLE + SECRETS_EACH + SHARED == MEMBERS && FAMILIES * MEMBERS == 10_000) };
    let mut server = Server::builder(editions()[0]).allow_log("cutting off an unfinished write").start();
    let families = create_all(&server.admin());
    close_circles(&server.admin(), &families);
    let mut made = Vec::new();
    let all = FAMILIES * SECRETS_EACH;
    for (range, kill) in [(0..FAMILIES / 2, false), (FAMILIES / 2..FAMILIES, true)] {
        let (admin, stop) = (server.admin(), AtomicBool::new(false));
        let before = listed(&admin, SECRETS).len();
        assert!(before <= all);
        let written = thread::scope(|scope| {
            let writer = scope.spawn(|| write_on(&admin, &families, &stop));
            doom(&server.admin(), range);
            await_fewer(&server.admin(), before);
            match kill {
                true => server.kill(),
                false => assert_eq!(server.stop().code(), Some(0)),
            }
            stop.store(true, Ordering::Relaxed);
            writer.join().unwrap()
        });
        made.extend(written);
        server = server.setup().start();
    }
    let admin = server.admin();
    let (mut maps, secrets) = expected(&made);
    // Of what was made without an answer, what depends on a root that is left may be there.
    let is_unsure = |name: &String| name.contains("-new") && !is_doomed(family_of(name));
    maps.retain(|name| !is_unsure(name) || made.contains(name));
    let difference = || {
        let there: BTreeSet<String> = listed(&admin, CONFIG_MAPS);
        let left: Vec<_> = there.difference(&maps).filter(|name| !is_unsure(name)).cloned().collect();
        let lost: Vec<_> = maps.difference(&there).cloned().collect();
        assert!(lost.is_empty(), "what an owner keeps is gone: {lost:?}");
        let there = listed(&admin, SECRETS);
        assert!(there.is_superset(&secrets), "what an owner keeps is gone: {:?}", secrets.difference(&there));
        left.into_iter().chain(there.difference(&secrets).cloned()).collect::<Vec<_>>()
    };
    wait_until("what nothing keeps is gone", || match difference() {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{} are left, as {:?}", left.len(), &left[..left.len().min(5)])),
    });
    wait_until("what has one owner left depends on that alone", || {
        match with_other_owners(&admin, &families) {
            others if others.is_empty() => Ok(()),
            others => Err(format!("{} do not, as {}", others.len(), others[0])),
        }
    });
    await_another_round(&admin);
    assert_eq!(difference(), Vec::<String>::new(), "and nothing else goes later");
}

/// The shared objects that depend on something else than on the root that is left.
fn with_other_owners(admin: &Client, families: &Families) -> Vec<Value> {
    let list = admin.get(CONFIG_MAPS).expect(200);
    let owners = |object: &Value| object["metadata"]["ownerReferences"].clone();
    let items = list["items"].as_array().unwrap().iter();
    let owners: BTreeMap<&str, Value> =
        items.map(|item| (item["metadata"]["name"].as_str().unwrap(), owners(item))).collect();
    let is_wrong = |(name, owner): &&(String, String)| {
        let owners = &owners[name.as_str()];
        owners.as_array().map_or(0, Vec::len) != 1 || owners[0]["name"] != **owner
    };
    families.shared.iter().filter(is_wrong).map(|(name, _)| owners[name.as_str()].clone()).collect()
}

fn family_of(name: &str) -> usize {
    let number = name.trim_start_matches('f').split('-').next().unwrap();
    number.parse().unwrap()
}

/// Returns once the collector has done something that it was asked for last.
fn await_another_round(admin: &Client) {
    let owner = create(admin, CONFIG_MAPS, &owned("last", &[]));
    create(admin, CONFIG_MAPS, &owned("last-child", &[reference(&owner)]));
    admin.delete(format!("{CONFIG_MAPS}/last")).expect(200);
    wait_until("the last child is collected", || match admin.get(format!("{CONFIG_MAPS}/last-child")).code {
        404 => Ok(()),
        code => Err(code),
    });
}
