//! Approvals through the whole runtime: who decides, on what, and what follows.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use wflo::{ApprovalView, GateAt, RunStatus, RunView, RuntimeError, Start, StepStatus, Verdict, Voter};
use wflo_engine::{Event, VoteRefused};
use wflo_journal::FaultSync;
use wflo_manifest::{
    ApprovalAt, ApprovalRule, Approver, OnReject, OnTimeout, Plan, PlanStep, Policy, PolicyAction,
    PolicyEvent, Quorum,
};
use wflo_model::{ApprovalId, RunId};

use crate::step_tests::hold;
use crate::support::{COMPONENT, Process, World, effects};
use crate::sweep::{plan, step};

/// A run in a world of its own.
struct Run {
    world: World,
    process: Process,
    plan: Plan,
    run: RunId,
}

impl Run {
    async fn of(plan: Plan) -> (Self, RunView) {
        let world = World::new();
        let process = world.process(Arc::new(FaultSync::at(0))).await.unwrap();
        let components = vec![COMPONENT.into()];
        let pinned = plan.clone();
        let start = Start {
            plan: pinned,
            components,
            inputs: Map::new(),
            requester: "rita".parse().unwrap(),
            key: None,
        };
        let run = process.runtime.start(start).await.unwrap();
        let this = Self { world, process, plan, run };
        let view = this.drive().await;
        (this, view)
    }

    async fn drive(&self) -> RunView {
        let view = self.process.runtime.drive(self.run, &self.process.host, None).await.unwrap();
        if view.status.is_final() {
            let replayed = self.process.runtime.replay(self.run).await.unwrap();
            assert!(replayed.identical, "{replayed:?}");
            hold(&self.process, &self.plan, &view).await;
        }
        view
    }

    async fn vote(&self, id: ApprovalId, name: &str, verdict: Verdict) -> Result<ApprovalView, RuntimeError> {
        self.process.runtime.vote(id, &self.voter(name), verdict, None).await
    }

    async fn approve(&self, id: ApprovalId, name: &str) -> RunView {
        self.vote(id, name, Verdict::Approve).await.unwrap();
        self.drive().await
    }

    fn voter(&self, name: &str) -> Voter {
        let name = name.parse().unwrap();
        let groups = self.process.host.principals.groups_of(&name).unwrap_or_default();
        Voter { name, groups }
    }

    async fn edit(&self, id: ApprovalId, name: &str, value: Value) -> Result<ApprovalView, RuntimeError> {
        let Process { runtime, host, .. } = &self.process;
        runtime.edit(id, &self.voter(name), value, Some("less".into()), host).await
    }

    async fn events(&self) -> Vec<Event> {
        let events = self.process.runtime.events(self.run).await.unwrap();
        events.into_iter().map(|recorded| recorded.event).collect()
    }

    /// Lets the clock come to what is due next.
    async fn wait(&self) -> RunView {
        let due = self.process.runtime.journal().head(self.run).await.unwrap().due;
        self.process.clock.set(due.expect("something is due"));
        self.drive().await
    }

    fn paid(&self) -> Vec<String> {
        effects(&self.world.database()).1
    }
}

fn id(view: &RunView) -> ApprovalId {
    view.waiting_for.iter().find_map(|wait| wait.id).unwrap_or_else(|| panic!("nobody is asked: {view:?}"))
}

fn rule(approvers: &[&str]) -> ApprovalRule {
    ApprovalRule::new(approvers.iter().map(|name| Approver::new(*name)).collect(), Quorum::EachListed)
}

fn gated(name: &str, rule: ApprovalRule) -> PlanStep {
    PlanStep { approval: Some(rule), ..step(name, &[]) }
}

/// A policy that asks before every statement.
fn asks(rule: ApprovalRule) -> Policy {
    Policy {
        name: "every_statement".parse().unwrap(),
        when: "call.function == 'execute'".parse().unwrap(),
        on: [PolicyEvent::HostCall].into(),
        actions: vec![PolicyAction::RequireApproval(rule)],
    }
}

fn statement(text: &str) -> Value {
    json!({ "db": "ledger", "sql": "INSERT INTO notes (text) VALUES (?1)", "params": [text] })
}

#[tokio::test]
async fn nobody_in_time_is_a_rejection_consent_or_somebody_elses_question_as_the_gate_says() {
    let timeout = Some(Duration::from_secs(3600));
    let of = |on_timeout| ApprovalRule {
        timeout,
        on_timeout,
        escalation: vec![Approver::new("blue")],
        ..rule(&["red"])
    };
    let (run, view) = Run::of(plan(vec![gated("told", of(OnTimeout::Reject))], None)).await;
    let first = id(&view);
    let view = run.wait().await;
    assert_eq!(view.status, RunStatus::Failed);
    run.vote(first, "alice", Verdict::Approve).await.unwrap();
    let is_late = |event: &Event| matches!(event, Event::Voted { late: true, .. });
    assert!(run.events().await.iter().any(is_late), "a late vote is kept");
    assert_eq!(run.drive().await.status, RunStatus::Failed, "and changes nothing");

    let (run, _) = Run::of(plan(vec![gated("told", of(OnTimeout::Approve))], None)).await;
    let view = run.wait().await;
    assert_eq!(view.status, RunStatus::Succeeded);
    assert_eq!(view.steps[0].output, Some(json!({ "decision": "approved" })));

    let (run, view) = Run::of(plan(vec![gated("told", of(OnTimeout::Escalate))], None)).await;
    let first = id(&view);
    let view = run.wait().await;
    let second = id(&view);
    let asked = run.process.runtime.approval(second).await.unwrap();
    assert_eq!((view.status, asked.approvers), (RunStatus::Waiting, vec!["blue".to_owned()]));
    assert_eq!(
        (asked.follows, asked.subject_digest),
        (Some(first), {
            let before = run.process.runtime.approval(first).await.unwrap();
            assert_eq!(before.status, "superseded");
            before.subject_digest
        })
    );
    run.vote(first, "alice", Verdict::Approve).await.unwrap();
    assert_eq!(run.drive().await.status, RunStatus::Waiting, "too late");
    assert!(matches!(
        run.vote(second, "alice", Verdict::Approve).await,
        Err(RuntimeError::Vote(VoteRefused::NotAnApprover { .. }))
    ));
    assert_eq!(run.approve(second, "carol").await.status, RunStatus::Succeeded);

    // Where nobody decides after that either, it is a rejection.
    let (run, _) = Run::of(plan(vec![gated("told", of(OnTimeout::Escalate))], None)).await;
    run.wait().await;
    assert_eq!(run.wait().await.status, RunStatus::Failed);
}

#[tokio::test]
async fn a_vote_after_the_time_is_late_whether_or_not_anybody_was_there_to_say_so() {
    let rule = ApprovalRule {
        timeout: Some(Duration::from_secs(60)),
        on_timeout: OnTimeout::Escalate,
        escalation: vec![Approver::new("blue")],
        ..rule(&["red"])
    };
    let (run, view) = Run::of(plan(vec![gated("told", rule)], None)).await;
    let due = run.process.runtime.journal().head(run.run).await.unwrap().due.unwrap();
    run.process.clock.set(due);
    let first = run.vote(id(&view), "alice", Verdict::Approve).await.unwrap();
    assert_eq!((first.status.as_str(), first.votes.len()), ("superseded", 0));
    let view = run.drive().await;
    assert_eq!(run.approve(id(&view), "carol").await.status, RunStatus::Succeeded);
}

#[tokio::test]
async fn a_rejection_fails_skips_or_is_told_wherever_the_gate_stands() {
    for (on_reject, status, output) in [
        (OnReject::Fail, StepStatus::Failed, None),
        (OnReject::Skip, StepStatus::Skipped, None),
        (OnReject::Continue, StepStatus::Succeeded, Some(json!({ "decision": "rejected" }))),
    ] {
        let at_start = ApprovalRule { on_reject, ..rule(&["red"]) };
        let (run, view) = Run::of(plan(vec![gated("told", at_start.clone())], None)).await;
        run.vote(id(&view), "alice", Verdict::Reject).await.unwrap();
        let view = run.drive().await;
        assert_eq!(
            (view.steps[0].status, &view.steps[0].output),
            (status, &output),
            "{on_reject:?} at the start"
        );

        let by_policy = Plan { policies: vec![asks(at_start.clone())], ..plan(vec![step("pay", &[])], None) };
        let (run, view) = Run::of(by_policy).await;
        run.vote(id(&view), "alice", Verdict::Reject).await.unwrap();
        let view = run.drive().await;
        assert_eq!(view.steps[0].status, status, "{on_reject:?} at a call");
        assert!(run.paid().is_empty(), "{on_reject:?}");

        let at_run = Policy {
            name: "every_run".parse().unwrap(),
            when: "run.workflow == 'swept'".parse().unwrap(),
            on: [PolicyEvent::RunStart].into(),
            actions: vec![PolicyAction::RequireApproval(at_start)],
        };
        let (run, view) =
            Run::of(Plan { policies: vec![at_run], ..plan(vec![step("told", &[])], None) }).await;
        run.vote(id(&view), "alice", Verdict::Reject).await.unwrap();
        let view = run.drive().await;
        let expect = if on_reject == OnReject::Fail { RunStatus::Failed } else { RunStatus::Succeeded };
        assert_eq!((view.status, &view.steps[0].output), (expect, &output), "{on_reject:?} of a run");
    }
}

#[tokio::test]
async fn a_run_that_policies_ask_about_begins_when_people_have_approved_it() {
    let policy = Policy {
        name: "every_run".parse().unwrap(),
        when: "run.requester == 'rita'".parse().unwrap(),
        on: [PolicyEvent::RunStart].into(),
        actions: vec![PolicyAction::RequireApproval(ApprovalRule {
            valid: Duration::from_secs(60),
            ..rule(&["red", "blue"])
        })],
    };
    let (run, view) = Run::of(Plan { policies: vec![policy], ..plan(vec![step("pay", &[])], None) }).await;
    assert_eq!((view.status, view.waiting_for[0].step.clone()), (RunStatus::Waiting, None));
    assert_eq!(view.steps[0].status, StepStatus::Pending);
    let first = id(&view);
    let asked = run.process.runtime.approval(first).await.unwrap();
    assert_eq!((asked.at, &asked.shows["requester"]), (GateAt::Run, &json!("rita")));
    assert_eq!(asked.shows["policies"][0]["name"], "every_run");
    run.vote(first, "alice", Verdict::Approve).await.unwrap();
    run.vote(first, "carol", Verdict::Approve).await.unwrap();
    // What was decided and not used for too long is asked again.
    let late = run.process.runtime.events(run.run).await.unwrap().last().unwrap().time;
    run.process.clock.set(late.after(Duration::from_secs(61)));
    let view = run.drive().await;
    let second = id(&view);
    assert_ne!(first, second);
    run.vote(second, "alice", Verdict::Approve).await.unwrap();
    assert_eq!(run.approve(second, "carol").await.status, RunStatus::Succeeded);
    assert_eq!(run.paid(), ["150"]);
    let is_used =
        |event: &Event| matches!(event, Event::RunPermitted { consumes: Some(id) } if *id == second);
    assert_eq!(run.events().await.iter().filter(|event| is_used(event)).count(), 1);
}

#[tokio::test]
async fn an_edited_call_is_made_as_others_have_approved_it_and_replays_as_the_guest_asked() {
    let rule = ApprovalRule { allow_edit: true, ..rule(&["red"]) };
    let (run, view) =
        Run::of(Plan { policies: vec![asks(rule)], ..plan(vec![step("pay", &[])], None) }).await;
    let first = id(&view);
    let asked = run.process.runtime.approval(first).await.unwrap();
    assert!(asked.may_edit);
    // What does not fit is not asked about.
    for wrong in [
        json!([1]),
        json!({ "db": "ledger", "sql": "SELECT 1", "params": [], "extra": 1 }),
        json!({ "db": "other", "sql": "SELECT 1", "params": [] }),
        json!({ "db": "ledger", "sql": 7, "params": [] }),
    ] {
        assert!(
            matches!(run.edit(first, "alice", wrong.clone()).await, Err(RuntimeError::BadEdit { .. })),
            "{wrong}"
        );
    }
    assert!(matches!(
        run.edit(first, "carol", statement("50")).await,
        Err(RuntimeError::Vote(VoteRefused::NotAnApprover { .. }))
    ));
    let second = run.edit(first, "alice", statement("50")).await.unwrap();
    assert_ne!(second.subject_digest, asked.subject_digest);
    assert_eq!((second.follows, second.votes.len()), (Some(first), 0));
    assert_eq!(second.shows["call"]["args"]["params"], json!(["50"]));
    assert_eq!(second.shows["asked"]["args"]["params"], json!(["150"]));
    assert_eq!(run.drive().await.status, RunStatus::Waiting);
    assert!(matches!(
        run.vote(second.id, "alice", Verdict::Approve).await,
        Err(RuntimeError::Vote(VoteRefused::Author { .. }))
    ));
    assert!(
        matches!(run.edit(second.id, "bob", statement("40")).await, Err(RuntimeError::BadEdit { .. })),
        "with both as authors nobody would be left"
    );
    let view = run.approve(second.id, "bob").await;
    assert_eq!(view.status, RunStatus::Succeeded, "{view:?}");
    assert_eq!(run.paid(), ["50"]);
    let intents: Vec<_> = run
        .events()
        .await
        .into_iter()
        .filter_map(|event| match event {
            Event::Intent { asked, performed, .. } => Some((asked.args, performed.map(|call| call.args))),
            _ => None,
        })
        .collect();
    assert_eq!(intents, [(statement("150"), Some(statement("50")))]);
}

#[tokio::test]
async fn a_gate_that_allows_no_edits_has_none_and_a_policy_judges_an_edit() {
    let (run, view) =
        Run::of(Plan { policies: vec![asks(rule(&["red"]))], ..plan(vec![step("pay", &[])], None) }).await;
    assert!(matches!(
        run.edit(id(&view), "alice", statement("50")).await,
        Err(RuntimeError::Vote(VoteRefused::NotEditable { .. }))
    ));
    let deny = Policy {
        name: "no_drop".parse().unwrap(),
        when: "call.args.sql == 'DELETE FROM notes'".parse().unwrap(),
        on: [PolicyEvent::HostCall].into(),
        actions: vec![PolicyAction::Deny],
    };
    let editable = ApprovalRule { allow_edit: true, ..rule(&["red"]) };
    let policies = vec![asks(editable), deny];
    let (run, view) = Run::of(Plan { policies, ..plan(vec![step("pay", &[])], None) }).await;
    let drop = json!({ "db": "ledger", "sql": "DELETE FROM notes", "params": [] });
    let refused = run.edit(id(&view), "alice", drop).await.unwrap_err();
    assert!(refused.to_string().contains("`no_drop` denies it"), "{refused}");
}

#[tokio::test]
async fn what_was_approved_by_somebody_who_has_left_is_asked_again() {
    let by_policy = Plan { policies: vec![asks(rule(&["red"]))], ..plan(vec![step("pay", &[])], None) };
    for plan in [plan(vec![gated("pay", rule(&["red"]))], None), by_policy] {
        let (mut run, view) = Run::of(plan).await;
        let first = id(&view);
        run.vote(first, "alice", Verdict::Approve).await.unwrap();
        run.process.host.principals.0.remove("alice");
        let view = run.drive().await;
        assert_eq!(view.status, RunStatus::Waiting);
        assert_ne!(id(&view), first);
        assert!(run.paid().is_empty());
        assert_eq!(run.approve(id(&view), "bob").await.status, RunStatus::Succeeded);
        assert_eq!(run.paid(), ["150"]);
    }
}

#[tokio::test]
async fn a_policy_that_permits_it_answers_what_a_step_asks() {
    let permit = Policy {
        name: "no_need_to_ask".parse().unwrap(),
        when: "call.function == 'request'".parse().unwrap(),
        on: [PolicyEvent::HostCall].into(),
        actions: vec![PolicyAction::AutoApprove],
    };
    let (_, view) = Run::of(Plan { policies: vec![permit], ..plan(vec![step("ask", &[])], None) }).await;
    assert_eq!((view.status, &view.steps[0].output), (RunStatus::Succeeded, &Some(json!("approved"))));
}

#[tokio::test]
async fn what_was_decided_and_not_acted_upon_is_found_by_whoever_resumes() {
    let steps = vec![gated("pay", rule(&["red"])), gated("told", rule(&["blue"]))];
    let (run, view) = Run::of(plan(steps, None)).await;
    assert_eq!(view.waiting_for.len(), 2);
    let found = async || {
        let found = run.process.runtime.resumable().await.unwrap();
        (found.runs, found.waiting, found.parked)
    };
    assert_eq!(found().await, (vec![], 1, 0));
    let pay =
        view.waiting_for.iter().find(|wait| wait.step.as_ref().is_some_and(|step| step.as_str() == "pay"));
    run.vote(pay.unwrap().id.unwrap(), "alice", Verdict::Approve).await.unwrap();
    assert_eq!(found().await, (vec![run.run], 0, 0), "it may begin, whoever has to do it");
    let view = run.drive().await;
    assert_eq!((view.status, run.paid()), (RunStatus::Waiting, vec!["150".to_owned()]));
    assert_eq!(found().await, (vec![], 1, 0));
    run.process.runtime.cancel(run.run, &"rita".parse().unwrap(), None).await.unwrap();
    assert_eq!(found().await, (vec![run.run], 0, 0));
    assert_eq!(run.drive().await.status, RunStatus::Cancelled);
    assert_eq!(found().await, (vec![], 0, 0));
}

#[tokio::test]
async fn money_that_was_asked_for_and_granted_lets_a_run_go_on() {
    let of = |budget_approvers: Vec<Approver>| Plan {
        budget_approvers,
        ..plan(vec![step("think", &[])], Some("0.10"))
    };
    let (run, view) = Run::of(of(Vec::new())).await;
    assert_eq!(view.status, RunStatus::Parked);
    let five = "5".parse().unwrap();
    let refused = run.process.runtime.top_up(run.run, five, &"rita".parse().unwrap()).await;
    assert!(matches!(refused, Err(RuntimeError::NoTopUp { .. })));

    let (run, view) = Run::of(of(vec![Approver::new("money")])).await;
    assert_eq!(view.status, RunStatus::Parked);
    let asked = run.process.runtime.top_up(run.run, five, &"dave".parse().unwrap()).await.unwrap();
    assert_eq!((asked.at, &asked.shows["budget_usd_then"]), (GateAt::TopUp, &json!("5.1")));
    assert_eq!(run.drive().await.status, RunStatus::Waiting);
    assert!(
        matches!(
            run.vote(asked.id, "dave", Verdict::Approve).await,
            Err(RuntimeError::Vote(VoteRefused::Author { .. }))
        ),
        "whoever asks does not decide"
    );
    run.vote(asked.id, "alice", Verdict::Approve).await.unwrap_err();
    let asked = run.process.runtime.top_up(run.run, five, &"rita".parse().unwrap()).await.unwrap();
    let view = run.approve(asked.id, "dave").await;
    assert_eq!(view.status, RunStatus::Succeeded);
    assert_eq!(view.budget_usd, Some("5.1".parse().unwrap()));
    let open = run.process.runtime.approvals(true).await.unwrap();
    assert!(open.iter().all(|approval| approval.status != "open"), "what was not needed is closed: {open:?}");
}

fn commit(rule: ApprovalRule) -> ApprovalRule {
    ApprovalRule { at: ApprovalAt::Commit, ..rule }
}

/// What an approval shows of the rows of a table that would change: the kind, the key, before and after.
fn rows(shows: &Value) -> &Value {
    &shows["changes"]["ledger"]["tables"][0]["rows"]
}

#[tokio::test]
async fn people_see_the_very_rows_that_a_step_commits_when_they_have_approved_them() {
    let (run, view) = Run::of(plan(vec![gated("note", commit(rule(&["red"])))], None)).await;
    assert_eq!(
        (view.status, view.waiting_for[0].step.as_ref().unwrap().as_str()),
        (RunStatus::Waiting, "note")
    );
    let asked = run.process.runtime.approval(id(&view)).await.unwrap();
    assert_eq!((asked.at, &asked.shows["output"]["item"]), (GateAt::Commit, &json!("the step")));
    let tables: Vec<_> = asked.shows["changes"]["ledger"]["tables"].as_array().unwrap().iter().collect();
    assert_eq!((tables[0]["table"].as_str(), tables[1]["table"].as_str()), (Some("counter"), Some("notes")));
    let row = &tables[0]["rows"][0];
    assert_eq!(row["kind"], "update");
    assert_ne!(row["before"], row["after"]);
    assert_eq!(effects(&run.world.database()), (0, vec![]), "nothing is there while they look");
    let calls = run.world.model.calls.lock().unwrap().len();
    let view = run.approve(id(&view), "alice").await;
    assert_eq!((view.status, view.steps[0].attempts), (RunStatus::Succeeded, 1));
    assert_eq!(effects(&run.world.database()), (1, vec!["the step".to_owned()]));
    assert_eq!(run.world.model.calls.lock().unwrap().len(), calls, "no model is asked again");
    // Used up in one piece with what it permits.
    let events = run.process.runtime.events(run.run).await.unwrap();
    let at = events.iter().position(|event| matches!(event.event, Event::Committing { .. })).unwrap();
    let Event::Returned(returned) = &events[at - 1].event else { panic!("{:?}", events[at - 1]) };
    assert_eq!(returned.consumes, Some(asked.id));
}

#[tokio::test]
async fn at_a_commit_a_rejection_discards_the_writes_and_a_gate_may_keep_the_output() {
    for (on_reject, status) in [
        (OnReject::Fail, StepStatus::Failed),
        (OnReject::Skip, StepStatus::Skipped),
        (OnReject::Continue, StepStatus::Succeeded),
    ] {
        let gate = ApprovalRule { on_reject, ..commit(rule(&["red"])) };
        let told = PlanStep { depends_on: ["pay".parse().unwrap()].into(), ..step("told", &[]) };
        let (run, view) = Run::of(plan(vec![gated("pay", gate), told], None)).await;
        run.vote(id(&view), "alice", Verdict::Reject).await.unwrap();
        let view = run.drive().await;
        assert_eq!(view.steps[0].status, status, "{on_reject:?}");
        assert!(run.paid().is_empty(), "{on_reject:?}");
        if on_reject == OnReject::Continue {
            assert_eq!(view.steps[0].output.as_ref().unwrap()["paid"], 150);
            assert_eq!(
                view.steps[1].output,
                Some(json!({ "decision": "rejected" })),
                "its followers can read it"
            );
        }
    }
}

#[tokio::test]
async fn rows_that_have_changed_meanwhile_are_asked_about_anew() {
    let gate = commit(rule(&["red"]));
    let (run, view) = Run::of(plan(vec![gated("note", gate)], None)).await;
    let first = id(&view);
    let before = run.process.runtime.approval(first).await.unwrap();
    run.vote(first, "alice", Verdict::Approve).await.unwrap();
    // The statement will come to the same, one row changed, and the row to another value.
    let owner = rusqlite::Connection::open(run.world.database()).unwrap();
    owner.execute("UPDATE counter SET n = 41 WHERE id = 1", []).unwrap();
    let view = run.drive().await;
    let second = id(&view);
    assert_ne!(first, second);
    assert_eq!(run.process.runtime.approval(first).await.unwrap().status, "superseded");
    let asked = run.process.runtime.approval(second).await.unwrap();
    assert_ne!(asked.subject_digest, before.subject_digest);
    assert_ne!(rows(&asked.shows), rows(&before.shows));
    let differs = &asked.shows["differs"];
    assert_eq!((&differs["table"], &differs["column"]), (&json!("counter"), &json!("n")), "{differs}");
    assert_eq!((&differs["was"], &differs["is"]), (&json!({ "integer": "1" }), &json!({ "integer": "42" })));
    assert_eq!(before.shows.get("differs"), None);
    assert_eq!(run.approve(second, "bob").await.status, RunStatus::Succeeded);
    assert_eq!(effects(&run.world.database()).0, 42);
}

#[tokio::test]
async fn an_output_is_edited_approved_by_another_and_what_the_step_ends_with() {
    let gate = ApprovalRule { allow_edit: true, ..commit(rule(&["red"])) };
    let pay = PlanStep {
        output: Some(
            json!({ "type": "object", "properties": { "paid": { "type": "integer", "maximum": 150 } } }),
        ),
        ..gated("pay", gate)
    };
    let (run, view) = Run::of(plan(vec![pay], None)).await;
    let refused = run.edit(id(&view), "alice", json!({ "paid": 900 })).await.unwrap_err();
    assert!(matches!(refused, RuntimeError::BadEdit { .. }), "{refused}");
    let second = run.edit(id(&view), "alice", json!({ "paid": 120 })).await.unwrap();
    assert_eq!(
        (&second.shows["output"], &second.shows["output_of_step"]["paid"]),
        (&json!({ "paid": 120 }), &json!(150))
    );
    assert!(run.vote(second.id, "alice", Verdict::Approve).await.is_err());
    let view = run.approve(second.id, "bob").await;
    assert_eq!((view.status, &view.steps[0].output), (RunStatus::Succeeded, &Some(json!({ "paid": 120 }))));
    assert_eq!(run.paid(), ["150"], "what was written is what was shown");
}

#[tokio::test]
async fn a_policy_waives_a_commit_gate_unless_it_is_mandatory() {
    let permit = Policy {
        name: "small".parse().unwrap(),
        when: "paid < 1000".parse().unwrap(),
        on: [PolicyEvent::StepOutput].into(),
        actions: vec![PolicyAction::AutoApprove],
    };
    for (mandatory, status) in [(false, RunStatus::Succeeded), (true, RunStatus::Waiting)] {
        let gate = ApprovalRule { mandatory, ..commit(rule(&["red"])) };
        let pay = PlanStep {
            output: Some(json!({ "type": "object", "properties": { "paid": { "type": "integer" } } })),
            ..gated("pay", gate)
        };
        let (run, view) = Run::of(Plan { policies: vec![permit.clone()], ..plan(vec![pay], None) }).await;
        assert_eq!(view.status, status);
        assert_eq!(run.paid().len(), usize::from(!mandatory));
    }
}

#[tokio::test]
async fn a_gate_and_policies_at_one_commit_are_one_question() {
    let ask = Policy {
        name: "large".parse().unwrap(),
        when: "paid > 100".parse().unwrap(),
        on: [PolicyEvent::StepOutput].into(),
        actions: vec![PolicyAction::RequireApproval(rule(&["blue"]))],
    };
    let pay = PlanStep {
        output: Some(json!({ "type": "object", "properties": { "paid": { "type": "integer" } } })),
        ..gated("pay", commit(rule(&["red"])))
    };
    let (run, view) = Run::of(Plan { policies: vec![ask], ..plan(vec![pay], None) }).await;
    let asked = run.process.runtime.approval(id(&view)).await.unwrap();
    assert_eq!(asked.approvers, ["blue", "red"]);
    run.vote(asked.id, "alice", Verdict::Approve).await.unwrap();
    assert_eq!(run.drive().await.status, RunStatus::Waiting);
    assert_eq!(run.approve(asked.id, "carol").await.status, RunStatus::Succeeded);
    assert_eq!(run.paid(), ["150"]);
}
