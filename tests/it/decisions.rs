//! What people decide beside yes and no: rows at a commit, edits, and money.

use serde_json::{Value, json};

use crate::harness::{Project, Provider, approval_of, eventually};

/// The fraud example with its gate at the commit.
fn at_commit() -> (Project, crate::harness::People) {
    let (project, people) = Project::fraud();
    project.edit("workflow.toml", "[step.approval]", "[step.approval]\nat = \"commit\"");
    (project, people)
}

#[test]
fn approvers_read_the_rows_that_will_change_and_those_change() {
    let (project, people) = at_commit();
    project.wflo(&["check"]).expect_code(0);
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    assert_eq!(run["steps"][1]["status"], "waiting");
    let approval = approval_of(&run);
    assert!(project.blocked().is_empty(), "nothing is there while they look");
    let shown = project.wflo(&["approvals", "show", &approval, "--json"]).expect_code(0).json();
    assert_eq!(shown["at"], "commit");
    let table = &shown["shows"]["changes"]["bank"]["tables"][0];
    assert_eq!((&table["table"], &table["key_columns"]), (&json!("accounts"), &json!(["id"])));
    let rows = table["rows"].as_array().expect("rows");
    let text = project.wflo(&["approvals", "show", &approval]).expect_code(0).stdout;
    let lines: Vec<_> =
        text.lines().filter(|line| line.contains(r#"status: "active" -> "blocked""#)).collect();
    assert_eq!(lines.len(), rows.len(), "{text}");
    assert!(text.contains(&format!("database `bank`  {} rows", rows.len())), "{text}");
    project.wflo_as("alice", &people.alice, &["approve", &approval]).expect_code(10);
    assert!(project.blocked().is_empty());
    project.wflo_as("carol", &people.carol, &["approve", &approval]).expect_code(0);
    let blocked = project.blocked();
    assert_eq!(blocked.len(), rows.len());
    for account in &blocked {
        assert!(text.contains(account.as_str()), "{account} was not shown:\n{text}");
    }
    project.wflo(&["replay", run["run"].as_str().expect("an id")]).expect_code(0);
}

#[test]
fn rows_that_are_others_by_now_are_asked_about_anew() {
    let (project, people) = at_commit();
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let first = approval_of(&run);
    project.wflo_as("alice", &people.alice, &["approve", &first, "--no-resume"]).expect_code(10);
    let shown = project.wflo(&["approvals", "show", &first, "--json"]).expect_code(0).json();
    let row = &shown["shows"]["changes"]["bank"]["tables"][0]["rows"][0];
    // Somebody closes one of the accounts meanwhile.
    let bank = rusqlite::Connection::open(project.path("bank.db")).expect("the bank");
    let account = row["key"][0].as_str().or_else(|| row["key"][0]["text"].as_str());
    let account = account.unwrap_or_else(|| panic!("no key in {row}"));
    bank.execute("UPDATE accounts SET status = 'closed' WHERE id = ?1", [account]).expect("the bank");
    let voted = project.wflo_as("carol", &people.carol, &["approve", &first, "--json"]).expect_code(10);
    let second = approval_of(&voted.json());
    assert_ne!(first, second);
    let differs =
        format!("database `bank`, accounts id = \"{account}\": status was \"active\", is \"closed\"");
    let told = format!("{second} asks anew, for it would not come to what was approved: {differs}\nhint: ");
    assert!(voted.stderr.contains(&told), "{}", voted.stderr);
    let before = project.wflo(&["approvals", "show", &first, "--json"]).expect_code(0).json();
    assert_eq!(before["status"], "superseded");
    let text = project.wflo(&["approvals", "show", &second]).expect_code(0).stdout;
    assert!(text.contains(r#"status: "closed" -> "blocked""#), "{text}");
    assert!(text.contains(&format!("follows    {first}")), "{text}");
    assert!(text.contains(&format!("not what was shown before:\n  {differs}\n")), "{text}");
    project.wflo_as("alice", &people.alice, &["approve", &second]).expect_code(10);
    project.wflo_as("carol", &people.carol, &["approve", &second]).expect_code(0);
    assert!(!project.blocked().is_empty());
}

#[test]
fn a_value_that_the_database_makes_up_is_no_surprise_to_those_who_approve() {
    let (project, _) = at_commit();
    let bank = rusqlite::Connection::open(project.path("bank.db")).expect("the bank");
    let seen = "seen TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, note TEXT DEFAULT 'now'";
    bank.execute_batch(&format!(
        "PRAGMA foreign_keys = OFF; DROP TABLE accounts;
         CREATE TABLE accounts (id TEXT PRIMARY KEY, status TEXT NOT NULL, {seen});"
    ))
    .expect("the owner changes the schema");
    let checked = project.wflo(&["check"]).expect_code(0).stderr;
    let said = "database `bank` makes up `seen` of table `accounts` anew each time (`CURRENT_TIMESTAMP`)";
    assert!(checked.contains(said) && checked.contains("hint: have the step pass the value in"), "{checked}");
    assert!(!checked.contains("`note`"), "{checked}");
    // Where nobody decides on the rows, it is no matter.
    project.edit("workflow.toml", "at = \"commit\"", "at = \"start\"");
    let checked = project.wflo(&["check"]).expect_code(0).stderr;
    assert!(!checked.contains("makes up"), "{checked}");
}

#[test]
fn an_output_is_changed_by_one_and_approved_by_others() {
    let (project, people) = at_commit();
    project.edit(
        "workflow.toml",
        "timeout_seconds = 3600",
        "allow_edit = true\nquorum = 1\ntimeout_seconds = 3600",
    );
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let first = approval_of(&run);
    let shown = project.wflo(&["approvals", "show", &first, "--json"]).expect_code(0).json();
    let mut output = shown["shows"]["output"].clone();
    output["blocked_count"] = json!(0);
    project.write("edit.json", &output.to_string());
    let edited = project
        .wflo_as(
            "alice",
            &people.alice,
            &["approve", &first, "--edit", "edit.json", "--comment", "none", "--json"],
        )
        .expect_code(10)
        .json();
    let second = edited["id"].as_str().expect("an id");
    assert_eq!((&edited["follows"], &edited["authors"]), (&json!(first), &json!(["alice"])));
    let own = project.wflo_as("alice", &people.alice, &["approve", second]).expect_code(3);
    assert!(own.stderr.contains("author"), "{}", own.stderr);
    let done = project.wflo_as("carol", &people.carol, &["approve", second, "--json"]).expect_code(0).json();
    assert_eq!(done["steps"][1]["output"]["blocked_count"], 0);
    let events = project.wflo(&["audit", "show", run["run"].as_str().expect("an id")]).expect_code(0).stdout;
    assert!(events.contains(&format!("alice changes what {first} is about: none")), "{events}");
    let report = project.wflo(&["audit", "report", "--person", "alice", "--json"]).expect_code(0).json();
    let edited = report.as_array().expect("a list").iter().find(|line| line["action"] == "edited");
    let edited = edited.expect("the report has who changed what");
    assert_eq!((&edited["what"], &edited["note"]), (&json!(first), &json!("none")));
    project.wflo(&["replay", run["run"].as_str().expect("an id")]).expect_code(0);
}

#[test]
fn more_money_is_asked_for_decided_on_and_spent() {
    let (project, people) = Project::fraud();
    project.edit(
        "workflow.toml",
        "budget_usd = \"100.00\"",
        "budget_usd = \"0.000001\"\nbudget_approvers = [\"compliance\"]",
    );
    let run = project.wflo(&["run", "--json"]).expect_code(11).json();
    let id = run["run"].as_str().expect("an id");
    let asked = project.wflo(&["top-up", id, "5.00", "--json"]).expect_code(10).json();
    assert_eq!(
        (&asked["at"], &asked["step"], &asked["shows"]["top_up_usd"]),
        (&json!("top_up"), &Value::Null, &json!("5"))
    );
    let approval = asked["id"].as_str().expect("an id");
    let waiting = project.wflo(&["show", id, "--json"]).expect_code(0).json();
    assert_eq!(waiting["status"], "waiting");
    let list = project.wflo(&["approvals"]).expect_code(0).stdout;
    assert!(list.contains("more money of run"), "{list}");
    project.wflo_as("alice", &people.alice, &["approve", approval]).expect_code(3);
    let run =
        project.wflo_as("carol", &people.carol, &["approve", approval, "--json"]).expect_code(10).json();
    assert_eq!((&run["budget_usd"], &run["steps"][0]["status"]), (&json!("5.000001"), &json!("succeeded")));
    let report = project.wflo(&["audit", "report", "--run", id, "--json"]).expect_code(0).json();
    let given = report.as_array().expect("a list").iter().find(|line| line["action"] == "topped_up");
    assert_eq!(given.expect("the report has it")["what"], format!("5 USD more, by {approval}"));
}

#[test]
fn what_a_run_may_cost_is_told_before_there_is_one_and_what_all_have_cost_after() {
    let (project, people) = Project::fraud();
    let estimate = project.wflo(&["run", "--estimate", "--json"]).expect_code(0).json();
    assert_eq!((&estimate["budget_usd"], &estimate["past"]), (&json!("100"), &Value::Null));
    assert_eq!(estimate["steps"][0]["models"][0]["model"], "gpt-4");
    assert_eq!(project.wflo(&["runs", "--json"]).expect_code(0).json(), json!([]), "there is no run");
    let provider = Provider::start(&project, &[]);
    project.use_provider(&provider);
    let limits = std::fs::read_to_string(project.path("wflo.toml")).expect("wflo.toml");
    project.write("wflo.toml", &format!("{limits}\n[budget.workflow.fraud-detection]\nday_usd = \"1\"\n"));
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let approval = approval_of(&run);
    project.wflo_as("alice", &people.alice, &["approve", &approval]).expect_code(10);
    let run =
        project.wflo_as("carol", &people.carol, &["approve", &approval, "--json"]).expect_code(0).json();
    let estimate = project.wflo(&["run", "--estimate", "--json"]).expect_code(0).json();
    assert_eq!((&estimate["past"]["runs"], &estimate["past"]["median_usd"]), (&json!(1), &run["cost_usd"]));
    let accounts = project.wflo(&["cost", "--by", "account", "--json"]).expect_code(0).json();
    let of = |account: &str, window: &str| {
        let all = accounts.as_array().expect("a list");
        let found = all.iter().find(|it| it["account"] == account && it["window"] == window);
        found.unwrap_or_else(|| panic!("no {account} in {accounts}")).clone()
    };
    let day = of("workflow/fraud-detection", "day");
    assert_eq!((&day["settled_usd"], &day["limit_usd"]), (&run["cost_usd"], &json!("1")));
    assert_eq!(of("deployment", "month")["settled_usd"], run["cost_usd"]);
}

/// Two hundred items that ask a model at once, with money for ten of the most that they can cost.
#[test]
fn two_hundred_at_once_spend_no_more_than_there_is_however_often_the_process_is_killed() {
    let project = Project::workflow("torture");
    let book = rusqlite::Connection::open(project.path("book.db")).expect("the book");
    book.execute_batch(
        "CREATE TABLE effects (run TEXT, step TEXT, item INTEGER, PRIMARY KEY (run, step, item));
         CREATE TABLE tally (step TEXT, item INTEGER, n INTEGER);",
    )
    .expect("the book");
    drop(book);
    let text = std::fs::read_to_string(project.path("workflow.toml")).expect("workflow.toml");
    let cut = text.find("# A conversation").expect("the step after the items");
    let text = text[..cut]
        .replace("budget_usd = \"100.00\"", "budget_usd = \"BUDGET\"\nbudget_approvers = [\"ops\"]")
        .replace("max_parallel = 3", "max_parallel = 200")
        .replace("\n[inputs.ask]\ntype = \"boolean\"\ndefault = true\n", "");
    // One first, to see what a call holds and costs.
    project.write("workflow.toml", &text.replace("BUDGET", "0.000001"));
    let ops = project.wflo(&["identity", "add", "olga", "--group", "ops"]).expect_code(0).stdout;
    let provider = Provider::start(&project, &["--delay-ms", "40"]);
    project.use_provider(&provider);
    let probe = project.wflo(&["run", "--json", "--input", "count=1"]).expect_code(11).json();
    let message = probe["waiting_for"][0]["message"].as_str().expect("why").to_owned();
    let holds = message.split_whitespace().find_map(|word| word.parse::<f64>().ok()).expect("an amount");
    let budget = format!("{:.6}", holds * 10.0);
    project.write("workflow.toml", &text.replace("BUDGET", &budget));

    let mut child =
        project.command(&["run", "--key", "all", "--input", "count=200"]).spawn().expect("it starts");
    let limit: f64 = budget.parse().expect("a number");
    for kill in 1..=4 {
        let seen = provider.requests();
        eventually("it asks the model", || {
            provider.requests() > seen || child.try_wait().is_ok_and(|it| it.is_some())
        });
        let _ = child.kill();
        child.wait().expect("it ends");
        let costs = project.wflo(&["cost", "--json"]).expect_code(0).json();
        for cost in costs.as_array().expect("a list") {
            let amount =
                |name: &str| cost[name].as_str().expect("an amount").parse::<f64>().expect("a number");
            assert!(amount("cost_usd") + amount("held_usd") <= limit + 1e-9, "killed {kill} times: {cost}");
            assert_eq!(cost["overrun_usd"], "0");
        }
        child = project.command(&["resume"]).spawn().expect("it starts");
    }
    child.wait().expect("it ends");
    let runs = project.wflo(&["runs", "--json", "--limit", "1"]).expect_code(0).json();
    let run = runs[0]["run"].as_str().expect("an id");
    let view = project.wflo(&["show", run, "--json"]).expect_code(0).json();
    assert_eq!((&view["status"], &view["held_usd"]), (&json!("parked"), &json!("0")), "nothing leaks");
    let spent: f64 = view["cost_usd"].as_str().expect("an amount").parse().expect("a number");
    assert!(spent <= limit && spent > limit - 1.1 * holds, "it spends what there is: {spent} of {limit}");

    // With more money it comes to its end, and each of the two hundred has been answered.
    let asked = project.wflo(&["top-up", run, "100", "--json"]).expect_code(10).json();
    let approval = asked["id"].as_str().expect("an id");
    let done = project.wflo_as("olga", ops.trim(), &["approve", approval, "--json"]).expect_code(0).json();
    let items = &done["steps"][1]["items"];
    assert_eq!(
        (&items["total"], &items["succeeded"], &done["held_usd"]),
        (&json!(200), &json!(200), &json!("0"))
    );
    let accounts = project.wflo(&["cost", "--by", "account", "--json"]).expect_code(0).json();
    assert_eq!(accounts[0]["settled_usd"], done["cost_usd"], "the deployment has spent what its runs have");
}
