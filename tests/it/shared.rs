//! One store, many commands at once.

use std::process::Child;

use serde_json::Value;

use crate::gate::Gate;
use crate::harness::{Output, Project, Provider, approval_of};

/// A command that has been started.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(command: &mut std::process::Command) -> Self {
        Self(command.spawn().expect("the command starts"))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    #[track_caller]
    pub(crate) fn is_running(&mut self) {
        assert_eq!(self.0.try_wait().expect("its status"), None, "it has ended already");
    }

    /// Waits until it has printed this.
    pub(crate) fn printed(mut self, text: &str) -> Self {
        read_until(self.0.stdout.as_mut().expect("its output is piped"), text);
        self
    }

    /// Waits until it has said this on its way.
    pub(crate) fn said(mut self, text: &str) -> Self {
        read_until(self.0.stderr.as_mut().expect("its output is piped"), text);
        self
    }

    pub(crate) fn kill(mut self) {
        self.0.kill().expect("it is there to be killed");
        self.0.wait().expect("it ends");
    }

    /// Waits for its end.
    pub(crate) fn end(self) -> Output {
        Output::from(self.0.wait_with_output().expect("it ends"))
    }
}

fn read_until(from: &mut impl std::io::Read, text: &str) {
    let mut seen = Vec::new();
    while !seen.ends_with(text.as_bytes()) {
        let mut byte = [0];
        from.read_exact(&mut byte).expect("it says it before it ends");
        seen.push(byte[0]);
    }
}

/// A second fraud detection in a folder of its own, on the store of the first; its model is behind its own gate, at an
/// address that only its own environment knows.
struct Neighbour {
    project: Project,
    provider: Provider,
    gate: Gate,
    state: String,
}

impl Neighbour {
    fn of(first: &Project) -> Self {
        let (project, _) = Project::fraud();
        let provider = Provider::start(&project, &[]);
        let gate = Gate::before(&provider);
        project.use_server("env:MODEL_OF_THE_NEIGHBOUR");
        let state = first.path(".wflo").to_str().expect("paths are text").to_owned();
        Self { project, provider, gate, state }
    }

    fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = self.project.command(args);
        command.args(["--state", &self.state]).env("MODEL_OF_THE_NEIGHBOUR", &self.gate.address);
        command
    }
}

/// Fraud detection whose model is behind a gate, and a run that waits there and holds the store.
fn held() -> (Project, crate::harness::People, Provider, Gate, Running) {
    let (project, people) = Project::fraud();
    let provider = Provider::start(&project, &[]);
    let gate = Gate::before(&provider);
    project.use_server(&gate.address);
    let holder = Running::start(&mut project.command(&["run", "--json"]));
    gate.arrived(1);
    (project, people, provider, gate, holder)
}

/// The process that has held the store last.
fn last_holder(project: &Project) -> u32 {
    let note = std::fs::read_to_string(project.path(".wflo/lock")).expect("the store has a lock");
    note.trim().parse().expect("it has the number of a process")
}

#[test]
fn every_command_works_while_a_run_waits_for_its_model() {
    let (project, people) = Project::fraud();
    let before = project.wflo(&["run", "--json"]).expect_code(10).json();
    let provider = Provider::start(&project, &[]);
    let gate = Gate::before(&provider);
    project.use_server(&gate.address);
    let mut holder = Running::start(&mut project.command(&["run", "--json"]));
    gate.arrived(1);

    let id = before["run"].as_str().expect("an id");
    let runs = project.wflo(&["runs", "--json"]).expect_code(0).json();
    assert_eq!(runs.as_array().map(Vec::len), Some(2));
    let running = project.wflo(&["runs", "--status", "running", "--json"]).expect_code(0).json();
    assert_eq!(running.as_array().map(Vec::len), Some(1));
    assert_eq!(project.wflo(&["show", id, "--json"]).expect_code(0).json(), before);
    assert!(project.wflo(&["show", id]).expect_code(0).stdout.contains("asked for by"));
    assert!(project.wflo(&["logs", id]).expect_code(0).stdout.contains("analyzed"));
    assert_eq!(project.wflo(&["cost", id, "--json"]).expect_code(0).json()["cost_usd"], before["cost_usd"]);
    project.wflo(&["check"]).expect_code(0);
    project.wflo(&["show", "01ARZ3NDEKTSV4RRFFQ69G5FAV"]).expect_code(4);

    project.wflo(&["audit", "export", id, "-o", "run.audit"]).expect_code(0);
    project.wflo(&["audit", "verify", "run.audit"]).expect_code(0);
    let piped = project.wflo(&["audit", "export", id]).expect_code(0).stdout;
    let file = std::fs::read_to_string(project.path("run.audit")).expect("the audit file");
    // But for the checkpoint: that the file was asked for is in a newer one.
    let events = |text: &str| {
        text.lines()
            .filter(|line| !line.starts_with("{\"checkpoint\""))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert!(events(&piped) == events(&file), "the same events come through a pipe");

    let approval = approval_of(&before);
    let open = project.wflo(&["approvals", "--json"]).expect_code(0).json();
    assert_eq!(open[0]["id"], approval.as_str());
    project.wflo_as("mallory", &people.mallory, &["approve", &approval]).expect_code(3);
    project.wflo_as("alice", &people.carol, &["approve", &approval]).expect_code(3);
    project.wflo_as("alice", &people.alice, &["approve", &approval]).expect_code(10);
    let dora = project.wflo(&["identity", "add", "dora", "--group", "compliance"]).expect_code(0).stdout;
    project.wflo(&["identity", "add", "dora"]).expect_code(2);
    project.wflo_as("dora", dora.trim(), &["approve", &approval]).expect_code(0);
    assert!(!project.blocked().is_empty(), "the run that was waiting has gone on in the holder");

    let hello = Project::new("hello");
    let state = project.path(".wflo");
    let mut greet = hello.command(&["run", "--input", "name=Ada", "--json"]);
    let greeted = Output::of(greet.arg("--state").arg(&state)).expect_code(0).json();
    assert_eq!(greeted["status"], "succeeded");
    assert!(!hello.path(".wflo").exists(), "it has made a store of its own");

    holder.is_running();
    gate.open();
    let run = holder.end().expect_code(10).json();
    assert_eq!(run["status"], "waiting");
    assert_eq!(provider.requests(), 1);
    assert!(!project.path(".wflo/wflo.sock").exists(), "the last to leave takes the socket away");
}

#[test]
fn two_runs_at_once_both_come_to_their_approval() {
    let (project, _, provider, gate, holder) = held();
    let client = Running::start(&mut project.command(&["run", "--json"]));
    gate.arrived(2);
    gate.open();
    let (one, other) = (holder.end().expect_code(10).json(), client.end().expect_code(10).json());
    assert_ne!(one["run"], other["run"]);
    assert_eq!(one["steps"][0]["output"], other["steps"][0]["output"]);
    assert_eq!(provider.requests(), 2);
}

#[test]
fn the_same_key_at_once_is_the_same_run() {
    let (project, _, provider, gate, holder) = held();
    let start = || Running::start(&mut project.command(&["run", "--key", "nightly", "--json"]));
    let clients = [start(), start(), start()];
    gate.arrived(2);
    gate.open();
    holder.end().expect_code(10);
    let runs = clients.map(|client| client.end().expect_code(10).json()["run"].clone());
    assert!(runs.iter().all(|run| *run == runs[0]), "{runs:?}");
    assert_eq!(provider.requests(), 2, "one for the holder's run, one for the three");
}

#[test]
fn when_the_holder_ends_first_the_other_goes_on() {
    let (project, _, _provider, gate, holder) = held();
    let neighbour = Neighbour::of(&project);
    let client = Running::start(&mut neighbour.command(&["run", "--json"]));
    neighbour.gate.arrived(1);

    gate.open();
    // It has shown its own run, and waits for the call that it makes for the other.
    let mut holder = holder.printed("\n}\n");
    holder.is_running();
    neighbour.gate.open();
    let (first, second) = (holder.id(), client.id());
    holder.end().expect_code(10);
    let run = client.end().expect_code(10).json();
    // The holder may have come to the end of the other's run before it began to leave.
    assert!([first, second].contains(&last_holder(&project)), "somebody else has held the store");
    assert_eq!(run["status"], "waiting");
    assert_eq!(run["steps"][0]["attempts"], 1, "to change hands is no attempt");
    assert_eq!(neighbour.provider.requests(), 1, "the answer that came while the holder left was kept");
}

#[test]
fn when_the_holder_is_killed_the_other_takes_its_place() {
    let (project, _, provider, gate, holder) = held();
    let neighbour = Neighbour::of(&project);
    let client = Running::start(&mut neighbour.command(&["run", "--json"]));
    neighbour.gate.arrived(1);

    holder.kill();
    assert!(project.path(".wflo/wflo.sock").exists(), "a killed holder leaves its socket");
    neighbour.gate.arrived(2);
    // The new holder listens as the old one did.
    let runs = project.wflo(&["runs", "--json"]).expect_code(0).json();
    assert_eq!(runs.as_array().map(Vec::len), Some(2));
    gate.open();
    neighbour.gate.open();
    let id = client.id();
    let run = client.end().expect_code(10).json();
    assert_eq!(last_holder(&project), id, "the client has taken the place of the holder");
    assert_eq!(run["status"], "waiting");
    assert_eq!(run["steps"][0]["attempts"], 1, "a crash is no attempt");

    project.wflo(&["resume"]).expect_code(10);
    assert!(provider.requests() >= 1);
    let all = project.wflo(&["runs", "--json"]).expect_code(0).json();
    let statuses: Vec<&Value> = all.as_array().expect("a list").iter().map(|run| &run["status"]).collect();
    assert_eq!(statuses, ["waiting", "waiting"]);
}

#[test]
fn commands_that_race_to_make_a_store_make_one() {
    let project = Project::new("hello");
    let names = ["ada", "bob", "cyd", "dee"];
    let racing = names.map(|name| Running::start(&mut project.command(&["identity", "add", name])));
    let tokens = racing.map(|command| command.end().expect_code(0).stdout.trim().to_owned());
    for (name, token) in names.iter().zip(&tokens) {
        let run = project.wflo_as(name, token, &["run", "--json"]).expect_code(0).json();
        assert_eq!(run["requester"], *name);
    }
}

#[test]
fn a_store_deep_in_folders_is_shared_too() {
    let (project, _) = Project::fraud();
    let deep = project.path("a-folder-with-a-long-name").join("x".repeat(120)).join("and-one-more");
    let provider = Provider::start(&project, &[]);
    let gate = Gate::before(&provider);
    project.use_server(&gate.address);
    let there = |args: &[&str]| {
        let mut command = project.command(args);
        command.arg("--state").arg(&deep);
        command
    };
    for (name, group) in [("alice", "fraud-team"), ("carol", "compliance")] {
        Output::of(&mut there(&["identity", "add", name, "--group", group])).expect_code(0);
    }
    let holder = Running::start(&mut there(&["run", "--json"]));
    gate.arrived(1);
    let runs = Output::of(&mut there(&["runs", "--json"])).expect_code(0).json();
    assert_eq!(runs[0]["status"], "running");
    gate.open();
    holder.end().expect_code(10);
}

#[test]
fn logs_are_followed_while_another_command_drives() {
    let (project, people, _provider, gate, holder) = held();
    let runs = project.wflo(&["runs", "--json"]).expect_code(0).json();
    let id = runs[0]["run"].as_str().expect("an id").to_owned();
    let follower = Running::start(&mut project.command(&["logs", &id, "--follow"]));
    gate.open();
    let approval = approval_of(&holder.end().expect_code(10).json());
    project.wflo_as("alice", &people.alice, &["approve", &approval]).expect_code(10);
    project.wflo_as("carol", &people.carol, &["approve", &approval]).expect_code(0);
    let text = follower.end().expect_code(0).stdout;
    assert!(text.contains("analyzed") && text.contains("blocked"), "{text}");
}

#[test]
fn a_vote_from_a_folder_that_binds_less_leaves_the_run_to_its_own() {
    let (project, people) = Project::fraud();
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let (id, approval) = (run["run"].as_str().expect("an id"), approval_of(&run));
    let elsewhere = Project::new("hello");
    let there = |args: &[&str], person: Option<(&str, &str)>| {
        let mut command = elsewhere.command(args);
        command.arg("--state").arg(project.path(".wflo"));
        if let Some((name, token)) = person {
            command.args(["--as", name]).env("WFLO_TOKEN", token);
        }
        Output::of(&mut command)
    };
    there(&["approve", &approval], Some(("alice", &people.alice))).expect_code(10);
    let last = there(&["approve", &approval], Some(("carol", &people.carol))).expect_code(0);
    assert!(last.stderr.contains("database `bank`"), "{}", last.stderr);
    assert!(last.stderr.contains(&format!("wflo resume {id}")), "{}", last.stderr);
    assert!(project.blocked().is_empty());
    there(&["resume", id], None).expect_code(2);
    assert!(there(&["resume"], None).expect_code(0).stderr.contains("left as it is"));
    project.wflo(&["resume", id]).expect_code(0);
    assert!(!project.blocked().is_empty());
}
