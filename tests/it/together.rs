//! Several commands, one store.

use crate::harness::{Project, Provider, approval_of, eventually};

#[test]
fn others_work_while_a_run_holds_the_store() {
    let (project, people) = Project::fraud();
    let waiting = project.wflo(&["run", "--json"]).expect_code(10).json();
    let approval = approval_of(&waiting);

    let provider = Provider::start(&project, &["--delay-ms", "8000"]);
    project.use_provider(&provider);
    let mut holder = project.command(&["run", "--json"]).spawn().expect("the command starts");
    eventually("the second run asks its model", || provider.requests() == 1);

    let id = waiting["run"].as_str().expect("an id");
    let shown = project.wflo(&["show", id, "--json"]).expect_code(0).json();
    assert_eq!(shown["status"], "waiting");
    project.wflo_as("alice", &people.alice, &["approve", &approval]).expect_code(10);
    project.wflo_as("carol", &people.carol, &["approve", &approval]).expect_code(0);
    assert!(!project.blocked().is_empty());
    let runs = project.wflo(&["runs", "--json"]).expect_code(0).json();
    assert_eq!(runs.as_array().map(Vec::len), Some(2));
    assert!(holder.try_wait().expect("the holder can be asked").is_none(), "the holder still waits for its model");

    let held = holder.wait_with_output().expect("the holder ends");
    assert_eq!(held.status.code(), Some(10), "{}", String::from_utf8_lossy(&held.stderr));
}

#[test]
fn many_commands_at_once_find_one_another() {
    let (project, _) = Project::fraud();
    let children: Vec<_> =
        (0..6).map(|_| project.command(&["run", "--json"]).spawn().expect("the command starts")).collect();
    for child in children {
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(10), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let runs = project.wflo(&["runs", "--json"]).expect_code(0).json();
    assert_eq!(runs.as_array().map(Vec::len), Some(6));
}
