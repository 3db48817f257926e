//! A row of the outbox.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wflo_engine::{About, Notice, backoff};
use wflo_journal::{OutboxEntry, OutboxKey};
use wflo_model::{ApprovalId, Digest, RunId, Timestamp};
use wflo_ports::NotifyError;

/// The first wait after a channel has not taken something.
const FIRST_WAIT: Duration = Duration::from_secs(4);
/// The longest, and the wait after a channel said that it will not take it: somebody may have set it right.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// How long what asks nobody is tried. A question is tried as long as it is open.
const PATIENCE: Duration = Duration::from_secs(3 * 24 * 3600);

/// A row, as it stands in the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) run: RunId,
    #[serde(flatten)]
    pub(crate) notice: Notice,
    /// The event because of which.
    pub(crate) seq: u64,
    /// Its time.
    pub(crate) since: Timestamp,
    /// How often it was tried.
    pub(crate) tries: u32,
    /// Whether a try may have told it all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) perhaps: bool,
    /// What came of the newest try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// Something that waits to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OutboxLine {
    /// Names it: what the channel gets as its id.
    pub id: String,
    /// The channel, or `mail`.
    pub channel: String,
    /// The run.
    pub run: RunId,
    /// What is told of the run: `asked`, `decided`, `happened`, or what a step has `said`.
    pub about: String,
    /// The approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalId>,
    /// When it happened, as RFC 3339.
    pub since: String,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next, as RFC 3339.
    pub next: String,
    /// Why it is still here; none if it was not tried yet.
    pub why: Option<String>,
}

/// The row that promises a notice.
pub(crate) fn entry(run: RunId, seq: u64, notice: Notice, at: Timestamp) -> OutboxEntry {
    let about = serde_json::to_vec(&notice.about).expect("it has text keys");
    let parts =
        [b"wflo outbox", &run.as_bytes()[..], &seq.to_be_bytes(), notice.channel.as_bytes(), b"\0", &about];
    let id = Digest::of_parts(&parts).as_bytes()[..16].try_into().expect("a digest has 32 bytes");
    let waiting = Waiting { run, notice, seq, since: at, tries: 0, perhaps: false, why: None };
    OutboxEntry { key: OutboxKey { due: at, id }, body: waiting.encode() }
}

impl Waiting {
    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("it has text keys")
    }

    pub(crate) fn line(&self, key: &OutboxKey) -> OutboxLine {
        let (about, approval) = match self.notice.about {
            About::Asked { approval } => ("asked", Some(approval)),
            About::Decided { approval } => ("decided", Some(approval)),
            About::Said { .. } => ("said", None),
            _ => ("happened", None),
        };
        OutboxLine {
            id: hex(&key.id),
            channel: self.notice.channel.clone(),
            run: self.run,
            about: about.to_owned(),
            approval,
            since: self.since.to_string(),
            tries: self.tries,
            next: key.due.to_string(),
            why: self.why.clone(),
        }
    }

    /// When it is tried again, after it was not taken; none if it is not.
    pub(crate) fn again(
        &self,
        id: &[u8; 16],
        error: &NotifyError,
        now: Timestamp,
    ) -> Option<(OutboxKey, Self)> {
        let tries = self.tries + 1;
        let wait = match error {
            NotifyError::Refused { .. } => LONGEST_WAIT,
            NotifyError::Later { after, .. } => {
                let seed = Digest::of_parts(&[id, &tries.to_be_bytes()]);
                let seed =
                    u64::from_be_bytes(seed.as_bytes()[..8].try_into().expect("a digest has 32 bytes"));
                let wait = backoff(FIRST_WAIT, tries, LONGEST_WAIT, seed);
                wait.max(after.unwrap_or_default().min(LONGEST_WAIT))
            }
            _ => LONGEST_WAIT,
        };
        let is_over = !matches!(self.notice.about, About::Asked { .. }) && now.since(self.since) > PATIENCE;
        let perhaps = self.perhaps || !matches!(error, NotifyError::Refused { .. });
        let next = Self { tries, perhaps, why: Some(error.to_string()), ..self.clone() };
        (!is_over).then_some((OutboxKey { due: now.after(wait), id: *id }, next))
    }
}

pub(crate) fn hex(id: &[u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(*id))
}
