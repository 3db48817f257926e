//! Rollback through the command: what was changed is shown, what a rollback would do is told, and it is done.

use serde_json::json;

use crate::harness::{Project, approval_of};

/// Fraud detection, played until the accounts are blocked: the project, and the run.
fn blocked() -> (Project, String) {
    let (project, people) = Project::fraud();
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let approval = approval_of(&run);
    project.wflo_as("alice", &people.alice, &["approve", &approval]).expect_code(10);
    project.wflo_as("carol", &people.carol, &["approve", &approval]).expect_code(0);
    assert!(project.blocked().len() > 1, "there are accounts to unblock");
    (project, run["run"].as_str().expect("a run has an id").to_owned())
}

fn bank(project: &Project) -> rusqlite::Connection {
    rusqlite::Connection::open(project.path("bank.db")).expect("the bank")
}

#[test]
fn the_accounts_that_were_blocked_are_unblocked_but_one_that_somebody_changed_since() {
    let (project, run) = blocked();
    let accounts = project.blocked();
    let (kept, rest) = accounts.split_first().expect("accounts are blocked");

    let changes = project.wflo(&["show", &run, "--changes"]).expect_code(0).stdout;
    for account in &accounts {
        let line = format!("update  id = \"{account}\"  status: \"active\" -> \"blocked\"");
        assert!(changes.contains(&line), "`{line}` is not in:\n{changes}");
    }
    let json = project.wflo(&["show", &run, "--changes", "--json"]).expect_code(0).json();
    assert_eq!(json[0]["step"], "block_suspicious_accounts");
    assert_eq!(json[0]["committed"], true);
    assert_eq!(json[0]["changes"]["tables"][0]["rows"].as_array().map(Vec::len), Some(accounts.len()));

    let plan = project.wflo(&["rollback", &run, "--dry-run"]).expect_code(0).stdout;
    let rows = accounts.len();
    assert_eq!(plan.trim(), format!("undo        block_suspicious_accounts: {rows} rows in database `bank`"));
    assert_eq!(project.blocked(), accounts, "a plan does nothing");

    bank(&project)
        .execute("UPDATE accounts SET status = 'closed' WHERE id = ?1", [kept])
        .expect("the owner changes a row");
    let done = project.wflo(&["rollback", &run]).expect_code(1);
    let line = format!(
        "accounts id = \"{kept}\": it has changed since; status is \"closed\", the step left \"blocked\", \
         before it was \"active\""
    );
    assert!(done.stdout.contains(&line), "`{line}` is not in:\n{}", done.stdout);
    assert_eq!(project.blocked(), Vec::<String>::new());
    let active = |id: &String| {
        let sql = "SELECT status FROM accounts WHERE id = ?1";
        bank(&project).query_row(sql, [id], |row| row.get::<_, String>(0)).expect("the account")
    };
    assert!(rest.iter().all(|id| active(id) == "active"));
    assert_eq!(active(kept), "closed", "what somebody else did stays");

    let view = project.wflo(&["show", &run, "--json"]).expect_code(0).json();
    assert_eq!(view["status"], "partially_rolled_back");
    let undone = &view["rollback"]["undone"][0];
    assert_eq!(undone["rows"].as_u64(), Some(rest.len() as u64));
    assert_eq!(undone["conflicts"][0]["key"], serde_json::json!([kept]));
    assert_eq!(undone["conflicts"][0]["reason"]["because"], "changed");
    assert_eq!(view["steps"][1]["status"], "succeeded", "not all of it is undone");
    project.wflo(&["replay", &run]).expect_code(0);
    assert_eq!(project.wflo(&["runs", "--json", "--status", "partially_rolled_back"]).json()[0]["run"], run);
}

#[test]
fn the_owners_audit_table_keeps_what_a_trigger_has_recorded() {
    let (project, people) = Project::fraud();
    let record = "CREATE TABLE changes (account TEXT, old TEXT, new TEXT);
        CREATE TRIGGER record AFTER UPDATE ON accounts BEGIN
            INSERT INTO changes VALUES (NEW.id, OLD.status, NEW.status);
        END";
    bank(&project).execute_batch(record).expect("the owner's records");
    project.edit(
        "wflo.toml",
        "url = \"sqlite:bank.db\"",
        "url = \"sqlite:bank.db\"\naudit = [\"changes\", \"chnages\"]",
    );
    let misspelt = project.wflo(&["check"]).expect_code(0).stderr;
    assert!(misspelt.contains("`audit` names table `chnages`, which is not there"), "{misspelt}");
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let approval = approval_of(&run);
    project.wflo_as("alice", &people.alice, &["approve", &approval]).expect_code(10);
    project.wflo_as("carol", &people.carol, &["approve", &approval]).expect_code(0);
    let records = || {
        let count = "SELECT count(*) FROM changes WHERE new = 'blocked'";
        bank(&project).query_row(count, [], |row| row.get::<_, u32>(0)).expect("the records")
    };
    let count = || u32::try_from(project.blocked().len()).expect("they are few");
    let blocked = count();
    assert_eq!(records(), blocked);
    let run = run["run"].as_str().expect("a run has an id");
    let changes = project.wflo(&["show", run, "--changes"]).expect_code(0).stdout;
    assert!(!changes.contains("changes "), "{changes}");
    project.wflo(&["rollback", run]).expect_code(0);
    assert_eq!((count(), records()), (0, blocked));
    project.edit("workflow.toml", "write = [{", "write = [\"changes\", {");
    let refused = project.wflo(&["check"]).expect_code(2).stderr;
    assert!(
        refused.contains("table `changes` of database `bank` is an audit table, which no step writes"),
        "{refused}"
    );
}

#[test]
fn all_that_a_run_did_is_undone_and_the_file_of_its_audit_still_verifies() {
    let (project, run) = blocked();
    let view = project.wflo(&["rollback", &run, "--json"]).expect_code(0).json();
    assert_eq!(view["status"], "rolled_back");
    assert_eq!(view["steps"][1]["status"], "rolled_back");
    assert_eq!(view["steps"][0]["status"], "succeeded", "it has changed nothing");
    assert_eq!(project.blocked(), Vec::<String>::new());

    let again = project.wflo(&["rollback", &run]).expect_code(2);
    assert!(again.stderr.contains("it is rolled back\nhint: nothing is left to undo"), "{}", again.stderr);
    project.wflo(&["audit", "export", &run, "-o", "run.audit"]).expect_code(0);
    project.wflo(&["audit", "verify", "run.audit"]).expect_code(0);
    let shown = project.wflo(&["audit", "show", &run]).expect_code(0).stdout;
    assert!(shown.contains("has it rolled back") && shown.contains("bank is undone"), "{shown}");
}

#[test]
fn a_table_whose_changes_cannot_be_kept_is_found_before_anything_runs() {
    let (project, _) = Project::fraud();
    project.wflo(&["check"]).expect_code(0);
    bank(&project)
        .execute_batch(
            "PRAGMA foreign_keys = OFF;
             CREATE TABLE loose AS SELECT * FROM accounts;
             DROP TABLE accounts;
             ALTER TABLE loose RENAME TO accounts;",
        )
        .expect("the owner changes the schema");
    let checked = project.wflo(&["check"]).expect_code(2);
    let said = "table `accounts` of database `bank` has no primary key";
    assert!(checked.stderr.contains(said), "{}", checked.stderr);
    assert!(checked.stderr.contains("hint: give the table a primary key"), "{}", checked.stderr);
}

#[test]
fn a_row_that_was_not_looked_for_is_not_said_to_be_gone() {
    let (project, run) = blocked();
    let rows = project.blocked().len();
    let columns = "SELECT name FROM pragma_table_info('accounts') WHERE name NOT IN ('id', 'status') LIMIT 1";
    let column: String = bank(&project).query_row(columns, [], |row| row.get(0)).expect("a column");
    bank(&project)
        .execute_batch(&format!("ALTER TABLE accounts RENAME COLUMN {column} TO renamed"))
        .expect("the owner changes the schema");
    let done = project.wflo(&["rollback", &run]).expect_code(1).stdout;
    let said = format!("the table has another form now: column `{column}` is not there\n");
    assert_eq!(done.matches(&said).count(), rows, "{done}");
    assert!(!done.contains("gone"), "{done}");
}

#[test]
fn of_a_run_that_was_forked_the_fork_is_named() {
    let (project, run) = blocked();
    let fork = project.wflo(&["fork", &run, "--at", "1", "--keep", "--json"]);
    let fork = fork.json()["run"].as_str().expect("a run has an id").to_owned();
    let refused = project.wflo(&["rollback", &run]).expect_code(2).stderr;
    let said = format!("its fork `{fork}` goes on in its place\nhint: `wflo rollback {fork}`");
    assert!(refused.contains(&said), "{refused}");
}

#[test]
fn what_cannot_be_rolled_back_is_refused_with_the_reason() {
    let (project, _) = Project::fraud();
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let run = run["run"].as_str().expect("a run has an id");
    let refused = project.wflo(&["rollback", run]).expect_code(2);
    assert!(refused.stderr.contains("it has not ended: it is waiting"), "{}", refused.stderr);
    let unknown = project.wflo(&["rollback", run, "--to", "nothing", "--dry-run"]).expect_code(2);
    assert!(unknown.stderr.contains("rolled back"), "{}", unknown.stderr);
    project.wflo(&["cancel", run]).expect_code(0);
    let unknown = project.wflo(&["rollback", run, "--to", "nothing"]).expect_code(4).stderr;
    assert!(unknown.contains("has no step `nothing`\nhint: `wflo show RUN` lists"), "{unknown}");
    let unended = project.wflo(&["rollback", run, "--to", "block_suspicious_accounts"]).expect_code(2).stderr;
    assert!(unended.contains("has not ended\nhint: `wflo show") && !unended.contains("cancel"), "{unended}");
    let none = project.wflo(&["show", run, "--changes"]).expect_code(0).stderr;
    assert!(none.contains("no step that keeps what it changes has committed any"), "{none}");
    let nothing = project.wflo(&["rollback", run, "--dry-run", "--json"]).expect_code(0).json();
    assert_eq!(
        nothing,
        json!({ "compensate": [], "undo": [], "left": [], "reapply": [], "undone": [], "failed": {}, "untried": {} })
    );
    assert_eq!(project.wflo(&["rollback", run, "--json"]).expect_code(0).json()["status"], "rolled_back");
}
