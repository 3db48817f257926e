//! `wflo test` and `wflo record`: steps in the sandbox, with a tape in the place of everything outside.

use crate::harness::{Output, Project, approval_of, root};

const FIRST: &str =
    "step = \"hello\"\ninputs = { name = \"Ada\" }\n\n[expect]\noutput = { text = \"Hello, Ada!\" }\n";

fn with_test(project: &Project, name: &str, text: &str) {
    std::fs::create_dir_all(project.path("tests")).expect("a folder for tests");
    project.write(&format!("tests/{name}.toml"), text);
}

#[test]
fn the_example_has_a_test_and_it_needs_no_store() {
    let project = Project::new("hello");
    let first = std::fs::read_to_string(root().join("examples/hello/tests/first.toml")).expect("a test");
    with_test(&project, "first", &first);
    let tested = project.wflo(&["test"]).expect_code(0);
    assert!(tested.stdout.starts_with("passed  first "), "{}", tested.stdout);
    assert_eq!(tested.stderr, "1 of 1 passed\n");
    assert!(!project.path(".wflo/FORMAT").exists(), "a test is no reason to make a store");
    let line = project.wflo(&["test", "first", "--json"]).expect_code(0).json()[0].clone();
    assert_eq!((&line["passed"], &line["step"]), (&true.into(), &"hello".into()));
    assert!(line["ms"].as_f64().is_some_and(|ms| ms < 1000.0), "{line}");
}

#[test]
fn what_differs_is_shown_and_ends_with_a_code() {
    let project = Project::new("hello");
    with_test(&project, "first", FIRST);
    with_test(&project, "other", &FIRST.replace("Hello, Ada!", "Hello, Bob!"));
    let tested = project.wflo(&["test"]).expect_code(1);
    let (first, other) = tested.stdout.split_once('\n').expect("two lines");
    assert!(first.starts_with("passed  first ") && other.starts_with("failed  other "), "{}", tested.stdout);
    let shown =
        "        output.text\n          expected  \"Hello, Bob!\"\n          got       \"Hello, Ada!\"\n";
    assert!(other.contains(shown), "{other}");
    assert!(other.contains("        log\n          info {\"message\":\"greeting\""), "{other}");
    assert_eq!(tested.stderr, "1 of 2 passed, 1 failed\n");
    let json = project.wflo(&["test", "other", "--json"]).expect_code(1).json();
    assert_eq!(json[0]["differences"][0]["at"], "output.text");

    let none = project.wflo(&["test", "third"]).expect_code(4);
    assert!(none.stderr.contains("hint: there are `first`, `other`"), "{}", none.stderr);
    with_test(&project, "bad", "step = \"hello\"\ninput = 1\n");
    let bad = project.wflo(&["test"]).expect_code(2);
    assert!(
        bad.stdout.contains("unknown field `input`") && bad.stdout.contains("passed  first"),
        "{}",
        bad.stdout
    );
    with_test(&project, "bad", "step = \"helo\"\n");
    let bad = project.wflo(&["test", "bad"]).expect_code(2);
    assert!(bad.stdout.contains("there is no step `helo`"), "{}", bad.stdout);
}

#[test]
fn what_the_workflow_does_not_grant_is_denied_before_anything_runs() {
    let (project, _) = Project::fraud();
    project.edit("workflow.toml", "grants.llm = [\"gpt-4\"]\n", "");
    with_test(&project, "first", "step = \"analyze_transactions\"\n");
    let denied = project.wflo(&["test"]).expect_code(3);
    assert!(denied.stdout.contains("add `grants.llm"), "{}", denied.stdout);
}

#[test]
fn an_answer_of_the_tape_that_is_none_of_its_call_is_a_mistake_of_the_file() {
    let (project, _) = Project::fraud();
    with_test(
        &project,
        "first",
        "step = \"analyze_transactions\"\n[[tape]]\ncall = \"wflo:db/sql.query\"\nvalue = { cols = 1 }\n",
    );
    let refused = project.wflo(&["test"]).expect_code(2);
    assert!(
        refused.stdout.contains("entry 1 of the tape: the gate answered `wflo:db/sql.query`"),
        "{}",
        refused.stdout
    );
}

#[test]
fn the_example_of_the_documentation_is_as_it_says() {
    let page = std::fs::read_to_string(root().join("docs/testing.md")).expect("a page");
    let (_, after) = page.split_once("```toml\n").expect("an example");
    let (example, _) = after.split_once("```").expect("it ends");
    let project = Project::new("customer-service");
    crate::service::copy_rest(&project);
    with_test(&project, "refund", example);
    project.wflo(&["test"]).expect_code(0);
    with_test(&project, "refund", &example.replace("{ integer = 1 }", "{ integer = 1.5 }"));
    let refused = project.wflo(&["test"]).expect_code(2);
    assert!(
        refused.stdout.contains("entry 2 of the tape, rows[0][0]: ")
            && refused.stdout.contains("expected a string"),
        "{}",
        refused.stdout
    );
}

/// A run of the fraud example that both groups have approved; its id.
fn blocked(project: &Project, alice: &str, carol: &str) -> String {
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let approval = approval_of(&run);
    project.wflo_as("alice", alice, &["approve", &approval]).expect_code(10);
    project.wflo_as("carol", carol, &["approve", &approval, "--comment", "checked"]).expect_code(0);
    run["run"].as_str().expect("a run has an id").to_owned()
}

fn record(project: &Project, run: &str, step: &str) -> Output {
    project.wflo(&["record", run, step])
}

#[test]
fn what_was_recorded_passes_without_database_or_model() {
    let (project, people) = Project::fraud();
    let run = blocked(&project, &people.alice, &people.carol);
    record(&project, &run, "analyze_transactions").expect_code(0);
    let said = record(&project, &run, "block_suspicious_accounts").expect_code(0);
    assert!(said.stderr.contains("`wflo test block_suspicious_accounts` runs it"), "{}", said.stderr);
    let again = record(&project, &run, "block_suspicious_accounts").expect_code(2);
    assert!(again.stderr.contains("is there already"), "{}", again.stderr);
    let text = std::fs::read_to_string(project.path("tests/block_suspicious_accounts.toml")).expect("a test");
    for part in
        ["comment = \"checked\"", "approvers = [\"compliance\", \"fraud-team\"]", "wflo:db/sql.execute"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    for name in ["bank.db", "cassettes/fraud.jsonl"] {
        std::fs::remove_file(project.path(name)).expect("it was there");
    }
    let state = project.path("elsewhere");
    let state = state.to_str().expect("a path of text");
    let tested = project.wflo(&["test", "--state", state]).expect_code(0);
    assert_eq!(
        tested.stdout.lines().filter(|line| line.starts_with("passed")).count(),
        2,
        "{}",
        tested.stdout
    );
    assert!(!project.path("bank.db").exists() && !project.path("elsewhere/FORMAT").exists());

    // Another answer leads to another output; and what people are asked is part of it.
    project.edit("tests/block_suspicious_accounts.toml", "\"compliance\"", "\"legal\"");
    let tested = project.wflo(&["test"]).expect_code(1);
    assert!(tested.stdout.contains("approval 1, approvers"), "{}", tested.stdout);
}

#[test]
fn labelled_data_is_recorded_only_where_somebody_says_so() {
    let (project, _) = Project::fraud();
    project.edit(
        "workflow.toml",
        "[[step]]\nname = \"analyze",
        "[[step]]\nlabels = [\"pii\"]\nname = \"analyze",
    );
    project.edit("wflo.toml", "[llm.recorded]\n", "[llm.recorded]\naccepts = [\"pii\"]\n");
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let run = run["run"].as_str().expect("a run has an id");
    let refused = record(&project, run, "analyze_transactions").expect_code(3);
    assert!(
        refused.stderr.contains("labelled `pii`") && refused.stderr.contains("`--labelled`"),
        "{}",
        refused.stderr
    );
    assert!(!project.path("tests").exists());
    project.wflo(&["record", run, "analyze_transactions", "--labelled"]).expect_code(0);
    project.wflo(&["test"]).expect_code(0);
    let none = record(&project, run, "other").expect_code(4);
    assert!(none.stderr.contains("has no step `other`"), "{}", none.stderr);
    record(&project, "01ARZ3NDEKTSV4RRFFQ69G5FAV", "other").expect_code(4);
}
