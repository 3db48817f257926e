//! Each verb of `wflo:llm`, from a step, by either protocol: an answer that keeps to its schema, one round of repair where
//! it does not, and what all requests of it cost.

use serde_json::{Value, json};

use crate::harness::{Project, Provider};

/// Those whose answers are held to a schema.
const HELD: [&str; 9] = [
    "json",
    "analyze",
    "classify",
    "answer",
    "transform",
    "validate",
    "generate-code",
    "moderate",
    "synthesize",
];

/// The protocols a provider may speak.
const KINDS: [&str; 2] = ["openai", "anthropic"];

/// The workflow that asks by one verb, asking this provider.
fn asking(kind: &str, args: &[&str]) -> (Project, Provider) {
    let project = Project::workflow("verbs");
    let provider = Provider::start(&project, args);
    project.edit("wflo.toml", "http://127.0.0.1:9/v1", &provider.address);
    project.edit("wflo.toml", "kind = \"openai\"", &format!("kind = \"{kind}\""));
    (project, provider)
}

/// What came of asking, and of the run.
#[track_caller]
fn ask(project: &Project, verb: &str) -> (Value, Value) {
    let run = project.wflo(&["run", "--json", "--input", &format!("verb={verb}")]).expect_code(0).json();
    (run["steps"][0]["output"].clone(), run)
}

/// Tokens, and the cost that follows from them: 1 and 1,000 USD a million, in pico-dollars a token.
#[track_caller]
fn charged(project: &Project, run: &Value) -> (u64, u64) {
    let cost = project.wflo(&["cost", run["run"].as_str().expect("an id"), "--json"]).expect_code(0).json();
    let model = &cost["models"][0][1];
    let tokens = |name: &str| model[name].as_u64().expect("a count");
    let (input, output) = (tokens("input_tokens"), tokens("output_tokens"));
    let pico = input * 1_000_000 + output * 1_000_000_000;
    let text = format!("{}.{:012}", pico / 1_000_000_000_000, pico % 1_000_000_000_000);
    assert_eq!(run["cost_usd"], text.trim_end_matches('0'), "{cost}");
    (input, output)
}

#[test]
fn every_verb_is_answered_and_charged_by_either_protocol() {
    for kind in KINDS {
        let (project, provider) = asking(kind, &[]);
        for (n, verb) in ["complete"].iter().chain(&HELD).enumerate() {
            let (came_to, run) = ask(&project, verb);
            assert_eq!(came_to["error"], Value::Null, "{kind} {verb}: {came_to}");
            assert_ne!(came_to["value"], Value::Null, "{kind} {verb}: {came_to}");
            assert_eq!(provider.requests(), n + 1, "{kind} {verb}");
            let (input, output) = charged(&project, &run);
            assert!(input > 0 && output > 0, "{kind} {verb}: {input} + {output}");
        }
    }
}

#[test]
fn an_answer_that_is_none_is_sent_back_once_with_what_is_wrong() {
    for kind in KINDS {
        for verb in HELD {
            let (project, provider) = asking(kind, &["--garbage", "1"]);
            let (came_to, run) = ask(&project, verb);
            assert_ne!(came_to["value"], Value::Null, "{kind} {verb}: {came_to}");
            assert_eq!(provider.requests(), 2, "{kind} {verb}");
            let log = std::fs::read_to_string(project.path("provider.log")).expect("it keeps a log");
            let [first, second] = [0, 1].map(|n| log.lines().nth(n).expect("a request").to_owned());
            for words in ["I would rather talk about the weather.", "does not satisfy the JSON Schema"] {
                assert!(!first.contains(words) && second.contains(words), "{kind} {verb}: {second}");
            }
            // Both were asked for, and both are paid.
            let (input, _) = charged(&project, &run);
            assert!(input > 0);
            let id = run["run"].as_str().expect("an id");
            let events = project.wflo(&["audit", "show", id, "--json"]).expect_code(0).json();
            let called = |event: &&Value| {
                event["text"].as_str().is_some_and(|text| text.contains("calls wflo:llm/chat.complete"))
            };
            assert_eq!(events.as_array().expect("events").iter().filter(called).count(), 2, "{events}");
            project.wflo(&["replay", id]).expect_code(0);
            assert_eq!(provider.requests(), 2, "a replay asks nobody");
        }
    }
}

#[test]
fn a_model_that_does_not_better_itself_is_given_up() {
    for kind in KINDS {
        let (project, provider) = asking(kind, &["--garbage", "1000"]);
        for (n, verb) in HELD.iter().enumerate() {
            let (came_to, run) = ask(&project, verb);
            assert_eq!(came_to["error"], json!("BadOutput"), "{kind} {verb}: {came_to}");
            assert_eq!(provider.requests(), 2 * (n + 1), "{kind} {verb}");
            charged(&project, &run);
        }
    }
}

#[test]
fn what_a_provider_refuses_is_told_and_costs_nothing() {
    for (kind, status, error, words) in [
        ("openai", "401", "Upstream", "the provider refused the key (401)"),
        ("anthropic", "401", "Upstream", "the provider refused the key (401)"),
        ("openai", "404", "Upstream", "check `base_url` and `models`"),
        ("anthropic", "400", "Upstream", "the provider refused the request (400)"),
    ] {
        let (project, _provider) = asking(kind, &["--status", status]);
        let (came_to, run) = ask(&project, "classify");
        assert_eq!(came_to["error"], error, "{kind} {status}: {came_to}");
        assert!(
            came_to["message"].as_str().is_some_and(|it| it.contains(words)),
            "{kind} {status}: {came_to}"
        );
        assert_eq!(run["cost_usd"], "0");
    }
}
