//! Slack: incoming webhooks, and `chat.postMessage`.

use std::collections::BTreeSet;
use std::fmt;

use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};
use wflo_model::Label;
use wflo_ports::{Notification, NotificationKind, Notifier, NotifyError};

use super::post::{Answer, BadChannel, Post, secret};
use super::text::{cut, details, facts, invitation};

/// Where the API is.
const API: &str = "https://slack.com/api";

// What Slack takes, by its reference of blocks.
const HEADER: usize = 150;
const SECTION: usize = 3000;
const FIELD: usize = 2000;

/// How a Slack channel is told.
#[derive(Clone)]
pub enum SlackConfig {
    /// By an incoming webhook.
    Webhook {
        /// Its address, which is a secret.
        url: String,
    },
    /// By a bot that may post there.
    Bot {
        /// Its token.
        token: String,
        /// The channel's id, or its name with `#`.
        channel: String,
        /// Where the API is; `https://slack.com/api` if absent.
        api: Option<String>,
    },
}

impl fmt::Debug for SlackConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address of a webhook and the token are secrets.
        match self {
            Self::Webhook { .. } => f.debug_struct("Webhook").finish_non_exhaustive(),
            Self::Bot { channel, api, .. } => {
                f.debug_struct("Bot").field("channel", channel).field("api", api).finish_non_exhaustive()
            }
        }
    }
}

/// Tells a Slack channel, with blocks.
///
/// A message that was perhaps sent is sent again; it says its id, for whoever sees it twice.
///
/// ```
/// use std::sync::Arc;
/// use wflo_backends::notify::{Slack, SlackConfig};
/// use wflo_ports::Notifier;
/// let config = SlackConfig::Webhook { url: "http://127.0.0.1:9/services/T/B/X".into() };
/// let channel: Arc<dyn Notifier> = Arc::new(Slack::new(config, Default::default()).unwrap());
/// assert!(!channel.hears_decisions());
/// ```
pub struct Slack {
    post: Post,
    /// Of a bot: the channel, and the header with the token.
    bot: Option<(String, (HeaderName, HeaderValue))>,
    accepts: BTreeSet<Label>,
}

impl Slack {
    /// Prepares to tell; connects to nothing yet.
    ///
    /// # Errors
    /// When the address or the token cannot be used.
    pub fn new(config: SlackConfig, accepts: BTreeSet<Label>) -> Result<Self, BadChannel> {
        let (url, bot) = match config {
            SlackConfig::Webhook { url } => (url, None),
            SlackConfig::Bot { token, channel, api } => {
                let api = api.unwrap_or_else(|| API.to_owned());
                let token = secret(AUTHORIZATION, &format!("Bearer {token}"))?;
                (format!("{}/chat.postMessage", api.trim_end_matches('/')), Some((channel, token)))
            }
        };
        Ok(Self { post: Post::new(&url)?, bot, accepts })
    }
}

#[async_trait]
impl Notifier for Slack {
    async fn tell(&self, notification: &Notification) -> Result<(), NotifyError> {
        let mut message = json!({ "text": escape(&notification.title), "blocks": blocks(notification) });
        let mut headers = HeaderMap::new();
        if let Some((channel, (name, token))) = &self.bot {
            message["channel"] = json!(channel);
            // What is told twice can be told to be the same.
            let known = json!({ "id": notification.id, "about": notification.about });
            message["metadata"] = json!({ "event_type": "wflo_notification", "event_payload": known });
            message["unfurl_links"] = json!(false);
            headers.insert(name.clone(), token.clone());
        }
        let answer = self.post.send(message.to_string(), headers).await?.accepted()?;
        if self.bot.is_some() { posted(&answer) } else { Ok(()) }
    }

    fn accepts(&self) -> &BTreeSet<Label> {
        &self.accepts
    }

    fn hears_decisions(&self) -> bool {
        false
    }
}

/// The API says in the body whether it has done it.
fn posted(answer: &Answer) -> Result<(), NotifyError> {
    #[derive(Deserialize)]
    struct Said {
        ok: bool,
        #[serde(default)]
        error: String,
    }
    match serde_json::from_str(&answer.text) {
        Ok(Said { ok: true, .. }) => Ok(()),
        Ok(Said { error, .. }) => {
            let message = format!("slack said `{}`", cut(&error, 80));
            // Those of its reference that say nothing about us.
            let passes = [
                "ratelimited",
                "rate_limited",
                "fatal_error",
                "internal_error",
                "service_unavailable",
                "request_timeout",
            ];
            Err(if passes.contains(&error.as_str()) {
                NotifyError::Later { message, after: None }
            } else {
                NotifyError::Refused { message }
            })
        }
        Err(_) => Err(answer.later()),
    }
}

fn blocks(it: &Notification) -> Value {
    let field = |(name, value): (&str, String)| json!({ "type": "mrkdwn", "text": cut(&format!("*{name}*\n{}", escape(&value)), FIELD) });
    let fields: Vec<_> = facts(it).into_iter().map(field).collect();
    let mut blocks = vec![
        json!({ "type": "header", "text": { "type": "plain_text", "text": cut(&it.title, HEADER), "emoji": false } }),
        json!({ "type": "section", "fields": fields }),
    ];
    let section = |text: String| json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } });
    if let Some(words) = details(it, SECTION).filter(|_| it.kind == NotificationKind::Said) {
        // Its own words, which no markup of theirs changes.
        let words = json!({ "type": "plain_text", "text": cut(&words, SECTION), "emoji": false });
        blocks.insert(1, json!({ "type": "section", "text": words }));
    } else if let Some(details) = details(it, SECTION) {
        // Escaping makes it longer, and a fence must not end early.
        let fenced = escape(&details).replace("```", "'''");
        blocks.push(section(format!("```{}```", cut(&fenced, SECTION - 6))));
    }
    if let Some(link) = &it.link {
        blocks.push(section(format!("<{link}|{}>", invitation(it))));
    } else if let Some(command) = it.commands.first() {
        blocks.push(section(format!("`{}`", escape(command))));
    }
    let id = format!("wflo {}", it.id);
    blocks.push(
        json!({ "type": "context", "elements": [{ "type": "plain_text", "text": id, "emoji": false }] }),
    );
    Value::Array(blocks)
}

/// What Slack's text reads as commands is written so that it does not.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl fmt::Debug for Slack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slack")
            .field("channel", &self.bot.as_ref().map(|(channel, _)| channel))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::text::asked;

    #[test]
    fn nothing_in_the_data_mentions_anybody_or_ends_its_fence() {
        let details = json!({ "name": "<!channel> & ``` <https://evil.example|here>" });
        let blocks = blocks(&Notification { details: Some(details), ..asked() }).to_string();
        assert!(!blocks.contains("<!channel>") && !blocks.contains("<https://evil"), "{blocks}");
        assert!(blocks.contains("&lt;!channel&gt; &amp; '''"), "{blocks}");
    }

    #[test]
    fn long_data_stays_within_what_slack_takes() {
        let details = json!({ "text": "<".repeat(20_000) });
        let blocks = blocks(&Notification { details: Some(details), ..asked() });
        for block in blocks.as_array().unwrap() {
            if let Some(text) = block["text"]["text"].as_str() {
                assert!(text.chars().count() <= SECTION, "{}", text.chars().count());
            }
        }
    }
}
