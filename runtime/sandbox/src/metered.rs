//! The gate, with the limits of an attempt in front of it.

use std::time::Duration;

use serde_json::Value;
use wflo_host_api::{Arrival, Artifacts, Begun, Gate, LogLine, StepContext, Stop};
use wflo_model::{Call, CallError, CallResult, Fault, FaultKind, Limits, Timestamp};

use crate::fault::LimitHit;
use crate::output::SharedOutput;

/// Counts calls and bytes, and hands on what the guest printed before each call, so that the gate sees
/// everything in the order in which the guest did it.
pub(crate) struct Metered {
    gate: Box<dyn Gate>,
    output: SharedOutput,
    calls: u32,
    max_calls: u32,
    call_bytes: u64,
    traffic: u64,
    max_traffic: u64,
}

impl Metered {
    pub(crate) fn new(gate: Box<dyn Gate>, output: SharedOutput, limits: &Limits) -> Self {
        let &Limits { calls: max_calls, call_bytes, traffic: max_traffic, .. } = limits;
        Self { gate, output, calls: 0, max_calls, call_bytes, traffic: 0, max_traffic }
    }

    /// Hands on the lines that are complete.
    pub(crate) fn flush(&mut self) {
        let lines = self.output.lock().take();
        for line in lines {
            self.gate.log(line);
        }
    }

    /// Hands on everything there still is, and gives the gate back.
    pub(crate) fn finish(mut self) -> Box<dyn Gate> {
        self.output.lock().finish();
        self.flush();
        self.gate
    }

    fn check_calls(&self) -> Result<(), Stop> {
        if self.calls < self.max_calls {
            return Ok(());
        }
        Err(LimitHit::Calls { limit: self.max_calls }.into())
    }

    /// Counts a call that is about to be made, after what was printed before it.
    fn count_call(&mut self, call: &Call) -> Result<(), Stop> {
        self.flush();
        self.check_calls()?;
        self.calls += 1;
        self.count_bytes(&call.args, || format!("a call of `{call}`"))
    }

    fn count_result(&mut self, result: &CallResult, what: impl FnOnce() -> String) -> Result<(), Stop> {
        match result {
            Ok(value) => self.count_bytes(value, what),
            Err(_) => Ok(()),
        }
    }

    fn count_bytes(&mut self, value: &Value, what: impl FnOnce() -> String) -> Result<(), Stop> {
        let bytes = json_bytes(value);
        if bytes > self.call_bytes {
            return Err(LimitHit::CallBytes { what: what(), limit: self.call_bytes }.into());
        }
        self.traffic = self.traffic.saturating_add(bytes);
        if self.traffic > self.max_traffic {
            return Err(LimitHit::Traffic { limit: self.max_traffic }.into());
        }
        Ok(())
    }
}

#[wasmtime_wasi::async_trait]
impl Gate for Metered {
    async fn call(&mut self, call: Call) -> Result<CallResult, Stop> {
        self.count_call(&call)?;
        let name = call.to_string();
        let result = self.gate.call(call).await?;
        self.count_result(&result, || format!("the answer to `{name}`"))?;
        Ok(result)
    }

    async fn begin(&mut self, call: Call) -> Result<Begun, Stop> {
        self.count_call(&call)?;
        let name = call.to_string();
        let begun = self.gate.begin(call).await?;
        if let Begun::Done(result) = &begun {
            self.count_result(result, || format!("the answer to `{name}`"))?;
        }
        Ok(begun)
    }

    async fn arrival(&mut self, until: Option<Timestamp>) -> Result<Option<Arrival>, Stop> {
        self.flush();
        let arrival = self.gate.arrival(until).await?;
        if let Some(Arrival { call, result }) = &arrival {
            self.count_result(result, || format!("the answer to call {call}"))?;
        }
        Ok(arrival)
    }

    async fn refuse(&mut self, call: &Call) -> Result<Option<CallError>, Stop> {
        self.flush();
        self.check_calls()?;
        let refused = self.gate.refuse(call).await?;
        // What is not refused is counted when it is made.
        self.calls += u32::from(refused.is_some());
        Ok(refused)
    }

    fn context(&self) -> &StepContext {
        self.gate.context()
    }

    fn log(&mut self, line: LogLine) {
        self.output.lock().push(line);
        self.flush();
    }

    fn logged(&mut self) -> Result<(), Stop> {
        let flood = self.output.lock().flood();
        flood.map_or(Ok(()), |hit| Err(hit.into()))
    }

    fn now(&mut self) -> Timestamp {
        self.gate.now()
    }

    async fn sleep(&mut self, until: Timestamp) -> Result<(), Stop> {
        self.flush();
        self.gate.sleep(until).await
    }

    fn artifacts(&mut self) -> Option<&mut dyn Artifacts> {
        self.gate.artifacts()
    }

    fn seed(&self) -> [u8; 32] {
        self.gate.seed()
    }
}

/// About as many bytes as `value` has as JSON text, without writing it.
fn json_bytes(value: &Value) -> u64 {
    match value {
        Value::Null | Value::Bool(_) => 4,
        Value::Number(_) => 8,
        Value::String(text) => text.len() as u64 + 2,
        Value::Array(items) => 2 + items.iter().map(|item| json_bytes(item) + 1).sum::<u64>(),
        Value::Object(map) => {
            2 + map.iter().map(|(key, value)| key.len() as u64 + 4 + json_bytes(value)).sum::<u64>()
        }
    }
}

/// The longest that a component may sleep while it describes itself.
const MOMENT: Duration = Duration::from_millis(10);

/// The gate of a component that only describes itself: there is nothing behind it.
pub(crate) struct NoGate {
    context: StepContext,
    now: Timestamp,
}

impl NoGate {
    pub(crate) fn boxed() -> Box<dyn Gate> {
        Box::new(Self { context: StepContext::default(), now: Timestamp::default() })
    }
}

#[wasmtime_wasi::async_trait]
impl Gate for NoGate {
    async fn call(&mut self, call: Call) -> Result<CallResult, Stop> {
        let message = format!("`{call}` was called while the component describes itself");
        Err(Stop::Fault(Fault { kind: FaultKind::Trap, message }))
    }

    fn context(&self) -> &StepContext {
        &self.context
    }

    fn log(&mut self, _: LogLine) {}

    /// As in an attempt, no two readings are the same, and none is 0: Go's runtime takes that for a broken clock.
    fn now(&mut self) -> Timestamp {
        self.now = self.now.after(Duration::from_micros(1));
        self.now
    }

    /// A moment passes at once: Go's runtime waits for one before it says why it panics.
    async fn sleep(&mut self, until: Timestamp) -> Result<(), Stop> {
        if until <= self.now.after(MOMENT) {
            self.now = self.now.max(until);
            return Ok(());
        }
        let message = "a component must not sleep while it describes itself".to_owned();
        Err(Stop::Fault(Fault { kind: FaultKind::Trap, message }))
    }

    fn seed(&self) -> [u8; 32] {
        [0; 32]
    }
}
