//! Tells the binary which commit and compiler it was built from.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=DETECTVIZ_COMMIT");
    let commit = std::env::var("DETECTVIZ_COMMIT").unwrap_or_else(|_| "unknown".to_owned());
    println!("cargo::rustc-env=DETECTVIZ_COMMIT={commit}");
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version =
        Command::new(rustc).arg("--version").output().ok().and_then(|out| String::from_utf8(out.stdout).ok());
    println!("cargo::rustc-env=DETECTVIZ_RUSTC={}", version.as_deref().map_or("unknown", str::trim));
}
