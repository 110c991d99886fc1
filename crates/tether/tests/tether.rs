//! A child that does not watch its parent, and a parent that is killed.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

/// Set in the process that plays the parent.
const PARENT: &str = "DETECTVIZ_TETHER_PARENT";

#[test]
fn a_child_dies_with_its_killed_parent() {
    if std::env::var_os(PARENT).is_some() {
        return parent();
    }
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_child_dies_with_its_killed_parent", "--nocapture"])
        .env(PARENT, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (stdin, mut output) = (parent.stdin.take(), BufReader::new(parent.stdout.take().unwrap()));
    let mut line = String::new();
    while !line.ends_with("started\n") {
        assert!(output.read_line(&mut line).unwrap() > 0, "{line}");
    }
    parent.kill().unwrap();
    // The kernel signals the children before it lets the parent be waited for.
    parent.wait().unwrap();
    drop(stdin);
    // Ends when nobody is left who holds the pipe.
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "", "the child went on after its parent's end");
}

/// Starts a child that goes on when its standard input ends, which the test holds.
fn parent() {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "echo started; read line; echo survived"]);
    detectviz_tether::tether(&mut command);
    command.status().unwrap();
}
