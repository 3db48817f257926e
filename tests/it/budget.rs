//! Money is refused before it is spent.

use crate::harness::{Project, Provider, approval_of};
use crate::refunds::shop;

#[test]
fn a_call_beyond_the_budget_never_leaves() {
    for (on_exceeded, code, status) in [("park", 11, "parked"), ("fail", 1, "failed")] {
        let (project, _) = Project::fraud();
        let provider = Provider::start(&project, &[]);
        project.use_provider(&provider);
        let budget = format!("budget_usd = \"0.000001\"\non_exceeded = \"{on_exceeded}\"");
        project.edit("workflow.toml", "budget_usd = \"100.00\"", &budget);
        let run = project.wflo(&["run", "--json"]).expect_code(code).json();
        assert_eq!(run["status"], status);
        assert_eq!(run["cost_usd"], "0");
        assert_eq!(provider.requests(), 0, "a request has left");
        if status == "parked" {
            assert_eq!(run["waiting_for"][0]["kind"], "budget");
            project.wflo(&["resume", run["run"].as_str().expect("an id")]).expect_code(11);
            assert_eq!(provider.requests(), 0);
        }
    }
}

#[test]
fn usage_is_charged_exactly_and_its_absence_at_the_quote() {
    let (project, _) = Project::fraud();
    let provider = Provider::start(&project, &[]);
    project.use_provider(&provider);
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let cost = project.wflo(&["cost", run["run"].as_str().expect("an id"), "--json"]).expect_code(0).json();
    let model = &cost["models"][0][1];
    let tokens = |name: &str| model[name].as_u64().expect("a count");
    // gpt-4: 30 and 60 USD a million tokens; in pico-dollars a token, exactly.
    let pico = tokens("input_tokens") * 30_000_000 + tokens("output_tokens") * 60_000_000;
    let text = format!("{}.{:012}", pico / 1_000_000_000_000, pico % 1_000_000_000_000);
    assert_eq!(cost["cost_usd"], text.trim_end_matches('0'));

    let silent = Provider::start(&project, &["--no-usage"]);
    project.use_provider(&silent);
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let shown = project.wflo(&["show", run["run"].as_str().expect("an id")]).expect_code(0).stdout;
    assert!(shown.contains("estimated"), "{shown}");
}

/// What the journal says was charged for fuel and time: USD, fuel, and in how many stretches.
fn charged(project: &Project, run: &str) -> (String, u64, usize) {
    let cost = project.wflo(&["cost", run, "--json"]).expect_code(0).json();
    let events = project.wflo(&["audit", "show", run, "--json"]).expect_code(0).json();
    let texts = events.as_array().expect("events").iter().filter_map(|event| event["text"].as_str());
    let fuel = texts.filter_map(|text| text.split_once("is charged ")?.1.split(' ').nth(3)?.parse().ok());
    let fuel: Vec<u64> = fuel.collect();
    let usd = cost["compute_usd"].as_str().expect("an amount").to_owned();
    (usd, fuel.iter().sum(), fuel.len())
}

#[test]
fn fuel_is_charged_once_however_often_a_step_parks() {
    let (project, [maria, ..]) = shop();
    project.append("wflo.toml", "[compute]\nusd_per_billion_fuel = \"0.001\"\n");
    let run = project.wflo(&["run", "--json", "--input", "amount=150.00"]).expect_code(10).json();
    let id = run["run"].as_str().expect("an id");
    let cost = project.wflo(&["cost", id, "--json"]).expect_code(0).json();
    assert_eq!(cost["held_usd"], "0", "what waits for people holds nothing");
    let (_, parked_with, stretches) = charged(&project, id);
    assert!(parked_with > 0 && stretches > 0, "it is charged where it parks");
    let run = project.wflo_as("maria", &maria, &["approve", &approval_of(&run), "--json"]);
    let run = run.expect_code(0).json();
    let (usd, fuel, more) = charged(&project, id);
    assert!(more > stretches && fuel > parked_with);
    let used: u64 = run["steps"].as_array().expect("steps").iter().filter_map(|it| it["fuel"].as_u64()).sum();
    assert_eq!(fuel, used, "the replay has used fuel again, and was not charged for it");
    // A thousandth of a USD a billion: a unit is a pico-dollar.
    assert_eq!(usd, format!("0.{used:012}").trim_end_matches('0'));
    assert_eq!(run["cost_usd"], usd, "the models here cost nothing");
    project.wflo(&["replay", id]).expect_code(0);
}

#[test]
fn a_step_whose_fuel_is_not_paid_for_does_not_begin() {
    let (project, people) = Project::fraud();
    let provider = Provider::start(&project, &[]);
    project.use_provider(&provider);
    // Ten billion units, which is what a step may use unless it says otherwise, are 50 USD.
    project.append("wflo.toml", "[compute]\nusd_per_billion_fuel = \"5\"\n");
    project.edit(
        "workflow.toml",
        "budget_usd = \"100.00\"",
        "budget_usd = \"49.00\"\nbudget_approvers = [\"compliance\"]",
    );
    let estimate = project.wflo(&["run", "--estimate", "--json"]).expect_code(0).json();
    assert_eq!(estimate["steps"][0]["compute_usd"], "50");
    let run = project.wflo(&["run", "--json"]).expect_code(11).json();
    let id = run["run"].as_str().expect("an id");
    assert_eq!((&run["waiting_for"][0]["kind"], provider.requests()), (&"budget".into(), 0));
    let why = run["waiting_for"][0]["message"].as_str().expect("why");
    assert_eq!(why, "within its limits, fuel and time cost up to 50 USD and 49 USD are left");
    let asked = project.wflo(&["top-up", id, "25.00", "--json"]).expect_code(10).json();
    let approval = asked["id"].as_str().expect("an id");
    let run =
        project.wflo_as("carol", &people.carol, &["approve", approval, "--json"]).expect_code(10).json();
    assert_eq!(run["steps"][0]["status"], "succeeded");
    let (usd, fuel, stretches) = charged(&project, id);
    assert!(fuel > 0 && stretches == 1 && usd != "0", "{usd} {fuel} {stretches}");
    let shown = project.wflo(&["cost", id]).expect_code(0).stdout;
    assert!(shown.contains(&format!("fuel and time  {usd} USD")), "{shown}");

    project.edit("workflow.toml", "budget_usd = \"49.00\"", "budget_usd = \"49.00\"\non_exceeded = \"fail\"");
    let run = project.wflo(&["run", "--json"]).expect_code(1).json();
    let error = run["steps"][0]["error"].as_str().expect("an error");
    assert!(error.contains("fuel and time are not paid for: it needs up to 50 USD, 49 USD"), "{error}");
}
