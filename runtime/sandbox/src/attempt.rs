//! One attempt: an instance from its making to its end.

use std::fmt;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use wasmtime::component::{InstancePre, Val};
use wasmtime::{Store, UpdateDeadline};
use wflo_host_api::{Gate, StepInfo, StepPre, Stop, Undo};
use wflo_model::{Failure, Fault, FaultKind, Limits};

use crate::fault::{Halt, LimitHit};
use crate::sandbox::Pool;
use crate::state::State;
use crate::typed::TypedFunction;

/// A time no attempt lives to see, for limits that are longer than the clock can count.
const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);

/// How an attempt ended, with the gate it was given.
pub struct Ended {
    /// The gate.
    pub gate: Box<dyn Gate>,
    /// How it ended.
    pub end: End,
    /// What it used.
    pub usage: Usage,
}

impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ended = &mut f.debug_struct("Ended");
        ended.field("end", &self.end).field("usage", &self.usage).finish_non_exhaustive()
    }
}

/// The ends of an attempt. Whose doing it was is never mixed: the guest's word, the guest's fault, the host's.
#[derive(Debug)]
pub enum End {
    /// The step's output.
    Output(Value),
    /// The guest says that it failed.
    Failed(Failure),
    /// The guest trapped or ran into a limit.
    Fault(Fault),
    /// The gate stopped it, or the host failed.
    Stopped(Stop),
}

/// What an attempt used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Units of fuel. The same for every replay under one version of wasmtime.
    pub fuel: u64,
    /// The most bytes of linear memory at one time.
    pub memory_peak: u64,
    /// Time from the making of the instance to its end.
    pub wall: Duration,
}

/// What to call.
pub(crate) enum Work<'a> {
    Describe(&'a StepPre<State>),
    Run(&'a StepPre<State>, &'a str),
    Compensate(&'a StepPre<State>, &'a Undo),
    /// A function of the component's own types.
    Call(&'a InstancePre<State>, &'a TypedFunction, Vec<Val>),
}

/// What a call that came back came back with.
pub(crate) enum Done {
    Described(Vec<StepInfo>),
    /// The output as JSON text.
    Returned(Result<String, Failure>),
}

/// Makes an instance, calls it, and drops it.
pub(crate) async fn perform(
    pool: &Pool,
    work: Work<'_>,
    gate: Box<dyn Gate>,
    limits: &Limits,
) -> (Result<Done, Halt>, Box<dyn Gate>, Usage) {
    let _room = pool.permits.acquire().await.expect("the semaphore is never closed");
    let started = Instant::now();
    let deadline = started.checked_add(limits.timeout).unwrap_or_else(|| started + FAR);
    let mut store = store(pool, matches!(work, Work::Describe(_)), gate, limits, deadline);

    // The guest's code notices the deadline by itself; this is for a call to the host that does not come back.
    // Dropping that future is all it takes: the store is dropped next.
    let called = match timeout_at(deadline, call(&mut store, work, limits)).await {
        Ok(called) => called,
        Err(_) => Err(LimitHit::Deadline { limit: limits.timeout }.into()),
    };
    let usage = Usage {
        fuel: limits.fuel.saturating_sub(store.get_fuel().unwrap_or_default()),
        memory_peak: store.data().memory.peak(),
        wall: started.elapsed(),
    };
    let state = store.into_data();
    let output = state.output.clone();
    let gate = state.gate.finish();
    let done = called.map_err(|error| Halt::new(error, limits, &output.lock().tail()));
    (done, gate, usage)
}

fn store(
    pool: &Pool,
    describing: bool,
    gate: Box<dyn Gate>,
    limits: &Limits,
    deadline: Instant,
) -> Store<State> {
    let memory = limits.memory.min(pool.max_memory);
    let mut store = Store::new(&pool.engine, State::new(gate, limits, memory, describing));
    store.limiter(|state| &mut state.memory);
    store.set_fuel(limits.fuel).expect("the engine counts fuel");
    // A bound on what one call can make the host copy; the metered gate counts the bytes of a call exactly.
    let copied = limits.call_bytes.max(limits.output);
    store.set_hostcall_fuel(usize::try_from(copied).unwrap_or(usize::MAX));
    store.set_epoch_deadline(1);
    let limit = limits.timeout;
    store.epoch_deadline_callback(move |mut context| {
        if Instant::now() >= deadline {
            return Err(LimitHit::Deadline { limit }.into());
        }
        // Whoever follows the log sees what a busy guest prints.
        context.data_mut().gate.flush();
        Ok(UpdateDeadline::Yield(1))
    });
    store
}

async fn call(store: &mut Store<State>, work: Work<'_>, limits: &Limits) -> wasmtime::Result<Done> {
    match work {
        Work::Describe(pre) => {
            let instance = pre.instantiate(store).await?;
            Ok(Done::Described(instance.describe(store).await?))
        }
        Work::Run(pre, step) => {
            let instance = pre.instantiate(store).await?;
            Ok(Done::Returned(instance.run(store, step).await?))
        }
        Work::Compensate(pre, what) => {
            let instance = pre.instantiate(store).await?;
            let result = instance.compensate(store, what).await?;
            Ok(Done::Returned(result.map(|()| "null".to_owned())))
        }
        Work::Call(pre, function, arguments) => {
            let instance = pre.instantiate_async(&mut *store).await?;
            Ok(Done::Returned(function.call(&instance, store, &arguments, limits.output).await?))
        }
    }
}

/// What a guest's return amounts to.
pub(crate) fn end(returned: Result<String, Failure>, limits: &Limits) -> End {
    match returned {
        Ok(text) if text.len() as u64 > limits.output => {
            let hit = LimitHit::Output { bytes: text.len() as u64, limit: limits.output };
            End::Fault(hit.fault())
        }
        Ok(text) => match serde_json::from_str(&text) {
            Ok(value) => End::Output(value),
            Err(error) => {
                let message = format!("the output is not JSON: {error}");
                End::Fault(Fault { kind: FaultKind::BadOutput, message })
            }
        },
        Err(failure) => End::Failed(cut(failure)),
    }
}

/// Bytes kept of what a guest says of its failure. Outputs have a limit that people set; this goes into the journal,
/// to terminals and to whoever is told, and a page of it is enough for anyone.
const FAILURE: usize = 16 << 10;

/// A failure without the part of its message that nobody would read.
fn cut(mut failure: Failure) -> Failure {
    let bytes = failure.message.len();
    if bytes > FAILURE {
        failure.message.truncate(failure.message.floor_char_boundary(FAILURE));
        failure.message.push_str(&format!("... (cut: it had {bytes} bytes)"));
    }
    failure
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wflo_model::{Failure, FailureKind, Fault, FaultKind, Limits};

    use super::{End, FAILURE, end};

    #[test]
    fn a_failure_without_end_is_cut_between_two_letters() {
        let message = "é".repeat(FAILURE);
        let failure = Failure { kind: FailureKind::Permanent, message };
        let End::Failed(failure) = end(Err(failure), &Limits::default()) else { panic!() };
        assert!(failure.message.ends_with("é... (cut: it had 32768 bytes)"), "{}", failure.message.len());
        assert!(failure.message.len() < FAILURE + 64);
    }

    #[test]
    fn only_json_within_the_limit_is_output() {
        let limits = Limits { output: 8, ..Limits::default() };
        assert!(matches!(end(Ok("[1]".into()), &limits), End::Output(value) if value == json!([1])));
        for bad in ["", "{", "[1] 2", "\"12345678\""] {
            let end = end(Ok(bad.into()), &limits);
            assert!(matches!(end, End::Fault(Fault { kind: FaultKind::BadOutput, .. })), "{bad}");
        }
    }
}
