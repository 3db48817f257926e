//! What a step was given.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ChannelName, DbAccess, HttpGrant, InterfaceName, Label, ModelName};

mod files;
mod mail;
mod terraform;
#[cfg(test)]
mod tests;

pub use files::{BadPath, FileGrant, GuestPath, HostPath};
pub use mail::{BadMailAddress, BadMailPattern, MailAddress, MailPattern};
pub use terraform::{TerraformGrants, TerraformVerb};

/// Everything one step may reach. Empty by default: nothing.
///
/// ```
/// use wflo_model::Grants;
/// let mut grants = Grants::default();
/// grants.llm.insert("gpt-4".parse().unwrap());
/// assert!(grants.covers(&Grants::default()));
/// assert!(!Grants::default().covers(&grants));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    /// Databases, by the label the deployment binds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub db: BTreeMap<Label, DbAccess>,
    /// Models.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub llm: BTreeSet<ModelName>,
    /// Requests over HTTP.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub http: BTreeSet<HttpGrant>,
    /// Interfaces that the host brings itself: what each of its own grants says, in its own words.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub interfaces: BTreeMap<InterfaceName, Vec<Value>>,
    /// Folders of the host, to read.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub files: BTreeSet<FileGrant>,
    /// Channels for notifications.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub notify: BTreeSet<ChannelName>,
    /// Addresses to write mail to.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub mail: BTreeSet<MailPattern>,
    /// Knowledge bases, by the label the deployment binds.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub knowledge: BTreeSet<Label>,
    /// Terraform folders, by the label the deployment binds, and what may be done with each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub terraform: TerraformGrants,
    /// Secrets, by the label the deployment binds: as placeholders, which the host fills in where they are bound to.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub secrets: BTreeSet<Label>,
}

impl Grants {
    /// Whether everything `narrower` allows is allowed by these: reflexive, transitive.
    #[must_use]
    pub fn covers(&self, narrower: &Self) -> bool {
        let http = |narrow: &HttpGrant| self.http.iter().any(|wide| wide.covers(narrow));
        // Only the host knows what its grants mean: here, one covers what says the same.
        let interface = |(name, narrow): (&InterfaceName, &Vec<Value>)| {
            self.interfaces.get(name).is_some_and(|wide| narrow.iter().all(|grant| wide.contains(grant)))
        };
        let files = |narrow: &FileGrant| self.files.iter().any(|wide| wide.covers(narrow));
        let mail = |narrow: &MailPattern| self.mail.iter().any(|wide| wide.covers(narrow));
        narrower.llm.is_subset(&self.llm)
            && narrower.interfaces.iter().all(interface)
            && narrower.http.iter().all(http)
            && narrower.files.iter().all(files)
            && narrower.mail.iter().all(mail)
            && narrower.notify.is_subset(&self.notify)
            && narrower.knowledge.is_subset(&self.knowledge)
            && terraform::covers(&self.terraform, &narrower.terraform)
            && narrower.secrets.is_subset(&self.secrets)
            && narrower
                .db
                .iter()
                .all(|(label, access)| self.db.get(label).is_some_and(|wide| wide.covers(access)))
    }

    /// Adds what `other` allows.
    pub fn widen(&mut self, other: &Self) {
        self.llm.extend(other.llm.iter().cloned());
        self.http.extend(other.http.iter().cloned());
        for (name, grants) in &other.interfaces {
            let mine = self.interfaces.entry(name.clone()).or_default();
            let more: Vec<_> = grants.iter().filter(|grant| !mine.contains(grant)).cloned().collect();
            mine.extend(more);
        }
        self.files.extend(other.files.iter().cloned());
        self.notify.extend(other.notify.iter().cloned());
        self.mail.extend(other.mail.iter().cloned());
        self.knowledge.extend(other.knowledge.iter().cloned());
        terraform::widen(&mut self.terraform, &other.terraform);
        self.secrets.extend(other.secrets.iter().cloned());
        for (label, access) in &other.db {
            self.db.entry(label.clone()).or_default().widen(access);
        }
    }

    /// The capabilities these grants open: which interfaces a component that has them may import.
    #[must_use]
    pub fn capabilities(&self) -> BTreeSet<Capability> {
        let all = [
            (Capability::Db, self.db.is_empty()),
            (Capability::Llm, self.llm.is_empty()),
            (Capability::Http, self.http.is_empty()),
            (Capability::Files, self.files.is_empty()),
            (Capability::Notify, self.notify.is_empty()),
            (Capability::Mail, self.mail.is_empty()),
            (Capability::Knowledge, self.knowledge.is_empty()),
            (Capability::Terraform, self.terraform.is_empty()),
            (Capability::Secrets, self.secrets.is_empty()),
        ];
        all.into_iter().filter(|(_, is_empty)| !is_empty).map(|(capability, _)| capability).collect()
    }
}

/// A kind of thing outside the sandbox that an interface leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Capability {
    /// Databases: `wflo:db`.
    Db,
    /// Language models: `wflo:llm`.
    Llm,
    /// Outgoing HTTP: `wasi:http`, `wflo:http`.
    Http,
    /// Folders of the host: `wasi:filesystem`, which is there without it too and then has no folder.
    Files,
    /// Notifications: `wflo:notify/channel`.
    Notify,
    /// Mail: `wflo:notify/mail`.
    Mail,
    /// Knowledge bases: `wflo:knowledge`.
    Knowledge,
    /// Infrastructure: `wflo:infra`.
    Terraform,
    /// Secrets: `wflo:secret`.
    Secrets,
}

impl Capability {
    /// A line for `workflow.toml` that would grant it.
    #[must_use]
    pub const fn example(self) -> &'static str {
        match self {
            Self::Db => "grants.db.<label> = { read = [\"<table>\"] }",
            Self::Llm => "grants.llm = [\"<model>\"]",
            Self::Http => "grants.http = [\"GET https://<host>/*\"]",
            Self::Files => "grants.files = [{ host = \"<folder>\", guest = \"/<name>\" }]",
            Self::Notify => "grants.notify = [\"<channel>\"]",
            Self::Mail => "grants.mail = [\"*@<domain>\"]",
            Self::Knowledge => "grants.knowledge = [\"<label>\"]",
            Self::Terraform => "grants.terraform = [\"<label>\"]",
            Self::Secrets => "grants.secrets = [\"<label>\"]",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Db => "db",
            Self::Llm => "llm",
            Self::Http => "http",
            Self::Files => "files",
            Self::Notify => "notify",
            Self::Mail => "mail",
            Self::Knowledge => "knowledge",
            Self::Terraform => "terraform",
            Self::Secrets => "secrets",
        })
    }
}

/// The capability that an imported interface needs: `Ok(None)` for what is always there.
///
/// ```
/// use wflo_model::{Capability, interface_capability};
/// assert_eq!(interface_capability("wflo:db/sql@0.1.0"), Ok(Some(Capability::Db)));
/// assert_eq!(interface_capability("wasi:clocks/wall-clock@0.2.6"), Ok(None));
/// assert!(interface_capability("evil:corp/spy@1.0.0").is_err());
/// ```
///
/// # Errors
/// When no grant gives that interface.
pub fn interface_capability(interface: &str) -> Result<Option<Capability>, BadGrant> {
    let package = interface.split(['/', '@']).next().unwrap_or_default();
    match package {
        "wflo:artifact" if interface.starts_with("wflo:artifact/http") => Ok(Some(Capability::Http)),
        "wflo:artifact" | "wflo:step" | "wflo:approval" | "wasi:logging" | "wasi:cli" | "wasi:io"
        | "wasi:clocks" | "wasi:random" | "wasi:filesystem" | "wasi:sockets" => Ok(None),
        "wflo:db" => Ok(Some(Capability::Db)),
        "wflo:llm" => Ok(Some(Capability::Llm)),
        "wflo:secret" => Ok(Some(Capability::Secrets)),
        "wflo:knowledge" => Ok(Some(Capability::Knowledge)),
        "wflo:infra" => Ok(Some(Capability::Terraform)),
        "wflo:notify" if interface.starts_with("wflo:notify/mail") => Ok(Some(Capability::Mail)),
        "wflo:notify" => Ok(Some(Capability::Notify)),
        "wasi:http" | "wflo:http" => Ok(Some(Capability::Http)),
        _ => Err(BadGrant { interface: interface.to_owned() }),
    }
}

/// An interface that no grant gives.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no grant gives interface `{interface}`")]
pub struct BadGrant {
    /// The interface.
    pub interface: String,
}
