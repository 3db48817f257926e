//! Mail to one mailbox.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use wflo_model::Label;
use wflo_ports::{Mail, MailError, MailMessage, Notification, Notifier, NotifyError};

use super::text::body;

/// Tells a mailbox. What was perhaps sent is sent again under the same `Message-ID`.
pub struct Email {
    mail: Arc<dyn Mail>,
    to: String,
    accepts: BTreeSet<Label>,
}

impl Email {
    /// Tells `to` by `mail`.
    #[must_use]
    pub fn new(mail: Arc<dyn Mail>, to: impl Into<String>, accepts: BTreeSet<Label>) -> Self {
        Self { mail, to: to.into(), accepts }
    }
}

#[async_trait]
impl Notifier for Email {
    async fn tell(&self, notification: &Notification) -> Result<(), NotifyError> {
        let message = MailMessage {
            id: format!("{}@wflo", notification.id),
            to: vec![self.to.clone()],
            answers: None,
            subject: notification.title.clone(),
            text: body(notification),
        };
        self.mail.send(&message).await.map_err(|error| match error {
            MailError::Invalid { message } | MailError::Refused { message } => {
                NotifyError::Refused { message }
            }
            other => NotifyError::Later { message: other.to_string(), after: None },
        })
    }

    fn accepts(&self) -> &BTreeSet<Label> {
        &self.accepts
    }

    fn hears_decisions(&self) -> bool {
        false
    }
}

impl std::fmt::Debug for Email {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Email").field("to", &self.to).finish_non_exhaustive()
    }
}
