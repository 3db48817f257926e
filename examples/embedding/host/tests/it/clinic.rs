//! The program, with somebody at its terminal: the interface it brings is granted, journaled, approved and replayed as
//! wflo's own are.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::built::{FOLDER, copy};

/// Runs it with these answers at its terminal.
fn clinic(folder: &Path, state: &Path, args: &[&str], answers: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_clinic"))
        .args([folder, state])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // One that ends without asking reads nothing.
    let _ = child.stdin.take().expect("it is piped").write_all(answers.as_bytes());
    child.wait_with_output().expect("it ends")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn records(state: &Path) -> Option<String> {
    std::fs::read_to_string(state.join("records.json")).ok()
}

#[test]
fn what_is_approved_is_done_once_and_replays() {
    let state = tempfile::tempdir().expect("a folder for the test");
    let first = clinic(FOLDER.path(), state.path(), &[], "what?\ny\n");
    let text = said(&first);
    assert!(first.status.success(), "{text}");
    // What is decided on is the call as it will be made.
    assert!(text.contains("\"add-note\"") && text.contains("\"reviewed: 0 notes\""), "{text}");
    assert!(text.contains("\"noted\": \"as note 1\"") && text.contains("replayed: identical"), "{text}");
    let second = clinic(FOLDER.path(), state.path(), &[], "y\n");
    assert!(said(&second).contains("\"noted\": \"as note 2\""), "{}", said(&second));
    assert_eq!(records(state.path()).expect("there are notes").matches("reviewed").count(), 2);
}

#[test]
fn the_readme_shows_what_it_prints() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).expect("the README");
    let (_, block) = readme.split_once("```console\n").expect("it shows a terminal");
    let (block, _) = block.split_once("```").expect("to its end");
    let state = tempfile::tempdir().expect("a folder for the test");
    let text = said(&clinic(FOLDER.path(), state.path(), &[], "y\n"));
    let shown: Vec<_> =
        block.lines().filter(|line| !line.starts_with("$ ") && line.trim() != "...").collect();
    assert!(shown.len() > 10, "{block}");
    for line in shown {
        // What is typed is not printed.
        let printed = line.strip_suffix(" y").unwrap_or(line);
        assert!(text.contains(printed), "no `{printed}` in\n{text}");
    }
}

#[test]
fn what_is_rejected_is_not_done_and_the_guest_is_told() {
    let state = tempfile::tempdir().expect("a folder for the test");
    let output = clinic(FOLDER.path(), state.path(), &[], "n\n");
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("\"noted\": \"not: ") && text.contains("replayed: identical"), "{text}");
    assert_eq!(records(state.path()), None);
}

#[test]
fn another_ward_is_denied_before_anybody_is_asked() {
    let state = tempfile::tempdir().expect("a folder for the test");
    let output = clinic(FOLDER.path(), state.path(), &["--ward", "4"], "y\n");
    let text = said(&output);
    assert!(text.contains("no grant of the step allows this call of `clinic:ehr/records.read`"), "{text}");
    assert!(!text.contains("approve?") && text.contains("replayed: identical"), "{text}");
    assert_eq!(records(state.path()), None);
}

#[test]
fn what_was_not_granted_does_not_start() {
    let edited = |from: &str, to: &str| -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder for the test");
        copy(&FOLDER.path().join("ward.wasm"), &folder.path().join("ward.wasm"));
        let text = std::fs::read_to_string(FOLDER.path().join("workflow.toml")).expect("the manifest");
        assert!(text.contains(from));
        std::fs::write(folder.path().join("workflow.toml"), text.replace(from, to)).expect("the manifest");
        let state = folder.path().join("state");
        (folder, state)
    };
    let grant = "grants.interface.\"clinic:ehr/records\" = { ward = \"3\", write = true }";
    let check = |to: &str, expect: &str| {
        let (folder, state) = edited(grant, to);
        let output = clinic(folder.path(), &state, &[], "y\n");
        let text = said(&output);
        assert!(!output.status.success() && text.contains(expect), "{text}");
    };
    check("", "`clinic:ehr/records@0.1.0` is imported but not granted");
    check("grants.interface.\"clinic:ehr/record\" = { ward = \"3\" }", "did you mean `clinic:ehr/records`?");
    check("grants.interface.\"clinic:ehr/records\" = { wards = [\"3\"] }", "unknown field `wards`");

    // Reading alone is a smaller grant.
    let (folder, state) = edited(", write = true", "");
    let text = said(&clinic(folder.path(), &state, &[], "y\n"));
    assert!(
        text.contains("no grant of the step allows this call of `clinic:ehr/records.add-note`"),
        "{text}"
    );
}
