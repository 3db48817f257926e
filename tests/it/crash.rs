//! kill -9, at many moments: nothing is lost, nothing happens twice.

use std::time::Duration;

use crate::harness::{Project, Provider, approval_of, eventually};

/// Kills a running command without warning and waits until it is gone.
fn kill(mut child: std::process::Child) {
    child.kill().expect("the command is there to be killed");
    child.wait().expect("it ends");
}

#[test]
fn a_run_killed_while_the_model_thinks_goes_on() {
    let (project, people) = Project::fraud();
    let provider = Provider::start(&project, &["--delay-ms", "1500"]);
    project.use_provider(&provider);
    let child = project.command(&["run"]).spawn().expect("the command starts");
    eventually("the request arrives", || provider.requests() == 1);
    kill(child);

    project.wflo(&["resume"]).expect_code(10);
    assert_eq!(provider.requests(), 2, "a call cut off in the middle is made again, once");
    let runs = project.wflo(&["runs", "--json"]).expect_code(0).json();
    assert_eq!(runs.as_array().map(Vec::len), Some(1));
    finish(&project, &people.alice, &people.carol, &provider, 2);
}

#[test]
fn a_run_killed_anywhere_ends_the_same() {
    let (project, people) = Project::fraud();
    let provider = Provider::start(&project, &[]);
    project.use_provider(&provider);
    let whole = project.wflo(&["run", "--json"]).expect_code(10).json();
    for wait in (0..10).map(|n| Duration::from_millis(20 + 35 * n)) {
        let before = project.wflo(&["runs", "--json"]).expect_code(0).json().as_array().map_or(0, Vec::len);
        let child = project.command(&["run"]).spawn().expect("the command starts");
        std::thread::sleep(wait);
        kill(child);
        for run in project.wflo(&["runs", "--json"]).expect_code(0).json().as_array().expect("a list") {
            let id = run["run"].as_str().expect("an id");
            let shown = project.wflo(&["show", id, "--json"]).expect_code(0).json();
            assert_eq!(run["cost_usd"], shown["cost_usd"], "killed after {wait:?}");
        }
        project.wflo(&["resume"]);
        let runs = project.wflo(&["runs", "--json"]).expect_code(0).json();
        let runs = runs.as_array().expect("a list");
        assert!(runs.len() <= before + 1);
        if runs.len() > before {
            let id = runs[0]["run"].as_str().expect("an id");
            let run = project.wflo(&["show", id, "--json"]).expect_code(0).json();
            assert_eq!(run["status"], "waiting", "killed after {wait:?}: {run}");
            assert_eq!(run["steps"][0]["output"], whole["steps"][0]["output"], "killed after {wait:?}");
            assert_eq!(run["steps"][0]["attempts"], 1, "a crash is no attempt");
        }
    }
    let requests = provider.requests();
    finish(&project, &people.alice, &people.carol, &provider, requests);
}

#[test]
fn accounts_are_blocked_once_however_often_the_commit_is_cut_off() {
    let (project, people) = Project::fraud();
    let bank = rusqlite::Connection::open(project.path("bank.db")).expect("the bank");
    bank.execute_batch(
        "CREATE TABLE blockings (n INTEGER PRIMARY KEY, account TEXT);
         CREATE TRIGGER counted AFTER UPDATE OF status ON accounts
         BEGIN INSERT INTO blockings (account) VALUES (new.id); END;",
    )
    .expect("a counter of the bank's own");
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let approval = approval_of(&run);
    project.wflo_as("alice", &people.alice, &["approve", &approval]).expect_code(10);
    project.wflo_as("carol", &people.carol, &["approve", &approval, "--no-resume"]);
    let id = run["run"].as_str().expect("an id");
    for n in 0..8 {
        let child = project.command(&["resume", id]).spawn().expect("the command starts");
        std::thread::sleep(Duration::from_millis(15 + 20 * n));
        kill(child);
    }
    project.wflo(&["resume", id]).expect_code(0);
    let blocked = project.blocked();
    assert_eq!(blocked.len(), run["steps"][0]["output"]["suspicious"].as_array().map_or(0, Vec::len));
    let times: i64 =
        bank.query_row("SELECT count(*) FROM blockings", [], |row| row.get(0)).expect("the counter");
    assert_eq!(usize::try_from(times), Ok(blocked.len()), "an account was blocked twice");
}

/// Approves the oldest waiting run and checks that it succeeds without another request.
fn finish(project: &Project, alice: &str, carol: &str, provider: &Provider, requests: usize) {
    let open = project.wflo(&["approvals", "--json"]).expect_code(0).json();
    let approval = open[0]["id"].as_str().expect("an approval is open");
    project.wflo_as("alice", alice, &["approve", approval]).expect_code(10);
    project.wflo_as("carol", carol, &["approve", approval]).expect_code(0);
    assert!(!project.blocked().is_empty());
    assert_eq!(provider.requests(), requests, "a model was asked again for what it has answered");
}
