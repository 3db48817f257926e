//! The thread that makes running guests look up from time to time.

use std::io;
use std::time::Duration;

use wasmtime::Engine;

/// How often a guest that computes without pause yields, and looks whether its time is over.
const TICK: Duration = Duration::from_millis(10);

/// Starts the thread. It ends by itself when the engine is gone.
pub(crate) fn start(engine: &Engine) -> io::Result<()> {
    let engine = engine.weak();
    let tick = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    };
    std::thread::Builder::new().name("wflo-epoch".to_owned()).spawn(tick).map(drop)
}
