//! Telling one channel.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use wflo_journal::{AppendError, Journal, OutboxEntry, OutboxKey, Ticket};
use wflo_ports::{Clock, NotifyError};

use super::parcel::{Carried, Letter, Way};
use super::row::Waiting;

/// How long a channel may take for one notification.
const TELLING: Duration = Duration::from_secs(30);

/// Holds a channel, so that it is told one thing at a time, in order.
pub(crate) struct Claim {
    pub(crate) channel: String,
    pub(crate) busy: Arc<Mutex<HashSet<String>>>,
    pub(crate) freed: watch::Sender<Option<Ticket>>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.channel);
        // Whoever waits for the channel looks again.
        self.freed.send_modify(|_| {});
    }
}

/// Tells one thing after another on a channel.
pub(crate) struct Sender {
    pub(crate) claim: Claim,
    pub(crate) way: Result<Way, String>,
    /// Each with what is handed over, or why that is kept back.
    pub(crate) told: Vec<(OutboxKey, Waiting, Result<Letter, String>)>,
    pub(crate) journal: Journal,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Sender {
    /// Tells, and notes what came of it. When the channel takes nothing now, the others wait as well.
    pub(crate) async fn send(self) {
        let mut closed: Option<NotifyError> = None;
        for (key, waiting, letter) in &self.told {
            let result = match (&self.way, letter, &closed) {
                (_, _, Some(error)) => Err(error.clone()),
                (Err(why), _, _) | (_, Err(why), _) => Err(NotifyError::Refused { message: why.clone() }),
                (Ok(way), Ok(letter), _) => {
                    let carried = tokio::time::timeout(TELLING, way.carry(letter)).await;
                    match carried.unwrap_or_else(|_| Carried::Closed(silence())) {
                        Carried::Taken => Ok(()),
                        Carried::Not(error) => Err(error),
                        Carried::Closed(error) => {
                            closed = Some(error.clone());
                            Err(error)
                        }
                    }
                }
            };
            self.note(key, waiting, result).await;
        }
        // Not sooner: whoever has the channel next finds what is left.
        drop(self.claim);
    }

    async fn note(&self, key: &OutboxKey, waiting: &Waiting, result: Result<(), NotifyError>) {
        let (run, channel) = (waiting.run, &waiting.notice.channel);
        let put = match &result {
            Ok(()) => {
                tracing::info!(%run, %channel, "told");
                None
            }
            Err(error) => {
                let again = waiting.again(&key.id, error, self.clock.now());
                match &again {
                    Some((next, _)) => tracing::info!(%run, %channel, %error, next = %next.due, "not told"),
                    None => tracing::error!(%run, %channel, %error, "not told, and given up"),
                }
                again.map(|(key, waiting)| OutboxEntry { key, body: waiting.encode() })
            }
        };
        match self.journal.change_outbox(vec![*key], put.into_iter().collect()).await {
            Ok(()) | Err(AppendError::Gone) => {}
            Err(error) => tracing::error!(%error, "what was told cannot be noted; it will be told again"),
        }
    }
}

fn silence() -> NotifyError {
    NotifyError::Later { message: format!("no answer within {TELLING:?}"), after: None }
}
