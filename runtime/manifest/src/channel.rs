//! Channels to people, and mail: what the addresses that workflows name mean on this host.

use std::collections::BTreeSet;
use std::fmt;

use wflo_model::Label;

use crate::text::Text;

/// A channel: `[channel."slack://fraud-alerts"]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// How it is told.
    pub kind: ChannelKind,
    /// Labels of data that may be sent there. What has another is told without the data.
    pub accepts: BTreeSet<Label>,
}

/// How a channel is told; the scheme of its address says which.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelKind {
    /// `slack://`, by an incoming webhook.
    SlackWebhook {
        /// The webhook's address, which is a secret.
        webhook: Text,
    },
    /// `slack://`, by `chat.postMessage`.
    SlackBot {
        /// The bot's token.
        token: Text,
        /// The channel's id, or its name with `#`.
        channel: String,
        /// Where the API is, if not at Slack's usual place.
        api: Option<Text>,
    },
    /// `pagerduty://`, by Events API v2: an incident that is resolved when the question is answered.
    PagerDuty {
        /// The integration's key.
        routing_key: Text,
        /// Where the API is, if not at PagerDuty's usual place.
        api: Option<Text>,
        /// How urgent a question is there.
        urgency: Urgency,
    },
    /// `email://`.
    Email {
        /// To whom.
        to: String,
        /// By which server; that of `[mail]` if absent.
        server: Option<MailServer>,
    },
    /// `webhook://`: a signed request to a server of one's own.
    Webhook {
        /// Its address.
        url: Text,
        /// What requests are signed with.
        secret: Text,
    },
    /// `pager://`: another name for a channel, so that who is on call is the deployment's to say.
    Alias {
        /// The channel.
        to: String,
    },
}

/// How urgent a question is: the severity of PagerDuty's events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody should know.
    Info,
    /// Somebody has to look.
    #[default]
    Warning,
    /// Somebody has to look now.
    Error,
    /// Wake them.
    Critical,
}

/// A server that takes mail: `[mail]`, or the keys of one `email://` channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailServer {
    /// `smtp://HOST[:PORT]`, which changes to TLS by STARTTLS, or `smtps://HOST[:PORT]`.
    pub smtp: Text,
    /// Whom mail comes from.
    pub from: Option<Text>,
    /// The account at the server.
    pub user: Option<Text>,
    /// Its password.
    pub password: Option<Text>,
    /// A file with certificates, in PEM, of authorities to trust in place of the system's; relative to `wflo.toml`.
    pub authority: Option<String>,
}

impl Urgency {
    /// All of them, as they are written.
    pub(crate) const ALL: [(&'static str, Self); 4] = [
        ("info", Self::Info),
        ("warning", Self::Warning),
        ("error", Self::Error),
        ("critical", Self::Critical),
    ];
}

impl fmt::Display for Urgency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(Self::ALL.iter().find(|(_, urgency)| urgency == self).map_or("", |(word, _)| word))
    }
}
