//! How an attempt is stopped from outside.

use tokio::sync::watch;

/// How an attempt is stopped from outside: at once while its guest computes, and when the call under way is done.
#[derive(Clone)]
pub(crate) struct Halt {
    /// True when the attempt is to stop.
    stopping: watch::Receiver<bool>,
    /// True while a call is under way.
    busy: watch::Sender<bool>,
}

impl Halt {
    pub(crate) fn new(stopping: watch::Receiver<bool>) -> Self {
        Self { stopping, busy: watch::Sender::new(false) }
    }

    /// Whether the attempt is to stop.
    pub(crate) fn is_asked(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Says whether a call is under way.
    pub(crate) fn set_busy(&self, busy: bool) {
        self.busy.send_replace(busy);
    }

    /// Returns when the attempt is to stop.
    pub(crate) async fn asked(&mut self) {
        if self.stopping.wait_for(|stopping| *stopping).await.is_err() {
            // Whoever could have asked has gone.
            std::future::pending().await
        }
    }

    /// Returns when the attempt is to stop and no call is under way, so that dropping it loses nothing.
    pub(crate) async fn can_stop(mut self) {
        self.asked().await;
        let idle = self.busy.subscribe().wait_for(|busy| !*busy).await.map(|_| ());
        idle.expect("the sender is in `self`");
    }
}
