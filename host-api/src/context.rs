//! `wflo:step/context`: what a step knows about itself, and what it has cost.

use serde::Serialize;
use wflo_model::CallError;

use crate::bindings::wflo::step::context;
use crate::link::Host;

impl crate::bindings::wflo::step::types::Host for Host<'_> {}

impl context::Host for Host<'_> {
    async fn run_id(&mut self) -> wasmtime::Result<String> {
        Ok(self.gate()?.context().run.clone())
    }

    async fn step(&mut self) -> wasmtime::Result<String> {
        Ok(self.gate()?.context().step.clone())
    }

    async fn attempt(&mut self) -> wasmtime::Result<u32> {
        Ok(self.gate()?.context().attempt)
    }

    async fn input(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        Ok(self.gate()?.context().inputs.get(&name).map(ToString::to_string))
    }

    async fn inputs(&mut self) -> wasmtime::Result<String> {
        let inputs = &self.gate()?.context().inputs;
        Ok(serde_json::to_string(inputs).expect("a map of JSON values is JSON"))
    }

    async fn output_of(&mut self, step: String) -> wasmtime::Result<Option<String>> {
        Ok(self.gate()?.context().outputs.get(step.as_str()).map(ToString::to_string))
    }

    async fn item(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(self.gate()?.context().item.as_ref().map(ToString::to_string))
    }

    async fn report_cost(
        &mut self,
        kind: String,
        usd: String,
        note: String,
    ) -> wasmtime::Result<Result<(), String>> {
        let args = CostArgs { kind, usd, note };
        let answer = self.call::<_, ()>("wflo:step/context", "report-cost", &args).await?;
        Ok(answer.map_err(|error| match error {
            CallError::Invalid { message } => message,
            other => other.to_string(),
        }))
    }
}

/// The arguments of `report-cost`, as the journal keeps them.
#[derive(Serialize)]
struct CostArgs {
    kind: String,
    usd: String,
    note: String,
}
