//! A few rounds of `cargo xtask torture`, and environments that are as bad as machines are.

use std::process::Command;

use crate::harness::{Output, binary};

#[test]
fn nothing_is_lost_and_nothing_happens_twice_however_often_it_is_killed() {
    let tortured = Output::of(&mut Command::new(binary("wflo-torture")).args(["--rounds", "8"]));
    assert_eq!(tortured.code, 0, "{}", tortured.stderr);
    assert!(tortured.stderr.contains("runs checked"), "{}", tortured.stderr);
}
