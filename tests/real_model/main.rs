//! A real model, asked through the command line: llama.cpp's server, which nobody here wrote, and a model that is too small
//! for sense. What is tested is the way there and back, and what it costs; what the model said is printed.

#[path = "../it/harness.rs"]
#[expect(dead_code, reason = "the other tests use all of it")]
mod harness;
mod server;

use harness::Project;
use serde_json::{Value, json};
use server::Server;

/// The workflow that asks by one verb, asking this server.
fn asking(kind: &str, server: &Server) -> Project {
    let project = Project::workflow("verbs");
    project.edit("wflo.toml", "http://127.0.0.1:9/v1", &server.base_url());
    project.edit("wflo.toml", "kind = \"openai\"", &format!("kind = \"{kind}\""));
    project
}

/// What came of asking, and of the run.
#[track_caller]
fn ask(project: &Project, inputs: &[&str]) -> (Value, Value) {
    let inputs: Vec<&str> = inputs.iter().flat_map(|input| ["--input", input]).collect();
    let run = project.wflo(&[&["run", "--json"], &inputs[..]].concat()).expect_code(0).json();
    let came_to = run["steps"][0]["output"].clone();
    said(&format!("{} -> {came_to}, {} USD", inputs.join(" "), run["cost_usd"]));
    (came_to, run)
}

#[expect(clippy::print_stderr, reason = "what a model said is worth a look")]
fn said(what: &str) {
    eprintln!("{what}");
}

/// The tokens of a run, and that they cost what they should: 1 and 1,000 USD a million, in pico-dollars a token.
#[track_caller]
fn charged(project: &Project, run: &Value) -> (u64, u64, u64) {
    let cost = project.wflo(&["cost", run["run"].as_str().expect("an id"), "--json"]).expect_code(0).json();
    let model = &cost["models"][0][1];
    let number = |name: &str| model[name].as_u64().expect("a count");
    let (input, output) = (number("input_tokens"), number("output_tokens"));
    let pico = input * 1_000_000 + output * 1_000_000_000;
    let text = format!("{}.{:012}", pico / 1_000_000_000_000, pico % 1_000_000_000_000);
    assert_eq!(run["cost_usd"], text.trim_end_matches('0'), "{cost}");
    (input, output, number("calls"))
}

#[test]
fn tokens_are_counted_as_the_server_counts_them_and_charged_at_an_assumed_price() {
    let server = Server::start(&[]);
    let project = asking("openai", &server);
    let (came_to, run) = ask(&project, &["verb=complete", "text=The capital of France is"]);
    let (input, output, _) = charged(&project, &run);
    assert_eq!(came_to["usage"]["estimated"], false, "{came_to}");
    assert_eq!(input, server.count("prompt_tokens_total"), "{came_to}");
    assert_eq!(output, server.count("tokens_predicted_total"), "{came_to}");
    assert_eq!((output, &came_to["finish_reason"]), (12, &json!("length")), "{came_to}");

    // What a server remembers of a conversation is asked for, and charged, all the same.
    let (again, second) = ask(&project, &["verb=complete", "text=The capital of France is"]);
    assert_eq!(again["value"], came_to["value"], "with no temperature it says the same");
    assert_eq!((second["cost_usd"].clone(), charged(&project, &second).0), (run["cost_usd"].clone(), input));

    // And once more without it.
    let id = run["run"].as_str().expect("an id").to_owned();
    drop(server);
    project.wflo(&["replay", &id]).expect_code(0);
}

#[test]
fn the_other_protocol_comes_to_the_same() {
    let server = Server::start(&[]);
    let (openai, anthropic) = (asking("openai", &server), asking("anthropic", &server));
    let (one, run) = ask(&openai, &["verb=complete", "text=The capital of France is"]);
    let (other, second) = ask(&anthropic, &["verb=complete", "text=The capital of France is"]);
    assert_eq!((&one["value"], &one["finish_reason"]), (&other["value"], &other["finish_reason"]));
    // It says apart what it has read before; both together are what was asked.
    assert_eq!(charged(&openai, &run).0, charged(&anthropic, &second).0);
}

#[test]
fn every_verb_comes_to_an_answer_that_keeps_to_its_schema_or_is_given_up() {
    let server = Server::start(&[]);
    let project = asking("openai", &server);
    // A model of this size does not always come to an end by itself.
    project.edit("workflow.toml", "budget_usd = \"0.50\"", "budget_usd = \"0.20\"");
    project.edit("wflo.toml", "[budget]", "[budget]\nmin_output_tokens = 10");
    let verbs = [
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
    let mut answered = 0;
    for verb in verbs {
        let (came_to, run) = ask(&project, &[&format!("verb={verb}")]);
        let (input, output, calls) = charged(&project, &run);
        assert!(input > 0 && output > 0 && [1, 2].contains(&calls), "{verb}: {run}");
        match came_to["error"].as_str() {
            None => answered += 1,
            Some("BadOutput" | "BudgetExceeded") => continue,
            Some(other) => panic!("{verb}: {other}: {came_to}"),
        }
        match verb {
            "classify" => assert!(
                ["refund", "question"].iter().any(|it| came_to["value"]["category"] == *it),
                "{came_to}"
            ),
            "moderate" => {
                assert!(
                    ["safe", "review", "block"].iter().any(|it| came_to["value"]["verdict"] == *it),
                    "{came_to}"
                );
            }
            "transform" => assert_eq!(came_to["value"].as_array().map(Vec::len), Some(2), "{came_to}"),
            _ => assert_ne!(came_to["value"], Value::Null, "{verb}: {came_to}"),
        }
    }
    // Which of them depends on the processor: its sums are not those of another to the last bit.
    assert!(answered >= verbs.len() / 2, "{answered} of {}", verbs.len());
}

#[test]
fn what_no_answer_can_satisfy_is_sent_back_once_and_given_up() {
    let server = Server::start(&[]);
    let project = asking("openai", &server);
    // The server holds the model to the first part of the schema, and knows nothing of the second.
    let schema = json!({ "type": "object", "properties": { "n": { "type": "integer", "not": { "type": "integer" } } },
        "required": ["n"], "additionalProperties": false });
    let mut paid = 0;
    for verb in ["json", "analyze"] {
        let (came_to, run) = ask(&project, &[&format!("verb={verb}"), &format!("schema={schema}")]);
        assert_eq!(came_to["error"], "BadOutput", "{came_to}");
        assert!(came_to["message"].as_str().is_some_and(|why| why.contains("at /n")), "{came_to}");
        let (_, output, calls) = charged(&project, &run);
        paid += output;
        assert_eq!((calls, paid), (2, server.count("tokens_predicted_total")), "both answers are paid");
    }
}

#[test]
fn an_answer_ends_where_the_money_does() {
    let server = Server::start(&[]);
    let project = asking("openai", &server);
    project.edit("workflow.toml", "budget_usd = \"0.50\"", "budget_usd = \"0.02\"");
    project.edit("wflo.toml", "[budget]", "[budget]\nmin_output_tokens = 10");
    let (came_to, run) = ask(&project, &["verb=open-end", "text=Count: one, two, three,"]);
    let (_, output, _) = charged(&project, &run);
    assert_eq!(came_to["finish_reason"], "length", "{came_to}");
    assert!((10..=20).contains(&output), "0.02 USD buy 20 tokens less what is asked: {output}");
}

#[test]
fn what_the_server_refuses_is_told_apart() {
    let server = Server::start(&["--api-key", "s3cret-of-the-server"]);
    let project = asking("openai", &server);
    let (came_to, run) = ask(&project, &["verb=complete"]);
    let message = came_to["message"].as_str().expect("words");
    assert!(message.contains("refused the key (401)") && message.contains("check `api_key`"), "{message}");
    assert_eq!(run["cost_usd"], "0");

    let keyed = format!("base_url = \"{}\"\napi_key = \"env:KEY\"", server.base_url());
    project.edit("wflo.toml", &format!("base_url = \"{}\"", server.base_url()), &keyed);
    let came_to = |inputs: &[&str]| {
        let inputs: Vec<&str> = inputs.iter().flat_map(|input| ["--input", input]).collect();
        let mut run = project.command(&[&["run", "--json"], &inputs[..]].concat());
        let run = harness::Output::of(run.env("KEY", "s3cret-of-the-server")).expect_code(0).json();
        said(&format!("{}", run["steps"][0]["output"]));
        assert!(!run.to_string().contains("s3cret"), "{run}");
        (run["steps"][0]["output"].clone(), run["cost_usd"].clone())
    };
    let (answered, _) = came_to(&["verb=complete"]);
    assert_eq!(answered["error"], Value::Null, "{answered}");

    let long = format!("text={}", "word ".repeat(3000));
    let (too_long, cost) = came_to(&["verb=complete", &long]);
    assert_eq!((&too_long["error"], cost), (&json!("ContextTooLong"), json!("0")), "{too_long}");

    let schema = json!({ "type": "object", "properties": { "n": { "type": "string", "pattern": "(" } } });
    let (none, cost) = came_to(&["verb=json", &format!("schema={schema}")]);
    assert_eq!((&none["error"], cost), (&json!("Invalid"), json!("0")), "{none}");
}

#[test]
fn a_server_that_still_loads_its_model_costs_nothing() {
    let server = Server::starting(&[]);
    let project = asking("openai", &server);
    harness::eventually("the model is loaded", || {
        let (came_to, run) = ask(&project, &["verb=complete"]);
        match came_to["error"].as_str() {
            None => true,
            Some(error) => {
                // Nobody listens yet, or it says that it takes no requests.
                assert_eq!((error, &run["cost_usd"]), ("Upstream", &json!("0")), "{came_to}");
                false
            }
        }
    });
}

#[test]
fn content_is_moderated_by_it_where_one_block_of_the_example_is_changed() {
    let server = Server::start(&[]);
    let project = Project::new("content-moderation");
    let mut data = std::process::Command::new(harness::binary("moderation-data"));
    harness::Output::of(data.arg(project.path("")).args(["--items", "4"])).expect_code(0);
    project.wflo(&["identity", "add", "marta", "--group", "moderation-team"]).expect_code(0);
    project.use_server(&server.base_url());
    // So that an item is answered in a hundred tokens, or by people.
    let deployment = std::fs::read_to_string(project.path("wflo.toml")).expect("the deployment");
    let price = "[prices]\n\"gpt-4\" = { input_per_million = \"1\", output_per_million = \"1000\" }\n";
    project.write("wflo.toml", &format!("{deployment}\n{price}"));
    let run = project.wflo(&["run", "--json"]);
    assert!([0, 10].contains(&run.code), "{run:?}");
    let run = run.json();
    let items = run["steps"][1]["output"].as_array().expect("the items").clone();
    for item in &items {
        said(&item.to_string());
        assert!(["safe", "review", "block"].iter().any(|it| item["verdict"] == *it), "{item}");
        assert!(item["confidence"].as_f64().is_some_and(|it| (0.0..=1.0).contains(&it)), "{item}");
    }
    let acted = &run["steps"][2]["items"];
    let acted = acted["succeeded"].as_u64().zip(acted["waiting"].as_u64()).map(|(done, asked)| done + asked);
    assert_eq!((items.len(), acted), (4, Some(4)), "each is acted on, or people are asked: {run}");
}
