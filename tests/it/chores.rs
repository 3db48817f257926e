//! Long runs: waiting on timers and people, many items, conditions, cancelling, replay.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Project, approval_of, eventually};

/// The chores, with a book to write into.
fn chores() -> Project {
    let project = Project::workflow("chores");
    book(&project).execute_batch("CREATE TABLE squares (number INTEGER, square INTEGER)").expect("the book");
    project
}

fn book(project: &Project) -> rusqlite::Connection {
    let book = rusqlite::Connection::open(project.path("book.db")).expect("the book");
    book.busy_timeout(Duration::from_secs(10)).expect("the book");
    book
}

/// The numbers in the book, in order.
fn noted(project: &Project) -> Vec<i64> {
    let book = book(project);
    let mut rows = book.prepare("SELECT number FROM squares ORDER BY number").expect("the book");
    let numbers = rows.query_map([], |row| row.get(0)).expect("the book");
    numbers.collect::<Result<_, _>>().expect("the book")
}

#[track_caller]
fn id(run: &Value) -> String {
    run["run"].as_str().expect("a run has an id").to_owned()
}

#[track_caller]
fn step<'a>(run: &'a Value, name: &str) -> &'a Value {
    let steps = run["steps"].as_array().expect("a run has steps");
    steps.iter().find(|step| step["name"] == name).unwrap_or_else(|| panic!("no step `{name}`: {run}"))
}

#[test]
fn a_step_fans_out_over_a_list_and_is_replayed_identically() {
    let project = chores();
    let run = project.wflo(&["run", "--json", "--input", "count=20"]).expect_code(0).json();
    assert_eq!(
        step(&run, "square")["items"],
        json!({"total": 20, "succeeded": 20, "waiting": 0, "failed": 0})
    );
    let squares: Vec<i64> = (1..=20).map(|n| n * n).collect();
    assert_eq!(step(&run, "square")["output"], json!(squares), "in the order of the list");
    assert_eq!(step(&run, "total")["output"], json!(squares.iter().sum::<i64>()));
    assert_eq!(step(&run, "nap")["status"], "skipped");

    let replayed = project.wflo(&["replay", &id(&run), "--json"]).expect_code(0).json();
    assert_eq!(
        (&replayed["identical"], replayed["attempts"].as_array().map(Vec::len)),
        (&json!(true), Some(22))
    );
    assert_eq!(noted(&project).len(), 20, "a replay performs nothing");
}

#[test]
fn a_failed_item_fails_the_step_or_is_collected() {
    let project = chores();
    let run = project.wflo(&["run", "--json", "--input", "poison=3"]).expect_code(1).json();
    assert_eq!(run["error"], "step `square`: item 2: 3 is poison");
    assert!(!noted(&project).contains(&3));

    project.edit("workflow.toml", "max_parallel = 4", "max_parallel = 4\non_item_failure = \"collect\"");
    let run = project.wflo(&["run", "--json", "--input", "poison=3"]).expect_code(0).json();
    let output = json!([{"ok": 1}, {"ok": 4}, {"err": "3 is poison"}, {"ok": 16}, {"ok": 25}]);
    assert_eq!(step(&run, "square")["output"], output);
    project.wflo(&["replay", &id(&run)]).expect_code(0);
}

#[test]
fn a_run_killed_in_the_middle_of_many_items_repeats_none() {
    let project = chores();
    let child = project.command(&["run", "--input", "count=300"]).spawn().expect("the command starts");
    eventually("some items are done", || noted(&project).len() > 20);
    kill(child);
    project.wflo(&["resume"]).expect_code(0);
    assert_eq!(noted(&project), (1..=300).collect::<Vec<i64>>(), "each item once");
    let runs = project.wflo(&["runs", "--json"]).expect_code(0).json();
    project.wflo(&["replay", &id(&runs[0])]).expect_code(0);
}

#[test]
fn a_long_sleep_parks_the_run_and_it_goes_on_when_it_is_due() {
    let project = chores();
    let run = project.wflo(&["run", "--json", "--input", "nap_ms=2500"]).expect_code(11).json();
    assert_eq!((&run["status"], &run["waiting_for"][0]["kind"]), (&json!("parked"), &json!("timer")));
    let due = run["waiting_for"][0]["until"].as_str().expect("a timer is due at a time").to_owned();
    // Before it is due, nothing moves.
    project.wflo(&["resume", "--json"]).expect_code(11);
    let run = id(&run);
    eventually("the timer is due", || project.wflo(&["resume", &run]).code == 0);
    let run = project.wflo(&["show", &run, "--json"]).expect_code(0).json();
    let slept = step(&run, "nap")["output"].as_u64().expect("milliseconds");
    assert!((2500..60_000).contains(&slept), "its clock shows that it slept: {slept} ms, due at {due}");
    assert_eq!(step(&run, "nap")["attempts"], 1);
    project.wflo(&["replay", &id(&run)]).expect_code(0);
}

#[test]
fn a_run_that_cannot_be_driven_holds_up_no_other() {
    let project = chores();
    let napping = || id(&project.wflo(&["run", "--json", "--input", "nap_ms=1500"]).expect_code(11).json());
    let first = napping();
    // Another component, of the same code: one with a note at its end.
    let mut bytes = std::fs::read(project.path("chores.wasm")).expect("the component");
    let stored = stored(&project);
    bytes.extend(b"\0\x05\x04note");
    std::fs::write(project.path("chores.wasm"), bytes).expect("the component");
    let second = napping();
    for file in stored {
        std::fs::remove_file(file).expect("the store has it");
    }
    let status = |run: &str| project.wflo(&["show", run, "--json"]).expect_code(0).json()["status"].clone();
    eventually("the second goes on", || {
        project.wflo(&["resume"]);
        status(&second) == "succeeded"
    });
    let resumed = project.wflo(&["resume"]).expect_code(70);
    assert!(resumed.stderr.contains(&format!("run {first} was left where it stands")), "{}", resumed.stderr);
    assert_ne!(status(&first), "succeeded");
}

/// What the store holds of plans and components.
pub(crate) fn stored(project: &Project) -> Vec<std::path::PathBuf> {
    let folder = project.path(".wflo/blobs/public").read_dir().expect("the store");
    let large = |file: &std::path::PathBuf| file.metadata().is_ok_and(|it| it.len() > 50_000);
    folder.map(|file| file.expect("a file").path()).filter(large).collect()
}

#[test]
fn a_step_can_ask_people_in_its_middle() {
    let project = chores();
    let add = |name: &str, group: &str| {
        project.wflo(&["identity", "add", name, "--group", group]).expect_code(0).stdout.trim().to_owned()
    };
    let (olga, mallory) = (add("olga", "ops"), add("mallory", "sales"));
    for (verdict, approved) in [("approve", true), ("reject", false)] {
        let run = project.wflo(&["run", "--json", "--input", "ask=true"]).expect_code(10).json();
        let approval = approval_of(&run);
        let shown = project.wflo(&["approvals", "show", &approval, "--json"]).expect_code(0).json();
        assert_eq!((&shown["at"], &shown["shows"]["summary"]), (&json!("call"), &json!("Go on?")));
        assert_eq!(shown["shows"]["details"]["run"], run["run"]);
        project.wflo_as("mallory", &mallory, &[verdict, &approval]).expect_code(3);
        let run = project.wflo_as("olga", &olga, &[verdict, &approval, "--json"]).expect_code(0).json();
        let answer = json!({"approved": approved, "by": ["olga"], "same": true});
        assert_eq!(step(&run, "ask")["output"], answer, "a rejection is an answer");
        assert_eq!(step(&run, "ask")["attempts"], 1, "waiting is no attempt");
        project.wflo(&["replay", &id(&run)]).expect_code(0);
    }
}

#[test]
fn a_cancelled_run_stops_what_computes_and_what_waits() {
    let project = chores();
    let waiting = project.wflo(&["run", "--json", "--input", "ask=true"]).expect_code(10).json();
    let cancelled = project.wflo(&["cancel", &id(&waiting), "--reason", "no need", "--json"]).expect_code(0);
    let cancelled = cancelled.json();
    assert_eq!(cancelled["status"], "cancelled");
    assert!(cancelled["error"].as_str().is_some_and(|why| why.ends_with(": no need")), "{cancelled}");
    assert_eq!(step(&cancelled, "total")["status"], "cancelled");
    assert_eq!(
        project.wflo(&["approvals", "--json"]).expect_code(0).json(),
        json!([]),
        "nobody is asked any more"
    );
    project.wflo(&["cancel", &id(&waiting)]).expect_code(2);

    // One that computes for ever, driven by another process.
    let spinning = project.command(&["run", "--json", "--input", "spin=true"]).spawn().expect("it starts");
    let mut run = String::new();
    eventually("it computes", || {
        let runs = project.wflo(&["runs", "--json", "--status", "running"]).expect_code(0).json();
        let Some(found) = runs.get(0) else { return false };
        run = id(found);
        step(&project.wflo(&["show", &run, "--json"]).expect_code(0).json(), "spin")["status"] == "running"
    });
    project.wflo(&["cancel", &run]).expect_code(0);
    let output = spinning.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1), "for whoever drove it, the run did not succeed");
    let run = project.wflo(&["show", &run, "--json"]).expect_code(0).json();
    assert_eq!((&run["status"], &step(&run, "spin")["status"]), (&json!("cancelled"), &json!("cancelled")));
}

#[test]
fn what_is_not_there_is_neither_replayed_nor_resolved() {
    let project = chores();
    let run = id(&project.wflo(&["run", "--json", "--input", "count=1"]).expect_code(0).json());
    let other = format!("{}{}", &run[..25], if run.ends_with('0') { '1' } else { '0' });
    project.wflo(&["replay", &other]).expect_code(4);
    project.wflo(&["resolve", &run, "3", "--not-done"]).expect_code(4);
    project.wflo(&["resolve", &run, "3"]).expect_code(2);
}

#[test]
fn old_runs_are_dropped_and_what_waits_is_kept() {
    let project = chores();
    let olga = project.wflo(&["identity", "add", "olga", "--group", "ops"]).expect_code(0).stdout;
    for _ in 0..3 {
        project.wflo(&["run", "--json"]).expect_code(0);
    }
    let waiting = project.wflo(&["run", "--json", "--input", "ask=true"]).expect_code(10).json();
    let gc = |args: &[&str]| project.wflo(&[&["gc", "--json"], args].concat()).expect_code(0).json();
    assert_eq!(gc(&[])["runs"], 0, "six years are kept");
    assert_eq!(gc(&["--older-than", "0", "--dry-run"])["runs"], 3);
    let gone = gc(&["--older-than", "0"]);
    assert_eq!((&gone["runs"], &gone["public"]), (&json!(3), &json!(0)), "the plan is still needed: {gone}");
    let left = project.wflo(&["runs", "--json"]).expect_code(0).json();
    assert_eq!(left.as_array().map(Vec::len), Some(1));
    project.wflo_as("olga", olga.trim(), &["approve", &approval_of(&waiting)]).expect_code(0);
    assert_eq!(gc(&["--older-than", "0"])["public"], 2, "plan and component go with the last run");
}

#[test]
fn an_erased_run_is_proven_and_says_nothing() {
    let project = chores();
    let run = id(&project.wflo(&["run", "--json"]).expect_code(0).json());
    let waiting = id(&project.wflo(&["run", "--json", "--input", "ask=true"]).expect_code(10).json());
    project.wflo(&["erase", &waiting]).expect_code(2);
    project.wflo(&["erase", &run]).expect_code(0);
    for args in [
        &["show", &run][..],
        &["logs", &run],
        &["replay", &run],
        &["record", &run, "list"],
        &["fork", &run, "--at", "3"],
        &["cancel", &run],
        &["resume", &run],
        &["rollback", &run],
        &["rollback", &run, "--dry-run"],
        &["artifact", "list", &run],
        &["artifact", "get", &run, "list", "a"],
        &["cost", &run],
        &["top-up", &run, "1"],
        &["resolve", &run, "3", "--not-done"],
    ] {
        let refused = project.wflo(args).expect_code(4).stderr;
        assert!(refused.contains("was erased\nhint: only `wflo audit export`"), "{args:?}: {refused}");
    }
    project.wflo(&["run", "--estimate"]).expect_code(0);
    project.wflo(&["cost"]).expect_code(0);
    let file = project.path("run.audit");
    let file = file.to_str().expect("a path of text");
    project.wflo(&["audit", "export", &run, "-o", file]).expect_code(0);
    let verified = project.wflo(&["audit", "verify", file]).expect_code(0);
    assert!(verified.stdout.contains("erased"), "{}", verified.stdout);
    project.wflo(&["erase", &run]).expect_code(2);
    let runs = project.wflo(&["runs", "--json"]).expect_code(0).json();
    assert_eq!(runs.as_array().map(Vec::len), Some(2), "that it took place is still listed");
}

#[test]
fn a_fork_goes_on_from_where_its_parent_stood() {
    let project = chores();
    let parent = project.wflo(&["run", "--json", "--input", "poison=3"]).expect_code(1).json();
    let parent = id(&parent);
    let shown = project.wflo(&["audit", "show", &parent, "--json"]).expect_code(0).json();
    let events = shown.as_array().expect("events");
    let listed = events.iter().find(|event| {
        event["step"] == "list" && event["text"].as_str().is_some_and(|text| text.contains("succeeded"))
    });
    let at = listed.and_then(|event| event["seq"].as_u64()).expect("the first step has ended").to_string();

    // Items that have written would write again.
    let refused = project.wflo(&["fork", &parent, "--at", &at]).expect_code(3);
    assert!(refused.stderr.contains("`square[0]`"), "{}", refused.stderr);
    book(&project).execute_batch("DELETE FROM squares").expect("the book");
    let forked = project.wflo(&["fork", &parent, "--at", &at, "--keep", "--json"]).expect_code(1).json();
    assert_ne!(id(&forked), parent);
    assert_eq!(step(&forked, "list")["attempts"], 0, "its output is the parent's");
    assert_eq!(forked["error"], "step `square`: item 2: 3 is poison", "the same plan and inputs");
    assert_eq!(project.wflo(&["show", &parent, "--json"]).expect_code(0).json()["status"], "superseded");
    project.wflo(&["fork", &parent, "--at", &at]).expect_code(2);
    project.wflo(&["replay", &id(&forked)]).expect_code(0);
}

#[test]
fn what_a_fork_has_from_its_parent_is_neither_dropped_nor_forgotten_before_it() {
    let project = chores();
    let parent = id(&project.wflo(&["run", "--json"]).expect_code(0).json());
    let fork = project.wflo(&["fork", &parent, "--at", "1", "--keep", "--json"]).expect_code(0);
    let fork = id(&fork.json());
    let refused = project.wflo(&["erase", &parent]).expect_code(2).stderr;
    assert!(refused.contains(&format!("run `{fork}` is forked from run `{parent}`")), "{refused}");
    project.wflo(&["show", &parent]).expect_code(0);
    project.wflo(&["erase", &fork]).expect_code(0);
    project.wflo(&["erase", &parent]).expect_code(0);
    project.wflo(&["erase", &parent]).expect_code(2);
}

/// Kills a running command without warning and waits until it is gone.
fn kill(mut child: std::process::Child) {
    child.kill().expect("the command is there to be killed");
    child.wait().expect("it ends");
}
