//! Requests that are under way while their guest goes on.

use std::collections::BTreeMap;

use super::handler::answered;
use super::response::Slot;
use crate::{Arrival, Gate, Stop};

/// The requests of a guest that the gate has under way, by their numbers among the calls of the attempt.
#[derive(Debug, Default)]
pub struct UnderWay(BTreeMap<u32, Request>);

/// One of them.
#[derive(Debug)]
struct Request {
    /// Where its answer goes.
    slot: Slot,
    /// What a log calls it.
    shown: String,
}

impl UnderWay {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, call: u32, slot: Slot, shown: String) {
        self.0.insert(call, Request { slot, shown });
    }

    /// Has the guest see what one of them came to. From here on its future is ready.
    ///
    /// # Errors
    /// Where the gate tells of a request that is not under way, or of an answer that is none.
    pub fn arrived(&mut self, gate: &mut dyn Gate, arrival: Arrival) -> wasmtime::Result<()> {
        let Some(Request { slot, shown }) = self.0.remove(&arrival.call) else {
            return Err(Stop::Host(format!("call {} is not under way", arrival.call)).into());
        };
        slot.fill(answered(gate, &shown, arrival.result)?);
        Ok(())
    }
}
