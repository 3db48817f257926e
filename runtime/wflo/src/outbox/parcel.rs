//! What is sent of a row of the outbox, and by which way.

use std::collections::BTreeSet;
use std::sync::Arc;

use wflo_engine::MAIL;
use wflo_model::Label;
use wflo_ports::{Mail, MailError, MailMessage, Notification, Notifier, NotifyError};

use crate::Outside;
use crate::message::MailCall;

/// What is sent, and the labels of the data in it.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) parcel: Parcel,
    pub(crate) labels: BTreeSet<Label>,
}

/// What is sent.
#[derive(Debug)]
pub(crate) enum Parcel {
    /// By a channel.
    Notification(Box<Notification>),
    /// By mail, under this id.
    Mail(MailCall, String),
    /// What cannot be read any more, and why: another version has queued it.
    Unreadable(String),
}

/// What is handed over.
#[derive(Debug)]
pub(crate) enum Letter {
    Notification(Box<Notification>),
    Mail(MailMessage),
}

/// Whoever hands it over.
#[derive(Clone)]
pub(crate) enum Way {
    Channel(Arc<dyn Notifier>),
    Mail(Arc<dyn Mail>),
}

/// What came of handing a letter over.
pub(crate) enum Carried {
    Taken,
    /// Not taken, or perhaps not.
    Not(NotifyError),
    /// As that, and the others wait as well: it is the way that is closed.
    Closed(NotifyError),
}

impl Told {
    /// What may be handed over by this way today, or why it is kept back. A channel that may not be given the data is
    /// told without it; of a mail nothing would be left.
    pub(crate) fn letter(self, way: &Result<Way, String>, outside: &Outside) -> Result<Letter, String> {
        match self.parcel {
            Parcel::Notification(it) => {
                let accepts = |notifier: &Arc<dyn Notifier>| self.labels.is_subset(notifier.accepts());
                let is_accepted = matches!(way, Ok(Way::Channel(notifier)) if accepts(notifier));
                let it = if is_accepted { it } else { Box::new(it.without_data()) };
                Ok(Letter::Notification(it))
            }
            Parcel::Mail(mail, id) => match mail.kept_back(&self.labels, outside) {
                Some(why) => Err(why),
                None => Ok(Letter::Mail(mail.message(id))),
            },
            Parcel::Unreadable(why) => Err(why),
        }
    }
}

impl Way {
    /// The way to a channel, or why it is closed; none where the deployment has none.
    pub(crate) fn to(channel: &str, outside: &Outside) -> Option<Result<Self, String>> {
        if channel == MAIL {
            let server = outside.mail()?.server();
            return Some(server.map(|mail| Self::Mail(Arc::clone(mail))).map_err(ToOwned::to_owned));
        }
        let notifier = outside.channel(channel)?;
        Some(notifier.map(|notifier| Self::Channel(Arc::clone(notifier))).map_err(ToOwned::to_owned))
    }

    /// Whether decisions are told there too.
    pub(crate) fn hears_decisions(&self) -> bool {
        matches!(self, Self::Channel(notifier) if notifier.hears_decisions())
    }

    /// Hands a letter over.
    pub(crate) async fn carry(&self, letter: &Letter) -> Carried {
        match (self, letter) {
            (Self::Channel(notifier), Letter::Notification(it)) => match notifier.tell(it).await {
                Ok(()) => Carried::Taken,
                Err(error @ NotifyError::Later { .. }) => Carried::Closed(error),
                Err(error) => Carried::Not(error),
            },
            (Self::Mail(mail), Letter::Mail(it)) => match mail.send(it).await {
                Ok(()) => Carried::Taken,
                Err(MailError::Invalid { message } | MailError::Refused { message }) => {
                    Carried::Not(NotifyError::Refused { message })
                }
                // A server that wants to see one mail again takes others: that is how it tells machines from people.
                Err(MailError::Later { message }) => {
                    Carried::Not(NotifyError::Later { message, after: None })
                }
                Err(error) => Carried::Closed(NotifyError::Later { message: error.to_string(), after: None }),
            },
            (Self::Channel(_), Letter::Mail(_)) | (Self::Mail(_), Letter::Notification(_)) => {
                Carried::Not(NotifyError::Refused { message: "it is of another way".to_owned() })
            }
        }
    }
}
