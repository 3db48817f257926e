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
fn what_changes_something_says_so_as_json() {
    let project = Project::new("hello");
    let json = |args: &[&str]| project.wflo(&[args, &["--json"]].concat()).expect_code(0).json();
    assert_eq!(json(&["resume"]), json!([]));
    let explained = json(&["check", "--explain", "hello"]);
    assert_eq!(explained["step"], "hello");
    assert!(explained["explanation"].as_str().is_some_and(|text| text.contains("`hello`")), "{explained}");

    for command in ["add", "rotate"] {
        let given = json(&["identity", command, "zed"]);
        assert_eq!((keys(&given), &given["name"]), (vec!["name", "token"], &json!("zed")));
        let token = given["token"].as_str().expect("a token").to_owned();
        project.wflo_as("zed", &token, &["run"]).expect_code(0);
    }
    let expired = json(&["identity", "expire", "zed", "--at", "2999-01-01"]);
    assert_eq!(expired, json!({ "name": "zed", "expires_at": "2999-01-01T00:00:00Z" }));
    assert_eq!(json(&["identity", "revoke", "zed"]), json!({ "name": "zed", "status": "revoked" }));

    let rotated = json(&["key", "rotate", "--only", "signing"]);
    assert_eq!(rotated["signing_key"], json(&["key", "show"])["signing"]);
    assert_eq!(rotated["master_key"], false);
    let rotated = json(&["key", "rotate", "--only", "master"]);
    assert_eq!(rotated, json!({ "signing_key": null, "master_key": true }));

    let run = json(&["run"])["run"].clone();
    let id = run.as_str().expect("an id");
    let exported = json(&["audit", "export", id, "-o", "audit.jsonl"]);
    assert_eq!((&exported["run"], &exported["file"]), (&run, &json!("audit.jsonl")));
    let verified = json(&["audit", "verify", "audit.jsonl"]);
    assert_eq!((&verified["verified"], &verified["run"]), (&json!(true), &run));
    assert!(verified["words"].as_str().is_some_and(|words| words.starts_with("Proven:")), "{verified}");
    assert!(verified["checkpoint"]["size"].is_u64(), "{verified}");
    let text = std::fs::read_to_string(project.path("audit.jsonl")).expect("the file");
    project.write("audit.jsonl", &text.replacen("Hello", "Hallo", 1));
    let changed = project.wflo(&["audit", "verify", "audit.jsonl", "--json"]).expect_code(1).json();
    assert_eq!(changed["verified"], false);
    assert!(changed["error"].is_string(), "{changed}");

    let erased = json(&["erase", id]);
    assert_eq!((&erased["run"], &erased["erased"]), (&run, &json!(true)));
}

#[test]
fn nothing_to_say_is_said() {
    let project = Project::new("hello");
    let said = |args: &[&str]| {
        let output = project.wflo(args).expect_code(0);
        assert_eq!(output.stdout, "");
        output.stderr
    };
    assert_eq!(said(&["resume"]), "there is nothing to go on with\n");
    assert_eq!(said(&["cost", "--by", "step"]), "nothing was spent\n");
    assert_eq!(said(&["cost"]), "nothing was spent\n");
    let refused = project.wflo(&["policy", "test", "--fact", "a=1"]).expect_code(2);
    assert!(refused.stderr.contains("\nhint: the workflow declares nothing"), "{}", refused.stderr);
}

#[test]
fn what_is_wrong_on_the_command_line_is_said_as_it_is() {
    let (project, people) = Project::fraud();
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let id = run["run"].as_str().expect("an id");
    let refused = project.wflo(&["top-up", id, "-5"]).expect_code(2);
    assert!(refused.stderr.contains("more than nothing"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("budget_approvers"), "{}", refused.stderr);
    let refused = project.wflo(&["resolve", id, "3"]).expect_code(2);
    for word in ["--done <VALUE>", "--not-done", "--compensate"] {
        assert!(refused.stderr.contains(word), "no `{word}` in {}", refused.stderr);
    }
    let refused = project.wflo(&["resolve", id, "3", "--not-done", "--compensate"]).expect_code(2);
    assert!(refused.stderr.contains("cannot be used with"), "{}", refused.stderr);
    let refused = project.wflo_as("alice", &people.alice, &["approve", "nonsense"]).expect_code(2);
    assert!(refused.stderr.contains("`nonsense` is not the id of an approval"), "{}", refused.stderr);
    assert!(approval_of(&run).starts_with("apr_"));
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

#[test]
fn a_folder_with_a_space_is_one_word_to_the_shell() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("sp ace")).expect("a folder");
    let made = wflo_in(folder.path(), "", &["new", "greet", "--dir", "sp ace"]).expect_code(0);
    assert!(made.stderr.contains("\n  cd 'sp ace/greet'\n"), "{}", made.stderr);
}

#[test]
fn a_test_is_where_tests_are() {
    let project = Project::new("hello");
    let run = project.wflo(&["run", "--json"]).expect_code(0).json();
    let id = run["run"].as_str().expect("an id");
    let kept = project.wflo(&["record", id, "hello"]).expect_code(0);
    assert!(kept.stderr.contains("`wflo test hello` runs it"), "{}", kept.stderr);
    let elsewhere = project.wflo(&["record", id, "hello", "--out", "hello.toml"]).expect_code(0);
    assert!(!elsewhere.stderr.contains("`wflo test hello`"), "{}", elsewhere.stderr);
    assert!(elsewhere.stderr.contains("when it is in `tests/`"), "{}", elsewhere.stderr);
    // Where no compiled code can be kept, tests run all the same.
    project.wflo(&["test", "--state", "workflow.toml/below"]).expect_code(0);
}
