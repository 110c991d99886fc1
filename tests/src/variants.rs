//! The same body, several variants. The one that failed is the last that was announced in the test's output.

use crate::environment::{Edition, editions, lines};
use crate::server::{Builder, Server, Storage};

/// Runs `body` so that each edition and each storage has its turn, with every runner that the edition has.
///
/// Three servers and not six: storage and edition meet nowhere in the code, so that every pair would show nothing more.
pub fn variants(body: impl Fn(Server)) {
    each_variant(|_, _, builder| body(builder.start()));
}

/// Runs `body` with a server to be started for each storage.
pub fn each_storage(body: impl Fn(Builder, Storage)) {
    each_variant(|_, storage, builder| body(builder, storage));
}

fn each_variant(start: impl Fn(usize, Storage, Builder)) {
    let editions = editions();
    for (index, storage) in [Storage::Embedded, Storage::Etcd, Storage::Memory].into_iter().enumerate() {
        let edition = editions[index % editions.len()];
        eprintln!("variant: {edition}, {}", storage.name());
        start(index, storage, Server::builder(edition).storage(storage).toggle_runners(edition));
    }
}

/// Runs `body` so that each line of kubectl, edition and storage has its turn: `server.kubectl` is of that line.
pub fn every_line(body: impl Fn(Server)) {
    let lines = lines();
    each_variant(|index, _, builder| {
        let line = lines[index % lines.len()];
        eprintln!("kubectl: {line:?}");
        body(builder.kubectl(line).start());
    });
}

/// Runs `body` for every edition that was built.
pub fn every_edition(body: impl Fn(Edition)) {
    for edition in editions() {
        eprintln!("edition: {edition}");
        body(edition);
    }
}

/// Runs `body` if the enterprise edition was built, which has what it is about.
pub fn enterprise(body: impl FnOnce(Builder)) {
    switchable(|builder| body(builder.runners()));
}

/// Like [`enterprise`], with nothing turned on by a flag, which would win over the configuration file.
pub fn switchable(body: impl FnOnce(Builder)) {
    match editions().contains(&Edition::Enterprise) {
        true => body(Server::builder(Edition::Enterprise)),
        false => eprintln!("nothing to test: XTASK_EDITIONS has no enterprise"),
    }
}

/// Like [`enterprise`], for each line of kubectl.
pub fn enterprise_every_line(body: impl Fn(Builder)) {
    for line in lines() {
        eprintln!("kubectl: {line:?}");
        enterprise(|builder| body(builder.kubectl(line)));
    }
}

impl Builder {
    fn toggle_runners(self, edition: Edition) -> Self {
        if edition == Edition::Enterprise { self.runners() } else { self }
    }
}
