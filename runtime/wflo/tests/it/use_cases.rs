//! The approvals, policies and budgets of the use cases that wflo was made for, as their manifests write them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use wflo::{ApprovalView, RunStatus, RunView, Start, StepStatus, Verdict, Voter};
use wflo_journal::FaultSync;
use wflo_manifest::{Deployment, Pinning, Plan, Workflow};
use wflo_model::{ApprovalId, Digest, RunId};

use crate::step_tests::hold;
use crate::support::{COMPONENT, Process, World, effects};

const DEPLOYMENT: &str = r#"
[llm.test]
kind = "cassette"
path = "test.jsonl"
models = ["counting-1"]
[prices]
"counting-1" = { input_per_million = "10000", output_per_million = "10000" }
[db.ledger]
url = "sqlite:ledger.db"
[budget]
min_output_tokens = 1
[channel."slack://fraud-alerts"]
webhook = "env:SLACK"
[channel."pagerduty://fraud-team"]
routing_key = "env:PAGER"
[channel."pager://on-call-physician"]
to = "pagerduty://fraud-team"
[channel."slack://cs-managers"]
webhook = "env:SLACK"
[channel."slack://data-eng"]
webhook = "env:SLACK"
[channel."slack://sre"]
webhook = "env:SLACK"
[channel."pagerduty://sre-oncall"]
routing_key = "env:PAGER"
[channel."slack://moderation"]
webhook = "env:SLACK"
[channel."email://pi@university.edu"]
smtp = "smtp://127.0.0.1:25"
from = "wflo@university.edu"
"#;

/// A use case: its manifest, in a world of its own.
struct Case {
    world: World,
    process: Process,
    plan: Plan,
}

struct Ran {
    run: RunId,
    view: RunView,
}

impl Case {
    async fn new(text: &str) -> Self {
        let world = World::new();
        let process = world.process(Arc::new(FaultSync::at(0))).await.unwrap();
        let text = format!("{text}\n");
        let workflow = Workflow::parse("workflow.toml", &text).unwrap_or_else(|wrong| panic!("{wrong}"));
        let deployment = Deployment::parse("wflo.toml", DEPLOYMENT).unwrap_or_else(|wrong| panic!("{wrong}"));
        let components = workflow.components().into_iter().map(|it| (it.clone(), Digest::of(COMPONENT)));
        let components: BTreeMap<_, _> = components.collect();
        let known = process.host.principals.directory();
        let pinning = Pinning {
            components: &components,
            deployment: &deployment,
            known: &known,
            prompts: &BTreeMap::new(),
        };
        let plan = Plan::new(&workflow, &pinning).unwrap_or_else(|wrong| panic!("{wrong}"));
        Self { world, process, plan }
    }

    async fn run(&self, inputs: Value) -> Ran {
        let inputs: Map<String, Value> = inputs.as_object().cloned().unwrap_or_default();
        let inputs = self.plan.inputs(inputs).unwrap();
        let start = Start {
            plan: self.plan.clone(),
            components: vec![COMPONENT.into()],
            inputs,
            requester: "local:rita".parse().unwrap(),
            key: None,
        };
        let run = self.process.runtime.start(start).await.unwrap();
        Ran { run, view: self.drive(run).await }
    }

    async fn drive(&self, run: RunId) -> RunView {
        let view = self.process.runtime.drive(run, &self.process.host, None).await.unwrap();
        if view.status.is_final() {
            hold(&self.process, &self.plan, &view).await;
        }
        view
    }

    async fn asked(&self, view: &RunView) -> ApprovalView {
        let id = view.waiting_for.iter().find_map(|wait| wait.id).unwrap_or_else(|| panic!("{view:?}"));
        self.process.runtime.approval(id).await.unwrap()
    }

    async fn vote(&self, id: ApprovalId, name: &str, verdict: Verdict) -> bool {
        let name = name.parse().unwrap();
        let groups = self.process.host.principals.groups_of(&name).unwrap_or_default();
        self.process.runtime.vote(id, &Voter { name, groups }, verdict, None).await.is_ok()
    }

    fn done(&self) -> Vec<String> {
        effects(&self.world.database()).1
    }
}

fn status<'a>(view: &'a RunView, step: &str) -> (StepStatus, &'a Option<Value>) {
    let step = view.steps.iter().find(|it| it.name.as_str() == step).unwrap();
    (step.status, &step.output)
}

#[tokio::test]
async fn fraud_detection() {
    let case = Case::new(
        r#"
[workflow]
name = "fraud-detection"
component = "scripts.wasm"
budget_usd = "100.00"

[[step]]
name = "analyze_transactions"
grants.llm = ["counting-1"]

[[step]]
name = "block_suspicious_accounts"
depends_on = ["analyze_transactions"]
rollback = true
grants.db.ledger = { write = ["notes"] }

[step.approval]
approvers = ["fraud-team", "compliance"]
timeout_seconds = 3600
notify = ["slack://fraud-alerts", "pagerduty://fraud-team"]
"#,
    )
    .await;
    let Ran { run, view } = case.run(json!({})).await;
    let asked = case.asked(&view).await;
    assert_eq!(asked.approvers, ["fraud-team", "compliance"]);
    assert!(asked.expires_at.is_some() && case.done().is_empty());
    assert!(!case.vote(asked.id, "dan", Verdict::Approve).await, "of another team");
    assert!(case.vote(asked.id, "fay", Verdict::Approve).await);
    assert_eq!(case.drive(run).await.status, RunStatus::Waiting, "it takes both teams");
    assert!(case.vote(asked.id, "cora", Verdict::Approve).await);
    let view = case.drive(run).await;
    assert_eq!((view.status, view.budget_usd), (RunStatus::Succeeded, Some("100".parse().unwrap())));
    assert_eq!(case.done(), ["block_suspicious_accounts"]);
}

#[tokio::test]
async fn clinical_decision_support() {
    let case = Case::new(
        r#"
[workflow]
name = "clinical-decision-support"
component = "scripts.wasm"

[[step]]
name = "analyze_patient_data"
grants.llm = ["counting-1"]

[[step]]
name = "recommend_treatment"
depends_on = ["analyze_patient_data"]

[step.approval]
approvers = ["attending-physician"]
mandatory = true
timeout_seconds = 7200
notify = ["pager://on-call-physician"]
"#,
    )
    .await;
    // Nobody answers the pager for two hours: there is no treatment.
    let Ran { run, view } = case.run(json!({})).await;
    assert_eq!(status(&view, "recommend_treatment").0, StepStatus::Waiting);
    case.process.clock.set(case.process.runtime.journal().head(run).await.unwrap().due.unwrap());
    let view = case.drive(run).await;
    assert_eq!(
        (view.status, status(&view, "recommend_treatment").0),
        (RunStatus::Failed, StepStatus::Failed)
    );

    let Ran { run, view } = case.run(json!({})).await;
    let asked = case.asked(&view).await;
    assert_eq!(
        asked.shows["depends_on"]["analyze_patient_data"], "an answer",
        "the diagnosis is what is decided on"
    );
    assert!(case.vote(asked.id, "dr-chen", Verdict::Approve).await);
    assert_eq!(case.drive(run).await.status, RunStatus::Succeeded);
}

#[tokio::test]
async fn customer_service() {
    let case = Case::new(
        r#"
[workflow]
name = "customer-service"
component = "scripts.wasm"
budget_usd = "5.00"

[inputs.refund_amount]
type = "number"

[[step]]
name = "understand_query"
grants.llm = ["counting-1"]

[[step]]
name = "handle_query"
depends_on = ["understand_query"]
facts = { refund_amount = "number" }
grants.db.ledger = { write = ["notes"] }

[step.output]
type = "object"
[step.output.properties.refund_amount]
type = "number"

[[policy]]
name = "large_refund_approval"
when = "refund_amount > 100"
actions = [{ require_approval = { approvers = ["customer-service-manager"] } }, { notify = "slack://cs-managers" }]
"#,
    )
    .await;
    let Ran { view, .. } = case.run(json!({ "refund_amount": 100 })).await;
    assert_eq!(view.status, RunStatus::Succeeded, "nobody is asked about a hundred");
    assert_eq!(view.budget_usd, Some("5".parse().unwrap()));
    let Ran { run, view } = case.run(json!({ "refund_amount": 150 })).await;
    let asked = case.asked(&view).await;
    assert_eq!(asked.approvers, ["customer-service-manager"]);
    assert_eq!(case.done(), ["100"], "nothing is paid before");
    assert!(case.vote(asked.id, "maria", Verdict::Approve).await);
    let view = case.drive(run).await;
    assert_eq!(view.status, RunStatus::Succeeded, "asked once, though it is a fact and in the output");
    assert_eq!(case.done(), ["100", "150"]);
}

#[tokio::test]
async fn etl_pipeline() {
    let case = Case::new(
        r#"
[workflow]
name = "etl-pipeline"
component = "scripts.wasm"

[[step]]
name = "validate_quality"

[[step]]
name = "load_to_warehouse"
depends_on = ["validate_quality"]
rollback = true
grants.db.ledger = { write = ["notes"] }

[step.approval]
approvers = ["data-team"]
at = "commit"
notify = ["slack://data-eng"]
"#,
    )
    .await;
    let Ran { run, view } = case.run(json!({})).await;
    let asked = case.asked(&view).await;
    let row = &asked.shows["changes"]["ledger"]["tables"][0];
    assert_eq!((&row["table"], &row["rows"][0]["kind"]), (&json!("notes"), &json!("insert")), "{row}");
    assert!(case.vote(asked.id, "dan", Verdict::Reject).await);
    let view = case.drive(run).await;
    assert_eq!(view.status, RunStatus::Failed);
    assert!(case.done().is_empty(), "nothing is loaded");
    let Ran { run, view } = case.run(json!({})).await;
    assert!(case.vote(case.asked(&view).await.id, "dan", Verdict::Approve).await);
    assert_eq!(case.drive(run).await.status, RunStatus::Succeeded);
    assert_eq!(case.done(), ["load_to_warehouse"]);
}

#[tokio::test]
async fn infrastructure_optimization() {
    let case = Case::new(
        r#"
[workflow]
name = "infrastructure-optimization"
component = "scripts.wasm"

[[step]]
name = "analyze_infrastructure"

[[step]]
name = "generate_terraform"
depends_on = ["analyze_infrastructure"]

[step.approval]
approvers = ["sre-team", "security-team"]
timeout_seconds = 7200
notify = ["slack://sre", "pagerduty://sre-oncall"]

[[step]]
name = "apply_changes"
depends_on = ["generate_terraform"]
rollback = true
"#,
    )
    .await;
    let Ran { run, view } = case.run(json!({})).await;
    let asked = case.asked(&view).await;
    assert_eq!((asked.quorum, asked.lacking.len()), (2, 2));
    assert!(case.vote(asked.id, "sec", Verdict::Approve).await);
    assert!(!case.vote(asked.id, "sec", Verdict::Approve).await, "one person has one vote");
    assert_eq!(case.drive(run).await.status, RunStatus::Waiting);
    assert!(case.vote(asked.id, "sam", Verdict::Approve).await);
    let view = case.drive(run).await;
    assert_eq!(status(&view, "apply_changes").1, &Some(json!("apply_changes")));
}

#[tokio::test]
async fn content_moderation() {
    let case = Case::new(
        r#"
[workflow]
name = "content-moderation"
component = "scripts.wasm"
budget_usd = "0.25"
on_exceeded = "fail"

[inputs.confidence]
type = "number"
[inputs.verdict]
type = "string"

[[step]]
name = "analyze_content"
grants.llm = ["counting-1"]

[step.output]
type = "object"
[step.output.properties.confidence]
type = "number"
[step.output.properties.verdict]
type = "string"

[[step]]
name = "take_action"
depends_on = ["analyze_content"]

[[policy]]
name = "auto_approve_safe"
when = "confidence > 0.95 AND verdict == 'safe'"
actions = ["auto_approve"]

[[policy]]
name = "human_review_ambiguous"
when = "confidence < 0.80"
actions = [{ require_approval = { approvers = ["moderation-team"], on_reject = "continue" } }, { notify = "slack://moderation" }]
"#,
    )
    .await;
    for (confidence, verdict, action) in
        [(0.99, "safe", "approved"), (0.9, "review", "approved"), (0.97, "block", "blocked")]
    {
        let Ran { view, .. } = case.run(json!({ "confidence": confidence, "verdict": verdict })).await;
        assert_eq!(
            status(&view, "take_action").1,
            &Some(json!({ "action": action })),
            "{confidence} {verdict}"
        );
    }
    for (verdict, action) in [(Verdict::Approve, "approved"), (Verdict::Reject, "rejected")] {
        let Ran { run, view } = case.run(json!({ "confidence": 0.6, "verdict": "review" })).await;
        let asked = case.asked(&view).await;
        assert_eq!(asked.shows["output"]["confidence"], 0.6);
        assert!(case.vote(asked.id, "mo", verdict).await);
        let view = case.drive(run).await;
        assert_eq!(
            status(&view, "take_action").1,
            &Some(json!({ "action": action })),
            "`take_action` reads it"
        );
    }
}

#[tokio::test]
async fn literature_review() {
    let case = Case::new(
        r#"
[workflow]
name = "literature-review"
component = "scripts.wasm"
budget_usd = "0.50"
budget_approvers = ["principal-investigator"]
budget_alerts = [80]

[inputs.papers]
type = "array"

[[step]]
name = "analyze_papers"
for_each = "inputs.papers"
max_parallel = 4
grants.llm = ["counting-1"]

[[step]]
name = "publish_findings"
depends_on = ["analyze_papers"]
grants.db.ledger = { write = ["notes"] }

[step.approval]
approvers = ["principal-investigator"]
notify = ["email://pi@university.edu"]
"#,
    )
    .await;
    let papers: Vec<_> = (0..8).map(|n| format!("paper {n}")).collect();
    let Ran { run, view } = case.run(json!({ "papers": papers })).await;
    // Each answer costs 0.15 and holds 0.20 before: of eight papers money is there for three, or for two where the
    // others asked while those two were held for.
    assert_eq!(view.status, RunStatus::Parked);
    let spent = ["0.30", "0.45"].map(|usd| usd.parse().unwrap());
    assert!(spent.contains(&view.cost_usd), "{}", view.cost_usd);
    let rita = "local:rita".parse().unwrap();
    let more = case.process.runtime.top_up(run, "1".parse().unwrap(), &rita).await.unwrap();
    assert!(case.vote(more.id, "pia", Verdict::Approve).await);
    let view = case.drive(run).await;
    assert_eq!((view.status, view.cost_usd), (RunStatus::Waiting, "1.20".parse().unwrap()));
    assert!(case.done().is_empty(), "nothing is published before its investigator has read it");
    assert!(case.vote(case.asked(&view).await.id, "pia", Verdict::Approve).await);
    assert_eq!(case.drive(run).await.status, RunStatus::Succeeded);
    assert_eq!(case.done(), ["publish_findings"]);
}
