//! Channels to people.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wflo_model::{Label, Timestamp};

/// Tells people something: a channel of the deployment.
///
/// What is told is made before it comes here, and may come more than once: a process may die between telling and
/// noting that it has told. What an implementation owes is to pass on [`Notification::id`], so that whoever gets one
/// twice can see it.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Tells it; whoever keeps the channel has taken it when this returns.
    ///
    /// # Errors
    /// See [`NotifyError`].
    async fn tell(&self, notification: &Notification) -> Result<(), NotifyError>;

    /// The labels of data that may go there.
    fn accepts(&self) -> &BTreeSet<Label>;

    /// Whether it is also told what has been decided; a channel that rings until somebody answers has to be.
    fn hears_decisions(&self) -> bool;
}

/// What is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// Names it: the same however often it is told.
    pub id: String,
    /// Names what it is about: the same for a question and its decision.
    pub about: String,
    /// What is told of it.
    #[serde(flatten)]
    pub kind: NotificationKind,
    /// When it happened.
    pub at: Timestamp,
    /// One line of it.
    pub title: String,
    /// Name of the workflow; none where the channel may not know more than that somebody has to look.
    pub workflow: Option<String>,
    /// The run.
    pub run: String,
    /// The step, and the item of one that fans out.
    pub step: Option<String>,
    /// Who is asked.
    pub approvers: Vec<String>,
    /// How many distinct persons it takes.
    pub quorum: Option<usize>,
    /// Until when.
    pub until: Option<Timestamp>,
    /// Where it can be read and decided. To open it decides nothing.
    pub link: Option<String>,
    /// How it can be read and decided without the link.
    pub commands: Vec<String>,
    /// What is decided on, or what happened. None where the data has a label that the channel does not accept.
    pub details: Option<Value>,
}

/// What kind of thing is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum NotificationKind {
    /// People are asked.
    Asked,
    /// What they were asked needs no answer any more.
    Decided {
        /// How it ended: `approved`, `rejected`, `expired`, `cancelled` or `superseded`.
        outcome: String,
    },
    /// Something happened that they wanted to know.
    Happened,
    /// What a step has to say: the title and the details are its own words.
    Said,
}

impl NotificationKind {
    /// One line of it.
    ///
    /// ```
    /// use wflo_ports::NotificationKind;
    /// assert_eq!(
    ///     NotificationKind::Asked.title(Some("fraud-detection"), Some("block")),
    ///     "fraud-detection: a decision on `block` is asked for"
    /// );
    /// ```
    #[must_use]
    pub fn title(&self, workflow: Option<&str>, step: Option<&str>) -> String {
        let of = workflow.map(|name| format!("{name}: ")).unwrap_or_default();
        let on = step.map(|step| format!(" on `{step}`")).unwrap_or_default();
        match self {
            Self::Asked => format!("{of}a decision{on} is asked for"),
            Self::Decided { outcome } => format!("{of}the decision{on}: {outcome}"),
            Self::Happened => format!("{of}something happened{on} that you wanted to know"),
            Self::Said => {
                let by = step.map(|step| format!(" of `{step}`")).unwrap_or_default();
                format!("{of}a message{by}")
            }
        }
    }
}

impl Notification {
    /// The same, without anything of the data: run, step, who, until when, and where to look.
    #[must_use]
    pub fn without_data(self) -> Self {
        Self { title: self.kind.title(None, self.step.as_deref()), workflow: None, details: None, ..self }
    }
}

/// Why it was not told, cut by when it is worth telling again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotifyError {
    /// The channel does not take it, and will not before somebody has changed something.
    #[error("{message}")]
    Refused {
        /// What it said.
        message: String,
    },
    /// It may be taken later.
    #[error("{message}")]
    Later {
        /// What happened.
        message: String,
        /// How long the channel wants to be left alone, if it said so.
        after: Option<Duration>,
    },
}
