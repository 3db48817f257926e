//! What is said before a run is started, while nothing has been done or paid for.

use serde_json::{Value, json};

use crate::harness::Project;
use crate::serve::Serving;

/// The chores, without the book they write into.
fn without_book() -> Project {
    Project::workflow("chores")
}

fn chores() -> Project {
    let project = without_book();
    make_book(&project, "CREATE TABLE squares (number INTEGER, square INTEGER)");
    project
}

fn make_book(project: &Project, tables: &str) {
    let book = rusqlite::Connection::open(project.path("book.db")).expect("the book");
    book.execute_batch(tables).expect("the book");
}

fn noted(project: &Project) -> i64 {
    let book = rusqlite::Connection::open(project.path("book.db")).expect("the book");
    book.query_row("SELECT count(*) FROM squares", [], |row| row.get(0)).expect("the book")
}

#[track_caller]
fn no_runs(project: &Project) {
    assert_eq!(project.wflo(&["runs", "--json"]).expect_code(0).json(), json!([]));
}

#[track_caller]
fn id(run: &Value) -> &str {
    run["run"].as_str().expect("a run has an id")
}

#[test]
fn what_does_not_open_starts_no_run() {
    let project = without_book();
    let refused = project.wflo(&["run"]).expect_code(2);
    assert!(refused.stderr.contains("there is no database file"), "{}", refused.stderr);
    no_runs(&project);
    // Whoever mends it and runs again has it done once.
    make_book(&project, "CREATE TABLE squares (number INTEGER, square INTEGER)");
    project.wflo(&["run"]).expect_code(0);
    project.wflo(&["resume"]).expect_code(0);
    assert_eq!(noted(&project), 5);
}

#[test]
fn a_later_step_that_is_not_there_is_said_before_the_first_begins() {
    let project = chores();
    project.edit("workflow.toml", "name = \"total\"", "name = \"total\"\nfunction = \"totl\"");
    let refused = project.wflo(&["run"]).expect_code(2);
    assert!(refused.stderr.contains("component `chores.wasm` has no step `totl`"), "{}", refused.stderr);
    assert!(refused.stderr.contains("hint: did you mean `total`?"), "{}", refused.stderr);
    no_runs(&project);

    let olga = project.wflo(&["identity", "add", "olga"]).expect_code(0).stdout.trim().to_owned();
    let serving = Serving::start(&project);
    let start = json!({ "workflow": "chores" });
    let refused = serving.ask(("olga", &olga), "POST", "/runs", Some(start)).expect(422).json();
    assert!(refused["error"].as_str().is_some_and(|why| why.contains("has no step `totl`")), "{refused}");
    no_runs(&project);
    assert_eq!(noted(&project), 0);
}

#[test]
fn a_key_is_that_of_one_run_of_a_workflow() {
    let project = chores();
    let run = |count: &str| project.wflo(&["run", "--json", "--key", "today", "--input", count]);
    let first = run("count=2").expect_code(0).json();
    assert_eq!(id(&run("count=2").expect_code(0).json()), id(&first));
    let refused = run("count=3").expect_code(2);
    assert!(refused.stderr.contains(id(&first)) && refused.stderr.contains("other inputs"), "{refused:?}");
    assert!(refused.stderr.contains("\nhint: "), "{refused:?}");

    let olga = project.wflo(&["identity", "add", "olga"]).expect_code(0).stdout.trim().to_owned();
    let asked = ["run", "--key", "today", "--input", "count=2"];
    let refused = project.wflo_as("olga", &olga, &asked).expect_code(2);
    assert!(refused.stderr.contains(id(&first)) && refused.stderr.contains("somebody else"), "{refused:?}");
    assert_eq!(noted(&project), 2, "none of these was done");

    let serving = Serving::start(&project);
    let start = |inputs: Value| {
        let body = json!({ "workflow": "chores", "inputs": inputs, "key": "tonight" });
        serving.ask(("olga", &olga), "POST", "/runs", Some(body))
    };
    let by_olga = start(json!({ "count": 1 })).expect(202).json();
    assert_eq!(id(&start(json!({ "count": 1 })).expect(202).json()), id(&by_olga));
    let refused = start(json!({ "count": 4 })).expect(409).json();
    assert!(refused["error"].as_str().is_some_and(|why| why.contains(id(&by_olga))), "{refused}");
    drop(serving);

    // Another workflow knows nothing of it.
    project.edit("workflow.toml", "name = \"chores\"", "name = \"errands\"");
    let other = run("count=3").expect_code(0).json();
    assert_ne!(id(&other), id(&first));
    assert_eq!(other["workflow"], "errands");
}

#[test]
fn an_input_is_given_once_and_a_folder_holds_a_workflow() {
    let project = chores();
    let refused = project.wflo(&["run", "--input", "count=1", "--input", "count=2"]).expect_code(2);
    assert!(refused.stderr.contains("input `count` is given twice"), "{}", refused.stderr);
    no_runs(&project);

    for command in ["run", "check"] {
        let refused = project.wflo(&[command, "nofolder"]).expect_code(2);
        assert!(refused.stderr.contains("there is no workflow in `nofolder`"), "{}", refused.stderr);
    }
    assert!(!project.path("nofolder").exists(), "a wrong name is no reason to make a store");
}

#[test]
fn a_check_misses_the_database_that_a_run_would_miss() {
    let project = without_book();
    let said = |code| project.wflo(&["check"]).expect_code(code).stderr;
    assert!(said(2).contains("error: database `book`: there is no file `"), "{}", said(2));
    assert!(!project.path("book.db").exists(), "a check makes no database");
    make_book(&project, "CREATE TABLE other (number INTEGER)");
    assert!(said(2).contains("error: database `book` has no table `squares`"), "{}", said(2));
    make_book(&project, "CREATE VIEW Squares AS SELECT number, number AS square FROM other");
    assert!(said(0).contains("can run"), "{}", said(0));
}

#[test]
fn a_database_file_is_written_only_where_steps_may_write_it() {
    let project = chores();
    let book = || rusqlite::Connection::open(project.path("book.db")).expect("the book");
    let bytes = || std::fs::read(project.path("book.db")).expect("the book");
    let before = bytes();
    project.edit("workflow.toml", "write = [\"squares\"]", "read = [\"squares\"]");
    // Another program reads it all the while.
    let other = book();
    other.execute_batch("BEGIN; SELECT * FROM squares").expect("the book");
    project.wflo(&["run", "--input", "count=0"]).expect_code(0);
    drop(other);
    assert!(bytes() == before, "a run that only reads has written");
    project.edit(
        "workflow.toml",
        "{ read = [\"squares\"] }\n\n[[step]]\nname = \"nap\"",
        "{ write = [\"squares\"] }\n\n[[step]]\nname = \"nap\"",
    );
    project.wflo(&["run", "--input", "count=0"]).expect_code(0);
    let mode: String = book().query_row("PRAGMA journal_mode", [], |row| row.get(0)).expect("the book");
    assert_eq!(mode, "wal");
}
