//! What policies and people say at the output of a step: after the guest has returned, before anything it wrote commits.
//!
//! The output takes its place behind the guest's calls, as one more that the host makes for it: a step that waits for
//! people is run again from its journal, returns the same, and comes to the same place. What it wrote is rolled back
//! while it waits and redone when it is approved. People are shown the output and the very rows that would change, and
//! what they approve is that: where the redo comes to other rows, they are asked about those.

use serde_json::{Value, json};
use wflo_engine::policy::{Decision, Firing, Judgement};
use wflo_engine::{Approval, ApprovalState, Event, GateAt, GatedCall, Outcome, Permitted, Returned};
use wflo_host_api::Stop;
use wflo_manifest::{ApprovalAt, ApprovalRule, Plan, PlanStep, PolicyAction, PolicyEvent};
use wflo_model::{Call, CallError, ChangeSet, Digest, Inserted, Label};
use wflo_ports::{ChangeLimits, DbError};

use crate::bulk::NotKept;
use crate::difference::{RowDifference, difference};
use crate::gate::{AttemptGate, returned};
use crate::history::CameTo;
use crate::operation::Operation;
use crate::player::Asked;
use crate::question::Question;
use crate::transactions::{Keeps, Transactions};

const INTERFACE: &str = "wflo:step/handler";

/// More rows than this are no decision that people can make by looking at them; and they are one event of the journal.
const MOST_SHOWN: ChangeLimits = ChangeLimits { rows: 10_000, bytes: 4 << 20 };

/// What the failure of a step begins with whose writes people cannot decide on.
pub(crate) const UNDECIDABLE: &str = "what the step would commit cannot be decided on: ";

/// The place of an output among the calls of its attempt.
pub(crate) fn output_call(output: &Value) -> Call {
    Call::new(INTERFACE, "run", output.clone())
}

/// Whether a recorded call is an output.
pub(crate) fn is_output(call: &Call) -> bool {
    call.interface == INTERFACE
}

/// What a step's transactions keep of what they change: what people may be shown.
pub(crate) fn keeps(plan: &Plan, step: &PlanStep) -> Keeps {
    let asks = |action: &PolicyAction| matches!(action, PolicyAction::RequireApproval(_));
    let mut listening = plan.policies.iter().filter(|policy| policy.on.contains(&PolicyEvent::StepOutput));
    if step.rollback || gate_of(step).is_some() {
        Keeps::Everything
    } else if listening.any(|policy| policy.actions.iter().any(asks)) {
        Keeps::WherePossible
    } else {
        Keeps::Nothing
    }
}

/// The gate that the manifest sets before a step's commit.
fn gate_of(step: &PlanStep) -> Option<&ApprovalRule> {
    step.approval.as_ref().filter(|rule| rule.at == ApprovalAt::Commit)
}

/// What a step would commit.
struct ToCommit {
    changes: Vec<(Label, ChangeSet)>,
    /// The rows that were inserted in bulk, which nobody could look at one by one: how many, and the digest of their
    /// keys and values.
    inserted: Vec<(Label, Inserted)>,
    /// The statements in databases that do not keep what changes, and the messages that leave with the commit.
    statements: Vec<Value>,
}

/// What people see, with what tells it from what they were shown before.
fn differing(mut shows: Value, differs: Option<RowDifference>) -> Value {
    if let Some(differs) = differs {
        shows["differs"] = json!(differs);
    }
    shows
}

impl AttemptGate {
    /// Has the policies judge what the guest returned, and people decide where they or the step's gate ask. Gives the
    /// output as people have changed it, if they have.
    ///
    /// # Errors
    /// [`Stop::Parked`] while people are asked, [`Stop::Rejected`] where a policy or they are against it.
    pub(crate) async fn returns(&mut self, output: &Value) -> Result<Option<Value>, Stop> {
        let listens = self.plan.policies.iter().any(|policy| policy.on.contains(&PolicyEvent::StepOutput));
        if !listens && gate_of(&self.step).is_none() {
            return Ok(None);
        }
        let call = match self.player.history().peek() {
            // The guest has not made every recorded call: that is told elsewhere.
            Some(recorded) if !is_output(&recorded.call) => return Ok(None),
            _ => output_call(output),
        };
        self.performed = None;
        let (asked, came_to) = match self.player.ask(call) {
            Err(divergence) => return Err(self.diverged(divergence)),
            Ok(found) => found,
        };
        let changed = self.player.performed().cloned();
        match came_to {
            Some(CameTo::Returned { .. }) => Ok(changed.map(|call| call.args)),
            Some(CameTo::Denied { error, .. }) => self.refused_output(error).map(|()| None),
            Some(CameTo::Asked { approval, .. }) => {
                let approval = self.log.read(|state| state.approval(&approval).cloned());
                let approval = approval.ok_or_else(|| Stop::Host("an approval is missing".into()))?;
                self.decided_on_output(asked, output, changed, approval).await
            }
            Some(CameTo::Open(_)) => Err(Stop::Host("an output has no intent".into())),
            None => {
                self.redo().await?;
                self.judged_output(asked, output).await
            }
        }
    }

    /// Goes on with an output that people were asked about, as they have decided.
    async fn decided_on_output(
        &mut self,
        asked: Asked,
        output: &Value,
        changed: Option<Call>,
        approval: Approval,
    ) -> Result<Option<Value>, Stop> {
        match approval.state {
            ApprovalState::Open => return Err(Stop::Parked),
            ApprovalState::Closed { outcome: Outcome::Rejected | Outcome::Expired, .. } => {
                let error = self.refused(&asked, &Operation::Output(output.clone()), &approval)?;
                return self.refused_output(error).map(|()| None);
            }
            _ => {}
        }
        if let Err(stop) = self.redo().await {
            // What was approved is not what it would come to now. A new attempt asks about that.
            if matches!(stop, Stop::Interrupted(_)) {
                self.append(Event::ApprovalClosed { approval: approval.id, outcome: Outcome::Superseded })?;
            }
            return Err(stop);
        }
        let to_commit = match self.what_commits().await {
            // People have approved what was redone, and it can be once more.
            Err(Stop::Interrupted(why)) => return Err(Stop::Away(why)),
            told => told?,
        };
        let result = changed.clone().unwrap_or_else(|| output_call(output));
        let subject = self.output_subject(&asked.key, &result.args, &to_commit);
        if subject == approval.subject && self.may_use(&approval).await? {
            self.permit = Some(approval.id);
            self.performed.clone_from(&changed);
            self.approved_output(asked);
            return Ok(changed.map(|call| call.args));
        }
        // It has lapsed, or the rows that would change are others by now.
        let Approval { id, rule, asks, authors, shows, .. } = approval;
        let differs = difference(&shows, &to_commit.changes);
        let shows = self.shown(&to_commit, json!({ "output": result.args, "policies": shows["policies"] }));
        let shows = differing(shows, differs);
        let gated = GatedCall { performed: changed, ..GatedCall::new(asked.call, asked.args, asked.key) };
        let (at, follows) = (GateAt::Commit, Some(id));
        let question = Question { at, gated, subject, shows, rule, asks, follows, authors };
        let closed = Event::ApprovalClosed { approval: id, outcome: Outcome::Superseded };
        self.open(vec![closed], question).await.map(|_| None)
    }

    /// Judges an output for the first time.
    async fn judged_output(&mut self, asked: Asked, output: &Value) -> Result<Option<Value>, Stop> {
        let operation = Operation::Output(output.clone());
        let Judgement { decision, firings, .. } = self.judgement(&asked, &operation);
        let fresh = self.fresh(&firings);
        let gate = gate_of(&self.step).filter(|gate| !decision.waives(gate)).cloned();
        let (asks_people, by) = match decision {
            Decision::Deny { by } => {
                let error = self.denied(&asked, &by, fresh)?;
                return self.refused_output(error).map(|()| None);
            }
            Decision::RequireApproval { rule, by } => (Some(rule), by),
            Decision::AutoApprove { .. } | Decision::None => (None, Default::default()),
        };
        let asking: Vec<&Firing> = firings.iter().filter(|firing| by.contains(&firing.policy)).collect();
        let asks: Vec<Digest> = asking.iter().map(|firing| self.asking().question(firing)).collect();
        if asks_people.is_some()
            && let Some(refused) = self.approval_that(|one| one.refuses(&asks))
        {
            self.fire(fresh, None)?;
            let error = self.refused(&asked, &operation, &refused)?;
            return self.refused_output(error).map(|()| None);
        }
        // What policies ask once in a run may be answered; the gate of the step asks about these very rows.
        let now = self.log.now();
        let answered = match self.approval_that(|one| one.permits(&asks, Permitted::Claim, now)) {
            Some(given) if asks_people.is_some() && self.is_carried(&given).await? => Some(given),
            _ => None,
        };
        let rules: Vec<&ApprovalRule> =
            gate.iter().chain(asks_people.iter().filter(|_| answered.is_none())).collect();
        let Some(rule) = ApprovalRule::union(&rules) else {
            self.fire(fresh, None)?;
            if let Some(given) = answered {
                self.allowed_by(&given);
                self.performed = None;
                self.approved_output(asked);
            }
            return Ok(None);
        };
        let to_commit = self.what_commits().await?;
        let subject = self.output_subject(&asked.key, output, &to_commit);
        if let Some(given) = self.approval_that(|one| one.stands_for(GateAt::Commit, &subject, now))
            && self.is_carried(&given).await?
        {
            self.fire(fresh, None)?;
            self.allowed_by(&given);
            let changed = self.performed.clone();
            self.approved_output(asked);
            return Ok(changed.map(|call| call.args));
        }
        let policies: Vec<_> = asking.iter().map(|firing| firing.shown(&self.plan.policies)).collect();
        let differs = self.asked_before().and_then(|shown| difference(&shown, &to_commit.changes));
        let shows = self.shown(&to_commit, json!({ "output": output, "policies": policies }));
        let shows = differing(shows, differs);
        let gated = GatedCall::new(asked.call, asked.args, asked.key);
        let (at, follows, authors) = (GateAt::Commit, None, Vec::new());
        let question = Question { at, gated, subject, shows, rule, asks, follows, authors };
        let fired = fresh.into_iter().map(Box::new).map(Event::PolicyFired).collect();
        self.open(fired, question).await.map(|_| None)
    }

    /// What people were shown before of what this step or item would commit, where that did not come to be.
    fn asked_before(&self) -> Option<Value> {
        let (step, item) = (Some(&self.player.marker().step), self.player.marker().item);
        self.log.read(|state| {
            let of_unit =
                state.approvals().filter(|it| it.place.step.as_ref() == step && it.place.item == item);
            let last = of_unit.filter(|it| it.at == GateAt::Commit).max_by_key(|it| it.opened_at)?;
            let is_superseded =
                matches!(last.state, ApprovalState::Closed { outcome: Outcome::Superseded, .. });
            is_superseded.then(|| last.shows.clone())
        })
    }

    /// Notes that people have permitted the output; the step goes forward from here.
    fn approved_output(&mut self, asked: Asked) {
        let (consumes, performed) = (self.permit.take(), self.performed.take());
        let answer = Returned { consumes, performed, ..returned(None, asked, &Ok(Value::Null)) };
        self.permitted = Some((self.call_place(), Event::Returned(answer)));
    }

    /// An output that is not to be: what the step wrote is discarded; whether it fails is the policy's to say.
    fn refused_output(&mut self, error: CallError) -> Result<(), Stop> {
        match error {
            CallError::Rejected { .. } => {
                self.transactions = Transactions::default();
                // The event that says so has taken its messages back as well.
                self.queued.clear();
                Ok(())
            }
            other => Err(Stop::Rejected { reason: format!("the output was {other}"), skips: false }),
        }
    }

    /// What the step would commit now.
    async fn what_commits(&mut self) -> Result<ToCommit, Stop> {
        let is_redone = self.transactions.is_redone();
        let undecidable = |error: DbError| match error {
            DbError::Interrupted(why) => Stop::Interrupted(why),
            DbError::Unavailable(why) if is_redone => Stop::Away(why),
            error => Stop::Rejected { reason: format!("{UNDECIDABLE}{error}"), skips: false },
        };
        let changes = self.transactions.changes(MOST_SHOWN).await.map_err(undecidable)?;
        let inserted = self.transactions.inserted(self.desk.shelf()).await.map_err(|error| match error {
            NotKept::Database(error) => undecidable(error),
            error => Stop::Host(error.to_string()),
        })?;
        let is_kept = |call: &Call| match Operation::parse(call) {
            Ok(Operation::Call(named)) => self.transactions.keeps(&named.db),
            Ok(operation) => operation.statement_of().is_some_and(|db| self.transactions.keeps(db)),
            Err(_) => false,
        };
        let statements = self.written.iter().filter(|(call, _)| !is_kept(call));
        // What it has to say is part of what is decided on.
        let statements = statements.chain(&self.queued);
        let statements = statements.map(|(call, result)| match result {
            Ok(value) => json!({ "call": call, "result": value }),
            Err(error) => json!({ "call": call, "error": error.to_string() }),
        });
        Ok(ToCommit { statements: statements.collect(), changes, inserted })
    }

    fn output_subject(&self, key: &Digest, output: &Value, to_commit: &ToCommit) -> Digest {
        let changes = to_commit.changes.iter().map(|(db, set)| (db, set));
        // What has no such rows has the subject that it always had.
        let rest = match to_commit.inserted.is_empty() {
            true => json!(to_commit.statements),
            false => json!([to_commit.statements, to_commit.inserted]),
        };
        self.asking().output_subject(key, output, changes, &rest)
    }

    /// What people see of it.
    fn shown(&self, to_commit: &ToCommit, mut shows: Value) -> Value {
        let changes: serde_json::Map<_, _> =
            to_commit.changes.iter().map(|(db, set)| (db.to_string(), json!(set))).collect();
        shows["changes"] = Value::Object(changes);
        if !to_commit.inserted.is_empty() {
            let inserted = to_commit.inserted.iter();
            let inserted = inserted
                .map(|(db, it)| (db.to_string(), json!({ "tables": it.tables, "digest": it.kept.digest })));
            shows["inserted"] = Value::Object(inserted.collect());
        }
        shows["statements"] = json!(to_commit.statements);
        shows
    }
}
