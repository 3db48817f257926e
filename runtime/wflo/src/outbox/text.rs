//! What is said of a row of the outbox: made from the run it is of, when it is sent.

use std::collections::BTreeSet;

use serde::Deserialize as _;
use serde_json::{Value, json};
use wflo_engine::{About, Approval, ApprovalState, Event, Recorded, Returned};
use wflo_host_api::QueuedAnswer;
use wflo_journal::{OutboxKey, ReadError};
use wflo_manifest::Plan;
use wflo_model::{ApprovalId, Label, StepName};
use wflo_ports::{Notification, NotificationKind};

use super::parcel::{Parcel, Told};
use super::row::{Waiting, hex};
use crate::message::{MailCall, SayCall};
use crate::operation::Operation;
use crate::run_log::recorded;
use crate::runtime::Host;
use crate::{Runtime, RuntimeError};

impl Runtime {
    /// What there is to be told; nothing where it needs no telling any more.
    pub(crate) async fn told(
        &self,
        host: &Host,
        key: &OutboxKey,
        waiting: &Waiting,
    ) -> Result<Option<Told>, RuntimeError> {
        match self.tells(host, key, waiting).await {
            Err(
                RuntimeError::NoSuchRun { .. }
                | RuntimeError::Journal(ReadError::UnknownRun { .. } | ReadError::Erased { .. }),
            ) => Ok(None),
            told => told,
        }
    }

    async fn tells(
        &self,
        host: &Host,
        key: &OutboxKey,
        waiting: &Waiting,
    ) -> Result<Option<Told>, RuntimeError> {
        let run = waiting.run;
        let (workflow, asked, plan) = {
            let state = self.state(run).await?;
            let plan = self.plan(&state).await?;
            let workflow = state.created().map(|created| created.workflow.clone());
            let approval = match waiting.notice.about {
                About::Asked { approval } | About::Decided { approval } => state.approval(&approval).cloned(),
                _ => None,
            };
            (workflow, approval, plan)
        };
        let of;
        let pages = host.outside.pages();
        let mut notification = Notification {
            id: hex(&key.id),
            about: String::new(),
            kind: NotificationKind::Happened,
            at: waiting.since,
            title: String::new(),
            workflow,
            run: run.to_string(),
            step: None,
            approvers: Vec::new(),
            quorum: None,
            until: None,
            link: pages.map(|url| format!("{url}/runs/{run}")),
            commands: vec![format!("wflo show {run}")],
            details: None,
        };
        match (waiting.notice.about, asked) {
            (About::Asked { approval }, Some(asked)) if asked.state == ApprovalState::Open => {
                notification.kind = NotificationKind::Asked;
                of = asked.unit().map(|unit| unit.step);
                asks(&mut notification, approval, &asked, pages);
            }
            (About::Decided { approval }, Some(asked)) => {
                notification.kind = NotificationKind::Decided { outcome: outcome(&asked) };
                of = asked.unit().map(|unit| unit.step);
                asks(&mut notification, approval, &asked, pages);
                notification.details = Some(json!({ "votes": votes(&asked) }));
            }
            (About::Happened { seq }, _) => {
                let mut reader = self.journal().reader(run, seq).await?;
                let Some(entry) = reader.next().await? else { return Ok(None) };
                let event = recorded(&entry).map_err(crate::LogFailed::from)?;
                notification.about = format!("{run}/{seq}");
                notification.step = event.place.unit_id().map(|unit| unit.to_string());
                of = event.place.unit_id().map(|unit| unit.step);
                notification.details = Some(happened(&event));
            }
            (About::Said { seq }, _) => {
                let mut reader = self.journal().reader(run, seq).await?;
                let Some(entry) = reader.next().await? else { return Ok(None) };
                let event = recorded(&entry).map_err(crate::LogFailed::from)?;
                of = event.place.unit_id().map(|unit| unit.step);
                let parcel = match said(&event) {
                    Ok(Said::On(SayCall { title, text, .. })) => {
                        notification.kind = NotificationKind::Said;
                        notification.about = format!("{run}/{seq}");
                        notification.step = event.place.unit_id().map(|unit| unit.to_string());
                        notification.title = title;
                        notification.details = Some(Value::String(text));
                        None
                    }
                    Ok(Said::Mail(mail, id)) => Some(Parcel::Mail(mail, id)),
                    Err(why) => Some(Parcel::Unreadable(format!("event {seq} cannot be read: {why}"))),
                };
                if let Some(parcel) = parcel {
                    return Ok(Some(Told { parcel, labels: labels(&plan, of.as_ref()) }));
                }
            }
            // It is decided by now, and nobody is asked any more.
            _ => return Ok(None),
        }
        let (workflow, step) = (notification.workflow.as_deref(), notification.step.as_deref());
        if notification.kind != NotificationKind::Said {
            notification.title = notification.kind.title(workflow, step);
        }
        let parcel = Parcel::Notification(Box::new(notification));
        Ok(Some(Told { parcel, labels: labels(&plan, of.as_ref()) }))
    }
}

/// What a step has to say.
enum Said {
    Mail(MailCall, String),
    On(SayCall),
}

/// Reads the result of a call that has queued a message.
fn said(event: &Recorded) -> Result<Said, String> {
    let Event::Returned(Returned { call: Some(call), performed, result: Ok(value), .. }) = &event.event
    else {
        return Err("it queues nothing".to_owned());
    };
    let queued = QueuedAnswer::deserialize(value).map_err(|error| error.to_string())?;
    match Operation::parse(performed.as_ref().unwrap_or(call)) {
        Ok(Operation::Mail(mail)) => Ok(Said::Mail(mail, queued.id)),
        Ok(Operation::Say(say)) => Ok(Said::On(say)),
        Ok(_) => Err(format!("`{call}` sends nothing")),
        Err(error) => Err(error.to_string()),
    }
}

/// The labels of what is told of a step; of what is told of a run, those of all its steps.
fn labels(plan: &Plan, step: Option<&StepName>) -> BTreeSet<Label> {
    // A compensator handles what the step handled that it undoes.
    let undone = step.and_then(StepName::compensates).map(|(step, _)| step);
    let step = undone.as_ref().or(step);
    let steps = plan.steps.iter().filter(|of| step.is_none_or(|step| of.name == *step));
    steps.flat_map(|of| of.labels.iter().cloned()).collect()
}

/// Fills in what is known of a question.
fn asks(to: &mut Notification, id: ApprovalId, asked: &Approval, pages: Option<&str>) {
    to.about = id.to_string();
    to.step = asked.unit().map(|unit| unit.to_string());
    to.approvers = asked.rule.approvers.iter().map(ToString::to_string).collect();
    to.quorum = Some(asked.rule.needed());
    to.until = asked.expires_at;
    to.link = pages.map(|url| format!("{url}/approvals/{id}"));
    to.commands = vec![format!("wflo approvals show {id}")];
    if asked.state == ApprovalState::Open {
        to.commands.push(format!("wflo approve {id} --as NAME"));
        to.commands.push(format!("wflo reject {id} --as NAME"));
    }
    to.details = Some(asked.shows.clone());
}

fn outcome(asked: &Approval) -> String {
    match asked.state {
        ApprovalState::Closed { outcome, .. } => outcome.to_string(),
        ApprovalState::Consumed => "approved".to_owned(),
        ApprovalState::Open => "open".to_owned(),
    }
}

fn votes(asked: &Approval) -> Value {
    let votes = asked
        .votes
        .iter()
        .map(|vote| json!({ "by": vote.by, "verdict": vote.verdict, "comment": vote.comment }));
    votes.collect()
}

fn happened(event: &Recorded) -> Value {
    match &event.event {
        Event::PolicyFired(firing) => json!({
            "policy": firing.policy,
            "on": firing.on,
            "because": firing.because,
            "values": firing.values,
        }),
        Event::BudgetAlert { percent, settled_usd, limit_usd, .. } => json!({
            "budget": format!("{percent}% is spent"),
            "settled_usd": settled_usd,
            "limit_usd": limit_usd,
        }),
        other => json!(other),
    }
}
