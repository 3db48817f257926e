//! THE gate: every call of a guest that reaches outside, live and in replay.
//!
//! replay lookup -> authorise -> reuse -> budget hold -> intent (durable) -> perform -> result -> return
//!
//! There is no second path. In replay nothing is authorised, priced or performed, and nothing is written, but
//! for the redo of an open transaction when the recorded calls are used up.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use wflo_engine::{CallClass, Event, ParkReason, Place, Quote, Returned, Spend, Tokens};
use wflo_host_api::{Gate, LogLine, StepContext, Stop};
use wflo_manifest::{OnExceeded, Plan, PlanStep, UnknownPrice};
use wflo_model::{Call, CallError, CallResult, Digest, PicoUsd, Timestamp, canonical};
use wflo_ports::{ChatRequest, Completion, IdempotencyKey, Marker, ModelError, QueryLimits};

use crate::history::{CameTo, History, OpenIntent, RecordedCall};
use crate::operation::{Operation, SqlCall, database, db_error};
use crate::run_log::{LogFailed, RunLog, Written};
use crate::transactions::{RedoError, Transactions, perform};
use crate::{Outside, tasks};

/// What a reading of the step's clock moves it on by, so that a guest that waits for time to pass gets there.
const TICK: Duration = Duration::from_micros(1);

/// The gate of one attempt.
pub(crate) struct AttemptGate {
    log: Arc<RunLog>,
    outside: Arc<Outside>,
    plan: Arc<Plan>,
    step: PlanStep,
    place: Place,
    context: StepContext,
    history: History,
    pub(crate) transactions: Transactions,
    marker: Marker,
    seed: [u8; 32],
    clock: Timestamp,
    ordinal: u32,
    equal_calls: HashMap<Digest, u64>,
    to_skip: u64,
    /// The intent of the call under way and what it holds.
    in_flight: Option<(u64, PicoUsd)>,
    stopping: tokio::sync::watch::Receiver<bool>,
}

/// What an attempt's gate is made of.
pub(crate) struct Setup {
    pub(crate) log: Arc<RunLog>,
    pub(crate) outside: Arc<Outside>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) step: PlanStep,
    pub(crate) attempt: u32,
    pub(crate) context: StepContext,
    pub(crate) history: History,
    /// True when the process drives no runs any more.
    pub(crate) stopping: tokio::sync::watch::Receiver<bool>,
}

impl AttemptGate {
    pub(crate) fn new(setup: Setup) -> Self {
        let Setup { log, outside, plan, step, attempt, context, history, stopping } = setup;
        Self {
            place: Place::attempt(&step.name, attempt),
            marker: log.marker(&step.name),
            seed: log.keys().seed(step.name.as_str(), None, attempt),
            transactions: Transactions::resuming(history.tentative()),
            clock: history.started,
            to_skip: history.logged,
            ordinal: 0,
            equal_calls: HashMap::new(),
            in_flight: None,
            stopping,
            log,
            outside,
            plan,
            step,
            context,
            history,
        }
    }

    /// Makes one call: replayed if the journal has it, else live.
    pub(crate) async fn make(&mut self, call: Call) -> Result<CallResult, Stop> {
        // What cannot be read reaches nothing; the guest is told, the same way each time.
        let operation = match Operation::parse(&call) {
            Ok(operation) => operation,
            Err(error @ CallError::Invalid { .. }) => return Ok(Err(error)),
            Err(error) => {
                tracing::warn!(%call, "a call without an operation");
                return Ok(Err(error));
            }
        };
        let arguments = canonical(&call.args).map_err(|error| Stop::Host(error.to_string()))?;
        let args =
            self.log.keys().args().digest(&[call.interface.as_bytes(), call.function.as_bytes(), &arguments]);
        let key = self.call_key(&args);
        self.ordinal += 1;
        match self.history.next() {
            Some(recorded) => self.replay(recorded, call, operation, args, key).await,
            None => self.live(call, operation, args, key).await,
        }
    }

    /// (store, run, step, item, operation and arguments, n): equal calls of an attempt differ by n alone. The
    /// attempt is not in it, so that a second one finds what the first one did.
    fn call_key(&mut self, args: &Digest) -> Digest {
        let n = self.equal_calls.entry(*args).or_default();
        *n += 1;
        Digest::of_parts(&[
            b"wflo call key",
            self.marker.digest().as_bytes(),
            args.as_bytes(),
            &n.to_be_bytes(),
        ])
    }

    async fn replay(
        &mut self,
        recorded: RecordedCall,
        call: Call,
        operation: Operation,
        args: Digest,
        key: Digest,
    ) -> Result<CallResult, Stop> {
        if recorded.ordinal != self.ordinal
            || recorded.args != args
            || recorded.call.to_string() != call.to_string()
        {
            let same = recorded.call.to_string() == call.to_string();
            let show = |call: &Call| if same { format!("{call} {}", call.args) } else { call.to_string() };
            return Err(self.diverged(show(&recorded.call), show(&call)));
        }
        match recorded.came_to {
            CameTo::Returned { result, at, .. } => {
                self.clock = self.clock.max(at);
                Ok(result)
            }
            CameTo::Denied { error, at } => {
                self.clock = self.clock.max(at);
                Ok(Err(error))
            }
            CameTo::Open(intent) => {
                self.clock = self.clock.max(intent.at);
                if intent.class == CallClass::Transactional {
                    self.redo().await?;
                    return self.statement(call, operation, args, key, Some(intent)).await;
                }
                // Settled before anything else can stop the attempt, so that no hold outlives it.
                self.append(Event::Abandoned { intent: intent.seq, cost: intent.hold })?;
                self.live(call, operation, args, key).await
            }
        }
    }

    async fn live(
        &mut self,
        call: Call,
        operation: Operation,
        args: Digest,
        key: Digest,
    ) -> Result<CallResult, Stop> {
        if *self.stopping.borrow() {
            return Err(Stop::Suspended);
        }
        self.redo().await?;
        if let Err(error) = operation.authorise(&self.step.grants, &self.outside) {
            return self.deny(call, args, error);
        }
        if let Some((seq, value)) = self.history.reusable.get(&key).cloned() {
            let returned = Returned { reused: Some(seq), ..returned(None, call, args, &Ok(value.clone())) };
            self.append(Event::Returned(returned))?;
            return Ok(Ok(value));
        }
        match operation {
            Operation::Complete(request) => self.complete(call, request, args, key).await,
            Operation::Query(ref sql) if self.transactions.get(&sql.db).is_none() => {
                let result = self.read(sql).await;
                self.append(Event::Returned(returned(None, call, args, &result)))?;
                Ok(result)
            }
            Operation::Query(_) | Operation::Execute(_) => {
                self.statement(call, operation, args, key, None).await
            }
        }
    }

    async fn read(&mut self, sql: &SqlCall) -> CallResult {
        let access = self.step.grants.db.get(&sql.db).cloned().unwrap_or_default();
        let rows =
            database(&self.outside, &sql.db)?.query(&sql.statement, &access, QueryLimits::default()).await;
        rows.map(|rows| json!(rows)).map_err(db_error)
    }

    /// A statement inside the step's transaction; the first write begins it.
    async fn statement(
        &mut self,
        call: Call,
        operation: Operation,
        args: Digest,
        key: Digest,
        intent: Option<OpenIntent>,
    ) -> Result<CallResult, Stop> {
        let (Operation::Query(sql) | Operation::Execute(sql)) = &operation else {
            return Err(Stop::Host("a statement was expected".into()));
        };
        let intent = match (intent, operation.class()) {
            (Some(open), _) => Some(open.seq),
            (None, CallClass::Transactional) => {
                let (asked, class) = (call.clone(), CallClass::Transactional);
                let event = Event::Intent { asked, class, args, key, hold: PicoUsd::ZERO, max_tokens: None };
                let written = self.append(event)?;
                let seq = written.seq;
                self.durable(written).await?;
                Some(seq)
            }
            (None, _) => None,
        };
        let result = match self.transactions.begin(&self.outside, &sql.db, &self.marker).await {
            Ok(transaction) => perform(transaction, &operation, &self.step.grants.db).await,
            Err(RedoError::Database(error)) => Err(db_error(error)),
            Err(error) => return Err(Stop::Host(error.to_string())),
        };
        let returned = Returned { tentative: true, ..returned(intent, call, args, &result) };
        self.append(Event::Returned(returned))?;
        Ok(result)
    }

    /// Asks a model: quote, hold and intent in one append, then the request, then what it really cost.
    async fn complete(
        &mut self,
        call: Call,
        request: ChatRequest,
        args: Digest,
        key: Digest,
    ) -> Result<CallResult, Stop> {
        let Some(model) = self.outside.model(&request.model).cloned() else {
            return Err(Stop::Host(format!("no binding answers for model `{}`", request.model)));
        };
        let Some(price) = self.price(&request) else {
            let message = format!("model `{}` has no price, and the deployment assumes none", request.model);
            return self.deny(call, args, CallError::AccessDenied { message });
        };
        let bound = model.bound(&request);
        let tokens = Tokens { input: bound.input, output: bound.output, asked: request.max_tokens };
        let min_output = self.plan.min_output_tokens;
        let place = self.place.call(self.ordinal);
        let asked = call.clone();
        let admitted = self.log.transact(|state| {
            let ledger = state.ledger();
            let quote = Quote::model_call(&price, &tokens, ledger.left(), min_output)?;
            ledger.admit(quote.hold)?;
            let Quote { hold, max_tokens } = quote;
            let event = Event::Intent { asked, class: CallClass::Repeatable, args, key, hold, max_tokens };
            Ok((vec![(place, event)], quote))
        });
        let (written, quote) = match admitted.map_err(host)? {
            Ok(admitted) => admitted,
            Err(refusal) => return self.over_budget(call, args, refusal),
        };
        let intent = written.seq;
        self.in_flight = Some((intent, quote.hold));
        self.durable(written).await?;
        let asked = ChatRequest { max_tokens: quote.max_tokens, ..request };
        let answer = model.complete(&asked, &IdempotencyKey(key)).await;
        let (result, spend) = settle(&asked, &price, answer, quote.hold);
        let returned = Returned { spend, ..returned(Some(intent), call, args, &result) };
        self.append(Event::Returned(returned))?;
        self.in_flight = None;
        Ok(result)
    }

    fn price(&self, request: &ChatRequest) -> Option<wflo_manifest::Price> {
        self.plan.prices.get(&request.model).cloned().or_else(|| match &self.plan.on_unknown_price {
            UnknownPrice::Assume { input, output } => {
                Some(wflo_manifest::Price::flat(*input, *output, "assumed by the deployment"))
            }
            UnknownPrice::Deny => None,
        })
    }

    fn over_budget(
        &mut self,
        call: Call,
        args: Digest,
        refusal: wflo_engine::Refusal,
    ) -> Result<CallResult, Stop> {
        let wflo_engine::Refusal { needed_usd, left_usd } = refusal;
        match self.plan.on_exceeded {
            OnExceeded::Fail => self.deny(call, args, CallError::BudgetExceeded { left_usd }),
            OnExceeded::Park => {
                let reason = ParkReason::Budget { needed_usd, left_usd };
                self.log.append(vec![(self.place.clone(), Event::Parked { reason })]).map_err(host)?;
                Err(Stop::Parked)
            }
        }
    }

    /// Brings back what a crash or a park took out of the databases, once the recorded calls are used up.
    pub(crate) async fn redo(&mut self) -> Result<(), Stop> {
        let redone =
            self.transactions.redo(&self.outside, &self.step.grants.db, &self.marker, |_| true).await;
        redone.map_err(|error| match error {
            RedoError::AlreadyCommitted(_) => Stop::Host(error.to_string()),
            _ => Stop::Interrupted(error.to_string()),
        })
    }

    /// Whether the guest ended before it had made every recorded call: then it is not what was recorded.
    pub(crate) fn unfinished(&mut self) -> Option<Stop> {
        let recorded = self.history.next()?;
        self.ordinal += 1;
        Some(self.diverged(recorded.call.to_string(), "the end of the step".to_owned()))
    }

    /// Settles a call that a deadline cut off: the provider may do the work all the same, so what was held for
    /// it is charged.
    pub(crate) fn abandon(&mut self) -> Result<(), Stop> {
        match self.in_flight.take() {
            Some((intent, cost)) => self.append(Event::Abandoned { intent, cost }).map(|_| ()),
            None => Ok(()),
        }
    }

    fn diverged(&self, expected: String, got: String) -> Stop {
        let reason = ParkReason::Diverged { ordinal: self.ordinal, expected, got };
        match self.log.append(vec![(self.place.clone(), Event::Parked { reason })]) {
            Ok(_) => Stop::Diverged,
            Err(error) => host(error),
        }
    }

    fn deny(&mut self, call: Call, args: Digest, error: CallError) -> Result<CallResult, Stop> {
        self.append(Event::Denied { call, args, error: error.clone() })?;
        Ok(Err(error))
    }

    /// Writes an event of the call under way; the step's clock shows its time from then on.
    fn append(&mut self, event: Event) -> Result<Written, Stop> {
        let written = self.log.append(vec![(self.place.call(self.ordinal), event)]).map_err(host)?;
        self.clock = self.clock.max(written.time);
        Ok(written)
    }

    /// Output commit: what was written before `written` is durable with it, so everything the guest has seen is.
    async fn durable(&mut self, written: Written) -> Result<(), Stop> {
        self.clock = self.clock.max(written.time);
        written.durable().await.map_err(host)
    }
}

#[async_trait]
impl Gate for AttemptGate {
    async fn call(&mut self, call: Call) -> Result<CallResult, Stop> {
        match tasks::Task::of(&call) {
            Some(Ok(task)) => task.perform(self).await,
            Some(Err(error)) => Ok(Err(error)),
            None => self.make(call).await,
        }
    }

    fn context(&self) -> &StepContext {
        &self.context
    }

    fn log(&mut self, line: LogLine) {
        if self.to_skip > 0 {
            self.to_skip -= 1;
            return;
        }
        let LogLine { level, context, message } = line;
        let level = format!("{level:?}").to_lowercase();
        let place = self.place.call(self.ordinal);
        if let Err(error) = self.log.append(vec![(place, Event::Logged { level, context, message })]) {
            // The next intent finds the journal broken and stops the step; a log line alone does not.
            tracing::error!(%error, "a log line could not be journaled");
        }
    }

    fn now(&mut self) -> Timestamp {
        self.clock = self.clock.after(TICK);
        self.clock
    }

    async fn sleep(&mut self, until: Timestamp) -> Result<(), Stop> {
        if self.history.is_over() {
            tokio::select! {
                () = tokio::time::sleep(until.since(self.clock)) => {}
                _ = self.stopping.wait_for(|stopping| *stopping) => return Err(Stop::Suspended),
            }
        }
        self.clock = self.clock.max(until);
        Ok(())
    }

    fn seed(&self) -> [u8; 32] {
        self.seed
    }
}

/// The result of a call; the call itself is kept where no intent has it.
fn returned(intent: Option<u64>, call: Call, args: Digest, result: &CallResult) -> Returned {
    let call = intent.is_none().then_some(call);
    Returned { intent, call, args, result: result.clone(), spend: None, tentative: false, reused: None }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` passes")]
fn host(error: LogFailed) -> Stop {
    Stop::Host(error.to_string())
}

/// What the guest is told, and what is charged.
fn settle(
    request: &ChatRequest,
    price: &wflo_manifest::Price,
    answer: Result<Completion, ModelError>,
    hold: PicoUsd,
) -> (CallResult, Option<Spend>) {
    let spend = |input_tokens, output_tokens, cost_usd, estimated| {
        Some(Spend { model: request.model.clone(), input_tokens, output_tokens, cost_usd, estimated })
    };
    match answer {
        Ok(Completion { text, model, finish_reason, usage }) => {
            let spend = match usage {
                Some(used) => spend(used.input, used.output, price.charge(used.input, used.output), false),
                None => spend(0, 0, hold, true),
            };
            let used = spend.as_ref().expect("an answer has a spend, by the line above");
            let value = json!({
                "text": text,
                "model": model,
                "finish_reason": finish_reason,
                "usage": { "input": used.input_tokens, "output": used.output_tokens },
                "cost_usd": used.cost_usd,
                "estimated": used.estimated,
            });
            (Ok(value), spend)
        }
        Err(error) => {
            // A provider that broke off may have done the work: the quote is charged, marked estimated.
            let charged = matches!(error, ModelError::Upstream { .. }) && hold > PicoUsd::ZERO;
            (Err(model_error(error)), if charged { spend(0, 0, hold, true) } else { None })
        }
    }
}

fn model_error(error: ModelError) -> CallError {
    match error {
        ModelError::RateLimited { retry_after } => CallError::RateLimited {
            retry_after: retry_after.map(|wait| u32::try_from(wait.as_secs()).unwrap_or(u32::MAX)),
        },
        ModelError::ContextTooLong { message } => CallError::ContextTooLong { message },
        other => CallError::Upstream { message: other.to_string() },
    }
}
