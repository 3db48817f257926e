//! PostgreSQL through the command: prepared by its owner, checked, written to, shown, and rolled back.

use serde_json::Value;
use wflo_test_postgres::Database;

use crate::harness::{Output, Project, Provider, approval_of, eventually};

const BOOK: &str = "
    CREATE TABLE effects (run text, step text, item int, PRIMARY KEY (run, step, item));
    CREATE TABLE tally (step text, item int, n int, PRIMARY KEY (step, item));
    INSERT INTO tally SELECT step, item, 0 FROM unnest(ARRAY['each', 'flaky', 'ask', 'guarded']) AS step, generate_series(0, 2) AS item;";

/// What is run: two items side by side, a step that is tried three times, and one that waits for people.
const RUN: [&str; 8] = ["run", "--json", "--input", "count=2", "--input", "nap_ms=0", "--input", "ask=false"];

/// The torture workflow, with its effects in a PostgreSQL database and kept to be undone.
struct Stage {
    project: Project,
    book: Database,
    token: String,
    _provider: Provider,
}

impl Stage {
    fn set(approval: &str) -> Self {
        let project = Project::workflow("torture");
        let provider = Provider::start(&project, &[]);
        project.use_server(&provider.address);
        let book = wflo_test_postgres::database();
        book.sql(BOOK);
        bind(&project, &book.url("read"), &book.url("write"));
        project.edit("workflow.toml", "retry =", "rollback = true\nretry =");
        project.edit(
            "workflow.toml",
            "[step.approval]",
            &format!("rollback = true\n[step.approval]\n{approval}"),
        );
        let token = project.wflo(&["identity", "add", "olga", "--group", "ops"]).expect_code(0).stdout;
        let token = token.trim().to_owned();
        Self { project, book, token, _provider: provider }
    }

    fn prepared(approval: &str) -> Self {
        let stage = Self::set(approval);
        stage.prepare().expect_code(0);
        stage.project.wflo(&["check"]).expect_code(0);
        stage
    }

    fn prepare(&self) -> Output {
        Output::of(
            self.project.command(&["db", "prepare", "book"]).env("WFLO_OWNER_URL", self.book.url("owner")),
        )
    }

    /// Runs until people are asked: the run, and the approval.
    fn waiting(&self) -> (String, String) {
        let run = self.project.wflo(&RUN).expect_code(10).json();
        (run["run"].as_str().expect("a run has an id").to_owned(), approval_of(&run))
    }

    fn approve(&self, approval: &str) -> Value {
        self.project.wflo_as("olga", &self.token, &["approve", approval, "--json"]).expect_code(0).json()
    }

    fn raised(&self) -> String {
        self.book.sql("SELECT string_agg(step || n, ',' ORDER BY step, item) FROM tally WHERE n > 0")
    }
}

fn bind(project: &Project, read: &str, write: &str) {
    let text = std::fs::read_to_string(project.path("wflo.toml")).expect("wflo.toml");
    let kept: Vec<&str> = text
        .lines()
        .filter(|line| !["url = ", "read_url", "write_url"].iter().any(|key| line.starts_with(key)))
        .collect();
    let text = kept
        .join("\n")
        .replace("[db.book]", &format!("[db.book]\nread_url = \"{read}\"\nwrite_url = \"{write}\""));
    project.write("wflo.toml", &text);
}

#[test]
fn a_run_writes_once_and_is_rolled_back_but_for_what_somebody_changed_since() {
    let stage = Stage::prepared("");
    let (run, approval) = stage.waiting();
    assert_eq!(stage.raised(), "each1,each1,flaky1", "an attempt that failed left nothing");
    assert_eq!(stage.approve(&approval)["status"], "succeeded");
    assert_eq!(stage.raised(), "each1,each1,flaky1,guarded1");
    assert_eq!(stage.book.sql("SELECT count(*) FROM effects"), "4");
    assert_eq!(stage.book.sql("SELECT count(*) FROM wflo_changes"), "0");
    stage.project.wflo(&["replay", &run]).expect_code(0);

    let changes = stage.project.wflo(&["show", &run, "--changes"]).expect_code(0).stdout;
    let line = "update  step = \"guarded\", item = 0  n: 0 -> 1";
    assert!(changes.contains(line), "`{line}` is not in:\n{changes}");
    stage.book.sql("UPDATE tally SET n = 7 WHERE step = 'flaky' AND item = 0");
    let plan = stage.project.wflo(&["rollback", &run, "--dry-run"]).expect_code(0).stdout;
    assert!(plan.contains("guarded: 2 rows in database `book`"), "{plan}");
    let view = stage.project.wflo(&["rollback", &run, "--json"]).expect_code(1).json();
    assert_eq!(view["status"], "partially_rolled_back");
    assert_eq!(stage.raised(), "each1,each1,flaky7", "the items keep nothing to be undone");
    assert_eq!(stage.book.sql("SELECT string_agg(step, ',' ORDER BY item) FROM effects"), "each,each");
    let conflict = view["rollback"]["undone"].to_string();
    assert!(conflict.contains(r#""because":"changed""#), "{conflict}");
    stage.project.wflo(&["audit", "export", &run, "-o", "run.audit"]).expect_code(0);
    stage.project.wflo(&["audit", "verify", "run.audit"]).expect_code(0);
}

#[test]
fn at_a_commit_people_see_the_rows_and_until_then_nobody_else_does() {
    let stage = Stage::prepared("at = \"commit\"");
    let (_, approval) = stage.waiting();
    assert_eq!(stage.raised(), "each1,each1,flaky1", "what waits is rolled back");
    let shown = stage.project.wflo(&["approvals", "show", &approval]).expect_code(0).stdout;
    assert!(shown.contains("n: 0 -> 1"), "{shown}");
    // What was approved is those rows: somebody else changes one before.
    stage.book.sql("UPDATE tally SET n = 5 WHERE step = 'guarded' AND item = 0");
    let asked =
        stage.project.wflo_as("olga", &stage.token, &["approve", &approval, "--json"]).expect_code(10).json();
    let shown = stage.project.wflo(&["approvals", "show", &approval_of(&asked)]).expect_code(0).stdout;
    assert!(shown.contains("n: 5 -> 6"), "{shown}");
    assert_eq!(stage.approve(&approval_of(&asked))["status"], "succeeded");
    assert_eq!(stage.raised(), "each1,each1,flaky1,guarded6");
}

#[test]
fn what_is_not_prepared_or_too_mighty_is_found_before_anything_runs() {
    let stage = Stage::set("");
    let unprepared = stage.project.wflo(&["check"]).expect_code(2).stderr;
    assert!(
        unprepared.contains("table `effects` of database `book` has no trigger that keeps its changes"),
        "{unprepared}"
    );
    let owner = stage.project.wflo(&["db", "prepare", "book"]).expect_code(2).stderr;
    assert!(owner.contains("`WFLO_OWNER_URL` is not set") && owner.contains("\nhint: "), "{owner}");
    let script = stage.project.wflo(&["db", "prepare", "book", "--print"]).expect_code(0).stdout;
    stage.book.sql(&script);
    stage.project.wflo(&["check"]).expect_code(0);
    // It can be run again, and by nobody but the owner.
    stage.prepare().expect_code(0);
    let mut by_reader = stage.project.command(&["db", "prepare", "book"]);
    let refused = Output::of(by_reader.env("WFLO_OWNER_URL", stage.book.url("read"))).expect_code(2).stderr;
    assert!(refused.contains("is as it was: permission denied"), "{refused}");

    bind(&stage.project, &stage.book.url("read"), &stage.book.url_of("postgres"));
    let mighty = stage.project.wflo(&["check"]).expect_code(2).stderr;
    assert!(mighty.contains("database `book`: login role `postgres` is a superuser"), "{mighty}");
    assert!(mighty.contains("hint: bind it to login roles that may do no more"), "{mighty}");
    // It is not used by a run that was not checked either.
    let failed = stage.project.wflo(&RUN);
    assert_ne!(failed.code, 0);
    assert_eq!(stage.raised(), "");

    // Where nobody answers, that is said, and the rest is checked.
    bind(&stage.project, "postgres://r@127.0.0.1:1/x", "postgres://w@127.0.0.1:1/x");
    let away = stage.project.wflo(&["check"]).expect_code(0).stderr;
    assert!(
        away.contains("database `book`: it was not looked at: the database cannot be reached as `r`"),
        "{away}"
    );
    let none = stage.project.wflo(&["db", "prepare", "nothing"]).expect_code(2).stderr;
    assert!(none.contains("the deployment binds no database `nothing`"), "{none}");
}

#[test]
fn a_rollback_waits_for_a_database_that_is_away() {
    let stage = Stage::prepared("");
    let (run, approval) = stage.waiting();
    stage.approve(&approval);
    let raised = stage.raised();
    bind(&stage.project, "postgres://r@127.0.0.1:1/x", "postgres://w@127.0.0.1:1/x");
    let away = stage.project.wflo(&["rollback", &run]).expect_code(11).stderr;
    assert!(away.contains("it cannot be undone now") && away.contains("hint: `wflo resume`"), "{away}");
    assert_eq!(stage.raised(), raised);
    bind(&stage.project, &stage.book.url("read"), &stage.book.url("write"));
    // The items are of a step that keeps nothing of what it changes.
    let done = stage.project.wflo(&["resume", &run, "--json"]).expect_code(1).json();
    assert_eq!(
        (done["status"].as_str(), stage.raised().as_str()),
        (Some("partially_rolled_back"), "each1,each1")
    );
}

#[test]
fn a_step_that_loses_against_somebody_else_is_done_again_by_itself() {
    let stage = Stage::prepared("");
    // Somebody changes a row, and lets go of it when a step waits for it.
    let outside = "BEGIN; UPDATE tally SET n = n + 100 WHERE step = 'flaky' AND item = 0;
        DO $$ BEGIN LOOP
            EXIT WHEN EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database());
            PERFORM pg_stat_clear_snapshot();
            PERFORM pg_sleep(0.01);
        END LOOP; END $$;
        COMMIT;";
    let run = std::thread::scope(|scope| {
        let somebody = scope.spawn(|| stage.book.superuser(outside));
        let locked =
            "SELECT count(*) FROM pg_locks WHERE relation = 'tally'::regclass AND mode = 'RowExclusiveLock'";
        eventually("somebody has changed the row", || stage.book.superuser(locked) != "0");
        let (run, _) = stage.waiting();
        somebody.join().expect("they have committed");
        run
    });
    assert_eq!(stage.raised(), "each1,each1,flaky101", "neither write is lost");
    let events = stage.project.wflo(&["audit", "show", &run, "--json"]).expect_code(0).stdout;
    assert!(events.contains("interrupted"), "{events}");
    let view = stage.project.wflo(&["show", &run, "--json"]).expect_code(0).json();
    let flaky = view["steps"].as_array().expect("steps").iter().find(|step| step["name"] == "flaky");
    assert_eq!(flaky.expect("a step")["status"], "succeeded");
    stage.project.wflo(&["replay", &run]).expect_code(0);
}

#[test]
fn grants_are_held_against_what_is_in_the_database() {
    let stage = Stage::set("");
    stage.book.sql(
        "CREATE SCHEMA sales; CREATE TABLE sales.items (id int PRIMARY KEY);
        CREATE TABLE \"User\" (id int PRIMARY KEY, \"Name\" text)",
    );
    let grants = "grants.db.book = { read = [\"effects\"";
    let more = |more: &str| {
        let text = std::fs::read_to_string(stage.project.path("workflow.toml")).expect("workflow.toml");
        let line = text.lines().find(|line| line.starts_with(grants)).expect("a grant").to_owned();
        stage.project.edit("workflow.toml", &line, &format!("{grants}{more}] }}"));
    };
    stage.prepare().expect_code(0);
    more(", \"nosuch\", \"user\"");
    let absent = stage.project.wflo(&["check"]).expect_code(2).stderr;
    assert!(absent.contains("database `book` has no table `nosuch`"), "{absent}");
    assert!(absent.contains("database `book` has no table `user`"), "{absent}");

    more(", \"sales.items\", { table = \"User\", columns = [\"Name\"] }");
    let closed = stage.project.wflo(&["check"]).expect_code(2).stderr;
    for says in [
        "may not use schema `sales`, of which tables are granted, until its owner has run what `wflo db prepare` prints",
        "may not read `sales.items`, column `Name` of `User`, which steps need",
    ] {
        assert!(closed.contains(says), "`{says}` is not in:\n{closed}");
    }
    assert!(!closed.contains("not looked at"), "{closed}");
    stage.prepare().expect_code(0);
    stage.project.wflo(&["check"]).expect_code(0);

    // What is not granted any more is too much until the next time.
    more("");
    let wide = stage.project.wflo(&["check"]).expect_code(0).stderr;
    assert!(wide.contains("may read `sales.items`, column `Name` of `User`"), "{wide}");
    stage.prepare().expect_code(0);
    let kept = stage.project.wflo(&["check"]).expect_code(0).stderr;
    assert!(!kept.contains("login role"), "{kept}");
}
