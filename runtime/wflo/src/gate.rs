//! THE gate: every call of a guest that reaches outside, live and in replay.
//!
//! replay lookup -> authorise -> reuse -> policy -> approval -> budget hold -> intent (durable) -> perform -> result -> return
//!
//! There is no second path. In replay nothing is authorised, priced or performed, and nothing is written, but
//! for the redo of an open transaction when the recorded calls are used up. What a crash cut off in the middle is
//! mended in `recovery.rs`; what policies and people say is in `policy_gate.rs`; how each kind of call is performed is
//! in `model_call.rs`, `statement.rs`, `http.rs`, `terraform.rs`, `ask.rs`, `fact.rs`, `message.rs` and `search.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use wflo_engine::{CallClass, Event, MAIL, ParkReason, Place, Returned, UnitId};
use wflo_host_api::{Arrival, Artifacts, Begun, FactVerdict, Gate, LogLine, StepContext, Stop};
use wflo_journal::{AuditKey, Journal};
use wflo_manifest::{Plan, PlanStep};
use wflo_model::{ApprovalId, Call, CallError, CallResult, PicoUsd, Timestamp};

use crate::artifact::{self, Desk, Save, Shelf};
use crate::beside::Beside;
use crate::halt::Halt;
use crate::history::History;
use crate::operation::Operation;
use crate::output_gate::keeps;
use crate::pages::Pages;
use crate::placeholder::{Placeholders, placeholder};
use crate::player::{Asked, Divergence, Player, Wait};
use crate::policy_gate::Passage;
use crate::principal::People;
use crate::redact::Redactor;
use crate::run_log::{LogFailed, RunLog, Written};
use crate::tasks::{Caller, Task};
use crate::transactions::Transactions;
use crate::transcript::Transcripts;
use crate::{Outside, http, label_gate};

/// The gate of one attempt.
pub(crate) struct AttemptGate {
    pub(crate) log: Arc<RunLog>,
    pub(crate) outside: Arc<Outside>,
    pub(crate) people: People,
    pub(crate) plan: Arc<Plan>,
    pub(crate) step: PlanStep,
    /// Digests what is seen through row filters; there where the step has some.
    pub(crate) audit_key: Option<AuditKey>,
    pub(crate) place: Place,
    pub(crate) context: StepContext,
    pub(crate) player: Player,
    pub(crate) transactions: Transactions,
    /// The results that are read a part at a time.
    pub(crate) pages: Pages,
    pub(crate) transcripts: Transcripts,
    /// The intent of the call under way and what it holds.
    pub(crate) in_flight: Option<(u64, PicoUsd)>,
    /// The intent of the call under way, if nothing tells whether it was done when it is cut off.
    pub(crate) in_doubt: Option<InDoubt>,
    /// The facts that the attempt has claimed, for policies that come later.
    pub(crate) facts: BTreeMap<String, Value>,
    /// The approval that permits the call under way; its intent, or the result of a read, consumes it.
    pub(crate) permit: Option<ApprovalId>,
    /// The call under way as it is made, where people have changed it.
    pub(crate) performed: Option<Call>,
    /// The messages that leave when the attempt succeeds, with what each call came to.
    pub(crate) queued: Vec<(Call, CallResult)>,
    /// The statements of the open transactions, with what they came to: what people see before they commit.
    pub(crate) written: Vec<(Call, CallResult)>,
    /// What the guest may have of secrets.
    pub(crate) placeholders: Placeholders,
    /// Where the bytes of its artifacts are.
    pub(crate) desk: Desk,
    /// What the guest must not log.
    pub(crate) redactor: Redactor,
    /// What says that people have permitted the output; it goes to the journal with what they have permitted.
    pub(crate) permitted: Option<(Place, Event)>,
    pub(crate) halt: Halt,
    /// What is under way beside the guest.
    pub(crate) beside: Beside,
}

/// What stands before a call has come to.
pub(crate) enum Admitted {
    /// There is nothing to make: it is refused, or was made before.
    Done(CallResult),
    /// It may be made, as this.
    Bound { call: Asked, operation: Box<Operation>, permitted: bool },
}

/// A call under way that may or may not be done.
pub(crate) struct InDoubt {
    pub(crate) intent: u64,
    pub(crate) call: String,
    pub(crate) class: CallClass,
}

/// What an attempt's gate is made of.
pub(crate) struct Setup {
    pub(crate) log: Arc<RunLog>,
    pub(crate) journal: Journal,
    pub(crate) outside: Arc<Outside>,
    pub(crate) people: People,
    pub(crate) plan: Arc<Plan>,
    pub(crate) step: PlanStep,
    pub(crate) audit_key: Option<AuditKey>,
    pub(crate) unit: UnitId,
    pub(crate) attempt: u32,
    pub(crate) context: StepContext,
    pub(crate) history: History,
    pub(crate) halt: Halt,
}

impl AttemptGate {
    pub(crate) fn new(setup: Setup) -> Self {
        let Setup { log, journal, audit_key, outside, people, plan, step, unit, .. } = setup;
        let Setup { attempt, context, mut history, halt, .. } = setup;
        let transcripts = std::mem::take(&mut history.transcripts);
        let written = history.tentative();
        let queued = history.queued();
        let transactions = Transactions::resuming(written.clone(), keeps(&plan, &step));
        let player = Player::new(log.keys(), log.marker(&unit), attempt, history);
        let player = player.seeded(outside.tape().and_then(|tape| tape.seed()));
        Self {
            place: Place::attempt(&unit, attempt),
            placeholders: Placeholders::new(&log.keys(), &step.grants),
            desk: Desk::new(Shelf::new(journal, *log.run(), log.keys()), &step.limits, true),
            redactor: Redactor::new(!step.labels.is_empty()),
            player,
            transactions,
            pages: Pages::default(),
            transcripts,
            in_flight: None,
            in_doubt: None,
            facts: BTreeMap::new(),
            permit: None,
            performed: None,
            permitted: None,
            queued,
            written,
            log,
            outside,
            people,
            plan,
            step,
            audit_key,
            context,
            halt,
            beside: Beside::default(),
        }
    }

    /// Makes a call that the journal does not have.
    pub(crate) async fn live(&mut self, call: Asked, operation: Operation) -> Result<CallResult, Stop> {
        self.go_on().await?;
        self.set_busy(true);
        let result = match self.admit(call, operation).await {
            Ok(Admitted::Done(result)) => Ok(result),
            Ok(Admitted::Bound { call, operation, permitted }) => {
                self.perform(call, *operation, permitted).await
            }
            Err(stop) => Err(stop),
        };
        self.set_busy(false);
        result
    }

    /// Whether the step may make a call, as it asked for it or as somebody has changed it: its grants and today's
    /// ceilings, where secrets may go, and where labelled data may.
    fn admitted(&self, call: &Call, operation: &Operation) -> Result<(), CallError> {
        operation.authorise(&self.step.grants, &self.outside)?;
        self.placeholders.confine(call, operation, &self.outside)?;
        label_gate::admit(&self.step.labels, operation, &self.outside)
    }

    /// Everything that stands before a call: whether the step may make it, what policies and people say, and whether it
    /// was made before.
    pub(crate) async fn admit(&mut self, call: Asked, operation: Operation) -> Result<Admitted, Stop> {
        let permit = self.permit.take();
        let tape = self.outside.tape().cloned();
        if let Some(tape) = &tape {
            tape.tick(self.player.ordinal());
        }
        self.redo().await?;
        if let Err(error) = self.admitted(self.performed.as_ref().unwrap_or(&call.call), &operation) {
            return self.deny(call, error).map(Admitted::Done);
        }
        if let Some(earlier) = self.player.history().reusable.get(&call.key) {
            let (seq, result) = (earlier.seq, Ok(earlier.value.clone()));
            let artifact = artifact::artifact_of(&call.call, &earlier.value);
            // The event it names has the call.
            let call = Asked { call: Call { args: Value::Null, ..call.call }, ..call };
            let returned = Returned { reused: Some(seq), artifact, ..returned(None, call, &result) };
            self.append(Event::Returned(returned))?;
            return Ok(Admitted::Done(result));
        }
        if let Operation::Fact(fact) = operation {
            self.permit = permit;
            let result = match self.permit {
                Some(_) => self.told(call, fact, FactVerdict::Approved),
                None => self.claim(call, fact).await,
            };
            return result.map(Admitted::Done);
        }
        // What does not bind is not worth asking anybody about.
        let mut bound = None;
        if let Operation::Call(named) = &operation {
            match named.bound(&self.plan.statements) {
                Ok(statement) => bound = Some(statement),
                Err(error) => return self.deny(call, error).map(Admitted::Done),
            }
        }
        self.permit = permit;
        let mut permitted = false;
        if self.permit.is_none() {
            match self.judged(&call, &operation).await? {
                Passage::Refused(error) => return Ok(Admitted::Done(Err(error))),
                Passage::Free { permitted: by_policy } => permitted = by_policy,
            }
            // What people have permitted before may be the call as one of them has changed it.
            if let Some(performed) = &self.performed {
                let admitted = Operation::parse(performed).and_then(|changed| {
                    self.admitted(performed, &changed)?;
                    changed.bound(&self.plan.statements)
                });
                bound = match admitted {
                    Ok(changed) => Some(changed),
                    Err(error) => return self.deny(call, error).map(Admitted::Done),
                };
            }
        }
        let bound = bound.unwrap_or(operation);
        if let Some(tape) = tape.filter(|_| !bound.is_the_gates_own()) {
            return self.taped(call, &bound, &tape).await.map(Admitted::Done);
        }
        Ok(Admitted::Bound { call, operation: Box::new(bound), permitted })
    }

    /// Makes a call that may be made; `permitted` says that a policy has answered for the people it asks.
    async fn perform(
        &mut self,
        call: Asked,
        operation: Operation,
        permitted: bool,
    ) -> Result<CallResult, Stop> {
        match operation {
            Operation::Complete(request) => self.complete(call, request).await,
            Operation::Query(ref sql) if self.transactions.get(&sql.db).is_none() => {
                let (result, filters) = (self.read(sql).await, self.seen_through(sql));
                self.has_read(Returned { result, filters, ..returned(None, call, &Ok(Value::Null)) }).await
            }
            Operation::Page(ref page) => self.page(call, page).await,
            Operation::Query(_) | Operation::Execute(_) | Operation::BulkInsert(_) => {
                self.statement(call, operation, None).await
            }
            Operation::Ask(_) if permitted => self.answered(call),
            Operation::Ask(ask) => self.ask_people(call, ask).await,
            Operation::Http(request) => self.http(call, request, None, None).await,
            Operation::Save(Save { artifact, request }) => {
                self.http(call, request, Some(artifact), None).await
            }
            Operation::Artifact(artifact) => self.artifact(call, artifact),
            Operation::File(file) => self.file(call, file).await,
            Operation::Secret(secret) => {
                let placeholder = placeholder(&self.log.keys(), &secret.label);
                let result = Ok(Value::String(placeholder));
                self.append(Event::Returned(returned(None, call, &result)))?;
                Ok(result)
            }
            Operation::Cost(report) => self.charge(call, report),
            Operation::Mail(_) => self.queue(call, MAIL.to_owned()),
            Operation::Say(say) => self.queue(call, say.address),
            Operation::Search(search) => self.search(call, search).await,
            Operation::Own(own) => self.own(call, own, None).await,
            Operation::Terraform(it) => self.terraform(call, it).await,
            Operation::Call(_) | Operation::Fact(_) | Operation::Output(_) => {
                Err(Stop::Host(format!("`{}` was not bound", call.call)))
            }
        }
    }

    /// Writes the intent of a call that costs nothing, and waits until it is durable.
    pub(crate) async fn intent(
        &mut self,
        call: &Asked,
        class: CallClass,
        good_until: Option<Timestamp>,
    ) -> Result<u64, Stop> {
        let Asked { call: asked, args, key } = call.clone();
        let written = self.append(Event::Intent {
            asked,
            transcript: None,
            class,
            args,
            key,
            hold: PicoUsd::ZERO,
            max_tokens: None,
            good_until,
            consumes: None,
            performed: None,
        })?;
        let seq = written.seq;
        self.durable(written).await?;
        Ok(seq)
    }

    /// Whether the guest ended before it had made every recorded call: then it is not what was recorded.
    pub(crate) fn unfinished(&mut self) -> Option<Stop> {
        let divergence = self.player.unfinished()?;
        Some(self.diverged(divergence))
    }

    /// Settles a call that a deadline cut off: the provider may do the work all the same, so what was held for
    /// it is charged. One that nothing tells about stays open, and the attempt parks.
    pub(crate) fn abandon(&mut self) -> Result<(), Stop> {
        self.give_up()?;
        match self.in_doubt.take() {
            Some(InDoubt { intent, call, class: CallClass::Unsafe | CallClass::Verifiable }) => {
                return Err(self.parked(ParkReason::Unknown { intent, call }));
            }
            // The next attempt makes it under the same key.
            Some(InDoubt { intent, .. }) => {
                self.append(Event::Abandoned { intent, cost: PicoUsd::ZERO })?;
            }
            None => {}
        }
        match self.in_flight.take() {
            Some((intent, cost)) => self.append(Event::Abandoned { intent, cost }).map(|_| ()),
            None => Ok(()),
        }
    }

    pub(crate) fn diverged(&self, divergence: Divergence) -> Stop {
        match self.log.append(vec![(self.place.clone(), Event::Parked { reason: divergence.into() })]) {
            Ok(_) => Stop::Diverged,
            Err(error) => host(error),
        }
    }

    /// Has the attempt wait for something that may take long, once what is under way has come. It comes back here by
    /// replay.
    pub(crate) async fn park(&mut self, reason: ParkReason) -> Stop {
        match self.settle().await {
            Ok(()) => self.parked(reason),
            Err(stop) => stop,
        }
    }

    /// Has the attempt wait, where nothing is under way.
    pub(crate) fn parked(&mut self, reason: ParkReason) -> Stop {
        match self.append(Event::Parked { reason }) {
            Ok(_) => Stop::Parked,
            Err(stop) => stop,
        }
    }

    pub(crate) fn deny(&mut self, call: Asked, error: CallError) -> Result<CallResult, Stop> {
        if let Some(tape) = self.outside.tape() {
            tape.denied(&Call { args: self.placeholders.masked(&call.call), ..call.call.clone() });
        }
        let Asked { call, args, .. } = call;
        self.append(Event::Denied { call, args, error: error.clone() })?;
        Ok(Err(error))
    }

    /// The place of the call under way.
    pub(crate) fn call_place(&self) -> Place {
        self.place.call(self.player.ordinal())
    }

    /// Writes an event of the call under way; the step's clock shows its time from then on.
    ///
    /// An intent, and a result that has none, consumes the approval that permits the call.
    pub(crate) fn append(&mut self, mut event: Event) -> Result<Written, Stop> {
        if let Event::Intent { consumes, performed, .. }
        | Event::Returned(Returned { intent: None, consumes, performed, .. }) = &mut event
        {
            *consumes = consumes.or_else(|| self.permit.take());
            *performed = self.performed.take();
        }
        let written = self.log.append(vec![(self.call_place(), event)]).map_err(host)?;
        self.player.seen(written.time);
        Ok(written)
    }

    /// Writes an event of a call that was under way beside the guest, and says when; the step's clock shows that time
    /// when the guest is told.
    pub(crate) fn append_at(&mut self, ordinal: u32, event: Event) -> Result<Timestamp, Stop> {
        let written = self.log.append(vec![(self.place.call(ordinal), event)]).map_err(host)?;
        Ok(written.time)
    }

    /// Writes an event of the call under way that nothing waits for, and that says of nothing outside that it was
    /// changed: it goes along with the next one that does. Gives the event back.
    pub(crate) fn note(&mut self, event: Event) -> Result<Event, Stop> {
        if self.permit.is_some() {
            return self.append(event.clone()).map(|_| event);
        }
        let (time, event) = self.log.note(self.call_place(), event).map_err(host)?;
        self.player.seen(time);
        Ok(event)
    }

    /// Output commit: what was written before `written` is durable with it, so everything the guest has seen is.
    pub(crate) async fn durable(&mut self, written: Written) -> Result<(), Stop> {
        self.player.seen(written.time);
        written.durable().await.map_err(host)
    }
}

#[async_trait]
impl Caller for AttemptGate {
    /// Makes one call: replayed if the journal has it, else live.
    async fn make(&mut self, call: Call) -> Result<CallResult, Stop> {
        // What cannot be read reaches nothing; the guest is told, the same way each time.
        let operation = match Operation::parse(&call) {
            Ok(operation) => operation,
            Err(error @ CallError::Invalid { .. }) => return Ok(Err(error)),
            Err(error) => {
                tracing::warn!(%call, "a call without an operation");
                return Ok(Err(error));
            }
        };
        self.performed = None;
        match self.player.ask(call) {
            Ok((asked, Some(came_to))) => {
                self.performed = self.player.performed().cloned();
                let operation = self.as_performed(operation)?;
                self.recover(asked, operation, came_to).await
            }
            Ok((asked, None)) => self.live(asked, operation).await,
            Err(divergence) => Err(self.diverged(divergence)),
        }
    }
}

impl AttemptGate {
    /// Makes a call, and takes notice of what it came to.
    pub(crate) async fn call_and_wait(&mut self, call: Call) -> Result<CallResult, Stop> {
        match Task::of(&call) {
            Some(Ok(task)) => task.perform(self).await,
            Some(Err(error)) => Ok(Err(error)),
            None => {
                let interface = call.interface.clone();
                let result = self.make(call).await?;
                self.redactor.saw(&interface, &result);
                if interface == artifact::HTTP {
                    artifact::saved(&result).iter().for_each(|artifact| self.desk.made(artifact));
                }
                Ok(result)
            }
        }
    }
}

#[async_trait]
impl Gate for AttemptGate {
    async fn call(&mut self, call: Call) -> Result<CallResult, Stop> {
        self.call_and_wait(call).await
    }

    async fn begin(&mut self, call: Call) -> Result<Begun, Stop> {
        self.begin_call(call).await
    }

    async fn arrival(&mut self, until: Option<Timestamp>) -> Result<Option<Arrival>, Stop> {
        self.next_arrival(until).await
    }

    async fn refuse(&mut self, call: &Call) -> Result<Option<CallError>, Stop> {
        let grants = self.step.grants.clone();
        http::refuse(self, call, &grants).await
    }

    fn context(&self) -> &StepContext {
        &self.context
    }

    fn log(&mut self, line: LogLine) {
        if self.player.skips_line() {
            return;
        }
        let LogLine { level, context, message } = line;
        let (context, message) = (self.redactor.text(context), self.redactor.text(message));
        let level = format!("{level:?}").to_lowercase();
        if let Err(error) =
            self.log.append(vec![(self.call_place(), Event::Logged { level, context, message })])
        {
            // The next intent finds the journal broken and stops the step; a log line alone does not.
            tracing::error!(%error, "a log line could not be journaled");
        }
    }

    fn now(&mut self) -> Timestamp {
        self.player.now()
    }

    async fn sleep(&mut self, until: Timestamp) -> Result<(), Stop> {
        match self.player.wait(until) {
            Wait::Over => Ok(()),
            // A test waits for nothing.
            Wait::Nap(_) if self.outside.tape().is_some() => Ok(()),
            Wait::Nap(wait) => tokio::select! {
                biased;
                () = tokio::time::sleep(wait) => Ok(()),
                () = self.halt.asked() => Err(Stop::Suspended),
            },
            Wait::Park(_) if self.halt.is_asked() => Err(Stop::Suspended),
            Wait::Park(wait) => {
                let until = self.log.now().after(wait);
                Err(self.park(ParkReason::Timer { until }).await)
            }
        }
    }

    fn artifacts(&mut self) -> Option<&mut dyn Artifacts> {
        Some(&mut self.desk)
    }

    fn seed(&self) -> [u8; 32] {
        self.player.seed()
    }
}

/// The result of a call; the call itself is kept where no intent has it.
pub(crate) fn returned(intent: Option<u64>, call: Asked, result: &CallResult) -> Returned {
    let Asked { call, args, .. } = call;
    let call = intent.is_none().then_some(call);
    Returned {
        intent,
        call,
        args,
        result: result.clone(),
        spend: None,
        tentative: false,
        reused: None,
        consumes: None,
        filters: Vec::new(),
        performed: None,
        reported: None,
        queued: None,
        artifact: None,
        beside: false,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` passes")]
pub(crate) fn host(error: LogFailed) -> Stop {
    Stop::Host(error.to_string())
}
