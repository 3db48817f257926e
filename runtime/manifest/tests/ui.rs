//! Golden files: what a person reads when a manifest is wrong.
//!
//! `ui/<case>.toml` is a `workflow.toml`, checked against `ui/deployment/wflo.toml`; `ui/wflo-<case>.toml` is a
//! `wflo.toml`. Beside each lies what is printed, `<case>.stderr`. `WFLO_BLESS=1` writes them anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use wflo_manifest::{Deployment, Diagnostics, Directory, Pinning, Plan, Workflow};
use wflo_model::{Digest, TerraformVerb};

fn ui() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui")
}

fn deployment() -> Deployment {
    let text = fs::read_to_string(ui().join("deployment/wflo.toml")).unwrap();
    Deployment::parse("wflo.toml", &text).unwrap_or_else(|found| panic!("{found}"))
}

fn pin(workflow: &Workflow, deployment: &Deployment, known: &Directory) -> Result<Plan, Diagnostics> {
    let present = |path: &&wflo_manifest::ComponentRef| !path.to_string().contains("missing");
    let components = workflow.components().into_iter().filter(present);
    let components: BTreeMap<_, _> =
        components.map(|path| (path.clone(), Digest::of(path.to_string().as_bytes()))).collect();
    Plan::new(workflow, &Pinning { components: &components, deployment, known, prompts: &BTreeMap::new() })
}

fn check_workflow(text: &str) -> String {
    let workflow = match Workflow::parse("workflow.toml", text) {
        Ok(workflow) => workflow,
        Err(found) => return found.render(false),
    };
    let deployment = deployment();
    let mut said = workflow.hints().clone();
    if let Err(found) = pin(&workflow, &deployment, &deployment.directory()) {
        assert!(found.has_errors(), "a refusal without a reason");
        said.extend(found);
    }
    said.render(false)
}

fn check_deployment(text: &str) -> String {
    match Deployment::parse("wflo.toml", text) {
        Ok(deployment) => deployment.hints.render(false),
        Err(found) => found.render(false),
    }
}

#[test]
fn says_what_the_golden_files_say() {
    let bless = std::env::var_os("WFLO_BLESS").is_some();
    let mut cases: Vec<_> = fs::read_dir(ui()).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|ext| ext == "toml"));
    cases.sort();
    assert!(cases.len() > 30, "the cases are not where they were");
    let mut wrong = Vec::new();
    for case in cases {
        let text = fs::read_to_string(&case).unwrap();
        let name = case.file_stem().unwrap().to_str().unwrap();
        let said = if name.starts_with("wflo-") { check_deployment(&text) } else { check_workflow(&text) };
        let golden = case.with_extension("stderr");
        if bless {
            fs::write(&golden, &said).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != said {
            wrong.push(format!("{name}:\n{said}"));
        }
    }
    assert!(wrong.is_empty(), "not what the golden files say:\n\n{}", wrong.join("\n\n"));
}

#[test]
fn every_message_is_in_house_style() {
    for entry in fs::read_dir(ui()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ext| ext != "stderr") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for line in text.lines() {
            let Some(message) =
                ["error: ", "note: ", "hint: "].iter().find_map(|head| line.strip_prefix(head))
            else {
                continue;
            };
            let first = message.chars().next().unwrap();
            assert!(!first.is_uppercase(), "{}: {line}", path.display());
            assert!(!message.ends_with('.'), "{}: {line}", path.display());
            assert_eq!(message.matches('`').count() % 2, 0, "{}: {line}", path.display());
        }
    }
}

/// No text, however cut or bent, makes the readers panic; what is refused says where.
#[test]
fn survives_every_truncation_of_the_examples() {
    let texts = ["fraud-detection.toml", "all-keys.toml", "expressions.toml", "deployment/wflo.toml"];
    for file in texts {
        let text = fs::read_to_string(ui().join(file)).unwrap();
        for end in (0..text.len()).filter(|&end| text.is_char_boundary(end)) {
            for found in [
                Workflow::parse("workflow.toml", &text[..end]).err(),
                Deployment::parse("wflo.toml", &text[..end]).err(),
            ] {
                let Some(found) = found else { continue };
                assert!(found.has_errors(), "{file} cut at {end}");
                if end % 8 == 0 {
                    assert!(found.render(true).contains(".toml:"), "{file} cut at {end}");
                }
            }
        }
    }
}

mod plan {
    use super::*;
    use serde_json::{Map, json};
    use std::time::Duration;
    use wflo_manifest::{OnCancel, OnItemFailure, OnReject, Quorum, Scope};

    fn plan_of(file: &str) -> Plan {
        let workflow = Workflow::parse("workflow.toml", &fs::read_to_string(ui().join(file)).unwrap())
            .unwrap_or_else(|found| panic!("{found}"));
        let deployment = deployment();
        pin(&workflow, &deployment, &deployment.directory()).unwrap_or_else(|found| panic!("{found}"))
    }

    #[test]
    fn the_example_of_the_design_is_pinned_as_it_is_written() {
        let plan = plan_of("fraud-detection.toml");
        assert_eq!(plan.workflow.as_str(), "fraud-detection");
        assert_eq!(plan.version, "1.0.0");
        assert_eq!(plan.budget, Some("100".parse().unwrap()));
        let names: Vec<_> = plan.steps.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(names, ["analyze_transactions", "block_suspicious_accounts"]);
        let analyze = &plan.steps[0];
        assert!(analyze.grants.db["bank"].may_read("Transactions", "amount"));
        assert!(!analyze.grants.db["bank"].may_read("accounts", "id"));
        assert!(!analyze.grants.db["bank"].may_write("transactions", "amount"));
        assert_eq!(analyze.approval, None);
        let block = &plan.steps[1];
        assert!(block.rollback && block.grants.llm.is_empty());
        let rule = block.approval.as_ref().unwrap();
        assert_eq!(rule.quorum, Quorum::EachListed);
        assert_eq!(rule.timeout, Some(Duration::from_secs(3600)));
        assert_eq!(rule.valid, Duration::from_secs(86_400));
        assert_eq!(rule.notify.len(), 2);
        let prices: Vec<_> = plan.prices.keys().map(|model| model.as_str()).collect();
        assert_eq!(prices, ["gpt-4"]);
        assert_eq!(plan.transitive(&block.name), [analyze.name.clone()].into());
        assert!(plan.transitive(&analyze.name).is_empty());
    }

    #[test]
    fn its_bytes_are_canonical_and_read_back_as_itself() {
        for file in ["fraud-detection.toml", "all-keys.toml"] {
            let plan = plan_of(file);
            let back: Plan = serde_json::from_slice(&plan.bytes()).unwrap();
            assert_eq!(back, plan);
            assert_eq!(back.bytes(), plan.bytes());
            assert_eq!(back.digest(), plan.digest());
            assert_eq!(plan_of(file).digest(), plan.digest());
        }
        assert_ne!(plan_of("fraud-detection.toml").digest(), plan_of("all-keys.toml").digest());
    }

    #[test]
    fn the_digest_covers_components_prices_and_prompts() {
        let text = fs::read_to_string(ui().join("fraud-detection.toml")).unwrap();
        let workflow = Workflow::parse("workflow.toml", &text).unwrap();
        let digest = |component: &[u8], price: Option<&str>, prompt: Option<&[u8]>| {
            let mut deployment = deployment();
            if let Some(price) = price {
                let price =
                    wflo_manifest::Price::flat(price.parse().unwrap(), price.parse().unwrap(), "test");
                deployment.prices.set("gpt-4".parse().unwrap(), price);
            }
            let components =
                workflow.components().into_iter().map(|path| (path.clone(), Digest::of(component)));
            let prompts = prompt.map(|text| ("classify".to_owned(), Digest::of(text))).into_iter().collect();
            let pinning = Pinning {
                components: &components.collect(),
                deployment: &deployment,
                known: &deployment.directory(),
                prompts: &prompts,
            };
            Plan::new(&workflow, &pinning).unwrap().digest()
        };
        let base = digest(b"a", None, None);
        assert_eq!(base, digest(b"a", None, None));
        assert_ne!(base, digest(b"b", None, None));
        assert_ne!(base, digest(b"a", Some("0.00001"), None));
        assert_ne!(base, digest(b"a", None, Some(b"v2")));
    }

    #[test]
    fn every_key_reaches_the_plan() {
        let plan = plan_of("all-keys.toml");
        let step = plan.step(&"score".parse().unwrap()).unwrap();
        assert_eq!(step.function.as_str(), "score_v2");
        assert_eq!(step.limits.memory, 32 << 20);
        assert_eq!(step.limits.fuel, 1_000_000_000);
        assert_eq!(step.limits.output, 64 << 10);
        assert_eq!(step.limits.timeout, Duration::from_secs(60));
        assert_eq!((step.retry.max_attempts, step.retry.backoff), (3, Duration::from_secs(2)));
        assert!(step.grants.db["bank"].may_write("accounts", "blocked"));
        assert!(!step.grants.db["bank"].may_write("accounts", "balance"));
        assert_eq!(step.output.as_ref().unwrap()["type"], "object");
        let rule = step.approval.as_ref().unwrap();
        assert_eq!((rule.quorum, rule.on_reject), (Quorum::Any(2), OnReject::Skip));
        assert!(rule.allow_requester && rule.mandatory);
        // What the file does not write is the default, cut to the ceiling.
        assert!(step.output_violations(&json!({"score": 0.5})).is_empty());
        assert_eq!(step.output_violations(&json!({"score": "x"})).len(), 1);
        let other = plan.step(&"load".parse().unwrap()).unwrap();
        assert_eq!(other.limits.timeout, Duration::from_secs(120));
        assert_ne!(other.component, step.component);
        assert!(plan.component_grants(&other.component).llm.is_empty());
        assert_eq!(plan.component_grants(&step.component).llm.len(), 2);
    }

    #[test]
    fn conditions_and_lists_reach_the_plan() {
        let plan = plan_of("expressions.toml");
        let step = |name: &str| plan.step(&name.parse().unwrap()).unwrap();
        let analyze = step("analyze");
        assert_eq!(
            analyze.when.as_ref().unwrap().source(),
            "steps[\"fetch-all\"].output.total > 0 AND NOT inputs.deep"
        );
        assert_eq!(analyze.for_each.as_ref().unwrap().source(), "steps[\"fetch-all\"].output.papers");
        assert_eq!((analyze.max_parallel, analyze.on_item_failure), (Some(4), OnItemFailure::Collect));
        assert_eq!((&step("fetch-all").when, step("report").on_item_failure), (&None, OnItemFailure::Fail));
        assert_eq!(plan.on_cancel, OnCancel::Keep);
        let output = json!({"total": 2, "papers": ["a", "b"]});
        let inputs = json!({"deep": false});
        let mut scope = Scope::new();
        scope.bind(&["inputs"], &inputs).bind(&["steps", "fetch-all", "output"], &output);
        assert_eq!(analyze.when.as_ref().unwrap().holds(&scope), Ok(true));
        assert_eq!(analyze.for_each.as_ref().unwrap().evaluate(&scope), Ok(json!(["a", "b"])));
        let back: Plan = serde_json::from_slice(&plan.bytes()).unwrap();
        assert_eq!((back.digest(), &back), (plan.digest(), &plan));
        // What a plan does not say is not in it, so that plans of before keep their digests.
        let text = String::from_utf8(plan_of("fraud-detection.toml").bytes()).unwrap();
        for key in ["when", "for_each", "on_item_failure", "on_cancel"] {
            assert!(!text.contains(&format!("\"{key}\"")), "{key}");
        }
        insta::assert_snapshot!(plan.explain(&analyze.name).unwrap().lines().skip(2).take(3).collect::<Vec<_>>().join("\n"), @r#"
          starts when `fetch-all` succeeded, and sees what was returned
          is skipped unless `steps["fetch-all"].output.total > 0 AND NOT inputs.deep`
          runs for each element of `steps["fetch-all"].output.papers`, at most 4 at the same time; one that fails stands as failed in the output
        "#);
    }

    #[test]
    fn inputs_are_completed_and_checked() {
        let plan = plan_of("all-keys.toml");
        let given = |value: serde_json::Value| match value {
            serde_json::Value::Object(map) => plan.inputs(map),
            _ => plan.inputs(Map::new()),
        };
        let complete = given(json!({"threshold": 7})).unwrap();
        assert_eq!(
            serde_json::Value::Object(complete),
            json!({"since": "2026-01-01", "threshold": 7, "tags": ["x"]})
        );
        // One number is written in one way, however it was given.
        for threshold in [json!(7.0), serde_json::from_str("0.7e1").unwrap()] {
            assert_eq!(given(json!({ "threshold": threshold })).unwrap()["threshold"], json!(7));
        }
        let wrong = given(json!({"treshold": 7, "since": 4})).unwrap_err();
        insta::assert_snapshot!(wrong.join("\n"), @"
        workflow `all.keys` has no input `treshold`: did you mean `threshold`?
        input `since`: 4 is not of type `string`
        input `threshold` is missing and has no default
        ");
        assert!(given(json!({"threshold": 11})).unwrap_err()[0].contains("input `threshold`"));
    }

    #[test]
    fn texts_of_the_command_line_become_values() {
        let plan = plan_of("all-keys.toml");
        assert_eq!(plan.input_from_text("since", "2026"), Ok(json!("2026")));
        assert_eq!(plan.input_from_text("threshold", "7"), Ok(json!(7)));
        assert_eq!(plan.input_from_text("tags", r#"["a"]"#), Ok(json!(["a"])));
        assert!(plan.input_from_text("threshold", "seven").unwrap_err().contains("not JSON"));
        assert!(plan.input_from_text("tag", "x").unwrap_err().contains("did you mean `tags`?"));
    }

    #[test]
    fn a_step_is_explained_in_plain_words() {
        let plan = plan_of("fraud-detection.toml");
        let explain = |step: &str| plan.explain(&step.parse().unwrap());
        insta::assert_snapshot!(explain("analyze_transactions").unwrap(), @"
        step `analyze_transactions` of workflow `fraud-detection` 1.0.0
          runs `analyze_transactions` of component sha256:b201adaca2a545001756a6ff912c88b7d68c0e8d26ef1bde6a8c0c68c131af19
          starts at once
          may read table `transactions` of database `bank`
          may ask model `gpt-4` at 30 USD a million tokens asked and 60 answered (litellm 1.109.1, litellm/model_prices_and_context_window_backup.json, 2026-11-12)
          the run may spend 100 USD, and then waits
          reaches nothing else: no network, no files, no environment
          an attempt may use 64MiB of memory, 10000000000 units of fuel and 2 minutes, and return 1MiB
          it may make 10000 calls of 8MiB, 256MiB in all, log 1MiB, and write 1GiB to artifacts
          it is tried once
        ");
        insta::assert_snapshot!(explain("block_suspicious_accounts").unwrap(), @"
        step `block_suspicious_accounts` of workflow `fraud-detection` 1.0.0
          runs `block_suspicious_accounts` of component sha256:b201adaca2a545001756a6ff912c88b7d68c0e8d26ef1bde6a8c0c68c131af19
          starts when `analyze_transactions` succeeded, and sees what was returned
          needs the approval of `fraud-team` and `compliance`, a distinct person each; whoever asked for the run may not approve
          undecided after 1 hour it counts as rejected; a rejection fails the step
          may read table `accounts` of database `bank`
          may write table `accounts` of database `bank`
          reaches nothing else: no network, no files, no environment
          an attempt may use 64MiB of memory, 10000000000 units of fuel and 2 minutes, and return 1MiB
          it may make 10000 calls of 8MiB, 256MiB in all, log 1MiB, and write 1GiB to artifacts
          it is tried once
        ");
        assert_eq!(explain("nobody"), None);
        insta::assert_snapshot!(plan_of("reach.toml").explain(&"read".parse().unwrap()).unwrap(), @"
        step `read` of workflow `w` 0.0.0
          runs `read` of component sha256:b921e018073f05485b79f8d446e10ebefc85bffc21d5b0e785990d9fc7d3462f
          starts at once
          may ask model `gpt-4-medical` at 12 USD a million tokens asked and 36 answered ([prices] in wflo.toml)
          may request `POST https://a.example.org/*`
          may read files in folder `data` beside wflo.toml, which it finds at `/data`
          may read files in folder `public/files` beside wflo.toml, which it finds at `/all`
          may use secret `stripe` without seeing it, in requests to where the deployment binds it
          handles data labelled `internal` and `phi`: models, hosts, channels and addresses that do not accept it are not given anything
          spends without a limit: `budget_usd` is not set
          reaches nothing else: no other network, no other files, no environment
          an attempt may use 32MiB of memory, 10000000000 units of fuel and 2 minutes, and return 1MiB
          it may make 100 calls of 1MiB, 16MiB in all, log 64KiB, and write 8MiB to artifacts
          it is tried once
        ");
    }

    #[test]
    fn rows_are_explained_by_what_they_are_compared_with() {
        let plan = plan_of("rows.toml");
        let reach = |step: &str| {
            let words = plan.explain(&step.parse().unwrap()).unwrap();
            words
                .lines()
                .filter_map(|line| line.strip_prefix("  may "))
                .map(ToOwned::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            reach("look"),
            [
                "read `id` and `status` of table `accounts` of database `bank`, only rows where `id` is input `account` \
                 of the run",
                "read table `transactions` of database `bank`, only rows where `account_id` is input `account` of the \
                 run and `country` is one of \"AT\", \"CH\" and `deleted` is empty",
                "write `status` of table `accounts` of database `bank`, only rows where `id` is input `account` of the \
                 run",
            ]
        );
        assert_eq!(
            reach("each"),
            [
                "read table `transactions` of database `bank`, only rows where `account_id` is `id` of the element it \
              works on and `amount_cents` is at least 1000"
            ]
        );
        let json = serde_json::to_string(&plan).unwrap();
        assert!(json.contains(r#"{"rows":{"columns":["status"],"where":"id = :inputs.account"}}"#), "{json}");
        assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
    }

    #[test]
    fn what_has_no_runtime_yet_is_explained_all_the_same() {
        let mut plan = plan_of("reach.toml");
        let grants = &mut plan.steps[0].grants;
        grants.notify.insert("slack://fraud-alerts".parse().unwrap());
        grants.mail.insert("*@example.org".parse().unwrap());
        grants.knowledge.insert("help".parse().unwrap());
        grants.terraform.insert("prod".parse().unwrap(), TerraformVerb::ALL.map(|(_, verb)| verb).into());
        let words = plan.explain(&"read".parse().unwrap()).unwrap();
        for expect in [
            "may send messages to `slack://fraud-alerts`, which leave when the step has succeeded",
            "may write mails to `*@example.org`, which leave when the step has succeeded",
            "may search knowledge base `help`",
            "may read the state of terraform folder `prod`",
            "may plan changes of terraform folder `prod`",
            "may apply planned changes of terraform folder `prod`",
        ] {
            assert!(words.contains(expect), "{words}");
        }
    }

    #[test]
    fn people_of_the_store_count_beside_those_of_the_file() {
        let text = fs::read_to_string(ui().join("approver-unknown.toml")).unwrap();
        let workflow = Workflow::parse("workflow.toml", &text).unwrap();
        let deployment = deployment();
        let mut known = deployment.directory();
        assert!(pin(&workflow, &deployment, &known).is_err());
        known.add("dora".parse().unwrap(), ["fraud-taem".parse().unwrap(), "nobody-at-all".parse().unwrap()]);
        known.add("emil".parse().unwrap(), ["nobody-at-all".parse().unwrap()]);
        assert!(pin(&workflow, &deployment, &known).is_ok());
    }
}
