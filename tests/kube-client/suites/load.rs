//! Writers that go on through restarts. They are the harness's plain clients, so that what is watched and who watches have
//! nothing in common.

use std::sync::atomic::{AtomicUsize, Ordering};

use detectviz_tests::{Client, wait_for};
use serde_json::{Value, json};

use crate::support::config_map_json;

/// The namespaces that are written to.
pub(crate) const NAMESPACES: [&str; 3] = ["default", "one", "two"];
/// Names that each writer writes to: few, so that each comes and goes often.
const NAMES: u64 = 24;
/// Writes of each writer; all of them together stay within the history that a server keeps.
const WRITES: usize = 500;
const WRITERS: usize = 4;

/// Where the choices begin; the same numbers give the same writes, but for what a restart cuts off.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// How far the writers are.
#[derive(Default)]
pub(crate) struct Load {
    written: AtomicUsize,
}

impl Load {
    /// All writes together.
    pub(crate) const TOTAL: usize = WRITERS * WRITES;

    /// Writes from several threads, and calls `meanwhile` beside them; returns when both are done.
    pub(crate) fn run(&self, client: &Client, meanwhile: impl FnOnce()) {
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                scope.spawn(move || self.write(client, writer));
            }
            meanwhile();
        });
    }

    /// Waits until so many writes are done.
    pub(crate) fn reached(&self, count: usize) {
        wait_for("enough is written", || (self.written.load(Ordering::Relaxed) >= count).then_some(()));
    }

    fn write(&self, client: &Client, writer: usize) {
        let mut choices = Choices(SEED.wrapping_mul(writer as u64 + 1));
        for number in 0..WRITES {
            // Chosen once and sent until there is an answer: one that was cut off may have happened or not.
            let write = Write::choose(&mut choices, writer, number);
            wait_for("the server takes a write", || write.send(client));
            self.written.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One request.
struct Write {
    method: &'static str,
    path: String,
    body: Option<Value>,
}

impl Write {
    fn choose(choices: &mut Choices, writer: usize, number: usize) -> Self {
        let at = choices.next(NAMES);
        let name = format!("w{writer}-{at}");
        let collection =
            format!("/api/v1/namespaces/{}/configmaps", NAMESPACES[at as usize % NAMESPACES.len()]);
        let path = format!("{collection}/{name}");
        let color = ["red", "green", "blue"][choices.next(3) as usize];
        let (method, path, body) = match choices.next(10) {
            0..=3 => ("POST", collection, Some(config_map_json(&name, color))),
            4..=5 => ("PATCH", path, Some(json!({"metadata": {"labels": {"color": color}}}))),
            6 => ("PATCH", path, Some(json!({"metadata": {"labels": {"color": null, "hidden": "yes"}}}))),
            7..=8 => ("PATCH", path, Some(json!({"data": {"value": format!("{writer}/{number}")}}))),
            _ => ("DELETE", path, None),
        };
        Self { method, path, body }
    }

    /// Sends the write; `None` when there is no answer.
    fn send(&self, client: &Client) -> Option<()> {
        let mut request = client.request(self.method, &self.path);
        if let Some(body) = &self.body {
            let kind =
                if self.method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
            request = request.body(kind, body.to_string());
        }
        let answer = request.try_send().ok()?;
        assert!([200, 201, 404, 409].contains(&answer.code), "{answer}");
        Some(())
    }
}

/// A sequence of choices (xorshift).
struct Choices(u64);

impl Choices {
    fn next(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
