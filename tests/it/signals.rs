//! Ctrl-C and SIGTERM: the run stops where it stands, and goes on later.

use std::process::Command;

use crate::gate::Gate;
use crate::harness::{Project, Provider};
use crate::shared::Running;

fn signal(name: &str, process: u32) {
    let sent = Command::new("kill").args([format!("-{name}"), process.to_string()]).status();
    assert!(sent.expect("`kill` is there").success());
}

#[test]
fn the_first_signal_stops_a_run_where_it_stands() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let (project, _) = Project::fraud();
        let provider = Provider::start(&project, &[]);
        let gate = Gate::before(&provider);
        project.use_server(&gate.address);
        let run = Running::start(&mut project.command(&["run"]));
        gate.arrived(1);
        signal(name, run.id());
        let run = run.said("stopping when the calls under way have ended");
        gate.open();
        let stopped = run.end().expect_code(code);
        let (_, rest) = stopped.stderr.split_once("stopped: `wflo resume ").expect("it says how to go on");
        let (id, _) = rest.split_once('`').expect("the command ends");
        assert_eq!(project.wflo(&["show", id, "--json"]).json()["status"], "running");

        let resumed = project.wflo(&["resume", id, "--json"]).expect_code(10).json();
        assert_eq!(resumed["steps"][0]["attempts"], 1, "to be stopped is no attempt");
        assert_eq!(provider.requests(), 1, "the answer that came after the signal was kept");
    }
}

#[test]
fn the_second_signal_ends_it_at_once() {
    let (project, _) = Project::fraud();
    let provider = Provider::start(&project, &[]);
    let gate = Gate::before(&provider);
    project.use_server(&gate.address);
    let run = Running::start(&mut project.command(&["run"]));
    gate.arrived(1);
    let began = std::time::Instant::now();
    signal("INT", run.id());
    signal("TERM", run.id());
    let code = run.end().code;
    assert!([130, 143].contains(&code), "{code}");
    assert!(began.elapsed().as_secs() < 5, "it has waited for the model");
    gate.open();
    project.wflo(&["resume"]).expect_code(10);
}

#[test]
fn a_command_that_is_not_the_holder_leaves_its_run_to_it() {
    let (project, _) = Project::fraud();
    let provider = Provider::start(&project, &[]);
    let gate = Gate::before(&provider);
    project.use_server(&gate.address);
    let holder = Running::start(&mut project.command(&["run"]));
    gate.arrived(1);
    let client = Running::start(&mut project.command(&["run", "--json"]));
    gate.arrived(2);
    signal("INT", client.id());
    let left = client.end().expect_code(130);
    let id = left.json()["run"].as_str().expect("an id").to_owned();
    assert!(left.stderr.contains(&format!("wflo show {id}")), "{}", left.stderr);
    gate.open();
    holder.end().expect_code(10);
    project.wflo(&["resume", &id]).expect_code(10);
    assert_eq!(provider.requests(), 2);
}
