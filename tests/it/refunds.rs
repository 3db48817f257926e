//! Policies at calls and at facts: who is asked, once, about what is executed.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Project, approval_of, eventually};

/// The shop, with one order, and the tokens of a manager, of another one and of a moderator.
pub(crate) fn shop() -> (Project, [String; 3]) {
    let project = Project::workflow("refunds");
    let shop = open(&project);
    shop.execute_batch(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, paid REAL);
         CREATE TABLE refunds (order_id INTEGER, amount NUMERIC, note TEXT);
         INSERT INTO orders VALUES (7, 200.0);",
    )
    .expect("the shop");
    let add = |name: &str, group: &str| {
        project.wflo(&["identity", "add", name, "--group", group]).expect_code(0).stdout.trim().to_owned()
    };
    let tokens = [add("maria", "managers"), add("mark", "managers"), add("mo", "moderators")];
    (project, tokens)
}

fn open(project: &Project) -> rusqlite::Connection {
    let shop = rusqlite::Connection::open(project.path("shop.db")).expect("the shop");
    shop.busy_timeout(Duration::from_secs(10)).expect("the shop");
    shop
}

/// What has been paid back, and what the note says.
fn refunded(project: &Project) -> Vec<(f64, String)> {
    let shop = open(project);
    let mut rows = shop.prepare("SELECT amount, note FROM refunds").expect("the shop");
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("the shop");
    rows.collect::<Result<_, _>>().expect("the shop")
}

#[track_caller]
fn run(project: &Project, code: i32, inputs: &[&str]) -> Value {
    let mut args = vec!["run", "--json"];
    inputs.iter().for_each(|input| args.extend(["--input", input]));
    project.wflo(&args).expect_code(code).json()
}

#[track_caller]
fn id(run: &Value) -> &str {
    run["run"].as_str().expect("a run has an id")
}

#[track_caller]
fn step<'a>(run: &'a Value, name: &str) -> &'a Value {
    let steps = run["steps"].as_array().expect("a run has steps");
    steps.iter().find(|step| step["name"] == name).unwrap_or_else(|| panic!("no step `{name}`: {run}"))
}

/// How many events of the run's journal say that a policy fired.
fn fired(project: &Project, run: &Value, policy: &str) -> usize {
    let events = project.wflo(&["audit", "show", id(run), "--json"]).expect_code(0).json();
    let says = format!("policy `{policy}` fired");
    let texts = events.as_array().expect("events").iter().filter_map(|event| event["text"].as_str());
    texts.filter(|text| text.contains(&says)).count()
}

fn replays(project: &Project, run: &Value) {
    project.wflo(&["replay", id(run)]).expect_code(0);
}

#[test]
fn a_small_refund_asks_nobody() {
    let (project, _) = shop();
    project.wflo(&["check"]).expect_code(0);
    let run = run(&project, 0, &["amount=50.00"]);
    assert_eq!(step(&run, "refund")["output"]["status"], "refunded");
    assert_eq!(refunded(&project), [(50.0, "was 50.00".to_owned())], "exact, and bound by name");
    assert_eq!(fired(&project, &run, "large_refund_approval"), 0);
    replays(&project, &run);
}

#[test]
fn a_large_refund_waits_inside_the_step_for_a_manager() {
    let (project, [maria, _, mo]) = shop();
    let waiting = run(&project, 10, &["amount=150.00"]);
    let approval = approval_of(&waiting);
    let shown = project.wflo(&["approvals", "show", &approval, "--json"]).expect_code(0).json();
    assert_eq!((&shown["at"], &shown["approvers"]), (&json!("call"), &json!(["managers"])));
    let call = &shown["shows"]["call"];
    assert_eq!(call["args"]["params"], json!({"order_id": 7, "refund_amount": "150.00"}));
    assert!(shown["shows"]["sql"].as_str().is_some_and(|sql| sql.starts_with("INSERT INTO refunds")));
    assert_eq!(shown["shows"]["policies"][0]["name"], "large_refund_approval");
    assert!(refunded(&project).is_empty(), "nothing is paid before");
    // Looking again changes nothing, and asks nobody twice.
    project.wflo(&["resume", id(&waiting)]).expect_code(10);
    project.wflo_as("mo", &mo, &["approve", &approval]).expect_code(3);
    let run = project.wflo_as("maria", &maria, &["approve", &approval, "--json"]).expect_code(0).json();
    let output = &step(&run, "refund")["output"];
    assert_eq!((&output["before"], &output["by"]), (&json!([]), &json!(["maria"])));
    assert_eq!(step(&run, "refund")["attempts"], 1, "waiting is no attempt");
    assert_eq!(refunded(&project).len(), 1);
    assert_eq!(
        fired(&project, &run, "large_refund_approval"),
        2,
        "at the call and at the output, asked once"
    );
    replays(&project, &run);
}

#[test]
fn a_refund_is_paid_once_however_often_the_process_is_killed() {
    let (project, [maria, ..]) = shop();
    let waiting = run(&project, 10, &["amount=150.00"]);
    let approval = approval_of(&waiting);
    project.wflo_as("maria", &maria, &["approve", &approval, "--no-resume"]);
    for n in 0..8 {
        let mut child = project.command(&["resume", id(&waiting)]).spawn().expect("the command starts");
        std::thread::sleep(Duration::from_millis(10 + 15 * n));
        child.kill().expect("the command is there to be killed");
        child.wait().expect("it ends");
    }
    project.wflo(&["resume", id(&waiting)]).expect_code(0);
    assert_eq!(refunded(&project), [(150.0, "was 150.00".to_owned())]);
    assert_eq!(fired(&project, &waiting, "large_refund_approval"), 2, "nobody was asked again");
    replays(&project, &waiting);
}

#[test]
fn a_rejection_fails_the_step_or_skips_it_or_is_told_to_it() {
    for (on_reject, code, status) in
        [("fail", 1, "failed"), ("skip", 0, "skipped"), ("continue", 0, "succeeded")]
    {
        let (project, [maria, ..]) = shop();
        let asks = "require_approval = { approvers = [\"managers\"] }";
        let with = asks.replace("] }", &format!("], on_reject = \"{on_reject}\" }}"));
        project.edit("workflow.toml", asks, &with);
        let waiting = run(&project, 10, &["amount=150.00"]);
        let reject = ["reject", &approval_of(&waiting), "--comment", "not this one", "--json"];
        let run = project.wflo_as("maria", &maria, &reject).expect_code(code).json();
        let refund = step(&run, "refund");
        assert_eq!(refund["status"], status, "{run}");
        let said = "rejected by `maria`: not this one";
        match on_reject {
            "continue" => {
                assert_eq!(refund["output"]["status"], said);
                assert_eq!(refund["output"]["by"], json!(["maria"]));
            }
            _ => assert!(refund["error"].as_str().is_some_and(|why| why.contains(said)), "{run}"),
        }
        assert!(refunded(&project).is_empty());
        assert_eq!(refund["attempts"], 1, "a rejection is not tried again");
        replays(&project, &run);
    }
}

#[test]
fn an_approval_that_nobody_gives_in_time_is_a_rejection() {
    let (project, _) = shop();
    let asks = "approvers = [\"managers\"] }";
    project.edit("workflow.toml", asks, "approvers = [\"managers\"], timeout_seconds = 1 }");
    let waiting = run(&project, 10, &["amount=150.00"]);
    eventually("its time is over", || project.wflo(&["resume", id(&waiting)]).code == 1);
    let run = project.wflo(&["show", id(&waiting), "--json"]).expect_code(0).json();
    assert_eq!(step(&run, "refund")["status"], "failed", "{run}");
    assert!(run["error"].as_str().is_some_and(|why| why.contains("expired")), "{run}");
    assert!(refunded(&project).is_empty());
    replays(&project, &run);
}

#[test]
fn the_policy_hears_what_is_executed_and_not_what_the_guest_says() {
    let (project, _) = shop();
    let waiting = run(&project, 10, &["amount=150.00", "claim=5"]);
    let shown = project.wflo(&["approvals", "show", &approval_of(&waiting), "--json"]).expect_code(0).json();
    assert_eq!(shown["shows"]["policies"][0]["values"], json!({"refund_amount": 150}));
}

#[test]
fn what_was_approved_as_a_fact_is_not_asked_again_for_the_one_call_it_is_about() {
    let (project, [maria, ..]) = shop();
    let waiting = run(&project, 10, &["amount=150.00", "claim=150"]);
    let fact = approval_of(&waiting);
    let shown = project.wflo(&["approvals", "show", &fact, "--json"]).expect_code(0).json();
    assert_eq!(shown["shows"]["call"]["args"], json!({"name": "refund_amount", "value": 150.0}));
    let run_ = project.wflo_as("maria", &maria, &["approve", &fact, "--json"]).expect_code(0).json();
    assert_eq!(refunded(&project).len(), 1);
    assert_eq!(fired(&project, &run_, "large_refund_approval"), 3, "it fires everywhere, and asks once");
    replays(&project, &run_);

    // One approval is one refund: the second of the same amount is asked for.
    let waiting = run(&project, 10, &["amount=150.00", "claim=150", "times=2"]);
    let first = approval_of(&waiting);
    let waiting = project.wflo_as("maria", &maria, &["approve", &first, "--json"]).expect_code(10).json();
    let second = approval_of(&waiting);
    assert_ne!(first, second);
    assert_eq!(refunded(&project).len(), 1, "what waits has written nothing");
    let done = project.wflo_as("maria", &maria, &["approve", &second, "--json"]).expect_code(0).json();
    assert_eq!(refunded(&project).len(), 3);
    replays(&project, &done);
}

#[test]
fn what_a_policy_denies_is_not_done_and_nobody_is_asked() {
    let (project, _) = shop();
    let run = run(&project, 1, &["amount=10000.01"]);
    let why = run["error"].as_str().expect("why");
    assert!(why.contains("policy `refund_limit` denied the statement"), "{why}");
    assert_eq!(project.wflo(&["approvals", "--json"]).expect_code(0).json(), json!([]));
    assert!(refunded(&project).is_empty());
    replays(&project, &run);
}

#[test]
fn a_vote_of_somebody_who_has_left_does_not_carry_the_call() {
    let (project, [_, mark, _]) = shop();
    let waiting = run(&project, 10, &["amount=150.00"]);
    let approval = approval_of(&waiting);
    project.wflo_as("mark", &mark, &["approve", &approval, "--no-resume"]);
    // The file's word comes before the store's.
    project.write(
        "wflo.toml",
        "[db.shop]\nurl = \"sqlite:shop.db\"\n\n[principal.mark]\ngroups = [\"sales\"]\n",
    );
    let again = project.wflo(&["resume", id(&waiting), "--json"]).expect_code(10).json();
    assert_ne!(approval_of(&again), approval, "it is asked again");
    assert!(refunded(&project).is_empty());
}

#[test]
fn a_statement_that_was_not_granted_is_denied_and_one_that_was_opens_no_table() {
    let (project, _) = shop();
    project.edit("workflow.toml", "\"get_refund_amount\", \"process_refund\"", "\"get_refund_amount\"");
    let denied = run(&project, 1, &["amount=50.00"]);
    let why = denied["error"].as_str().expect("why");
    assert!(why.contains("statement `process_refund` of database `shop` is not granted"), "{why}");
    assert!(refunded(&project).is_empty());
    // What does not fit its parameter is refused before anybody is asked.
    let (project, _) = shop();
    let wrong = run(&project, 1, &["amount=a lot"]);
    assert!(
        wrong["error"].as_str().is_some_and(|why| why.contains("parameter `refund_amount` is not a decimal"))
    );
    replays(&project, &wrong);
}

#[test]
fn content_moderation_asks_people_where_the_model_is_unsure() {
    let (project, [.., mo]) = shop();
    let moderated = |confidence: &str, verdict: &str, code| {
        let run = run(&project, code, &[&format!("confidence={confidence}"), &format!("verdict={verdict}")]);
        (step(&run, "moderate")["output"].clone(), run)
    };
    let (output, sure) = moderated("0.97", "safe", 0);
    assert_eq!(output, "AutoApproved");
    assert_eq!(fired(&project, &sure, "auto_approve_safe"), 1);
    replays(&project, &sure);
    assert_eq!(moderated("0.97", "spam", 0).0, "Unopposed");
    for (verdict, expect) in [("approve", "Approved"), ("reject", "Rejected")] {
        let (_, waiting) = moderated("0.5", "safe", 10);
        let run =
            project.wflo_as("mo", &mo, &[verdict, &approval_of(&waiting), "--json"]).expect_code(0).json();
        assert_eq!(
            step(&run, "moderate")["output"],
            expect,
            "a rejection is a verdict where the policy says so"
        );
        replays(&project, &run);
    }
}

#[test]
fn an_output_that_a_policy_asks_about_commits_when_it_is_approved() {
    for (verdict, code, paid) in [("approve", 0, 1), ("reject", 1, 0)] {
        let (project, [maria, ..]) = shop();
        let name = "name = \"large_refund_approval\"";
        project.edit("workflow.toml", name, &format!("{name}\non = \"step_output\""));
        let waiting = run(&project, 10, &["amount=150.00"]);
        let approval = approval_of(&waiting);
        let shown = project.wflo(&["approvals", "show", &approval, "--json"]).expect_code(0).json();
        let shows = &shown["shows"];
        assert_eq!(shows["output"]["refund_amount"], "150.00");
        assert_eq!(shows["statements"][0]["call"]["args"]["statement"], "process_refund", "{shows}");
        assert!(refunded(&project).is_empty(), "what it wrote is rolled back while it waits");
        project.wflo(&["resume", id(&waiting)]).expect_code(10);
        let run = project.wflo_as("maria", &maria, &[verdict, &approval, "--json"]).expect_code(code).json();
        assert_eq!(refunded(&project).len(), paid, "{run}");
        assert_eq!(step(&run, "refund")["attempts"], 1);
        replays(&project, &run);
    }
    let (project, _) = shop();
    project.edit("workflow.toml", "name = \"refund_limit\"", "name = \"refund_limit\"\non = \"step_output\"");
    project.edit("workflow.toml", "refund_amount > 100\"", "refund_amount > 100000\"");
    let denied = run(&project, 1, &["amount=10000.01"]);
    let why = denied["error"].as_str().expect("why");
    assert!(why.contains("the output was refused by policy `refund_limit`"), "{why}");
    assert!(refunded(&project).is_empty());
    replays(&project, &denied);
}

#[test]
fn what_the_policies_would_say_is_told_without_a_run() {
    let (project, _) = shop();
    let test = |facts: &[&str]| {
        let args = facts.iter().flat_map(|fact| ["--fact", fact]);
        let args: Vec<_> = ["policy", "test", "--json"].into_iter().chain(args).collect();
        let said = project.wflo(&args).expect_code(0).json();
        let said = said.as_array().expect("a list").iter();
        said.map(|one| format!("{} {} {}", one["on"], one["name"], one["decision"]).replace('"', ""))
            .collect()
    };
    let said: Vec<String> = test(&["refund_amount=150"]);
    let name = |on: &str, name: &str, decision: &str| format!("{on} {name} {decision}");
    let asks = "require_approval";
    assert_eq!(
        said,
        [
            name("fact", "refund_amount", asks),
            name("host_call", "shop.process_refund", asks),
            name("step_output", "null", asks)
        ]
    );
    let said: Vec<String> = test(&["refund_amount=50.00"]);
    assert!(said.iter().all(|one| one.ends_with("none")), "{said:?}");
    let text = project.wflo(&["policy", "test", "--fact", "refund_amount=20000"]).expect_code(0).stdout;
    assert!(text.contains("call of `shop.process_refund` of `refund`: denied by `refund_limit`"), "{text}");
    let slip = project.wflo(&["policy", "test", "--fact", "refund_amuont=1"]).expect_code(2);
    assert!(slip.stderr.contains("declares `refund_amuont`"), "{}", slip.stderr);
    assert_eq!(project.wflo(&["runs", "--json"]).expect_code(0).json(), json!([]));
}

#[test]
fn a_policy_at_the_start_refuses_the_run() {
    let (project, _) = shop();
    let text = std::fs::read_to_string(project.path("workflow.toml")).expect("the manifest");
    let policy = "[[policy]]\nname = \"closed\"\nwhen = \"inputs.order_id > 1000\"\non = \"run_start\"\n";
    project.write("workflow.toml", &format!("{text}\n{policy}actions = [\"deny\"]\n"));
    let refused = run(&project, 1, &["order_id=1001"]);
    assert_eq!(refused["error"], "the run was refused by policy `closed`");
    assert_eq!(step(&refused, "refund")["attempts"], 0);
    assert_eq!(fired(&project, &refused, "closed"), 1);
    let open = run(&project, 0, &[]);
    assert_eq!(fired(&project, &open, "closed"), 0);
}
