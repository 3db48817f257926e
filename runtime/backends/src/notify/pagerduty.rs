//! PagerDuty, by Events API v2.

use std::collections::BTreeSet;
use std::fmt;

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use wflo_model::Label;
use wflo_ports::{Notification, NotificationKind, Notifier, NotifyError};

use super::post::{BadChannel, Post};
use super::text::{approvers, cut, invitation};

/// Where the API is.
const API: &str = "https://events.pagerduty.com";
/// Longest summary, by the reference of the API.
const SUMMARY: usize = 1024;
/// Most bytes of the data: an event has 512 KB at most.
const DETAILS: usize = 200_000;

/// How PagerDuty is told.
#[derive(Clone)]
pub struct PagerDutyConfig {
    /// The integration's key.
    pub routing_key: String,
    /// Where the API is; `https://events.pagerduty.com` if absent.
    pub api: Option<String>,
    /// How urgent a question is: `info`, `warning`, `error` or `critical`.
    pub severity: String,
}

impl fmt::Debug for PagerDutyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key is a secret.
        let config = &mut f.debug_struct("PagerDutyConfig");
        config.field("api", &self.api).field("severity", &self.severity).finish_non_exhaustive()
    }
}

/// Opens an incident for each question, and resolves it when nobody needs to answer any more.
///
/// What it is about is the `dedup_key`: told twice, it is one incident.
///
/// ```
/// use wflo_backends::notify::{PagerDuty, PagerDutyConfig};
/// use wflo_ports::Notifier;
/// let config = PagerDutyConfig { routing_key: "R0".into(), api: None, severity: "warning".into() };
/// assert!(PagerDuty::new(config, Default::default()).unwrap().hears_decisions());
/// ```
pub struct PagerDuty {
    post: Post,
    config: PagerDutyConfig,
    accepts: BTreeSet<Label>,
}

impl PagerDuty {
    /// Prepares to tell; connects to nothing yet.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn new(config: PagerDutyConfig, accepts: BTreeSet<Label>) -> Result<Self, BadChannel> {
        let api = config.api.as_deref().unwrap_or(API).trim_end_matches('/');
        Ok(Self { post: Post::new(&format!("{api}/v2/enqueue"))?, config, accepts })
    }

    fn event(&self, it: &Notification) -> Value {
        let action = match it.kind {
            NotificationKind::Decided { .. } => "resolve",
            _ => "trigger",
        };
        let mut event = json!({
            "routing_key": self.config.routing_key,
            "event_action": action,
            "dedup_key": it.about,
        });
        if action == "resolve" {
            return event;
        }
        let severity =
            if it.kind == NotificationKind::Asked { self.config.severity.as_str() } else { "info" };
        let details = it.details.as_ref().filter(|details| details.to_string().len() <= DETAILS);
        event["client"] = json!("wflo");
        event["payload"] = json!({
            "summary": cut(&it.title, SUMMARY),
            "source": it.workflow.as_deref().unwrap_or("wflo"),
            "severity": severity,
            "timestamp": it.at.to_string(),
            "component": it.step,
            "group": it.run,
            "custom_details": {
                "run": it.run,
                "step": it.step,
                "who": approvers(it),
                "until": it.until.map(|at| at.to_string()),
                "commands": it.commands,
                "details": details,
            },
        });
        if let Some(link) = &it.link {
            event["client_url"] = json!(link);
            event["links"] = json!([{ "href": link, "text": invitation(it) }]);
        }
        event
    }
}

#[async_trait]
impl Notifier for PagerDuty {
    async fn tell(&self, notification: &Notification) -> Result<(), NotifyError> {
        let event = self.event(notification).to_string();
        self.post.send(event, HeaderMap::new()).await?.accepted()?;
        Ok(())
    }

    fn accepts(&self) -> &BTreeSet<Label> {
        &self.accepts
    }

    fn hears_decisions(&self) -> bool {
        true
    }
}

impl fmt::Debug for PagerDuty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PagerDuty").field("severity", &self.config.severity).finish_non_exhaustive()
    }
}
