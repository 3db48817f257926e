//! Channels to people: Slack, PagerDuty, mail, and signed requests to a server of one's own.
//!
//! Each implements [`Notifier`](wflo_ports::Notifier). The addresses and keys are the deployment's; addresses of its own
//! network are fine, redirects are not followed, proxies of the environment are not used.

mod email;
mod pagerduty;
mod post;
mod slack;
mod text;
mod webhook;

pub use email::Email;
pub use pagerduty::{PagerDuty, PagerDutyConfig};
pub use post::BadChannel;
pub use slack::{Slack, SlackConfig};
pub use webhook::{Webhook, signature};
