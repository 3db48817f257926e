//! The etl-pipeline example: large data by reference, a model that works rules out, people who agree, and a load that is
//! undone.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Project, Provider, approval_of, binary, eventually};

/// The source, until it is dropped.
pub(crate) struct Source {
    child: Child,
    url: String,
}

impl Source {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut child = Command::new(binary("etl-data"))
            .args(["serve", "--port", "0"])
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the source starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        let url = line.split_whitespace().find(|word| word.starts_with("http://")).expect("an address");
        Self { child, url: url.to_owned() }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // Ending a child that has ended is no error worth a test's failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The example with its warehouse, its source, and the tokens of dana of the data team and of mallory.
pub(crate) fn etl(source: &Source) -> (Project, [String; 2]) {
    let project = Project::new("etl-pipeline");
    let made = Command::new(binary("etl-data"))
        .arg("warehouse")
        .arg(project.path("warehouse.db"))
        .output()
        .expect("the warehouse is made");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let token = |args: &[&str]| {
        let added = project.wflo(&[&["identity", "add"], args].concat()).expect_code(0);
        added.stdout.trim().to_owned()
    };
    let tokens = [token(&["dana", "--group", "data-team"]), token(&["mallory"])];
    reach(&project, source);
    (project, tokens)
}

/// Has the example find the source where it is.
pub(crate) fn reach(project: &Project, source: &Source) {
    project.edit("workflow.toml", "GET http://localhost:8765/*", &format!("GET {}", source.url));
    project.edit("workflow.toml", "http://localhost:8765/customers.csv", &source.url);
}

fn warehouse(project: &Project) -> rusqlite::Connection {
    rusqlite::Connection::open(project.path("warehouse.db")).expect("the warehouse")
}

fn customers(project: &Project) -> i64 {
    let count = |row: &rusqlite::Row<'_>| row.get(0);
    warehouse(project).query_row("SELECT count(*) FROM customers", [], count).expect("the warehouse")
}

fn id(run: &Value) -> &str {
    run["run"].as_str().expect("a run has an id")
}

fn output<'a>(run: &'a Value, step: &str) -> &'a Value {
    let steps = run["steps"].as_array().expect("a run has steps");
    &steps.iter().find(|it| it["name"] == step).unwrap_or_else(|| panic!("no step `{step}`: {run}"))["output"]
}

/// A run up to where the data team is asked.
fn asked(project: &Project) -> (Value, String) {
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let approval = approval_of(&run);
    (run, approval)
}

#[test]
fn customers_are_loaded_when_the_data_team_agrees_and_the_load_is_undone() {
    let source = Source::start(&[]);
    let (project, [dana, mallory]) = etl(&source);
    project.wflo(&["check"]).expect_code(0);
    let (run, approval) = asked(&project);
    assert_eq!(output(&run, "transform_data")["rows"], 2000);
    assert_eq!(output(&run, "transform_data")["by_the_model"], 6);
    assert_eq!(output(&run, "validate_quality")["profile"]["rows"], 2000);
    assert_eq!(customers(&project), 1, "nothing is loaded before people agree");

    // What was handed on by reference is there for people, and has the digest that it is said to have.
    let id = id(&run).to_owned();
    let listed = project.wflo(&["artifact", "list", &id, "--json"]).expect_code(0).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
    let reference = &output(&run, "extract_data")["raw_data"];
    assert_eq!(listed[0]["digest"], reference["digest"]);
    let raw = project.wflo(&["artifact", "get", &id, "extract_data", "customers.csv"]).expect_code(0).stdout;
    assert_eq!(json!(raw.len()), reference["bytes"]);
    assert!(raw.starts_with("cust_id,full_name,") && raw.lines().count() == 2001);
    project
        .wflo(&["artifact", "get", &id, "transform_data", "customers.jsonl", "-o", "customers.jsonl"])
        .expect_code(0);
    let rows = std::fs::read_to_string(project.path("customers.jsonl")).expect("the file");
    let last: Value = serde_json::from_str(rows.lines().last().expect("a row")).expect("JSON");
    assert_eq!((&last["id"], &last["street"]), (&json!("C-001777"), &json!("Highway 61, Mile 12")));
    project.wflo(&["artifact", "get", &id, "extract_data", "nothing"]).expect_code(4);
    let log = project.wflo(&["audit", "show"]).expect_code(0).stdout;
    assert!(log.contains("takes artifact customers.csv of step extract_data"), "{log}");

    project.wflo_as("mallory", &mallory, &["approve", &approval]).expect_code(3);
    project.wflo_as("dana", &dana, &["approve", &approval]).expect_code(0);
    assert_eq!(customers(&project), 2001);
    let row =
        |sql: &str| warehouse(&project).query_row(sql, [], |row| row.get::<_, String>(0)).expect("a row");
    let odd = row("SELECT street || ', ' || unit FROM customers WHERE id = 'C-000101'");
    assert_eq!(odd, "12 Elm Street, Rear house");
    let changes = project.wflo(&["show", &id, "--changes"]).expect_code(0).stdout;
    assert!(changes.contains("2000 rows inserted in bulk"), "{changes}");
    project.wflo(&["replay", &id]).expect_code(0);

    // One customer has changed since: it stays, and so does the one of old.
    let plan = project.wflo(&["rollback", &id, "--dry-run"]).expect_code(0).stdout;
    assert_eq!(plan.trim(), "undo        load_to_warehouse: 2000 rows in database `production`");
    let moved = "UPDATE customers SET city = 'Elsewhere' WHERE id = 'C-000042'";
    warehouse(&project).execute_batch(moved).expect("somebody moves");
    let done = project.wflo(&["rollback", &id]).expect_code(1).stdout;
    assert!(done.contains("1999 rows in database `production`, 1 row left"), "{done}");
    assert!(done.contains("customers id = \"C-000042\": it has changed since"), "{done}");
    assert_eq!(row("SELECT group_concat(id) FROM (SELECT id FROM customers ORDER BY id)"), "C-000042,W-1");
    project.wflo(&["replay", &id]).expect_code(0);

    // Erased, nothing of it can be read any more.
    project.wflo(&["erase", &id]).expect_code(0);
    project
        .wflo(&["artifact", "get", &id, "extract_data", "customers.csv"])
        .code
        .checked_sub(1)
        .expect("it fails");
    let blobs = project.path(".wflo/blobs/runs").join(&id);
    assert!(!blobs.exists(), "what was kept of the run's artifacts is gone");
}

#[test]
fn bad_data_fails_the_run_before_anybody_is_asked() {
    let source = Source::start(&["--broken"]);
    let (project, _) = etl(&source);
    let run = project.wflo(&["run", "--json"]).expect_code(1).json();
    let error = run["error"].as_str().expect("it says why");
    assert!(error.contains("Quality check failed: customers are without a name"), "{error}");
    assert_eq!(customers(&project), 1);
    assert_eq!(project.wflo(&["approvals", "--json"]).expect_code(0).json(), json!([]));
    let shown = project.wflo(&["show", id(&run)]).expect_code(0).stdout;
    assert!(shown.contains("\nrollback\n  there was nothing to undo\n"), "{shown}");
}

#[test]
fn what_the_data_team_rejects_is_not_loaded() {
    let source = Source::start(&[]);
    let (project, [dana, _]) = etl(&source);
    let (run, approval) = asked(&project);
    project.wflo_as("dana", &dana, &["reject", &approval, "--comment", "not before Monday"]).expect_code(1);
    assert_eq!(customers(&project), 1);
    let view = project.wflo(&["show", id(&run), "--json"]).expect_code(0).json();
    assert_eq!(view["steps"][3]["status"], "failed");
}

#[test]
fn one_row_that_the_warehouse_does_not_take_keeps_all_of_them_out() {
    let source = Source::start(&[]);
    let (project, [dana, _]) = etl(&source);
    warehouse(&project)
        .execute_batch("INSERT INTO customers SELECT 'C-001500', name, street, unit, city, state, zip, phone, signed_up, 0 FROM customers")
        .expect("a customer is there already");
    let (_, approval) = asked(&project);
    let failed = project.wflo_as("dana", &dana, &["approve", &approval]).expect_code(1);
    let said = failed.stdout + &failed.stderr;
    assert!(said.contains("UNIQUE constraint failed") && said.contains("in lines 1"), "{said}");
    assert_eq!(customers(&project), 2, "none of the 2000 is there");
}

#[test]
fn a_source_that_is_busy_is_asked_again() {
    let source = Source::start(&["--busy", "1"]);
    let (project, _) = etl(&source);
    let (run, _) = asked(&project);
    assert_eq!(run["steps"][0]["attempts"], 2);
}

#[test]
fn more_than_the_limit_of_artifacts_is_told_and_nothing_of_it_is_there() {
    let source = Source::start(&[]);
    let (project, _) = etl(&source);
    project.edit(
        "workflow.toml",
        "limits = { artifacts = \"256MiB\" }",
        "limits = { artifacts = \"100KiB\" }",
    );
    let run = project.wflo(&["run", "--json"]).expect_code(1).json();
    let error = run["error"].as_str().expect("it says why");
    assert!(error.contains("the answer has more than 102400 bytes"), "{error}");
    let listed = project.wflo(&["artifact", "list", id(&run), "--json"]).expect_code(0).json();
    assert_eq!(listed, json!([]));

    // A step that writes more by itself is stopped.
    project.edit("workflow.toml", "artifacts = \"100KiB\"", "artifacts = \"256MiB\"");
    project.edit(
        "workflow.toml",
        "100_000_000_000, artifacts = \"256MiB\"",
        "100_000_000_000, artifacts = \"64KiB\"",
    );
    let run = project.wflo(&["run", "--json"]).expect_code(1).json();
    let error = run["error"].as_str().expect("it says why");
    assert!(error.contains("too_much_data: more than 65536 bytes of artifacts (`artifacts`)"), "{error}");
    project.edit("wflo.toml", "[store]", "[limits]\nmax_artifacts = \"1MiB\"\n\n[store]");
    let check = project.wflo(&["check"]).expect_code(2).stderr;
    assert!(check.contains("`artifacts` is above the ceiling of 1MiB"), "{check}");
}

/// Has a model on loopback say that all is well, in place of the tape, which knows 2,000 customers only.
fn validated_by_a_server(project: &Project) -> Provider {
    let passed = json!({ "passed": true, "issues": [] });
    let content = json!({ "rule_1": passed, "rule_2": passed, "rule_3": passed });
    project.write("answers.jsonl", &json!({ "content": content }).to_string());
    let answers = project.path("answers.jsonl");
    let provider = Provider::start(project, &["--answers", answers.to_str().expect("a path")]);
    project.edit(
        "wflo.toml",
        "models = [\"gpt-4\", \"gpt-3.5-turbo\"]\n\n# To ask",
        "models = [\"gpt-4\"]\n\n# To ask",
    );
    let server = format!(
        "[llm.server]\nkind = \"openai\"\nbase_url = \"{}\"\nmodels = [\"gpt-3.5-turbo\"]\n\n[store]",
        provider.address
    );
    project.edit("wflo.toml", "[store]", &server);
    provider
}

/// Pieces of artifacts that are kept so far.
fn pieces(project: &Project) -> usize {
    let runs = std::fs::read_dir(project.path(".wflo/blobs/runs")).into_iter().flatten().flatten();
    runs.map(|run| std::fs::read_dir(run.path()).into_iter().flatten().count()).sum()
}

/// Starts a command and kills it as soon as something is seen.
fn killed_when(project: &Project, args: &[&str], mut seen: impl FnMut() -> bool) {
    let mut child =
        project.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    eventually("what it is killed for", || seen() || child.try_wait().is_ok_and(|ended| ended.is_some()));
    // One that has ended by then is no error: the next one finds it so.
    let _ = child.kill();
    child.wait().expect("it ends");
}

#[test]
fn a_run_that_is_killed_in_every_step_loads_every_customer_once() {
    let source = Source::start(&["--rows", "40000"]);
    let (project, _) = etl(&source);
    let _provider = validated_by_a_server(&project);
    project.edit(
        "workflow.toml",
        "[step.approval]\napprovers = [\"data-team\"]\nnotify = [\"slack://data-eng\"]\n",
        "",
    );
    killed_when(&project, &["run", "--key", "load"], || pieces(&project) >= 5);
    let extracted = 40_000 * 500 / (512 << 10);
    killed_when(&project, &["resume"], || pieces(&project) > extracted + 5);
    let wal = project.path("warehouse.db-wal");
    killed_when(&project, &["resume"], || wal.metadata().is_ok_and(|wal| wal.len() > 1 << 20));
    assert_eq!(customers(&project), 1, "half of it is nothing");
    let run = project.wflo(&["run", "--key", "load", "--json"]).expect_code(0).json();
    assert_eq!(output(&run, "load_to_warehouse")["loaded_rows"], 40_000);
    assert_eq!(run["steps"][0]["attempts"], 1, "a crash is no attempt");
    assert_eq!(customers(&project), 40_001);
    project.wflo(&["replay", id(&run)]).expect_code(0);
    project.wflo(&["rollback", id(&run)]).expect_code(0);
    assert_eq!(customers(&project), 1);
}
