//! What commands print: as JSON for programs, to a reader that has gone, on a disk that is full.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Output, Project, approval_of, binary};

/// The command, printing to where there is no room.
fn full(project: &Project, args: &[&str]) -> Output {
    let full = OpenOptions::new().write(true).open("/dev/full").expect("the device that is full");
    Output::of(project.command(args).stdout(full))
}

/// The command in a folder below another.
fn wflo_in(folder: &Path, here: &str, args: &[&str]) -> Output {
    Output::of(Command::new(binary("wflo")).args(args).current_dir(folder.join(here)).stdin(Stdio::null()))
}

#[track_caller]
fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}")).keys().map(String::as_str).collect()
}

#[test]
fn what_cannot_be_printed_is_an_error() {
    let project = Project::new("hello");
    let refused = full(&project, &["runs", "--json"]).expect_code(2);
    assert!(refused.stderr.contains("error: standard output: No space left on device"), "{refused:?}");
    // It was done, and what it came to is not said.
    full(&project, &["run"]).expect_code(2);
    let runs = project.wflo(&["runs", "--json"]).expect_code(0).json();
    assert_eq!(runs[0]["status"], "succeeded");
    full(&project, &["audit", "export", "--system"]).expect_code(2);

    // Whoever reads only the first lines has all they want.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let ended = project.command(&["runs", "--json"]).stdout(writer).status().expect("the command starts");
    assert_eq!(ended.code(), Some(0));
}

#[test]
fn a_token_is_not_lost_without_a_word() {
    let project = Project::new("hello");
    let lost = full(&project, &["identity", "add", "zed"]).expect_code(2);
    assert!(
        lost.stderr.contains("hint: nobody has the token of `zed`: `wflo identity rotate zed`"),
        "{lost:?}"
    );
    let token = project.wflo(&["identity", "rotate", "zed"]).expect_code(0).stdout;
    project.wflo_as("zed", token.trim(), &["run"]).expect_code(0);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let ended = Output::of(project.command(&["identity", "rotate", "zed"]).stdout(writer)).expect_code(2);
    assert!(ended.stderr.contains("`wflo identity rotate zed`"), "{ended:?}");
}

#[test]
fn below_a_workflow_it_is_that_which_is_built() {
    let folder = tempfile::tempdir().expect("a folder");
    wflo_in(folder.path(), "", &["new", "greet"]).expect_code(0);
    // Without its steps, so that no language's tools are needed to be refused.
    std::fs::rename(folder.path().join("greet/steps"), folder.path().join("away")).expect("its steps");
    std::fs::create_dir_all(folder.path().join("greet/notes/old")).expect("a folder");
    let refused = wflo_in(folder.path(), "greet/notes/old", &["build"]).expect_code(2);
    assert!(refused.stderr.contains("there are no steps in `"), "{}", refused.stderr);
    assert!(refused.stderr.contains("/greet/steps`"), "{}", refused.stderr);
}
