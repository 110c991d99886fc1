//! The disk fails, data is damaged, the process is stopped: what was acknowledged is there, and what is wrong is said.

mod damage;
mod full;
mod pause;
mod replays;
mod sync;
mod torn;

use std::path::{Path, PathBuf};

use detectviz_tests::Client;
use serde_json::Value;

use crate::support::{config_map, version};

/// The config maps of the namespace `default`, `kilobytes` large.
fn large(name: &str, kilobytes: usize) -> Value {
    config_map(name, &"x".repeat(kilobytes << 10))
}

/// Whether the server says that it is ready, and what it says.
fn readiness(client: &Client) -> (bool, String) {
    let answer = client.get("/readyz?verbose");
    (answer.code == 200, answer.text())
}

/// The files in the store's folder that have content, in order.
fn files(store: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(store).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> =
        entries.filter(|entry| entry.metadata().is_ok_and(|data| data.is_file() && data.len() > 0)).collect();
    files.sort_by_key(|entry| entry.file_name());
    files.iter().map(|entry| entry.path()).collect()
}

/// Where in a file these bytes are at first.
fn position(file: &Path, bytes: &[u8]) -> Option<usize> {
    let content = std::fs::read(file).ok()?;
    content.windows(bytes.len()).position(|window| window == bytes)
}

/// The versions of a list's items, by name.
fn versions(list: &Value) -> std::collections::BTreeMap<String, u64> {
    let items = list["items"].as_array().unwrap().iter();
    items.map(|item| (item["metadata"]["name"].as_str().unwrap().to_owned(), version(item))).collect()
}
