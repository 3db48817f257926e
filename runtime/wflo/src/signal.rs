//! A word that many wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Says yes or no; clones say the same. Those who wait are woken in the order in which they began to, where a `watch` would
/// draw it: a simulation does the same again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signal(Arc<State>);

#[derive(Debug, Default)]
struct State {
    says: AtomicBool,
    told: Notify,
}

impl Signal {
    pub(crate) fn get(&self) -> bool {
        self.0.says.load(Ordering::SeqCst)
    }

    /// Says it from now on, and whether that is news. Only news wakes anybody.
    pub(crate) fn set(&self, says: bool) -> bool {
        let is_news = self.0.says.swap(says, Ordering::SeqCst) != says;
        if is_news {
            self.0.told.notify_waiters();
        }
        is_news
    }

    /// Returns when that is what it says.
    pub(crate) async fn until(&self, says: bool) {
        loop {
            let told = self.0.told.notified();
            tokio::pin!(told);
            // Registered before the look, so that no word between look and wait is missed.
            told.as_mut().enable();
            if self.get() == says {
                return;
            }
            told.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Signal;

    #[tokio::test]
    async fn whoever_waits_is_woken_in_turn_and_by_news_alone() {
        let (signal, (told, mut heard)) = (Signal::default(), tokio::sync::mpsc::unbounded_channel());
        for number in 0..20 {
            let (signal, told) = (signal.clone(), told.clone());
            tokio::spawn(async move {
                signal.until(true).await;
                told.send(number)
            });
        }
        tokio::task::yield_now().await;
        assert!(!signal.set(false));
        assert!(heard.try_recv().is_err());
        assert!(signal.set(true) && !signal.set(true));
        for number in 0..20 {
            assert_eq!(heard.recv().await, Some(number));
        }
        signal.until(true).await;
    }
}
