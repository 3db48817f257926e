//! Content moderation: many items, each judged and paid for by itself, and people where the model is unsure.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Output, Project, Provider, binary, eventually};

/// The site with so many items, and the tokens of a moderator and of somebody else.
pub(crate) fn site(items: &str) -> (Project, [String; 2]) {
    let project = Project::new("content-moderation");
    let mut data = Command::new(binary("moderation-data"));
    data.arg(project.path("")).args(["--items", items]);
    Output::of(&mut data).expect_code(0);
    let token = |args: &[&str]| {
        let added = project.wflo(&[&["identity", "add"], args].concat()).expect_code(0);
        added.stdout.trim().to_owned()
    };
    let tokens = [token(&["marta", "--group", "moderation-team"]), token(&["mallory"])];
    (project, tokens)
}

/// How many items stand how, and who decided it.
fn content(project: &Project) -> BTreeMap<(String, String), i64> {
    let site = rusqlite::Connection::open(project.path("site.db")).expect("the site");
    site.busy_timeout(std::time::Duration::from_secs(10)).expect("the site");
    let sql = "SELECT status, coalesce(decided_by, 'nobody'), count(*) FROM content GROUP BY 1, 2";
    let mut rows = site.prepare(sql).expect("the site");
    let rows = rows.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?))).expect("the site");
    rows.collect::<Result<_, _>>().expect("the site")
}

fn count(content: &BTreeMap<(String, String), i64>, status: &str, by: &str) -> i64 {
    content.get(&(status.to_owned(), by.to_owned())).copied().unwrap_or_default()
}

/// The approvals that are open, in the order they are listed.
fn open(project: &Project) -> Vec<Value> {
    let open = project.wflo(&["approvals", "--json"]).expect_code(0).json();
    open.as_array().expect("a list").clone()
}

fn ids(approvals: &[Value]) -> Vec<&str> {
    approvals.iter().map(|approval| approval["id"].as_str().expect("an id")).collect()
}

#[test]
fn what_is_clear_is_acted_on_and_what_is_not_waits_for_people() {
    let (project, [marta, mallory]) = site("40");
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let id = run["run"].as_str().expect("an id");
    let actions = &run["steps"][2];
    assert_eq!(actions["items"], json!({ "total": 40, "succeeded": 37, "waiting": 3, "failed": 0 }));
    let before = content(&project);
    assert_eq!(count(&before, "blocked", "model"), 4, "{before:?}");
    assert_eq!(count(&before, "approved", "model"), 33, "{before:?}");
    assert_eq!(count(&before, "pending", "nobody"), 3, "{before:?}");

    // One question an item, with the item in it; what is too long to be judged for the money is among them.
    let asked = open(&project);
    let items: Vec<_> = asked.iter().map(|approval| approval["item"].as_u64().expect("of an item")).collect();
    assert!(items.is_sorted() && items.len() == 3, "{items:?}");
    let shown: Vec<&Value> = asked.iter().map(|approval| &approval["shows"]["item"]).collect();
    assert!(shown.iter().all(|item| item["content"]["text"].is_string()), "{shown:?}");
    let unread: Vec<_> = shown.iter().filter(|item| item["confidence"] == 0.0).collect();
    assert_eq!(unread.len(), 1, "{shown:?}");
    assert!(unread[0]["reasoning"].as_str().is_some_and(|why| why.contains("budget")), "{unread:?}");

    // Neither the requester nor a stranger decides. Several are decided on at once.
    let ids = ids(&asked);
    project.wflo(&["approve", ids[0]]).expect_code(3);
    project.wflo_as("mallory", &mallory, &["approve", ids[0]]).expect_code(3);
    let rejected = project.wflo_as("marta", &marta, &["reject", ids[0], "--comment", "not here"]);
    assert_eq!(rejected.code, 10, "the others still wait: {rejected:?}");
    let all = [&["approve"], &ids[1..], &["--json"]].concat();
    let ended = project.wflo_as("marta", &marta, &all).expect_code(0).json();
    let after = content(&project);
    assert_eq!((count(&after, "blocked", "marta"), count(&after, "approved", "marta")), (1, 2), "{after:?}");
    let counted = json!({
        "approved by marta": 2, "approved by model": 33, "blocked by marta": 1, "blocked by model": 4,
    });
    let output = &ended["steps"][3]["output"];
    assert_eq!(
        output.as_object().map(|it| it.iter().collect::<BTreeMap<_, _>>()),
        counted.as_object().map(|it| it.iter().collect::<BTreeMap<_, _>>())
    );
    assert_eq!(ended["steps"][2]["attempts"], 40, "waiting is no attempt");

    // Which policy said what is in the audit, item by item.
    let events = project.wflo(&["audit", "show", id, "--json"]).expect_code(0).json();
    let fired = |policy: &str| {
        let says = format!("policy `{policy}` fired");
        let texts = events.as_array().into_iter().flatten().filter_map(|event| event["text"].as_str());
        texts.filter(|text| text.contains(&says)).count()
    };
    assert_eq!((fired("auto_approve_safe"), fired("human_review_ambiguous")), (31, 3));
    project.wflo(&["replay", id]).expect_code(0);
}

#[test]
fn an_item_costs_no_more_than_it_may_and_the_run_what_its_items_cost() {
    let (project, _) = site("40");
    project.edit("workflow.toml", "item_budget_usd = \"0.10\"", "item_budget_usd = \"0.01\"");
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    // No item can be judged for that: people look at all of them, and nothing was asked of the model.
    assert_eq!(run["steps"][2]["items"]["waiting"], 40, "{run}");
    assert_eq!(run["cost_usd"], "0");
}

#[test]
fn a_thousand_items_are_repeated_by_no_crash_and_asked_about_once() {
    let (project, [marta, _]) = site("1000");
    let provider = Provider::start(&project, &[]);
    project.use_provider(&provider);
    let mut child = project.command(&["run"]).spawn().expect("the command starts");
    eventually("some items are acted on", || {
        content(&project).iter().filter(|((status, _), _)| status != "pending").map(|(_, n)| n).sum::<i64>()
            > 200
    });
    child.kill().expect("the command is there to be killed");
    child.wait().expect("it ends");
    let asked = provider.requests();
    // The long one is too expensive to be asked about, and what was analysed is not analysed again.
    assert_eq!(asked, 999);
    project.wflo(&["resume"]).expect_code(10);
    assert_eq!(provider.requests(), 999);

    let open = open(&project);
    assert_eq!(open.len(), 11, "one for each item in the human band");
    let all = [&["approve"], &ids(&open)[..], &["--json"]].concat();
    let ended = project.wflo_as("marta", &marta, &all).expect_code(0).json();
    assert_eq!(
        ended["steps"][2]["items"],
        json!({ "total": 1000, "succeeded": 1000, "waiting": 0, "failed": 0 })
    );
    let content = content(&project);
    assert_eq!(count(&content, "approved", "marta"), 11, "{content:?}");
    assert_eq!(count(&content, "blocked", "model"), 100, "{content:?}");
    assert_eq!(count(&content, "approved", "model"), 889, "{content:?}");
}

#[test]
fn a_model_that_talks_nonsense_leaves_the_item_to_people() {
    let (project, _) = site("3");
    // The first answer and its repair; the item after it is judged.
    let provider = Provider::start(&project, &["--garbage", "100"]);
    project.use_provider(&provider);
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    assert_eq!(run["steps"][2]["items"]["waiting"], 3, "{run}");
    let why = open(&project)[0]["shows"]["item"]["reasoning"].clone();
    assert!(why.as_str().is_some_and(|why| why.contains("of no help")), "{why}");
}

#[test]
fn content_that_is_no_content_fails_the_run_and_touches_nothing() {
    let (project, _) = site("3");
    project.write("inbox/content.jsonl", "{\"content_id\": 1}\n");
    let run = project.wflo(&["run", "--json"]).expect_code(1).json();
    assert!(run["error"].as_str().is_some_and(|why| why.contains("missing field `text`")), "{run}");
    let run = project.wflo(&["run", "--json", "--input", "file=../site.db"]).expect_code(1).json();
    assert_eq!(run["steps"][0]["status"], "failed", "what leads out of the folder is not read: {run}");
    assert_eq!(count(&content(&project), "pending", "nobody"), 3);
}

#[test]
fn a_model_that_wants_a_person_gets_one_however_sure_it_is() {
    let (project, [marta, _]) = site("3");
    let wants =
        json!({ "verdict": "review", "confidence": 0.97, "reasoning": "a quotation", "violated": [] });
    project.write("answers.jsonl", &json!({ "content": wants }).to_string());
    let answers = project.path("answers.jsonl");
    let provider = Provider::start(&project, &["--answers", answers.to_str().expect("a path of text")]);
    project.use_provider(&provider);
    project.wflo(&["run", "--json"]).expect_code(10);
    let asked = open(&project);
    assert_eq!(asked.len(), 3, "no policy asks, and the step does");
    assert_eq!(asked[0]["shows"]["summary"], "May this stay?");
    assert!(asked[0]["shows"]["details"]["content"]["text"].is_string(), "{}", asked[0]);
    let all = [&["reject"], &ids(&asked)[..]].concat();
    project.wflo_as("marta", &marta, &all).expect_code(0);
    assert_eq!(count(&content(&project), "blocked", "marta"), 3);
}
