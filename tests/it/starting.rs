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
