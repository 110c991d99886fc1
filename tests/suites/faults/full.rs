//! A full disk: what does not fit is refused, and everything else goes on.

use detectviz_tests::{Server, SmallDisk, editions};
use serde_json::Value;

use super::{large, versions};
use crate::support::{CONFIG_MAPS, config_map, names, version};

/// The disk's size, with room for whatever the store sets aside.
const MEBIBYTES: u32 = 48;

/// A server whose disk has become full, and what it acknowledged before.
fn filled() -> Option<(Server, SmallDisk, Vec<Value>)> {
    let builder = Server::builder(editions()[0])
        .allow_log("store is read-only")
        .allow_log("write refused by the store");
    let builder = builder
        .allow_log("cutting off an unfinished write")
        .allow_log("disk is full")
        .allow_log("disk has room again");
    let (builder, disk) = SmallDisk::under(builder, MEBIBYTES)?;
    let server = builder.start();
    let admin = server.admin();
    let mut kept = Vec::new();
    for number in 0..2 * MEBIBYTES {
        let answer = admin.create(CONFIG_MAPS, &large(&format!("large-{number:03}"), 900));
        if answer.code == 507 {
            answer.refused(507, "InsufficientStorage");
            return Some((server, disk, kept));
        }
        kept.push(answer.expect(201));
    }
    panic!("the disk is never full");
}

#[test]
fn a_full_disk_refuses_writes_and_goes_on_reading() {
    let Some((mut server, _disk, kept)) = filled() else { return };
    let admin = server.admin();
    let last = version(kept.last().unwrap());
    admin.create(CONFIG_MAPS, &large("more", 900)).refused(507, "InsufficientStorage");
    let list = admin.get(CONFIG_MAPS).expect(200);
    assert_eq!(names(&list).len(), kept.len(), "what was refused is not there");
    let from = version(&kept[kept.len() - 2]);
    let mut watch = admin.watch(format!("{CONFIG_MAPS}?watch=true&resourceVersion={from}"));
    assert_eq!(version(&watch.expect("ADDED")), last);
    drop(watch);
    server.stop();
    let server = server.setup().start();
    let admin = server.admin();
    let found = versions(&admin.get(CONFIG_MAPS).expect(200));
    for object in &kept {
        assert_eq!(found.get(object["metadata"]["name"].as_str().unwrap()), Some(&version(object)));
    }
    assert_eq!(found.len(), kept.len(), "what was refused has not happened");
}

#[test]
fn deletes_go_on_while_the_disk_is_full_and_give_room() {
    let Some((mut server, _disk, kept)) = filled() else { return };
    let admin = server.admin();
    let from = version(kept.last().unwrap());
    let mut watch = admin.watch(format!("{CONFIG_MAPS}?watch=true&resourceVersion={from}"));
    for object in &kept {
        let name = object["metadata"]["name"].as_str().unwrap();
        admin.delete(format!("{CONFIG_MAPS}/{name}")).expect(200);
        assert_eq!(watch.expect("DELETED")["metadata"]["name"], name);
    }
    // What compaction gives back comes a little later.
    detectviz_tests::wait_until("there is room again", || {
        let answer = admin.create(CONFIG_MAPS, &config_map("again", "1"));
        if answer.code == 201 { Ok(()) } else { Err(answer) }
    });
    drop(watch);
    server.stop();
    let server = server.setup().start();
    assert_eq!(names(&server.admin().get(CONFIG_MAPS).expect(200)), ["again"]);
}
