//! Entry into the sandbox: from nothing to the step's answer and back to nothing, without a journal.

use anyhow::{Result, ensure};
use async_trait::async_trait;
use wflo_host_api::{Gate, LogLine, StepContext, Stop};
use wflo_model::{Call, CallResult, Limits, Timestamp};
use wflo_sandbox::{End, Sandbox, SandboxConfig};

use crate::args::Args;
use crate::floor::Instance;
use crate::guest::Guest;
use crate::meter::{median, timed};
use crate::row::Row;

/// Entries of a round, and rounds.
const EACH: usize = 500;
const ROUNDS: usize = 9;

pub(crate) async fn measure(args: &Args) -> Result<Vec<Row>> {
    let guest = Guest::read(&args.guest)?;
    let bare = Instance::new(guest.content.bytes())?;
    let program = Sandbox::new(SandboxConfig::default())?.load(&guest.content).await?;
    let limits = Limits::default();
    let enter = || async {
        let ended = program.run("nothing", Box::new(Closed::default()), &limits).await;
        ensure!(matches!(ended.end, End::Output(_)), "the guest ended as {:?}", ended.end);
        Ok(())
    };
    let (mut floors, mut entries) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (mut floor, mut entry) = (Vec::new(), Vec::new());
        for _ in 0..EACH {
            floor.push(timed(bare.call("nothing")).await?);
        }
        for _ in 0..EACH {
            entry.push(timed(enter()).await?);
        }
        // The first round warms up.
        if round > 0 {
            floors.push(median(floor));
            entries.push(median(entry));
        }
    }
    let floor = median(floors);
    let row = Row::new("sandbox entry of a trivial step", median(entries), "us").floor(floor);
    Ok(vec![row.at_most(2.0 * floor).note("floor: wasmtime's own store, pooled instance, call and drop")])
}

/// A gate that nothing passes.
#[derive(Default)]
pub(super) struct Closed(StepContext);

#[async_trait]
impl Gate for Closed {
    async fn call(&mut self, _: Call) -> Result<CallResult, Stop> {
        Err(Stop::Parked)
    }

    fn context(&self) -> &StepContext {
        &self.0
    }

    fn log(&mut self, _: LogLine) {}

    fn now(&mut self) -> Timestamp {
        Timestamp::default()
    }

    async fn sleep(&mut self, _: Timestamp) -> Result<(), Stop> {
        Ok(())
    }

    fn seed(&self) -> [u8; 32] {
        [7; 32]
    }
}
