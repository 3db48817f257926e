//! What steps in JavaScript rely on where their engine does otherwise: `tests/javascript`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::conformance::site;
use crate::harness::{Project, root};
use crate::language::{Language, be_patient};

/// The workflow, built, and the port that it is to be run with; `None` where the tools are not here.
fn project() -> Option<(Project, String)> {
    if !Language::JavaScript.is_here() {
        return None;
    }
    let project = Project::new("hello");
    std::fs::create_dir(project.path("javascript")).expect("a folder for the steps");
    let from: PathBuf = root().join("tests/javascript");
    let port = site().to_string();
    let manifest = std::fs::read_to_string(from.join("workflow.toml")).expect("the tests have it");
    project.write("workflow.toml", &manifest.replace("61616", &port));
    for file in ["package.json", "steps.js"] {
        std::fs::copy(from.join(file), project.path("javascript").join(file)).expect("a copy");
    }
    let schema = std::fs::read_to_string(from.join("schema.sql")).expect("the tests have it");
    database(&project).execute_batch(&schema).expect("a schema");
    project.append("wflo.toml", "\n[db.data]\nurl = \"sqlite:data.db\"\n");
    Language::JavaScript.lend(&project.path("javascript"));
    be_patient(&project.path("wflo.toml"));
    project.wflo(&["build", "--steps", "javascript"]).expect_code(0);
    Some((project, format!("port={port}")))
}

fn database(project: &Project) -> rusqlite::Connection {
    rusqlite::Connection::open(project.path("data.db")).expect("a database")
}

#[test]
fn steps_in_javascript_get_what_they_expect() {
    let Some((project, port)) = project() else { return };
    let run = project.wflo(&["run", "--json", "--input", &port]).json();
    let step = |name: &str| -> &Value {
        let steps = run["steps"].as_array().expect("a run has steps");
        steps.iter().find(|step| step["name"] == name).expect("the step is shown")
    };
    let digits = json!([
        "9007199254740993",
        9007199254740991_i64,
        -9007199254740991_i64,
        "-9007199254740993",
        ["-9223372036854775808"]
    ]);
    assert_eq!(step("integers")["output"], digits);
    let contents = json!({
        "buffer": [1, 2, 3], "part": [2, 3], "reals": [1.5], "units": [1, 2], "set": [{ "a": 1 }],
        "pattern": "/a+/g", "error": "TypeError: no: why",
    });
    assert_eq!(step("contents")["output"], contents);
    let surrogate =
        json!({ "\u{fffd}": "\u{fffd}x", "said": "\\ud800", "pair": "\u{1f600}", "thrown": "\u{fffd}" });
    assert_eq!(step("surrogate")["output"], surrogate);
    let nothing = json!([
        { "err": "the output is no JSON: it is a function" },
        { "err": "the output is no JSON: it is a symbol" },
        { "err": "the output is no JSON: `rows` is a promise that nobody awaited" },
    ]);
    assert_eq!(step("nothing")["output"], nothing);
    let fails = json!([{ "err": "AggregateError: all promises were rejected: one; two" }]);
    assert_eq!(step("fails")["output"], fails);

    let unheard = "a promise was rejected and nobody awaited it";
    let lost = json!([
        { "err": format!("{unheard}: the write failed") },
        { "err": format!("{unheard}: a constraint refused the statement: UNIQUE constraint failed: once.id") },
        { "err": format!("{unheard}: TypeError: the write failed later") },
        { "ok": "caught in the end" },
    ]);
    assert_eq!(step("unheard")["output"], lost);
    let data = database(&project);
    let mut rows = data
        .prepare("SELECT group_concat(id) FROM once WHERE id IN ('one', 'two', 'never')")
        .expect("a table");
    let ids: String = rows.query_row([], |row| row.get(0)).expect("rows");
    assert_eq!((&step("goes_on")["output"], ids.as_str()), (&json!("ok"), "one,two"));
    let named = json!([{ "n": null, "bytes": [1, 2, 255], "json": r#"[{"a":1}]"# }]);
    assert_eq!(step("named")["output"], named);
    assert_eq!(step("requests")["output"], json!({ "same": true, "big": { "big": ["-9007199254740993"] } }));

    let logs = project.wflo(&["logs", run["run"].as_str().expect("a run has an id")]).expect_code(0).stdout;
    for line in [
        r#"error  logs  {"message":"failed","error":"TypeError: no: why","order":"o-1"}"#,
        r#"info   logs  {"message":"blocked","count":3,"loop":"the value is no JSON: circular reference"}"#,
        r#"info   logs  {"message":"ü has 1.5 of [1]","n":1}"#,
        r#"info   logs  {"message":"[{\"a\":1}]"}"#,
        r#"error  logs  {"message":"Assertion failed: one is 2"}"#,
    ] {
        assert!(logs.contains(line), "{line}\n{logs}");
    }
}

#[test]
fn no_two_attempts_draw_the_same() {
    let Some((project, port)) = project() else { return };
    let mut drawn = BTreeSet::new();
    for _ in 0..2 {
        let run = project.wflo(&["run", "--json", "--input", &port]).json();
        let items = run.pointer("/steps/1/output").and_then(Value::as_array).expect("a list of items");
        for item in items {
            let uuid = item["uuid"].as_str().expect("a UUID is text");
            assert!(uuid.len() == 36 && &uuid[14..15] == "4", "{uuid}");
            let numbers = item["numbers"].as_array().expect("numbers");
            assert!(numbers.iter().all(|number| number.as_f64().is_some_and(|n| (0.0..1.0).contains(&n))));
            drawn.extend([uuid.to_owned(), numbers[0].to_string(), numbers[1].to_string()]);
            drawn.extend(item["bytes"].as_array().expect("numbers").iter().map(ToString::to_string));
        }
        let id = run["run"].as_str().expect("a run has an id");
        project.wflo(&["replay", id]).expect_code(0);
    }
    assert_eq!(drawn.len(), 2 * 2 * 5, "{drawn:?}");
}
