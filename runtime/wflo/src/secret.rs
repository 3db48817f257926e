//! What a host lends as a secret: its value, and where it may go.

use std::fmt;

use wflo_model::{HttpPattern, HttpUrl, Label};
use wflo_ports::HttpRequest;

use crate::scrub::Scrubber;

/// A secret with the hosts it is bound to. It shows its value to nobody: requests get it filled in on their way out.
///
/// ```
/// use wflo::Secret;
/// let hosts = vec!["* https://api.stripe.com/*".parse().unwrap()];
/// let secret = Secret::new("sk_live_0123456789", hosts).unwrap();
/// assert!(!format!("{secret:?}").contains("sk_live"));
/// assert!(Secret::new("short", Vec::new()).is_err());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    value: String,
    hosts: Vec<HttpPattern>,
}

impl Secret {
    /// The fewest bytes of a secret. A shorter one could not be told from other text in what a server answers, and is
    /// found by trying.
    pub const SHORTEST: usize = 8;

    /// Binds a value to hosts.
    ///
    /// # Errors
    /// When it cannot be kept apart from other text: it is too short, or has control characters.
    pub fn new(value: impl Into<String>, hosts: Vec<HttpPattern>) -> Result<Self, BadSecret> {
        let value = value.into();
        if value.len() < Self::SHORTEST {
            return Err(BadSecret::Short);
        }
        if value.contains(char::is_control) {
            return Err(BadSecret::Control);
        }
        Ok(Self { value, hosts })
    }

    pub(crate) fn value(&self) -> &str {
        &self.value
    }

    /// Whether it may be part of such a request.
    #[must_use]
    pub fn may_go_with(&self, request: &HttpRequest) -> bool {
        self.hosts.iter().any(|host| host.matches(&request.method, &request.url))
    }

    /// Whether the host of an address is one that may have it.
    fn may_be_at(&self, url: &HttpUrl) -> bool {
        self.hosts.iter().any(|host| host.names_host_of(url))
    }

    /// Where it may go, for people.
    pub(crate) fn hosts(&self) -> String {
        let hosts = self.hosts.iter().map(|host| format!("`{host}`"));
        hosts.collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

/// Why a value is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadSecret {
    /// It is too short.
    #[error("a secret has {} bytes at least", Secret::SHORTEST)]
    Short,
    /// It could not be sent.
    #[error("a secret has no control characters; is there a line end in it?")]
    Control,
}

/// The secrets that a host lends, and what takes them out of what comes back.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    all: std::collections::BTreeMap<Label, Secret>,
    scrubber: Scrubber,
}

impl Secrets {
    pub(crate) fn add(&mut self, label: Label, secret: Secret) {
        self.all.insert(label, secret);
        self.scrubber = Scrubber::new(self.all.iter().map(|(label, secret)| (label, secret.value())));
    }

    pub(crate) fn get(&self, label: &Label) -> Option<&Secret> {
        self.all.get(label)
    }

    pub(crate) const fn scrubber(&self) -> &Scrubber {
        &self.scrubber
    }

    /// Whether the host of an address may have any of them.
    pub(crate) fn may_be_at(&self, url: &HttpUrl) -> bool {
        self.all.values().any(|secret| secret.may_be_at(url))
    }

    pub(crate) fn labels(&self) -> impl Iterator<Item = &Label> {
        self.all.keys()
    }
}
