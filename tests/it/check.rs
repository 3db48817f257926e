//! What `wflo check` says of a workflow that could run, and of one that asks its component for what is not there.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Output, Project};

fn messages(findings: &Value) -> Vec<&str> {
    let findings = findings.as_array().expect("a list");
    findings.iter().map(|finding| finding["message"].as_str().expect("a message")).collect()
}

#[test]
fn a_step_that_the_component_does_not_have_is_a_located_error() {
    let project = Project::new("hello");
    project.edit("workflow.toml", "[[step]]\nname = \"hello\"", "[[step]]\nname = \"helo\"");
    let refused = project.wflo(&["check"]).expect_code(2);
    assert!(refused.stderr.contains("component `hello.wasm` has no step `helo`"), "{}", refused.stderr);
    assert!(refused.stderr.contains("hint: did you mean `hello`?"), "{}", refused.stderr);

    let findings = project.wflo(&["check", "--json"]).expect_code(2).json();
    let found = &findings[0];
    assert_eq!(found["severity"], "error");
    let line = std::fs::read_to_string(project.path("workflow.toml")).expect("the manifest");
    let line = line.lines().position(|line| line == "name = \"helo\"").expect("the step") + 1;
    assert_eq!(found["line"], line);
    assert!(found["file"].as_str().expect("a file").ends_with("workflow.toml"));
    assert!(!project.path(".wflo/FORMAT").exists(), "a check is no reason to make a store");
}

#[test]
fn what_a_check_has_compiled_is_there_for_the_run() {
    let project = Project::new("hello");
    project.wflo(&["check"]).expect_code(0);
    let kept = project.path(".wflo/compiled").read_dir().expect("a folder of compiled code");
    assert!(kept.count() > 0, "nothing is kept");
    // Where nothing can be kept, it is no reason not to look.
    project.wflo(&["check", "--state", "workflow.toml/below"]).expect_code(0);
}

#[test]
fn what_could_be_better_is_a_hint_and_no_error() {
    let (project, _) = Project::fraud();
    let findings = project.wflo(&["check", "--json"]).expect_code(0).json();
    assert!(findings.as_array().expect("a list").iter().all(|finding| finding["severity"] == "hint"));
    let found = messages(&findings);
    assert!(found.iter().any(|message| message.contains("`block_suspicious_accounts` to llm")), "{found:?}");

    let hello = Project::new("hello");
    hello.edit("workflow.toml", "[[step]]\n", "[[step]]\ngrants.llm = [\"gpt-4\"]\n");
    hello.write("wflo.toml", &std::fs::read_to_string(project.path("wflo.toml")).expect("a deployment"));
    let findings = hello.wflo(&["check", "--json"]).expect_code(0).json();
    let found = messages(&findings);
    assert!(found.iter().any(|message| message.contains("has no use for `grants.llm`")), "{found:?}");
}

#[test]
fn what_is_denied_is_in_the_json_too() {
    let (project, _) = Project::fraud();
    project.edit("workflow.toml", "grants.llm = [\"gpt-4\"]\n", "");
    let findings = project.wflo(&["check", "--json"]).expect_code(3).json();
    let found = messages(&findings);
    assert!(found.iter().any(|message| message.contains("add `grants.llm")), "{found:?}");
}

#[test]
fn the_demo_plays_in_an_empty_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let wflo = |args: &[&str]| {
        let mut command = Command::new(crate::harness::binary("wflo"));
        Output::from(command.args(args).current_dir(folder.path()).output().expect("the command starts"))
    };
    let played = wflo(&["demo"]).expect_code(0);
    for expect in ["$ wflo approvals show", "wflo approve", "Proven:", "# 17 accounts are blocked"] {
        assert!(played.stdout.contains(expect), "no `{expect}` in\n{}", played.stdout);
    }
    let blocked = |folder: &Path| {
        let bank = rusqlite::Connection::open(folder.join("fraud-detection/bank.db")).expect("the bank");
        bank.query_row("SELECT count(*) FROM accounts WHERE status = 'blocked'", [], |row| {
            row.get::<_, i64>(0)
        })
    };
    assert_eq!(blocked(folder.path()), Ok(17));
    wflo(&["demo"]).expect_code(0);

    std::fs::create_dir(folder.path().join("full")).expect("a folder");
    std::fs::write(folder.path().join("full/letter"), "dear").expect("a file");
    let refused = wflo(&["demo", "full"]).expect_code(2);
    assert!(refused.stderr.contains("is there already"), "{}", refused.stderr);
}

#[test]
fn costs_are_summed_up_by_what_one_asks_for() {
    let (project, people) = Project::fraud();
    let one = project.wflo(&["run", "--json"]).expect_code(10).json();
    project.wflo_as("mallory", &people.mallory, &["run"]).expect_code(10);
    let by = |what: &str| project.wflo(&["cost", "--by", what, "--json"]).expect_code(0).json();
    let once = one["cost_usd"].as_str().expect("a cost");
    let twice = by("workflow")[0]["cost_usd"].clone();
    assert_ne!(twice, once);
    assert_eq!(by("workflow")[0]["name"], "fraud-detection");
    assert_eq!(by("workflow")[0]["runs"], 2);
    assert_eq!(by("day")[0]["cost_usd"], twice);
    assert_eq!(by("model")[0]["name"], "gpt-4");
    assert_eq!(by("model")[0]["calls"], 2);
    assert_eq!(by("step")[0]["name"], "fraud-detection/analyze_transactions");
    assert_eq!(by("step")[0]["cost_usd"], twice);
    let principals = by("principal");
    assert_eq!(principals.as_array().map(Vec::len), Some(2));
    assert!(principals.as_array().expect("a list").iter().all(|line| line["cost_usd"] == once));
    let text = project.wflo(&["cost", "--by", "model"]).expect_code(0).stdout;
    assert!(text.contains("2 runs, 2 calls"), "{text}");
    project.wflo(&["cost", "--by", "weather"]).expect_code(2);
}

#[test]
fn what_the_libraries_trace_is_on_stderr_when_asked_for() {
    let project = Project::new("hello");
    let run = |log: &str| Output::of(project.command(&["run", "--json"]).env("WFLO_LOG", log));
    assert_eq!(run("warn").expect_code(0).stderr, "");
    let traced = run("trace").expect_code(0);
    assert!(traced.stderr.contains("TRACE"), "{}", traced.stderr);
    traced.json();
    let wrong = run("wflo=loud").expect_code(2);
    assert!(wrong.stderr.contains("WFLO_LOG") && wrong.stderr.contains("\nhint: "), "{}", wrong.stderr);
}
