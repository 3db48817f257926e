//! People who change what they are asked about, for others to decide.

use std::collections::BTreeMap;

use serde::Deserialize as _;
use serde_json::{Value, json};
use wflo_engine::policy::{Decision, Firing, Judgement};
use wflo_engine::{Approval, Edit, Event, GateAt, Place, VoteRefused, Voter, edit};
use wflo_manifest::{ApprovalRule, Plan, PlanStep};
use wflo_model::{ApprovalId, Call, ChangeSet, Label, PrincipalName};
use wflo_ports::Marker;

use crate::operation::Operation;
use crate::principal::Principals;
use crate::question::Asking;
use crate::run_log::RunLog;
use crate::runtime::Host;
use crate::view::ApprovalView;
use crate::{Runtime, RuntimeError};

impl Runtime {
    /// Changes what an approval is about, and opens another one about that in its place; durable when this returns.
    /// Gives the new one. Of a call, `value` is its arguments; of a commit, the output.
    ///
    /// What it is changed to is held against the schema of what it was, the grants of the step, and the policies.
    /// Earlier votes are void, the editor is an author from then on, and an author does not approve. The commit point
    /// is one append.
    ///
    /// # Errors
    /// [`RuntimeError::Vote`] when the editor may not decide or the gate allows no edits, [`RuntimeError::BadEdit`]
    /// when the value does not fit, a policy denies it, or nobody would be left to approve it.
    pub async fn edit(
        &self,
        id: ApprovalId,
        editor: &Voter,
        value: Value,
        comment: Option<String>,
        host: &Host,
    ) -> Result<ApprovalView, RuntimeError> {
        let run = self.approval(id).await?.run;
        let (log, plan) = self.open(run).await?;
        let people = self.people(host).known().await?;
        let approval = log.read(|state| state.approval(&id).cloned());
        let approval = approval.ok_or(RuntimeError::NoSuchApproval { id })?;
        let changed = self.changed(&log, &plan, host, &approval, value).await?;
        let requester = log.read(|state| state.created().map(|created| created.requester.clone()));
        let requester = requester.ok_or(RuntimeError::NoSuchRun { run })?;
        let mut authors = approval.authors.clone();
        authors.push(editor.name.clone());
        if !can_carry(&changed.edit.rule, &people, &authors, &requester) {
            let why = "nobody would be left who may approve it: an author does not".to_owned();
            return Err(RuntimeError::BadEdit { why });
        }
        let Changed { edit: mut changed, firings } = changed;
        changed.comment = comment;
        let now = log.now();
        let edited = log.transact(|state| {
            let approval = state.approval(&id).ok_or(RuntimeError::NoSuchApproval { id })?;
            let mut events: Vec<(Place, Event)> = firings
                .into_iter()
                .map(|firing| (approval.place.clone(), Event::PolicyFired(Box::new(firing))))
                .collect();
            events.extend(edit(approval, &requester, editor, changed, now.max(state.time()))?);
            let new = events.iter().find_map(|(_, event)| match event {
                Event::ApprovalOpened { id, .. } => Some(*id),
                _ => None,
            });
            Ok::<_, RuntimeError>((events, new))
        })?;
        let (written, new) = edited?;
        written.durable().await?;
        log.wake();
        let new = new.ok_or(RuntimeError::NoSuchApproval { id })?;
        let view = log
            .read(|state| state.approval(&new).map(|it| ApprovalView::new(&run, plan.workflow.as_str(), it)));
        view.ok_or(RuntimeError::NoSuchApproval { id: new })
    }

    /// What the approval is about with `value` in the place of what it was.
    async fn changed(
        &self,
        log: &RunLog,
        plan: &Plan,
        host: &Host,
        approval: &Approval,
        value: Value,
    ) -> Result<Changed, RuntimeError> {
        let no = |why: &str| RuntimeError::from(VoteRefused::NotEditable { why: why.to_owned() });
        let Some(gated) = &approval.call else { return Err(no("it is about no call and no output")) };
        let unit = approval.unit().ok_or_else(|| no("it is about the run"))?;
        let step = plan.step(&unit.step).ok_or_else(|| no("the plan has no such step"))?;
        let performed = Call { args: value, ..gated.asked.clone() };
        let operation = match approval.at {
            GateAt::Commit => output(step, &performed.args)?,
            _ => call(plan, step, host, &gated.asked, &performed)?,
        };
        if matches!(operation, Operation::Fact(_) | Operation::Ask(_) | Operation::Cost(_)) {
            return Err(no("it is a question of the step's own"));
        }
        if matches!(operation, Operation::Terraform(_)) {
            return Err(no("it is a plan as it was made: another one is another question"));
        }
        let history = self.history(log, &unit, approval.place.attempt).await?;
        let keys = log.keys();
        let marker: Marker = log.marker(&unit);
        let item = log.read(|state| {
            unit.item.and_then(|item| state.step(&unit.step).items.as_ref()?.value(item).cloned())
        });
        let asking = Asking { run: log.run(), keys: &keys, plan, step, marker: &marker, item: item.as_ref() };
        let judgement = log.read(|state| asking.judgement(state, &history.facts(), &performed, &operation));
        let Judgement { decision, firings, .. } = judgement;
        let (rule, by) = match decision {
            Decision::Deny { by } => {
                let names: Vec<_> = by.iter().map(|name| format!("`{name}`")).collect();
                return Err(RuntimeError::BadEdit { why: format!("policy {} denies it", names.join(", ")) });
            }
            Decision::RequireApproval { rule, by } => (not_weaker(&approval.rule, &rule), by),
            _ => (approval.rule.clone(), Default::default()),
        };
        let asked_for: Vec<&Firing> = firings.iter().filter(|firing| by.contains(&firing.policy)).collect();
        let mut asks = approval.asks.clone();
        for ask in asked_for.iter().map(|firing| asking.question(firing)) {
            if !asks.contains(&ask) {
                asks.push(ask);
            }
        }
        let (subject, shows) = match approval.at {
            GateAt::Commit => {
                let mut shows = approval.shows.clone();
                let changes =
                    BTreeMap::<Label, ChangeSet>::deserialize(&shows["changes"]).map_err(|error| {
                        RuntimeError::Bug { message: format!("what `{}` shows: {error}", approval.id) }
                    })?;
                let statements = &shows["statements"];
                let subject = asking.output_subject(&gated.key, &performed.args, &changes, statements);
                shows["output"] = performed.args.clone();
                shows["output_of_step"] = gated.asked.args.clone();
                (subject, shows)
            }
            _ => {
                let mut shows = asking.shows(&performed, &operation, &asked_for);
                shows["asked"] = json!({ "args": gated.asked.args });
                (asking.subject(&gated.key, &performed), shows)
            }
        };
        Ok(Changed { edit: Edit { performed, subject, shows, rule, asks, comment: None }, firings })
    }
}

/// An edit, and the policies that fire at it.
struct Changed {
    edit: Edit,
    firings: Vec<Firing>,
}

/// An output as it is to be.
fn output(step: &PlanStep, value: &Value) -> Result<Operation, RuntimeError> {
    let wrong = step.output_violations(value);
    if wrong.is_empty() {
        return Ok(Operation::Output(value.clone()));
    }
    Err(RuntimeError::BadEdit { why: wrong.join("; ") })
}

/// A call as it is to be made: of the same function, with the same arguments and other values, and within the grants.
fn call(
    plan: &Plan,
    step: &PlanStep,
    host: &Host,
    asked: &Call,
    performed: &Call,
) -> Result<Operation, RuntimeError> {
    let bad = |why: String| RuntimeError::BadEdit { why };
    let (Some(before), Some(after)) = (asked.args.as_object(), performed.args.as_object()) else {
        return Err(bad("the arguments of a call are a JSON object".to_owned()));
    };
    if let Some(unknown) = after.keys().find(|name| !before.contains_key(*name)) {
        let names: Vec<_> = before.keys().map(|name| format!("`{name}`")).collect();
        return Err(bad(format!("the call has no argument `{unknown}`; it has {}", names.join(", "))));
    }
    let operation = Operation::parse(performed).map_err(|error| bad(error.to_string()))?;
    operation
        .authorise(&step.grants, &host.outside)
        .and_then(|()| crate::label_gate::admit(&step.labels, &operation, &host.outside))
        .map_err(|error| bad(error.to_string()))?;
    operation.clone().bound(&plan.statements).map_err(|error| bad(error.to_string()))?;
    Ok(operation)
}

/// Who decides about an edit: those who decided before, and those whom policies ask about what it is now.
fn not_weaker(before: &ApprovalRule, now: &ApprovalRule) -> ApprovalRule {
    let allow_edit = before.allow_edit;
    let at = before.at;
    ApprovalRule::union(&[before, now])
        .map_or_else(|| before.clone(), |rule| ApprovalRule { allow_edit, at, ..rule })
}

/// Whether there are people who can carry it, its authors left out.
fn can_carry(
    rule: &ApprovalRule,
    people: &Principals,
    authors: &[PrincipalName],
    requester: &PrincipalName,
) -> bool {
    let others = people
        .0
        .iter()
        .filter(|(name, _)| !authors.contains(name) && (*name != requester || rule.allow_requester));
    rule.satisfied_by(&others.map(|(name, principal)| (name.clone(), principal.groups.clone())).collect())
}
