//! The sandbox against real guests: `tests/programs`, compiled here.

mod cache;
mod ends;
mod files;
mod forge;
mod gate;
mod grants;
mod guests;
mod hostile;
mod http;
mod typed;
mod virtual_world;

use std::sync::{Arc, LazyLock};

use wflo_model::Limits;
use wflo_sandbox::{Ended, Program, Sandbox, SandboxConfig};

use crate::gate::Recorder;

/// One sandbox for all tests, as one is enough for a process.
static SANDBOX: LazyLock<Arc<Sandbox>> = LazyLock::new(|| {
    Sandbox::new(SandboxConfig { instances: 8, ..SandboxConfig::default() })
        .expect("the sandbox can be set up")
});

async fn program(guest: &str) -> Arc<Program> {
    SANDBOX.load(&guests::component(guest).into()).await.expect("the guest is a component")
}

/// Runs a step of the odd guest against `gate`.
async fn run_with(step: &str, gate: Recorder, limits: &Limits) -> (Ended, Recorder) {
    let mut ended = program("odd").await.run(step, Box::new(gate), limits).await;
    let gate = std::mem::replace(&mut ended.gate, Box::new(Recorder::default()));
    (ended, Recorder::back(gate))
}

async fn run(step: &str) -> (Ended, Recorder) {
    run_with(step, Recorder::default(), &Limits::default()).await
}
