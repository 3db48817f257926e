//! How an attempt is stopped from outside.

use crate::signal::Signal;

/// How an attempt is stopped from outside: at once while its guest computes, and when the call under way is done.
#[derive(Clone)]
pub(crate) struct Halt {
    /// Says that the attempt is to stop.
    stopping: Signal,
    /// Says that a call is under way.
    busy: Signal,
}

impl Halt {
    pub(crate) fn new(stopping: Signal) -> Self {
        Self { stopping, busy: Signal::default() }
    }

    /// Whether the attempt is to stop.
    pub(crate) fn is_asked(&self) -> bool {
        self.stopping.get()
    }

    /// Says whether a call is under way.
    pub(crate) fn set_busy(&self, busy: bool) {
        self.busy.set(busy);
    }

    /// Returns when the attempt is to stop.
    pub(crate) async fn asked(&self) {
        self.stopping.until(true).await;
    }

    /// Returns when the attempt is to stop and no call is under way, so that dropping it loses nothing.
    pub(crate) async fn can_stop(self) {
        self.asked().await;
        self.busy.until(false).await;
    }
}
