//! Forks before a call: what the parent was answered by then is not asked again.

use serde_json::Value;

use crate::harness::{Project, Provider};
use crate::http::{Answer, KEYED, Site};

/// The numbers of a run's events whose words contain these.
fn events(project: &Project, run: &str, words: &str) -> Vec<u64> {
    let events = project.wflo(&["audit", "show", run, "--json"]).expect_code(0).json();
    let events = events.as_array().expect("events").iter();
    let said = events.filter(|event| event["text"].as_str().is_some_and(|text| text.contains(words)));
    said.map(|event| event["seq"].as_u64().expect("a number")).collect()
}

fn id(run: &Value) -> String {
    run["run"].as_str().expect("an id").to_owned()
}

/// A step that has a conversation of three questions, and nothing else.
fn talk() -> Project {
    let project = Project::workflow("torture");
    rusqlite::Connection::open(project.path("book.db"))
        .and_then(|book| book.execute_batch("CREATE TABLE tally (step TEXT, item INTEGER, n INTEGER)"))
        .expect("the book");
    let step = "[workflow]\nname = \"talk\"\ncomponent = \"torture.wasm\"\n\
                [[step]]\nname = \"talk\"\ngrants.llm = [\"gpt-4\"]\ngrants.db.book = { read = [\"tally\"] }\n";
    project.write("workflow.toml", step);
    project
}

#[test]
fn models_are_asked_only_what_the_parent_had_not_asked_yet() {
    let project = talk();
    let provider = Provider::start(&project, &[]);
    project.use_provider(&provider);
    let parent = project.wflo(&["run", "--json"]).expect_code(0).json();
    let said = |run: &Value| {
        let steps = run["steps"].as_array().expect("steps").iter();
        steps
            .filter(|step| step["name"] == "talk")
            .map(|step| step["output"].clone())
            .next()
            .expect("it has it")
    };
    let asks = |run: &Value| events(&project, &id(run), "calls wflo:llm");
    assert_eq!((asks(&parent).len(), provider.requests()), (3, 3));
    // Before the second question.
    let at = (asks(&parent)[1] - 1).to_string();
    let child = project.wflo(&["fork", &id(&parent), "--at", &at, "--json"]).expect_code(0).json();
    assert_eq!((asks(&child).len(), provider.requests()), (2, 5), "one answer is the parent's");
    assert_eq!(said(&child), said(&parent));
    assert_ne!(child["cost_usd"], "0");
    project.wflo(&["replay", &id(&child)]).expect_code(0);

    // A fork of the fork, before the last question, has those of both.
    let at = (asks(&child)[1] - 1).to_string();
    let grandchild = project.wflo(&["fork", &id(&child), "--at", &at, "--json"]).expect_code(0).json();
    assert_eq!((asks(&grandchild).len(), provider.requests()), (1, 6));
    assert_eq!(events(&project, &id(&grandchild), "has the answer to").len(), 2);
    assert_eq!(said(&grandchild), said(&parent));
    project.wflo(&["replay", &id(&grandchild)]).expect_code(0);
}

#[test]
fn what_was_done_before_it_is_not_done_again_and_what_came_after_is_refused() {
    let site = Site::start(&[Answer::Hello]);
    let project = site.project("asks_again", KEYED);
    let parent = project.wflo(&["run", "--json"]).expect_code(0).json();
    assert_eq!(site.asked().len(), 2);
    let second = (events(&project, &id(&parent), "calls wasi:http")[1] - 1).to_string();
    let refused = project.wflo(&["fork", &id(&parent), "--at", &second]).expect_code(3);
    assert!(refused.stderr.contains("`asks_again`"), "{}", refused.stderr);
    let child = project.wflo(&["fork", &id(&parent), "--at", &second, "--keep", "--json"]).expect_code(0);
    assert_eq!(site.asked().len(), 3, "the first request is the parent's, the second is made again");
    project.wflo(&["replay", &id(&child.json())]).expect_code(0);
}
