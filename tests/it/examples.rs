//! The examples do what their READMEs show, and the table of all of them says what happened.

use std::process::Command;

use crate::harness::{Output, binary, root};

#[test]
fn the_table_of_the_examples_says_what_happens() {
    let mut play = Command::new(binary("wflo-examples"));
    play.arg("--folder").arg(root().join("examples")).arg("--check");
    let played = Output::of(&mut play);
    assert_eq!(played.code, 0, "{}\n{}", played.stdout, played.stderr);
}
