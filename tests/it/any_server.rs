//! Every example runs against any server that speaks OpenAI's chat API, by changing one block of its `wflo.toml`.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Output, Project, Provider, binary, root};
use crate::{clinical, etl, infrastructure, literature, moderation};

/// The block that an example offers in a comment, in the place of its tape, and nothing else changed; `address` is the
/// server's. None where the example asks no model.
fn changed(deployment: &str, address: &str) -> Option<String> {
    let (before, rest) = deployment.split_once("[llm.recorded]\n")?;
    let end = rest.find("\n[").map_or(rest.len(), |at| at + 1);
    let (recorded, after) = rest.split_at(end);
    let offered = recorded.lines().skip_while(|line| !line.starts_with("# [llm."));
    let offered: Vec<&str> = offered.map_while(|line| line.strip_prefix("# ")).collect();
    assert!(!offered.is_empty(), "it offers no block: {recorded}");
    let at_server = |line: &str| match line.split_once(" = ") {
        Some(("base_url", _)) => format!("base_url = \"{address}\""),
        _ => line.to_owned(),
    };
    let offered: Vec<String> = offered.into_iter().map(at_server).collect();
    Some(format!("{before}{}\n\n{after}", offered.join("\n")))
}

/// Somebody for each group that a manifest asks, as a block of a deployment.
fn somebody(manifest: &str) -> String {
    let lists = manifest.split("approvers = [").skip(1).filter_map(|rest| Some(rest.split_once(']')?.0));
    let groups: BTreeSet<&str> = lists.flat_map(|list| list.split(',').map(str::trim)).collect();
    let groups = groups.into_iter().filter(|group| !group.is_empty()).enumerate();
    groups.map(|(n, group)| format!("\n[principal.person-{n}]\ngroups = [{group}]\n")).collect()
}

#[test]
fn the_block_that_an_example_offers_is_all_that_has_to_change() {
    let mut tried = 0;
    for entry in root().join("examples").read_dir().expect("the examples").flatten() {
        let name = entry.file_name().into_string().expect("a name");
        let Ok(deployment) = std::fs::read_to_string(entry.path().join("wflo.toml")) else { continue };
        let Some(changed) = changed(&deployment, "http://127.0.0.1:9/v1") else { continue };
        let project = Project::new(&name);
        let manifest = std::fs::read_to_string(project.path("workflow.toml")).expect("the manifest");
        project.write("wflo.toml", &format!("{changed}{}", somebody(&manifest)));
        let mut check = project.command(&["check", "--json"]);
        let findings = Output::of(check.env("OPENAI_API_KEY", "none")).json();
        // Its data is made by its setup, which was not run.
        let is_wrong = |found: &&Value| {
            found["severity"] == "error" && !found["message"].to_string().contains("there is no file")
        };
        let wrong: Vec<_> = findings.as_array().expect("a list").iter().filter(is_wrong).collect();
        assert!(wrong.is_empty(), "{name}: {wrong:?}\n{changed}");
        tried += 1;
    }
    assert!(tried >= 3, "{tried}");
}

#[test]
fn a_server_in_the_place_of_the_tape_comes_to_the_same() {
    let (project, _) = Project::fraud();
    let provider = Provider::start(&project, &[]);
    let taped = project.wflo(&["run", "--json"]).expect_code(10).json();
    let deployment = std::fs::read_to_string(project.path("wflo.toml")).expect("the deployment");
    project.write("wflo.toml", &changed(&deployment, &provider.address).expect("it asks a model"));
    let mut run = project.command(&["run", "--json"]);
    let asked = Output::of(run.env("OPENAI_API_KEY", "none")).expect_code(10).json();
    assert_eq!(provider.requests(), 1);
    assert_eq!(taped["steps"][0]["output"], asked["steps"][0]["output"]);
    assert_eq!(taped["cost_usd"], asked["cost_usd"], "tokens are counted and charged as they were");
}

/// What the steps of a run came to; artifacts are named anew in each run.
fn outputs(run: &Value) -> Vec<Value> {
    let steps = run["steps"].as_array().expect("a run has steps").iter();
    let mut outputs: Vec<Value> = steps.map(|step| step["output"].clone()).collect();
    for field in outputs.iter_mut().filter_map(Value::as_object_mut).flat_map(|output| output.values_mut()) {
        if let Some(artifact) = field.as_object_mut().filter(|it| it.contains_key("artifact")) {
            artifact.retain(|name, _| name != "artifact");
        }
    }
    outputs
}

/// Runs an example on its tape, and with its answers at a server.
#[track_caller]
fn comes_to_the_same(project: &Project, inputs: &[&str], code: i32) {
    let run = || {
        let mut run = project.command(&["run", "--json"]);
        run.args(inputs.iter().flat_map(|input| ["--input", input])).env("OPENAI_API_KEY", "none");
        Output::of(&mut run).expect_code(code).json()
    };
    let taped = run();
    let deployment = std::fs::read_to_string(project.path("wflo.toml")).expect("the deployment");
    let (_, tape) = deployment.split_once("path = \"cassettes/").expect("it has a tape");
    let tape = project.path("cassettes").join(tape.split('"').next().expect("a name"));
    let provider = Provider::start(project, &["--answers", tape.to_str().expect("a path")]);
    project.write("wflo.toml", &changed(&deployment, &provider.address).expect("it asks a model"));
    assert_eq!(outputs(&taped), outputs(&run()));
    assert_ne!(provider.requests(), 0);
}

#[test]
fn every_example_comes_to_the_same_where_a_server_has_the_answers_of_its_tape() {
    comes_to_the_same(&Project::fraud().0, &[], 10);
    comes_to_the_same(&clinical::clinic(), &["patient_id=17"], 10);
    comes_to_the_same(&moderation::site("40").0, &[], 10);

    let service = Project::new("customer-service");
    Output::of(Command::new(binary("shop-data")).arg(service.path("shop.db"))).expect_code(0);
    service.wflo(&["identity", "add", "maria", "--group", "customer-service-manager"]).expect_code(0);
    let question = "message=Can I return shoes that I have worn once?";
    comes_to_the_same(&service, &[question, "customer_email=ann@customer.example"], 0);

    let source = etl::Source::start(&[]);
    comes_to_the_same(&etl::etl(&source).0, &[], 10);

    let infra = infrastructure::unapplied();
    Output::of(&mut infrastructure::setup(&infra)).expect_code(0);
    comes_to_the_same(&infra, &[], 10);

    let (review, _) = literature::review();
    let _university = literature::University::start(&review, &[]);
    comes_to_the_same(&review, &[], 10);
}
