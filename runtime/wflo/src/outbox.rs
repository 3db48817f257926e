//! Telling people what there is to be told, out of a durable outbox.
//!
//! What is to be told was promised by the append of the event it tells of ([`Notices`](wflo_engine::Notices)), and
//! stands in the store until a channel has taken it. So telling is no part of a run: a channel that is dead delays
//! nothing, and what it has not taken is there after a crash. It may be told twice, under the same id: a process may
//! die between telling and noting that it has told.
//!
//! A row says which event is to be told where. What is said is made from the run when it is sent: of a question that
//! was answered meanwhile nobody is asked, and of a run that was erased nothing is left to say.
//!
//! What a step has to say, by mail or on a channel, goes the same way, since the step has succeeded.

mod parcel;
mod row;
mod sender;
mod text;

use std::collections::{BTreeSet, HashSet};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use wflo_engine::About;
use wflo_journal::{AppendError, OutboxEntry, OutboxKey, Ticket};
use wflo_model::Timestamp;

use self::parcel::{Told, Way};
pub use self::row::OutboxLine;
pub(crate) use self::row::{Waiting, entry};
use self::sender::{Claim, Sender};
use crate::runtime::Host;
use crate::{Runtime, RuntimeError};

/// Rows read at a time.
const PAGE: usize = 256;
/// How long nobody looks where nothing is due: for what another process has left.
const LOOK: Duration = Duration::from_secs(60);

/// What is under way in this process.
#[derive(Default)]
pub(crate) struct Outbox {
    /// The newest append that has promised something; also told when a channel is free again.
    pub(crate) posted: watch::Sender<Option<Ticket>>,
    /// Channels that somebody tells something right now.
    busy: Arc<Mutex<HashSet<String>>>,
    /// Who tells. They outlive whoever began them: what has left is noted, and is not told again.
    sending: Mutex<JoinSet<()>>,
}

impl Outbox {
    fn claim(&self, channel: &str) -> Option<Claim> {
        let is_free = self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(channel.to_owned());
        is_free.then(|| Claim {
            channel: channel.to_owned(),
            busy: Arc::clone(&self.busy),
            freed: self.posted.clone(),
        })
    }

    fn spawn(&self, sender: Sender) {
        // It is whole at any time.
        let mut sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        while sending.try_join_next().is_some() {}
        sending.spawn(sender.send());
    }
}

impl Runtime {
    /// Everything that waits to be told, soonest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn outbox(&self) -> Result<Vec<OutboxLine>, RuntimeError> {
        let all = self.waiting(Timestamp::from_micros(u64::MAX)).await?;
        Ok(all.iter().map(|(key, waiting)| waiting.line(key)).collect())
    }

    /// Makes everything that waits due now: a channel was set right.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn retry_outbox(&self) -> Result<usize, RuntimeError> {
        let now = self.now();
        let late: Vec<_> = self
            .waiting(Timestamp::from_micros(u64::MAX))
            .await?
            .into_iter()
            .filter(|(key, _)| key.due > now)
            .collect();
        for (key, waiting) in &late {
            let put = OutboxEntry { key: OutboxKey { due: now, id: key.id }, body: waiting.encode() };
            self.change_outbox(*key, Some(put)).await?;
        }
        self.outbox.posted.send_modify(|_| {});
        Ok(late.len())
    }

    /// Does something, and meanwhile tells people what there is to be told through the channels of this deployment.
    pub async fn telling<T>(&self, host: &Host, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        tokio::select! {
            biased;
            done = &mut work => done,
            () = self.keep_telling(host) => work.await,
        }
    }

    /// Tells people what there is to be told, now and as it comes, until the runtime is to [stop](Self::stop).
    pub async fn keep_telling(&self, host: &Host) {
        while !self.is_stopping() {
            let Err(error) = self.tell(host, None).await else { return };
            tracing::error!(%error, "the outbox cannot be read; notifications wait");
            tokio::select! {
                biased;
                () = self.until_stopping() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Tells people what there is to be told now or is due within `time`, and gives what is left then. It ends sooner
    /// when nothing more is due.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn tell_for(&self, host: &Host, time: Duration) -> Result<Vec<OutboxLine>, RuntimeError> {
        self.tell(host, Some(Instant::now() + time)).await?;
        self.outbox().await
    }

    /// Tells until then, or until nothing is due until then; for ever without a then.
    async fn tell(&self, host: &Host, until: Option<Instant>) -> Result<(), RuntimeError> {
        let mut posted = self.outbox.posted.subscribe();
        loop {
            if self.is_stopping() {
                return Ok(());
            }
            if let Some(message) = self.journal().poisoned() {
                // What is told could not be noted, and would be told again and again.
                return Err(AppendError::Poisoned { message }.into());
            }
            // Noted before looking, so that no change between looking and waiting is missed.
            let newest = posted.borrow_and_update().clone();
            if let Some(ticket) = newest {
                // What cannot be written was not promised.
                let _ = ticket.durable().await;
            }
            let Due { under_way, next } = self.send_due(host).await?;
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let wait = next.map(|due| due.since(self.now()));
            if left.is_some_and(|left| !under_way && wait.is_none_or(|wait| wait > left)) {
                return Ok(());
            }
            tokio::select! {
                biased;
                () = self.until_stopping() => {}
                Ok(()) = posted.changed() => {}
                () = sleep(left) => return Ok(()),
                () = tokio::time::sleep(wait.map_or(LOOK, |wait| wait.min(LOOK))) => {}
            }
        }
    }

    /// Begins to tell what is due, on each channel that is free.
    async fn send_due(&self, host: &Host) -> Result<Due, RuntimeError> {
        let now = self.now();
        let mut channels = BTreeSet::new();
        let mut due = Due::default();
        for (key, waiting) in self.waiting(Timestamp::from_micros(u64::MAX)).await? {
            let channel = &waiting.notice.channel;
            if Way::to(channel, &host.outside).is_none() {
                continue;
            }
            if key.due <= now {
                channels.insert(channel.clone());
            } else {
                due.next = due.next.or(Some(key.due));
            }
        }
        for channel in channels {
            due.under_way = true;
            let Some(claim) = self.outbox.claim(&channel) else { continue };
            let Some(way) = Way::to(&channel, &host.outside) else { continue };
            let mut told = Vec::new();
            for (key, waiting) in self.still(&channel, now).await? {
                match self.told_by(host, &way, &key, &waiting).await? {
                    Some(it) => told.push((key, waiting, it.letter(&way, &host.outside))),
                    None => self.change_outbox(key, None).await?,
                }
            }
            // In the order in which it happened.
            told.sort_by_key(|(_, waiting, _)| (waiting.since, waiting.run, waiting.seq));
            let (journal, clock) = (self.journal().clone(), Arc::clone(&self.clock));
            self.outbox.spawn(Sender { claim, way, told, journal, clock });
        }
        Ok(due)
    }

    /// The rows of a channel that are due, now that it is ours: another may have told some since they were read.
    ///
    /// Of a question that is decided by now nobody is asked any more. Whoever never heard it need not hear the decision.
    async fn still(&self, channel: &str, now: Timestamp) -> Result<Vec<(OutboxKey, Waiting)>, RuntimeError> {
        let mut all = self.waiting(Timestamp::from_micros(u64::MAX)).await?;
        all.retain(|(_, waiting)| waiting.notice.channel == channel);
        let mut over = Vec::new();
        for (key, waiting) in &all {
            let About::Decided { approval } = waiting.notice.about else { continue };
            let asked = all.iter().find(|(_, other)| other.notice.about == About::Asked { approval });
            if let Some((asked, unheard)) = asked.map(|(key, asked)| (key, !asked.perhaps)) {
                // In one piece: with the question alone gone, the answer would be told to whoever never heard it.
                over.push([Some(*asked), unheard.then_some(*key)].into_iter().flatten().collect::<Vec<_>>());
            }
        }
        for keys in &over {
            self.replace_in_outbox(keys.clone(), None).await?;
        }
        all.retain(|(key, _)| key.due <= now && !over.iter().flatten().any(|over| over == key));
        Ok(all)
    }

    /// What is sent of a row; nothing where nobody needs it.
    async fn told_by(
        &self,
        host: &Host,
        way: &Result<Way, String>,
        key: &OutboxKey,
        waiting: &Waiting,
    ) -> Result<Option<Told>, RuntimeError> {
        let is_decision = matches!(waiting.notice.about, About::Decided { .. });
        if is_decision && way.as_ref().is_ok_and(|way| !way.hears_decisions()) {
            return Ok(None);
        }
        self.told(host, key, waiting).await
    }

    /// Takes a row away, or puts another into its place. What somebody else has taken meanwhile is theirs.
    async fn change_outbox(&self, key: OutboxKey, put: Option<OutboxEntry>) -> Result<(), RuntimeError> {
        self.replace_in_outbox(vec![key], put).await
    }

    async fn replace_in_outbox(
        &self,
        keys: Vec<OutboxKey>,
        put: Option<OutboxEntry>,
    ) -> Result<(), RuntimeError> {
        match self.journal().change_outbox(keys, put.into_iter().collect()).await {
            Ok(()) | Err(AppendError::Gone) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn waiting(&self, until: Timestamp) -> Result<Vec<(OutboxKey, Waiting)>, RuntimeError> {
        let mut all: Vec<(OutboxKey, Waiting)> = Vec::new();
        loop {
            let page = self.journal().outbox(all.last().map(|(key, _)| *key), until, PAGE).await?;
            let is_last = page.len() < PAGE;
            for entry in page {
                let waiting = serde_json::from_slice(&entry.body).map_err(|error| RuntimeError::Bug {
                    message: format!("a row of the outbox: {error}"),
                })?;
                all.push((entry.key, waiting));
            }
            if is_last {
                return Ok(all);
            }
        }
    }
}

/// What there is to be told.
#[derive(Default)]
struct Due {
    /// Whether something is due now, and being told by somebody.
    under_way: bool,
    /// When the next is due.
    next: Option<Timestamp>,
}

/// Waits so long; for ever without a time.
async fn sleep(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}
