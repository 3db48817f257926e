//! Every example runs against any server that speaks OpenAI's chat API, by changing one block of its `wflo.toml`.

use std::collections::BTreeSet;

use crate::harness::{Output, Project, Provider, root};

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
        let mut check = project.command(&["check"]);
        let checked = Output::of(check.env("OPENAI_API_KEY", "none"));
        assert_eq!(checked.code, 0, "{name}: {}\n{changed}", checked.stderr);
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
