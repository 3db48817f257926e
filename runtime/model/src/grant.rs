//! What a step was given.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{DbAccess, HttpGrant, InterfaceName, Label, ModelName};

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
        narrower.llm.is_subset(&self.llm)
            && narrower.interfaces.iter().all(interface)
            && narrower.http.iter().all(http)
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
        for (label, access) in &other.db {
            self.db.entry(label.clone()).or_default().widen(access);
        }
    }

    /// The capabilities these grants open: which interfaces a component that has them may import.
    #[must_use]
    pub fn capabilities(&self) -> BTreeSet<Capability> {
        let db = (!self.db.is_empty()).then_some(Capability::Db);
        let llm = (!self.llm.is_empty()).then_some(Capability::Llm);
        let http = (!self.http.is_empty()).then_some(Capability::Http);
        db.into_iter().chain(llm).chain(http).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Grants;

    #[test]
    fn grants_of_a_hosts_interface_cover_what_says_the_same() {
        let of = |wards: &[&str]| {
            let grants = wards.iter().map(|ward| json!({"ward": ward})).collect();
            Grants {
                interfaces: [("clinic:ehr/records".parse().unwrap(), grants)].into(),
                ..Grants::default()
            }
        };
        let mut grants = of(&["3", "4"]);
        assert!(grants.covers(&grants) && grants.covers(&of(&["4"])) && grants.covers(&Grants::default()));
        assert!(!grants.covers(&of(&["5"])) && !Grants::default().covers(&of(&["3"])));
        grants.widen(&of(&["5", "3"]));
        assert_eq!(grants, of(&["3", "4", "5"]));
        assert_eq!(serde_json::from_value::<Grants>(json!(grants)).unwrap(), grants);
        assert_eq!(json!(Grants::default()), json!({}), "plans without such a grant keep their digest");
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
    /// Outgoing HTTP: `wasi:http`.
    Http,
}

impl Capability {
    /// A line for `workflow.toml` that would grant it.
    #[must_use]
    pub const fn example(self) -> &'static str {
        match self {
            Self::Db => "grants.db.<label> = { read = [\"<table>\"] }",
            Self::Llm => "grants.llm = [\"<model>\"]",
            Self::Http => "grants.http = [\"GET https://<host>/*\"]",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Db => "db",
            Self::Llm => "llm",
            Self::Http => "http",
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
        "wflo:step" | "wflo:approval" | "wasi:logging" | "wasi:cli" | "wasi:io" | "wasi:clocks"
        | "wasi:random" | "wasi:filesystem" | "wasi:sockets" => Ok(None),
        "wflo:db" => Ok(Some(Capability::Db)),
        "wflo:llm" => Ok(Some(Capability::Llm)),
        "wasi:http" => Ok(Some(Capability::Http)),
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
