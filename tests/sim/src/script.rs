//! Scripted steps: what a guest could do, without an instance of wasmtime.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use wflo::{Components, StepProgram};
use wflo_host_api::{Arrival, Begun, Gate, LogLevel, LogLine, Stop};
use wflo_model::{
    Call, Capability, Content, Digest, Failure, FailureKind, Fault, FaultKind, Limits, SqlValue, Timestamp,
};
use wflo_sandbox::{End as Ending, Ended, LoadError, Missing, Usage};

use crate::language_model::MODEL;
use crate::scenario::{Asking, Asks, End, Op, Step};
use crate::site;
use crate::world::World;

/// The scripts of a scenario, as a process has them.
pub(crate) struct Scripts {
    world: Option<Arc<World>>,
    known: BTreeMap<Digest, Step>,
    loaded: Mutex<BTreeMap<Digest, Arc<Script>>>,
}

impl Scripts {
    pub(crate) fn new(world: &Arc<World>, steps: &[Step]) -> Self {
        let known = steps.iter().map(|step| (Digest::of(&component(step)), step.clone())).collect();
        Self { world: Some(Arc::clone(world)), known, loaded: Mutex::default() }
    }

    /// Scripts at whose running nobody is killed.
    pub(crate) fn quiet(world: &Arc<World>, steps: &[Step]) -> Self {
        Self { world: None, ..Self::new(world, steps) }
    }
}

/// What stands for the bytes of a component.
pub(crate) fn component(step: &Step) -> Vec<u8> {
    format!("script of s{}: {:?}, {:?}", step.id, step.ops, step.end).into_bytes()
}

#[async_trait]
impl Components for Scripts {
    async fn load(self: Arc<Self>, component: &Content) -> Result<Arc<dyn StepProgram>, LoadError> {
        live_on(self.world.as_ref()).await;
        let digest = component.digest();
        let step = self.known.get(&digest).expect("only components of the scenario are started").clone();
        let script = Arc::new(Script { world: self.world.clone(), step });
        self.loaded.lock().expect("one thread does everything").insert(digest, Arc::clone(&script));
        Ok(script)
    }

    fn loaded(&self, component: &Digest) -> Option<Arc<dyn StepProgram>> {
        let loaded = self.loaded.lock().expect("one thread does everything");
        Some(Arc::clone(loaded.get(component)?) as Arc<dyn StepProgram>)
    }
}

async fn live_on(world: Option<&Arc<World>>) {
    if let Some(world) = world {
        world.live_on().await;
    }
}

struct Script {
    world: Option<Arc<World>>,
    step: Step,
}

#[async_trait]
impl StepProgram for Script {
    fn missing(&self, _: &BTreeSet<Capability>) -> Vec<Missing> {
        Vec::new()
    }

    async fn run(&self, _: &str, mut gate: Box<dyn Gate>, limits: &Limits) -> Ended {
        live_on(self.world.as_ref()).await;
        let begun = tokio::time::Instant::now();
        let played = tokio::time::timeout(limits.timeout, self.play(&mut *gate)).await;
        let wall = begun.elapsed();
        let end = match played {
            Ok(Ok(end)) => end,
            Ok(Err(stop)) => Ending::Stopped(stop),
            Err(_) => Ending::Fault(Fault { kind: FaultKind::Deadline, message: "too long".to_owned() }),
        };
        if let Some(world) = &self.world {
            world.moment();
        }
        Ended { gate, end, usage: Usage { fuel: 1, memory_peak: 1, wall } }
    }
}

impl Script {
    async fn play(&self, gate: &mut dyn Gate) -> Result<Ending, Stop> {
        // All that the script does from here on follows from what the gate says.
        let mut seen = vec![gate.context().item.clone().unwrap_or_default()];
        seen.push(json!(gate.context().outputs));
        seen.push(json!(gate.context().decision));
        seen.push(json!(gate.seed()[0]));
        let mut waiting = BTreeSet::new();
        for op in &self.step.ops {
            seen.push(perform(gate, op, &mut waiting).await?);
        }
        let digest = Digest::of(json!(seen).to_string().as_bytes());
        let sum = u64::from(digest.as_bytes()[0] % 10);
        let list: Vec<u64> = (0..sum % 4).collect();
        let attempt = gate.context().attempt;
        let failed = |kind| Ok(Ending::Failed(Failure { kind, message: format!("attempt {attempt}") }));
        match self.step.end {
            End::Permanent => failed(FailureKind::Permanent),
            End::Retryable(until) if attempt <= until => failed(FailureKind::Retryable),
            End::Redo(until) if attempt <= until => failed(FailureKind::Redo),
            End::Trap(until) if attempt <= until => {
                Ok(Ending::Fault(Fault { kind: FaultKind::Trap, message: "unreachable".to_owned() }))
            }
            End::Odd if sum % 2 == 1 => failed(FailureKind::Permanent),
            _ => Ok(Ending::Output(json!({ "sum": sum, "list": list, "seen": digest }))),
        }
    }
}

/// The calls that a script has under way.
type Waiting = BTreeSet<u32>;

async fn perform(gate: &mut dyn Gate, op: &Op, waiting: &mut Waiting) -> Result<Value, Stop> {
    let call = match op {
        Op::Model { prompt, max_tokens } => chat(MODEL, &format!("question {prompt}"), *max_tokens),
        Op::Denied => chat("other-model", "may I?", None),
        Op::Invalid => Call::new("wflo:db/sql", "query", json!({ "db": 1 })),
        Op::Task => {
            let args = json!({ "model": MODEL, "text": "a text", "categories": ["yes", "no"] });
            Call::new("wflo:llm/tasks", "classify", args)
        }
        Op::Read { db, row } => {
            let params = [SqlValue::Integer(*row)];
            Call::new("wflo:db/sql", "query", json!({ "db": db, "sql": "get", "params": params }))
        }
        Op::Add { db, row, by } => {
            let params = [SqlValue::Integer(*row), SqlValue::Integer(*by)];
            Call::new("wflo:db/sql", "execute", json!({ "db": db, "sql": "add", "params": params }))
        }
        Op::Insert { db, id } => {
            let params = [SqlValue::Integer(*id), SqlValue::Integer(1)];
            Call::new("wflo:db/sql", "execute", json!({ "db": db, "sql": "insert", "params": params }))
        }
        Op::Ask(Asking { approvers, quorum, timeout, .. }) => {
            let mut args = json!({ "summary": "may I go on?", "approvers": approvers });
            if let Some(quorum) = quorum {
                args["quorum"] = json!(quorum);
            }
            if let Some(timeout) = timeout {
                args["timeout_seconds"] = json!(timeout);
            }
            Call::new("wflo:approval/gate", "request", args)
        }
        Op::Fact { risk } => {
            Call::new("wflo:approval/policy", "fact", json!({ "name": "risk", "value": risk }))
        }
        Op::Sleep { ms } => {
            let until = gate.now().after(Duration::from_millis(*ms));
            // As the sandbox does it: what comes meanwhile is told first.
            let mut seen = Vec::new();
            while !waiting.is_empty()
                && let Some(arrival) = gate.arrival(Some(until)).await?
            {
                seen.push(told(gate, arrival, waiting));
            }
            gate.sleep(until).await?;
            seen.push(json!(gate.now()));
            return Ok(json!(seen));
        }
        Op::Together { asks, nap, more, waits } => {
            let mut seen = Vec::new();
            for ask in asks {
                seen.extend(begin(gate, *ask, waiting).await?);
            }
            if *waits {
                let until = nap.map(|ms| gate.now().after(Duration::from_millis(ms)));
                wait_for_all(gate, until, *more, waiting, &mut seen).await?;
            }
            return Ok(json!(seen));
        }
        Op::Log => {
            let message = "a line".to_owned();
            gate.log(LogLine { level: LogLevel::Info, context: "stdout".to_owned(), message });
            return Ok(Value::Null);
        }
        Op::Clock => return Ok(json!(gate.now())),
    };
    Ok(match gate.call(call).await? {
        Ok(value) => value,
        Err(error) => json!(error),
    })
}

/// Has a request set off; gives what it came to, if that is known at once.
async fn begin(gate: &mut dyn Gate, asks: Asks, waiting: &mut Waiting) -> Result<Option<Value>, Stop> {
    Ok(match gate.begin(site::call(asks)).await? {
        Begun::Done(result) => Some(result.unwrap_or_else(|error| json!(error))),
        Begun::UnderWay(call) => {
            waiting.insert(call);
            None
        }
    })
}

fn told(gate: &mut dyn Gate, arrival: Arrival, waiting: &mut Waiting) -> Value {
    let Arrival { call, result } = arrival;
    let known = waiting.remove(&call);
    json!([call, known, result.unwrap_or_else(|error| json!(error)), gate.now()])
}

/// Waits for everything under way, no longer than `until` for the first time, and has one `more` set off meanwhile.
async fn wait_for_all(
    gate: &mut dyn Gate,
    mut until: Option<Timestamp>,
    mut more: Option<Asks>,
    waiting: &mut Waiting,
    seen: &mut Vec<Value>,
) -> Result<(), Stop> {
    while !waiting.is_empty() {
        match gate.arrival(until).await? {
            Some(arrival) => seen.push(told(gate, arrival, waiting)),
            None => {
                until = None;
                seen.push(json!(gate.now()));
            }
        }
        if let Some(more) = more.take() {
            seen.extend(begin(gate, more, waiting).await?);
        }
    }
    Ok(())
}

fn chat(model: &str, question: &str, max_tokens: Option<u32>) -> Call {
    let mut args = json!({ "model": model, "messages": [{ "role": "user", "content": question }] });
    if let Some(most) = max_tokens {
        args["max_tokens"] = json!(most);
    }
    Call::new("wflo:llm/chat", "complete", args)
}
