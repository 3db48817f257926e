//! Waiting for durability, from both sides.

use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;

use crate::error::AppendError;

/// The answer to an append that is under way. Dropping it cancels nothing; clones wait for the same answer.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use wflo_journal::Ticket;
/// let (answer, ticket) = Ticket::pair();
/// assert!(ticket.now().is_none());
/// answer.give(Ok(()));
/// ticket.durable().await.unwrap();
/// # });
/// ```
#[derive(Clone)]
pub struct Ticket(Arc<Outcome>);

#[derive(Default)]
struct Outcome {
    result: OnceLock<Result<(), AppendError>>,
    told: Notify,
}

impl Ticket {
    /// A ticket, and what answers it.
    #[must_use]
    pub fn pair() -> (Answer, Self) {
        let outcome = Arc::new(Outcome::default());
        (Answer(Some(Arc::clone(&outcome))), Self(outcome))
    }

    /// A ticket that is answered already.
    #[must_use]
    pub fn answered(result: Result<(), AppendError>) -> Self {
        let (answer, ticket) = Self::pair();
        answer.give(result);
        ticket
    }

    /// Waits until what was appended is durable, and everything of the run before it.
    ///
    /// # Errors
    /// When it is not, or when that is unknown: see [`AppendError`].
    pub async fn durable(self) -> Result<(), AppendError> {
        loop {
            // Made before the look, so that an answer between look and wait is not missed.
            let told = self.0.told.notified();
            if let Some(result) = self.now() {
                return result;
            }
            told.await;
        }
    }

    /// The answer, if there is one by now.
    #[must_use]
    pub fn now(&self) -> Option<Result<(), AppendError>> {
        self.0.result.get().cloned()
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ticket").field(&self.0.result.get()).finish()
    }
}

/// Answers a [`Ticket`]. One that is dropped answers that the outcome is unknown.
pub struct Answer(Option<Arc<Outcome>>);

impl Answer {
    /// Answers.
    pub fn give(mut self, result: Result<(), AppendError>) {
        self.set(result);
    }

    fn set(&mut self, result: Result<(), AppendError>) {
        if let Some(outcome) = self.0.take() {
            let first = outcome.result.set(result).is_ok();
            debug_assert!(first, "an answer is taken out when it is given");
            outcome.told.notify_waiters();
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.set(Err(AppendError::Unknown { message: "the writer stopped".to_owned() }));
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer(..)")
    }
}

/// Something that must be durable before an append that names it is written, such as a blob.
#[derive(Debug)]
pub struct Barrier(Receiver<Result<(), String>>);

impl Barrier {
    /// A barrier, and what lifts it.
    #[must_use]
    pub fn pair() -> (BarrierSignal, Self) {
        let (to, from) = sync_channel(1);
        (BarrierSignal(to), Self(from))
    }

    /// Waits on a thread of the store's own.
    ///
    /// # Errors
    /// What went wrong; the store then counts as failed.
    pub fn wait(self) -> Result<(), String> {
        self.0.recv().unwrap_or_else(|_| Err("the writer of blobs stopped".to_owned()))
    }
}

/// Lifts a [`Barrier`]. One that is dropped counts as failed.
#[derive(Debug)]
pub struct BarrierSignal(SyncSender<Result<(), String>>);

impl BarrierSignal {
    /// Says how it went.
    pub fn lift(self, result: Result<(), String>) {
        // Nobody waits any more where the store has failed before.
        let _ = self.0.send(result);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_clones_get_the_answer_and_a_dropped_answer_is_unknown() {
        let (answer, ticket) = Ticket::pair();
        let waiting = tokio::spawn(ticket.clone().durable());
        tokio::task::yield_now().await;
        answer.give(Err(AppendError::Fenced));
        assert!(matches!(waiting.await.unwrap(), Err(AppendError::Fenced)));
        assert!(matches!(ticket.durable().await, Err(AppendError::Fenced)));

        let (answer, ticket) = Ticket::pair();
        drop(answer);
        assert!(matches!(ticket.durable().await, Err(AppendError::Unknown { .. })));
    }

    #[test]
    fn a_dropped_signal_is_a_failure() {
        let (signal, barrier) = Barrier::pair();
        drop(signal);
        assert!(barrier.wait().is_err());
        let (signal, barrier) = Barrier::pair();
        signal.lift(Ok(()));
        assert!(barrier.wait().is_ok());
    }
}
