//! Policies at the gate: what they say about a call before it is made, and what people decided where they ask.
//!
//! A policy is judged once for each call, when it is made for the first time; what fired and what follows from it are
//! one append. A call that waited for people comes back by replay and is not judged again: what was decided on is what
//! is performed, and the approval is consumed by the same append as its intent, or its result where it only reads.

use std::collections::BTreeSet;

use wflo_engine::policy::{Decision, Firing, Judgement};
use wflo_engine::{Approval, ApprovalState, CallClass, Event, GateAt, GatedCall, Outcome, Permitted, Place};
use wflo_host_api::{FactVerdict, Stop};
use wflo_manifest::{ApprovalRule, OnReject};
use wflo_model::{ApprovalId, CallError, CallResult, Digest, PolicyName};

use crate::ask::decision;
use crate::gate::{AttemptGate, host};
use crate::operation::Operation;
use crate::player::Asked;
use crate::question::{Asking, Question};

/// What policies let a call do.
pub(crate) enum Passage {
    /// It is made; where people have permitted it, the gate's `permit` says so.
    Free {
        /// Whether a policy permits it outright.
        permitted: bool,
    },
    /// It is not made, and this is why.
    Refused(CallError),
}

impl AttemptGate {
    /// Asks the policies about a call that is about to be made for the first time. Parks the attempt where they have
    /// people asked; the commit point is then the append of the approval.
    pub(crate) async fn judged(&mut self, call: &Asked, operation: &Operation) -> Result<Passage, Stop> {
        if self.plan.policies.is_empty() {
            return Ok(Passage::Free { permitted: false });
        }
        let Judgement { decision, firings, .. } = self.judgement(call, operation);
        let fresh = self.fresh(&firings);
        match decision {
            Decision::Deny { by } => self.denied(call, &by, fresh).map(Passage::Refused),
            // Asking people is not worth asking people about; a policy that permits it answers for them.
            Decision::RequireApproval { rule, by } if !matches!(operation, Operation::Ask(_)) => {
                let asking: Vec<_> = firings.iter().filter(|firing| by.contains(&firing.policy)).collect();
                self.ask_once(call, operation, rule, &asking, fresh).await
            }
            other => {
                self.fire(fresh, None)?;
                Ok(Passage::Free { permitted: matches!(other, Decision::AutoApprove { .. }) })
            }
        }
    }

    /// Those of the policies that the journal does not have yet: a crash between a firing and what it led to has the
    /// call judged once more.
    pub(crate) fn fresh(&self, firings: &[Firing]) -> Vec<Firing> {
        let ordinal = self.player.ordinal();
        let is_fresh = |firing: &&Firing| !self.player.history().has_fired(ordinal, firing);
        firings.iter().filter(is_fresh).cloned().collect()
    }

    /// Refuses a call as policies say.
    pub(crate) fn denied(
        &mut self,
        call: &Asked,
        by: &BTreeSet<PolicyName>,
        fresh: Vec<Firing>,
    ) -> Result<CallError, Stop> {
        let policy = by.first().map(ToString::to_string).unwrap_or_default();
        let error = CallError::RefusedByPolicy { policy };
        let Asked { call, args, .. } = call.clone();
        self.fire(fresh, Some(Event::Denied { call, args, error: error.clone() }))?;
        Ok(error)
    }

    /// An approval of the run.
    pub(crate) fn approval_that(&self, holds: impl Fn(&Approval) -> bool) -> Option<Approval> {
        self.log.read(|state| state.approvals().find(|one| holds(one)).cloned())
    }

    pub(crate) fn judgement(&self, call: &Asked, operation: &Operation) -> Judgement {
        self.log.read(|state| self.asking().judgement(state, &self.facts, &call.call, operation))
    }

    /// What is asked here, and how it is named and shown.
    pub(crate) fn asking(&self) -> Asking<'_> {
        Asking {
            run: self.log.run(),
            keys: self.player.keys(),
            plan: &self.plan,
            step: &self.step,
            marker: self.player.marker(),
            item: self.context.item.as_ref(),
        }
    }

    /// Asks people, unless they have been asked the same before in this run.
    async fn ask_once(
        &mut self,
        call: &Asked,
        operation: &Operation,
        rule: ApprovalRule,
        asking: &[&Firing],
        fresh: Vec<Firing>,
    ) -> Result<Passage, Stop> {
        let asks: Vec<Digest> = asking.iter().map(|firing| self.asking().question(firing)).collect();
        let now = self.log.now();
        let class =
            operation.clone().bound(&self.plan.statements).map(|bound| bound.class(&self.step.grants));
        let what = match (operation, class) {
            (Operation::Fact(_), _) => Permitted::Claim,
            (_, Ok(CallClass::Read)) => Permitted::Read { args: &call.args },
            _ => Permitted::Effect { key: &call.key },
        };
        if let Some(refused) = self.approval_that(|one| one.refuses(&asks)) {
            self.fire(fresh, None)?;
            return self.refused(call, operation, &refused).map(Passage::Refused);
        }
        if let Some(given) = self.approval_that(|one| one.permits(&asks, what, now))
            && self.is_carried(&given).await?
        {
            self.fire(fresh, None)?;
            self.allowed_by(&given);
            return Ok(Passage::Free { permitted: false });
        }
        let shows = self.asking().shows(&call.call, operation, asking);
        let at = GateAt::Call;
        let subject = self.asking().subject(&call.key, &call.call);
        let Asked { call: asked, args, key } = call.clone();
        let gated = GatedCall::new(asked, args, key);
        let fired = fresh.into_iter().map(Box::new).map(Event::PolicyFired).collect();
        let question = Question { at, gated, subject, shows, rule, asks, follows: None, authors: Vec::new() };
        self.open(fired, question).await
    }

    /// Has a call that people were asked about be permitted, or gives what they decided instead: none, where it is to be
    /// made.
    pub(crate) async fn decided_on_call(
        &mut self,
        call: &Asked,
        operation: &Operation,
        id: &ApprovalId,
    ) -> Result<Option<CallResult>, Stop> {
        let approval = self.log.read(|state| state.approval(id).cloned());
        let approval = approval.ok_or_else(|| Stop::Host(format!("there is no approval `{id}`")))?;
        match approval.state {
            ApprovalState::Open => Err(Stop::Parked),
            ApprovalState::Closed { outcome: Outcome::Rejected | Outcome::Expired, .. } => {
                self.allowed_by_nobody(&approval);
                let error = self.refused(call, operation, &approval)?;
                match operation {
                    Operation::Fact(fact) => {
                        self.told(call.clone(), fact.clone(), FactVerdict::Rejected).map(Some)
                    }
                    _ => Ok(Some(Err(error))),
                }
            }
            ApprovalState::Closed { outcome: Outcome::Approved, .. } | ApprovalState::Consumed => {
                if self.may_use(&approval).await? {
                    self.allowed_by(&approval);
                    return Ok(None);
                }
                self.ask_again(approval).await.map(Some)
            }
            ApprovalState::Closed { .. } => self.ask_again(approval).await.map(Some),
        }
    }

    /// Opens the same question anew: what was decided has lapsed, or was decided by people who no longer may.
    pub(crate) async fn ask_again(&mut self, approval: Approval) -> Result<CallResult, Stop> {
        let Approval { id, at, call, subject, shows, rule, asks, authors, .. } = approval;
        let gated = call.ok_or_else(|| Stop::Host(format!("approval `{id}` has no call")))?;
        let closed = Event::ApprovalClosed { approval: id, outcome: Outcome::Superseded };
        let follows = Some(id);
        let question = Question { at, gated, subject, shows, rule, asks, follows, authors };
        match self.open(vec![closed], question).await? {
            Passage::Refused(error) => Ok(Err(error)),
            Passage::Free { .. } => Err(Stop::Parked),
        }
    }

    /// Opens an approval, with what led to it, and has the attempt wait.
    pub(crate) async fn open(&mut self, before: Vec<Event>, question: Question) -> Result<Passage, Stop> {
        self.settle().await?;
        let Question { at, gated, subject, shows, rule, asks, follows, authors } = question;
        let (place, now) = (self.call_place(), self.log.now());
        let opened = self.log.transact(|state| {
            let event = Event::ApprovalOpened {
                id: ApprovalId::derive(&subject, state.seq()),
                at,
                call: Some(gated),
                subject,
                shows,
                expires_at: rule.timeout.map(|timeout| now.after(timeout)),
                rule,
                asks,
                follows,
                authors,
                amount: None,
            };
            let events: Vec<(Place, Event)> =
                before.into_iter().chain([event]).map(|event| (place.clone(), event)).collect();
            Ok::<_, std::convert::Infallible>((events, ()))
        });
        match opened.map_err(host)? {
            Ok((written, ())) => self.durable(written).await?,
            Err(never) => match never {},
        }
        Err(Stop::Parked)
    }

    /// What a rejection does: it ends the attempt, or is told to the guest.
    pub(crate) fn refused(
        &mut self,
        call: &Asked,
        operation: &Operation,
        approval: &Approval,
    ) -> Result<CallError, Stop> {
        let reason = approval.refusal();
        match approval.rule.on_reject {
            OnReject::Fail => Err(Stop::Rejected { reason, skips: false }),
            OnReject::Skip => Err(Stop::Rejected { reason, skips: true }),
            OnReject::Continue => {
                let error = CallError::Rejected { message: reason };
                // What a fact comes to is a verdict, written where the guest is told it.
                if !matches!(operation, Operation::Fact(_)) {
                    let Asked { call, args, .. } = call.clone();
                    self.append(Event::Denied { call, args, error: error.clone() })?;
                }
                Ok(error)
            }
            // A later version's word stops the step in this one.
            _ => Err(Stop::Rejected { reason, skips: false }),
        }
    }

    /// The next intent, or the next result of a read, consumes this approval.
    pub(crate) fn allowed_by(&mut self, approval: &Approval) {
        self.context.decision = decision(approval);
        self.permit = Some(approval.id);
        self.performed = approval.call.as_ref().and_then(|call| call.performed.clone());
    }

    fn allowed_by_nobody(&mut self, approval: &Approval) {
        self.context.decision = decision(approval);
        self.permit = None;
    }

    /// Whether an approval that was asked for what is about to be done permits it now.
    pub(crate) async fn may_use(&mut self, approval: &Approval) -> Result<bool, Stop> {
        let is_given = approval.state == ApprovalState::Consumed || approval.is_good(self.log.now());
        Ok(is_given && self.is_carried(approval).await?)
    }

    /// Whether everybody whose vote counts still is in the groups it counts for.
    pub(crate) async fn is_carried(&mut self, approval: &Approval) -> Result<bool, Stop> {
        let people = self.people.known().await.map_err(|error| Stop::Host(error.to_string()))?;
        Ok(approval.still_carried(|name| people.groups_of(name)))
    }

    /// Writes what fired, and what follows at once.
    pub(crate) fn fire(&mut self, firings: Vec<Firing>, then: Option<Event>) -> Result<(), Stop> {
        let events = firings.into_iter().map(Box::new).map(Event::PolicyFired).chain(then);
        let events: Vec<_> = events.map(|event| (self.call_place(), event)).collect();
        if !events.is_empty() {
            let written = self.log.append(events).map_err(host)?;
            self.player.seen(written.time);
        }
        Ok(())
    }
}
