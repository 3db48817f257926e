//! A component that knows nothing of wflo, as the steps of a workflow: `tests/programs/scorer`.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::harness::{Project, approval_of, root};

/// The component, built before the first test that needs it.
static SCORER: LazyLock<PathBuf> = LazyLock::new(|| {
    let programs = root().join("tests/programs");
    let target = ["--release", "--target", "wasm32-wasip2", "--target-dir", "target"];
    let status = Command::new(env!("CARGO"))
        .current_dir(&programs)
        .args(["build", "--quiet", "--package", "scorer"])
        .args(target)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .expect("cargo can be run");
    assert!(status.success(), "the guest does not build; is the target there?");
    programs.join("target/wasm32-wasip2/release/scorer.wasm")
});

const WORKFLOW: &str = r#"
[workflow]
name = "scoring"
component = "scorer.wasm"

[inputs.transactions]
type = "array"

[inputs.account-id]
type = "string"
default = "Käse & Söhne 🧀"

[[step]]
name = "score"
function = "acme:fraud/scoring.score"
for_each = "inputs.transactions"

[[step]]
name = "limit"
function = "acme:fraud/scoring@1.2.0.limit"
depends_on = ["score"]
args = { amounts = "inputs.transactions.map(t, t.amount)" }

[[step]]
name = "stamp"
function = "acme:fraud/scoring.stamp"

[[step]]
name = "add_up"
args = { numbers = "[inputs.transactions.size(), 40]" }
"#;

/// A project of the component with this manifest.
fn project(manifest: &str) -> Project {
    let project = Project::new("hello");
    std::fs::copy(&*SCORER, project.path("scorer.wasm")).expect("the component is built");
    project.write("workflow.toml", manifest);
    project.write("wflo.toml", "[principal.alice]\ngroups = [\"team\"]\n");
    project
}

fn transaction(changes: Value) -> Value {
    let mut one = json!({
        "id": 9007199254740993_u64, "amount": 100, "channel": "card_present", "signals": [],
        "payer": { "person": "Żaneta 你好" },
    });
    let Value::Object(changes) = changes else { panic!("changes have names") };
    one.as_object_mut().expect("it is an object").extend(changes);
    one
}

/// The one step of a manifest, with what it is given.
fn single(function: &str, given: &str) -> String {
    format!(
        "[workflow]\nname = \"w\"\ncomponent = \"scorer.wasm\"\n[inputs.t]\n[[step]]\nname = \"one\"\n\
         function = \"acme:fraud/{function}\"\n{given}"
    )
}

#[test]
fn a_component_that_knows_nothing_of_wflo_is_a_workflow() {
    let project = project(WORKFLOW);
    let transactions = json!([
        transaction(json!({})),
        transaction(json!({
            "id": "18446744073709551615", "amount": 7500, "channel": "online",
            "signals": ["night_time", "foreign_country"],
            "payer": { "company": { "name": "ACME", "vat_number": null } }, "note": "ask Beyoncé",
        })),
        transaction(json!({ "id": 7, "payer": "unknown" })),
    ]);
    let input = format!("transactions={transactions}");
    project.wflo(&["check"]).expect_code(0);
    let run = project.wflo(&["run", "--json", "--input", &input]).expect_code(0).json();
    let output = |step: usize| &run["steps"][step]["output"];
    assert_eq!(
        *output(0),
        json!([
            { "transaction": "9007199254740993", "risk": 0.01, "reasons": [], "review_by": null },
            {
                "transaction": "18446744073709551615", "risk": 1,
                "reasons": ["abroad, online", "ACME has no VAT number"], "review_by": "ask Beyoncé",
            },
            { "transaction": 7, "risk": 0.26, "reasons": ["nobody knows who pays"], "review_by": null },
        ])
    );
    assert_eq!(*output(1), json!(["Käse & Söhne 🧀", 2]));
    assert!(output(2).as_str().is_some_and(|stamp| stamp.contains('-')), "{run}");
    assert_eq!(*output(3), 43);
    assert_ne!(run["steps"][1]["fuel"], 0);

    let id = run["run"].as_str().expect("a run has an id");
    let replayed = project.wflo(&["replay", id]).expect_code(0);
    assert!(replayed.stdout.contains("identical"), "{}", replayed.stdout);
    let logs = project.wflo(&["logs", id]).expect_code(0).stdout;
    assert!(logs.contains("scoring 9007199254740993"), "{logs}");

    // A test of such a step is like any other.
    for step in ["limit", "add_up"] {
        project.wflo(&["record", id, step]).expect_code(0);
    }
    let tested = project.wflo(&["test"]).expect_code(0);
    assert!(tested.stderr.contains("2 of 2 passed"), "{tested:?}");
}

#[test]
fn check_shows_what_a_function_takes_from_where_and_what_it_gives() {
    let project = project(WORKFLOW);
    let checked = project.wflo(&["check"]).expect_code(0).stderr;
    assert!(checked.contains("step `add_up` is func(numbers: list<s64>) -> s64"), "{checked}");
    let explained = project.wflo(&["check", "--explain", "limit"]).expect_code(0).stdout;
    for expect in [
        "`account_id`, `string`, is input `account-id`",
        "`amounts`, `list<f64>`, is `inputs.transactions.map(t, t.amount)`",
        "`most`, `option<u32>`, is left out",
        "its output is {\"type\":\"array\",\"prefixItems\":[{\"type\":\"string\"},{\"type\":\"integer\",",
    ] {
        assert!(explained.contains(expect), "no `{expect}` in\n{explained}");
    }
    let explained = project.wflo(&["check", "--explain", "score"]).expect_code(0).stdout;
    assert!(explained.contains("enum { card-present, online, phone }"), "{explained}");
    assert!(explained.contains(", is the element"), "{explained}");
}

#[test]
fn what_cannot_be_called_is_refused_at_its_place() {
    let check = |manifest: &str, code: i32, expect: &[&str]| {
        let project = project(manifest);
        for command in [&["check"][..], &["run", "--input", "t=1"]] {
            let refused = project.wflo(command).expect_code(code).stderr;
            for expect in expect {
                assert!(refused.contains(expect), "no `{expect}` in\n{refused}");
            }
        }
        assert_eq!(project.wflo(&["runs", "--json"]).expect_code(0).json(), json!([]));
    };
    let resource = "parameter `of` has a resource: a handle means nothing outside";
    check(&single("handles.name", ""), 2, &[resource, "workflow.toml:7:12"]);
    check(&single("handles.open", "args = { name = \"'x'\" }"), 2, &["its result has a resource"]);
    check(&single("scoring.scor", ""), 2, &["exports no function `scor`", "`score`, `limit`, `stamp`"]);
    check(&single("scorings.score", ""), 2, &["exports no interface `acme:fraud/scorings`"]);
    check(&single("scoring@2.0.0.score", ""), 2, &["exports no interface `acme:fraud/scoring@2.0.0`"]);
    check(&single("scoring.", ""), 2, &["names no function", "hint: write a step's name"]);
    check(
        &single("trouble.refuse", ""),
        2,
        &[
            "nothing gives `amount`, which the function takes as `u32`",
            "hint: add `args = { amount = \"..\" }`",
        ],
    );
    check(
        &single("trouble.refuse", "args = { amuont = \"1\" }"),
        2,
        &["`amuont` is no parameter of the function", "hint: did you mean `amount`?", "workflow.toml:8:19"],
    );
    check(&single("trouble.refuse", "args = { amount = \"'1'\" }"), 2, &["`amount` must be a number"]);

    let steps = Project::new("hello");
    steps.edit("workflow.toml", "[[step]]\n", "[[step]]\nargs = { name = \"'x'\" }\n");
    let refused = steps.wflo(&["check"]).expect_code(2).stderr;
    assert!(refused.contains("takes no `args`"), "{refused}");
}

#[test]
fn what_does_not_fit_fails_the_step_and_is_not_tried_again() {
    let project = project(&single("scoring.score", "retry = { max_attempts = 3 }\n"));
    let mut lacking = transaction(json!({}));
    lacking.as_object_mut().expect("an object").remove("channel");
    for (t, expect) in [
        (lacking, "at `/t`: `channel` is missing"),
        (
            transaction(json!({ "colour": "red" })),
            "at `/t`: there is no field `colour`: there is `id`, `amount`",
        ),
        (
            transaction(json!({ "channel": "Online" })),
            "at `/t/channel`: there is no `Online`: there is `card_present`",
        ),
        (transaction(json!({ "channel": "card-present" })), "there is no `card-present`"),
        (transaction(json!({ "id": "18446744073709551616" })), "at `/t/id`: the number is beyond `u64`"),
        (transaction(json!({ "id": -1 })), "at `/t/id`: the number is beyond `u64`"),
        (transaction(json!({ "amount": "NaN" })), "at `/t/amount`: expected `f64`: a number, found a text"),
        (transaction(json!({ "amount": -5 })), "transaction 9007199254740993 has a negative amount"),
        (json!(null), "at `/t`: expected an object, found null"),
    ] {
        let run = project.wflo(&["run", "--json", "--input", &format!("t={t}")]).expect_code(1).json();
        let error = run["error"].as_str().expect("why");
        assert!(error.contains(expect), "no `{expect}` in\n{error}");
        assert_eq!(run["steps"][0]["attempts"], 1, "{run}");
        let id = run["run"].as_str().expect("a run has an id");
        assert!(project.wflo(&["replay", id]).expect_code(0).stdout.contains("identical"));
    }
}

#[test]
fn an_error_that_says_it_may_help_is_tried_again_and_a_number_that_json_lacks_is_a_fault() {
    let retry = "retry = { max_attempts = 3, backoff_seconds = 0 }\n";
    let again = project(&single("trouble.again", &format!("{retry}args = {{ why = \"'later'\" }}\n")));
    let run = again.wflo(&["run", "--json", "--input", "t=1"]).expect_code(1).json();
    assert_eq!(run["steps"][0]["attempts"], 3, "{run}");
    assert!(run["error"].as_str().is_some_and(|error| error.contains("not yet")), "{run}");

    let divide = project(&single("trouble.divide", "args = { by = \"inputs.t\" }\n"));
    let run = divide.wflo(&["run", "--json", "--input", "t=0"]).expect_code(1).json();
    let error = run["error"].as_str().expect("why");
    assert!(error.contains("a number at `/1` that JSON does not have"), "{error}");
    let id = run["run"].as_str().expect("a run has an id");
    assert!(divide.wflo(&["replay", id]).expect_code(0).stdout.contains("identical"));
    let run = divide.wflo(&["run", "--json", "--input", "t=-1"]).expect_code(0).json();
    assert_eq!(run["steps"][0]["output"], json!(["it is", -2]));
}

#[test]
fn policies_read_what_a_function_gives_by_name() {
    let policy = "[[policy]]\nname = \"risky\"\nwhen = \"risk > 0.5\"\n\
                  actions = [{ require_approval = { approvers = [\"team\"] } }]\n";
    let project = project(&format!("{}{policy}", single("scoring.score", "")));
    let run = |amount: u32| {
        let input = format!("t={}", transaction(json!({ "amount": amount })));
        project.wflo(&["run", "--json", "--input", &input])
    };
    let safe = run(10).expect_code(0).json();
    assert_eq!(safe["steps"][0]["output"]["risk"], 0.001);
    let risky = run(9_000).expect_code(10).json();
    let shown = project.wflo(&["approvals", "show", &approval_of(&risky), "--json"]).expect_code(0).json();
    assert!(shown.to_string().contains("\"risk\":0.9"), "{shown}");

    let slip = "when = \"riks > 0.5\"";
    project.edit("workflow.toml", "when = \"risk > 0.5\"", slip);
    let refused = project.wflo(&["check"]).expect_code(2).stderr;
    assert!(refused.contains("did you mean `risk`?"), "{refused}");
}
