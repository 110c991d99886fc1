//! A byte on the disk is another one: that is said, with the file and the place, and nothing of it is ever served.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use detectviz_tests::{Builder, Server, command, editions};

use super::{files, large, position};
use crate::support::{CONFIG_MAPS, config_map, create};

/// A store with everything that a store has: old data that was put together, and a log behind it.
fn filled() -> Builder {
    let mut server = Server::builder(editions()[0]).start();
    for number in 0..20 {
        create(&server.admin(), CONFIG_MAPS, &large(&format!("old-{number}"), 900));
    }
    server.stop();
    let data_dir = server.data_dir();
    let arguments = ["store", "compact", "--data-dir", data_dir.to_str().unwrap()];
    let compacted = command(server.edition(), &arguments).output().unwrap();
    assert!(compacted.status.success(), "{compacted:?}");
    server = server.setup().start();
    for number in 0..20 {
        create(&server.admin(), CONFIG_MAPS, &config_map(&format!("new-{number}"), "1"));
    }
    server.kill();
    server.setup()
}

/// One file of each kind; a kind is what stands before a number.
fn kinds(store: &Path) -> BTreeMap<String, PathBuf> {
    let kind = |file: &PathBuf| {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        name.trim_end_matches(|c: char| c.is_ascii_hexdigit() || c == '-' || c == '.').to_owned()
    };
    // A file of zeros only keeps room.
    let says_something = |file: &PathBuf| fs::read(file).unwrap().iter().any(|byte| *byte != 0);
    files(store).into_iter().filter(says_something).map(|file| (kind(&file), file)).collect()
}

/// A place in the file that matters: the first object's name, or the middle of a file without objects.
fn place(file: &Path) -> usize {
    let objects = ["old-3", "new-3"].iter().filter_map(|name| position(file, name.as_bytes()));
    objects.min().unwrap_or_else(|| fs::metadata(file).unwrap().len() as usize / 2)
}

#[test]
fn a_flipped_byte_in_any_file_is_named_and_never_served() {
    let builder = filled();
    let kinds = kinds(&builder.store_dir());
    eprintln!("kinds of files: {kinds:?}");
    assert!(kinds.len() >= 4, "there is a log, a manifest with parts, and a format: {kinds:?}");
    for file in kinds.values() {
        let (whole, at) = (fs::read(file).unwrap(), place(file));
        for mask in [0x01, 0x80] {
            let mut damaged = whole.clone();
            damaged[at] ^= mask;
            fs::write(file, &damaged).unwrap();
            let mut process = builder.spawn();
            assert_ne!(process.code(), 0, "{} was served with byte {at} flipped", file.display());
            assert_eq!(process.output(), [""; 0], "it said that it was ready");
            let said = process.errors().join("\n");
            let name = file.file_name().unwrap().to_str().unwrap();
            assert!(said.contains(name), "{name} is not named:\n{said}");
            let of_records = position(file, b"ConfigMap").is_some();
            assert!(!of_records || said.contains("at byte"), "no place is named:\n{said}");
            assert_eq!(fs::read(file).unwrap(), damaged, "the evidence was changed");
        }
        fs::write(file, whole).unwrap();
    }
    let server = builder.start();
    assert_eq!(server.admin().get(CONFIG_MAPS).expect(200)["items"].as_array().unwrap().len(), 40);
}
