//! What undoes steps, in a compiled guest and through the command: compensators, and the money and people they need.

use serde_json::Value;

use crate::harness::{Project, Provider, approval_of};
use crate::http::{Answer, Site};

/// The workflow, with an empty book and a model that answers: one token of it costs a tenth of a cent.
fn project() -> (Project, Provider) {
    let project = Project::workflow("undo");
    book(&project)
        .execute_batch("CREATE TABLE letters (id INTEGER PRIMARY KEY, text TEXT)")
        .expect("the book");
    let provider = Provider::start(&project, &[]);
    project.use_provider(&provider);
    let text = std::fs::read_to_string(project.path("wflo.toml")).expect("wflo.toml");
    let price = "[prices]\n\"gpt-4\" = { input_per_million = \"1000\", output_per_million = \"1000\" }\n";
    project.write("wflo.toml", &format!("{text}\n{price}"));
    (project, provider)
}

fn book(project: &Project) -> rusqlite::Connection {
    rusqlite::Connection::open(project.path("book.db")).expect("the book")
}

fn letters(project: &Project) -> i64 {
    book(project).query_row("SELECT count(*) FROM letters", [], |row| row.get(0)).expect("the book")
}

fn input(site: &Site) -> String {
    format!("url=http://127.0.0.1:{}", site.port)
}

/// The first lines of what a site was asked.
fn asked(site: &Site) -> Vec<String> {
    site.asked().iter().map(|request| request.lines().next().unwrap_or_default().to_owned()).collect()
}

fn id(run: &Value) -> String {
    run["run"].as_str().expect("a run has an id").to_owned()
}

#[test]
fn compensators_of_a_compiled_guest_undo_what_no_database_can() {
    let (project, _provider) = project();
    let site = Site::start(&[Answer::Hello]);
    let run = project.wflo(&["run", "--json", "--input", &input(&site)]).expect_code(0).json();
    assert_eq!((run["steps"][1]["output"].as_str(), letters(&project)), (Some("hello"), 1));

    let planned = project.wflo(&["rollback", &id(&run), "--dry-run", "--json"]).expect_code(0).json();
    let steps = |list: &str| -> Vec<String> {
        let list = planned[list].as_array().into_iter().flatten();
        list.map(|it| it["step"].as_str().expect("a step").to_owned()).collect()
    };
    assert_eq!((steps("compensate"), steps("undo")), (vec!["order".into()], vec!["write".into()]));

    let undone = project.wflo(&["rollback", &id(&run), "--json"]).expect_code(0).json();
    assert_eq!((undone["status"].as_str(), letters(&project)), (Some("rolled_back"), 0));
    let cancelled = "POST /shop/cancel?certain=true&number=hello HTTP/1.1".to_owned();
    assert_eq!(asked(&site), ["POST /shop/order HTTP/1.1".to_owned(), cancelled]);
    let logs = project.wflo(&["logs", &id(&run)]).expect_code(0).stdout;
    assert!(logs.contains("You said: Apologise for it"), "{logs}");
    project.wflo(&["replay", &id(&run)]).expect_code(0);
}

/// The answer to an order is lost, and nobody will ever know. What may have happened is undone as if it had, and the
/// compensator is told that it is not certain.
#[test]
fn an_unknown_outcome_can_be_compensated() {
    let (project, _provider) = project();
    let site = Site::start(&[Answer::Close, Answer::Hello]);
    let run = project.wflo(&["run", "--json", "--input", &input(&site)]).expect_code(11).json();
    let waits = &run["waiting_for"][0];
    assert_eq!(waits["kind"], "unknown", "{run}");
    let intent = waits["intent"].as_u64().expect("the call has a number").to_string();
    assert_eq!(letters(&project), 1, "what came before has committed");
    let refused = project.wflo(&["rollback", &id(&run)]).expect_code(2);
    assert!(refused.stderr.contains(&format!("`wflo resolve {} {intent}`", id(&run))), "{}", refused.stderr);

    let ended =
        project.wflo(&["resolve", &id(&run), &intent, "--compensate", "--json"]).expect_code(1).json();
    assert_eq!((ended["status"].as_str(), letters(&project)), (Some("rolled_back"), 0));
    let cancelled = "POST /shop/cancel?certain=false&number=unknown HTTP/1.1".to_owned();
    assert_eq!(asked(&site), ["POST /shop/order HTTP/1.1".to_owned(), cancelled]);
    let report = project.wflo(&["audit", "report", "--run", &id(&run)]).expect_code(0).stdout;
    assert!(report.contains("overrode"), "{report}");
    project.wflo(&["replay", &id(&run)]).expect_code(0);
}

/// A rollback that somebody has asked for, and that waits for them to say what became of a call, has come to what they wanted.
#[test]
fn what_is_resolved_in_a_rollback_ends_as_well_as_the_rollback() {
    let (project, _provider) = project();
    let site = Site::start(&[Answer::Hello, Answer::Close, Answer::Hello]);
    let run = project.wflo(&["run", "--json", "--input", &input(&site)]).expect_code(0).json();
    let parked = project.wflo(&["rollback", &id(&run), "--json"]).expect_code(11).json();
    let intent = parked["waiting_for"][0]["intent"].as_u64().expect("the call has a number").to_string();
    let ended = project.wflo(&["resolve", &id(&run), &intent, "--not-done", "--json"]).expect_code(0).json();
    assert_eq!((ended["status"].as_str(), letters(&project)), (Some("rolled_back"), 0));
    assert_eq!(asked(&site).len(), 3);
    let changes = project.wflo(&["show", &id(&run), "--changes"]).expect_code(0).stdout;
    assert!(changes.starts_with("write  database `book`  1 row, undone\n"), "{changes}");
}

/// One that says itself that it would not know can be compensated also where the run would keep what it did.
#[test]
fn what_is_compensated_does_not_need_a_workflow_that_rolls_back() {
    let (project, _provider) = project();
    project.edit("workflow.toml", "on_failure = \"rollback\"\n", "");
    let site = Site::start(&[Answer::Close, Answer::Hello]);
    let run = project.wflo(&["run", "--json", "--input", &input(&site)]).expect_code(11).json();
    let intent = run["waiting_for"][0]["intent"].as_u64().expect("the call has a number").to_string();
    let ended =
        project.wflo(&["resolve", &id(&run), &intent, "--compensate", "--json"]).expect_code(1).json();
    assert_eq!(ended["status"], "rolled_back");
    assert_eq!(asked(&site).len(), 2);
}

/// A fork has nothing of the items of its parent but what they came to; each is undone by itself, as the parent would.
#[test]
fn a_fork_compensates_each_item_of_its_parent() {
    let (project, _provider) = project();
    let order = "name = \"order\"";
    let each = format!("{order}\nfor_each = \"['red', 'blue']\"\nmax_parallel = 1");
    project.edit("workflow.toml", order, &each);
    let site = Site::start(&[Answer::Hello]);
    let run = project.wflo(&["run", "--json", "--input", &input(&site)]).expect_code(0).json();
    let at = project.wflo(&["show", &id(&run), "--json"]).expect_code(0).json()["events"].to_string();
    let fork = project.wflo(&["fork", &id(&run), "--at", &at, "--json"]).expect_code(0).json();
    assert_eq!((asked(&site).len(), letters(&project)), (2, 1), "nothing is done again");

    let plan = project.wflo(&["rollback", &id(&fork), "--dry-run"]).expect_code(0).stdout;
    let order =
        |item: u32| format!("compensate  order[{item}]: `POST http://127.0.0.1:{}/shop/order`\n", site.port);
    let undo = "undo        write: 1 row in database `book`\n";
    assert_eq!(plan, [&order(1)[..], &order(0), undo].concat());
    let undone = project.wflo(&["rollback", &id(&fork), "--json"]).expect_code(0).json();
    assert_eq!((undone["status"].as_str(), letters(&project)), (Some("rolled_back"), 0));
    let cancelled = "POST /shop/cancel?certain=true&number=hello HTTP/1.1".to_owned();
    assert_eq!(asked(&site)[2..], [cancelled.clone(), cancelled]);
    project.wflo(&["replay", &id(&fork)]).expect_code(0);
    let parent = project.wflo(&["rollback", &id(&run)]).expect_code(2);
    assert!(parent.stderr.contains("goes on in its place"), "{}", parent.stderr);
}

#[test]
fn money_that_is_kept_for_undoing_is_there_when_nothing_else_is() {
    let play = |head: &str| {
        let (project, provider) = project();
        let head = format!("version = \"1.0.0\"\non_exceeded = \"fail\"\n{head}");
        project.edit("workflow.toml", "version = \"1.0.0\"", &head);
        let site = Site::start(&[Answer::Hello]);
        let url = input(&site);
        let run =
            project.wflo(&["run", "--json", "--input", &url, "--input", "spend=true"]).expect_code(1).json();
        let error = run["error"].as_str().unwrap_or_default().to_owned();
        assert!(error.contains("spend"), "it is `spend` that has spent it all: {run}");
        (run, provider.requests(), asked(&site).len())
    };
    // The last money goes to a step, and its apology cannot be paid.
    let (run, without, orders) = play("budget_usd = \"0.50\"");
    assert_eq!((run["status"].as_str(), orders), (Some("rollback_failed"), 1), "{run}");
    // As much for the steps, and something for what undoes them.
    let (run, with, orders) = play("budget_usd = \"0.85\"\nrollback_reserve_usd = \"0.35\"");
    assert_eq!((run["status"].as_str(), orders), (Some("rolled_back"), 2), "{run}");
    let cost: f64 = run["cost_usd"].as_str().expect("a cost").parse().expect("an amount");
    assert!(cost <= 0.85, "the reserve is part of the budget: {cost}");
    assert_eq!(with, without + 1, "the steps have spent the same, and the apology was paid");
}

#[test]
fn a_rollback_that_is_under_way_goes_on_and_is_no_other() {
    let (project, people) = Project::fraud();
    let version = "version = \"1.0.0\"";
    let agreed = format!("{version}\nrollback_approvers = [\"compliance\"]");
    project.edit("workflow.toml", version, &agreed);
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let approval = approval_of(&run);
    project.wflo_as("alice", &people.alice, &["approve", &approval]).expect_code(10);
    project.wflo_as("carol", &people.carol, &["approve", &approval]).expect_code(0);
    let run = id(&run);
    let asked = project.wflo_as("alice", &people.alice, &["rollback", &run, "--json"]).expect_code(10).json();
    project.wflo_as("carol", &people.carol, &["approve", &approval_of(&asked), "--no-resume"]).expect_code(0);
    assert_eq!(project.wflo(&["show", &run, "--json"]).json()["status"], "rolling_back");
    let blocked = project.blocked();
    // It would undo what the other is to keep.
    let other = ["rollback", &run, "--to", "analyze_transactions"];
    let refused = project.wflo_as("alice", &people.alice, &other).expect_code(2);
    assert!(refused.stderr.contains("it has not ended: it is rolling_back"), "{}", refused.stderr);
    assert_eq!(project.blocked(), blocked);
    // All of it undone is what was wanted, whoever goes on with it.
    let done = project.wflo(&["resume", &run, "--json"]).expect_code(0).json();
    assert_eq!((done["status"].as_str(), project.blocked()), (Some("rolled_back"), Vec::new()));
    project.wflo(&["resume", &run]).expect_code(1);
}

#[test]
fn a_rollback_that_somebody_asks_for_may_need_the_agreement_of_others() {
    let (project, people) = Project::fraud();
    project.edit(
        "workflow.toml",
        "version = \"1.0.0\"",
        "version = \"1.0.0\"\nrollback_approvers = [\"compliance\"]",
    );
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let approval = approval_of(&run);
    project.wflo_as("alice", &people.alice, &["approve", &approval]).expect_code(10);
    project.wflo_as("carol", &people.carol, &["approve", &approval]).expect_code(0);
    let (run, blocked) = (id(&run), project.blocked());
    assert!(blocked.len() > 1);

    // Rejected: nothing is undone, and the run is what it was.
    let asked = project.wflo_as("alice", &people.alice, &["rollback", &run, "--json"]).expect_code(10).json();
    assert_eq!((asked["status"].as_str(), project.blocked()), (Some("waiting"), blocked.clone()));
    let first = approval_of(&asked);
    let shown = project.wflo(&["approvals", "show", &first, "--json"]).expect_code(0).json();
    assert_eq!(
        (shown["at"].as_str(), shown["shows"]["asked_by"].as_str()),
        (Some("rollback"), Some("alice"))
    );
    let planned = &shown["shows"]["rollback"]["undo"][0];
    assert_eq!(planned["databases"]["bank"].as_u64(), Some(blocked.len() as u64), "{shown}");
    let listed = project.wflo(&["approvals"]).expect_code(0).stdout;
    assert!(listed.contains("rollback of run"), "{listed}");
    let asked_about = project.wflo(&["approvals", "show", &first]).expect_code(0).stdout;
    assert!(
        asked_about.contains("what would be undone:\nundo        block_suspicious_accounts: "),
        "{asked_about}"
    );
    project.wflo_as("mallory", &people.mallory, &["approve", &first]).expect_code(3);
    let kept = project.wflo_as("carol", &people.carol, &["reject", &first, "--json"]).expect_code(0).json();
    assert_eq!((kept["status"].as_str(), project.blocked()), (Some("succeeded"), blocked.clone()));
    assert_eq!(kept["rollback"]["refused"].as_str(), Some("rejected"));
    let shown = project.wflo(&["show", &run]).expect_code(0).stdout;
    assert!(shown.contains("rollback by alice: rejected, nothing was done"), "{shown}");

    // Nobody has decided, and whoever asked withdraws it: nobody else does.
    let asked = project.wflo_as("alice", &people.alice, &["rollback", &run, "--json"]).expect_code(10).json();
    let again = project.wflo_as("alice", &people.alice, &["rollback", &run]).expect_code(2).stderr;
    assert!(again.contains(&format!("waits for approval `{}`\nhint: ", approval_of(&asked))), "{again}");
    let others = project.wflo_as("mallory", &people.mallory, &["cancel", &run]).expect_code(2).stderr;
    assert!(others.contains(&format!("`wflo reject {}`", approval_of(&asked))), "{others}");
    let kept = project.wflo_as("alice", &people.alice, &["cancel", &run, "--json"]).expect_code(0).json();
    assert_eq!((kept["status"].as_str(), project.blocked()), (Some("succeeded"), blocked.clone()));
    assert_eq!(kept["rollback"]["refused"], "cancelled");

    // Approved: another question, since another person may have asked, and then it is done.
    let asked = project.wflo_as("alice", &people.alice, &["rollback", &run, "--json"]).expect_code(10).json();
    let second = approval_of(&asked);
    assert_ne!(first, second);
    let done = project.wflo_as("carol", &people.carol, &["approve", &second, "--json"]).expect_code(0).json();
    assert_eq!((done["status"].as_str(), project.blocked()), (Some("rolled_back"), Vec::new()));
    project.wflo(&["replay", &run]).expect_code(0);

    // Whoever asks does not decide.
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let approval = approval_of(&run);
    project.wflo_as("alice", &people.alice, &["approve", &approval]).expect_code(10);
    project.wflo_as("carol", &people.carol, &["approve", &approval]).expect_code(0);
    let asked =
        project.wflo_as("carol", &people.carol, &["rollback", &id(&run), "--json"]).expect_code(10).json();
    project.wflo_as("carol", &people.carol, &["approve", &approval_of(&asked)]).expect_code(3);
}
