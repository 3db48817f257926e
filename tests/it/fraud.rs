//! The whole path, once, for real.

use crate::harness::{Project, approval_of};

#[test]
fn fraud_detection_waits_for_both_groups_and_then_blocks() {
    let (project, people) = Project::fraud();
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    assert_eq!(run["workflow"], "fraud-detection");
    assert_eq!(run["status"], "waiting");
    assert_eq!(run["waiting_for"][0]["kind"], "approval");
    assert_eq!(run["waiting_for"][0]["step"], "block_suspicious_accounts");
    assert_eq!(run["steps"][0]["status"], "succeeded");
    assert_eq!(run["steps"][1]["status"], "waiting");
    assert_eq!(run["budget_usd"], "100");
    assert_eq!(run["held_usd"], "0");
    assert_ne!(run["cost_usd"], "0");
    let suspicious = run["steps"][0]["output"]["suspicious"].as_array().expect("a list").clone();
    assert!(!suspicious.is_empty());
    assert!(project.blocked().is_empty(), "nothing may happen before both have approved");

    let approval = approval_of(&run);
    project.wflo(&["approve", &approval]).expect_code(3);
    project.wflo_as("mallory", &people.mallory, &["approve", &approval]).expect_code(3);
    project.wflo_as("alice", &people.carol, &["approve", &approval]).expect_code(3);
    project.wflo_as("alice", &people.alice, &["approve", &approval]).expect_code(10);
    project.wflo_as("alice", &people.alice, &["approve", &approval]).expect_code(3);
    assert!(project.blocked().is_empty(), "one of two groups is not enough");
    project.wflo_as("carol", &people.carol, &["approve", &approval, "--comment", "checked"]).expect_code(0);

    let id = run["run"].as_str().expect("a run has an id");
    let shown = project.wflo(&["show", id, "--json"]).expect_code(0).json();
    assert_eq!(shown["status"], "succeeded");
    assert_eq!(shown["steps"][1]["output"]["blocked_count"], suspicious.len());
    let blocked: Vec<&str> = suspicious.iter().map(|account| account.as_str().expect("an id")).collect();
    assert_eq!(project.blocked(), blocked);
    assert_eq!(shown["cost_usd"], run["cost_usd"], "showing costs nothing");

    let text = project.wflo(&["show", id]).expect_code(0).stdout;
    assert!(text.contains("carol") && text.contains("checked"), "{text}");
    let runs = project.wflo(&["runs", "--json"]).expect_code(0).json();
    assert_eq!(runs[0]["run"], run["run"]);
    let cost = project.wflo(&["cost", id, "--json"]).expect_code(0).json();
    assert_eq!(cost["cost_usd"], run["cost_usd"]);
    let logs = project.wflo(&["logs", id]).expect_code(0).stdout;
    assert!(!logs.is_empty());
}

#[test]
fn the_four_kinds_of_planted_fraud_are_found() {
    let (project, _) = Project::fraud();
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let findings = run["steps"][0]["output"]["findings"].as_array().expect("findings").clone();
    let mut kinds: Vec<&str> =
        findings.iter().map(|finding| finding["kind"].as_str().expect("a kind")).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), 4, "{kinds:?}");
}

#[test]
fn the_same_key_is_the_same_run() {
    let (project, _) = Project::fraud();
    let one = project.wflo(&["run", "--json", "--key", "today"]).expect_code(10).json();
    let two = project.wflo(&["run", "--json", "--key", "today"]).expect_code(10).json();
    assert_eq!(one["run"], two["run"]);
}

#[test]
fn what_is_not_there_is_said_so() {
    let (project, people) = Project::fraud();
    project.wflo(&["show", "01ARZ3NDEKTSV4RRFFQ69G5FAV"]).expect_code(4);
    project.wflo_as("alice", &people.alice, &["approve", "apr_0000000000000000"]).expect_code(4);
    let none = project.wflo(&["runs", "--status", "cancelled"]).expect_code(0);
    assert_eq!((none.stdout.as_str(), none.stderr.trim()), ("", "there are no such runs"));
    project.wflo(&["fly"]).expect_code(2);
    project.wflo(&["run", "--input", "nonsense=1"]).expect_code(2);
}
