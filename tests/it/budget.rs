//! Money is refused before it is spent.

use crate::harness::{Project, Provider};

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
