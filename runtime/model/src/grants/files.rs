//! Folders of the host that a step may read.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::http::as_text;

/// A folder of the host that a step may read, and where it finds it.
///
/// ```
/// use wflo_model::FileGrant;
/// let grant = FileGrant { host: "data".parse().unwrap(), guest: "/data".parse().unwrap() };
/// assert_eq!(serde_json::to_string(&grant).unwrap(), r#"{"host":"data","guest":"/data"}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileGrant {
    /// The folder.
    pub host: HostPath,
    /// Where the guest finds it.
    pub guest: GuestPath,
}

impl FileGrant {
    /// Whether everything `narrower` opens is opened by this: reflexive, transitive. Where a guest finds a folder is a
    /// name and gives no right.
    #[must_use]
    pub fn covers(&self, narrower: &Self) -> bool {
        self.host.holds(&narrower.host)
    }
}

/// A folder of the host in its one form: without `.`, `..`, doubled or trailing slashes. A relative one is meant from the
/// folder of `wflo.toml`, and lies in it.
///
/// It is neither that folder itself nor the root of the host, and no part of it is hidden: what a host keeps for itself,
/// the store and its keys, lies in such places.
///
/// ```
/// use wflo_model::HostPath;
/// let path: HostPath = "./data//in/".parse().unwrap();
/// assert_eq!(path.as_str(), "data/in");
/// assert!("data".parse::<HostPath>().unwrap().holds(&path));
/// assert!("../data".parse::<HostPath>().is_err());
/// assert!(".wflo".parse::<HostPath>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPath(Arc<str>);

impl HostPath {
    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is meant from the root of the host's file system.
    #[must_use]
    pub fn is_absolute(&self) -> bool {
        self.0.starts_with('/')
    }

    /// Whether `other` is it, or lies in it. By name alone: what links lead to is judged when they are followed.
    #[must_use]
    pub fn holds(&self, other: &Self) -> bool {
        is_in(&self.0, &other.0)
    }

    /// Whether a host that lends these folders lends this one. One that says nothing lends those beside its `wflo.toml`.
    ///
    /// ```
    /// # use wflo_model::HostPath;
    /// let path = |text: &str| text.parse::<HostPath>().unwrap();
    /// assert!(path("data").is_within(None) && !path("/srv").is_within(None));
    /// assert!(path("/srv/a").is_within(Some(&[path("/srv")])) && !path("data").is_within(Some(&[])));
    /// ```
    #[must_use]
    pub fn is_within(&self, lent: Option<&[Self]>) -> bool {
        match lent {
            Some(lent) => lent.iter().any(|most| most.holds(self)),
            None => !self.is_absolute(),
        }
    }
}

/// Where a guest finds a folder: an absolute path in its one form.
///
/// ```
/// use wflo_model::GuestPath;
/// assert_eq!("/data/".parse::<GuestPath>().unwrap().as_str(), "/data");
/// assert!("data".parse::<GuestPath>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestPath(Arc<str>);

impl GuestPath {
    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether one of them lies in the other, or they are the same: a guest could not tell which is meant.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        is_in(&self.0, &other.0) || is_in(&other.0, &self.0)
    }
}

fn is_in(folder: &str, path: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || folder.ends_with('/'))
}

/// The parts of a path, joined again.
fn normal(text: &str) -> Option<String> {
    if text.is_empty() || text.len() > 4096 || text.contains(|c: char| c.is_control() || c == '\\') {
        return None;
    }
    let mut parts = Vec::new();
    for part in text.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            return None;
        }
        parts.push(part);
    }
    let root = if text.starts_with('/') { "/" } else { "" };
    Some(format!("{root}{}", parts.join("/")))
}

impl FromStr for HostPath {
    type Err = BadPath;

    fn from_str(text: &str) -> Result<Self, BadPath> {
        let is_hidden = |path: &str| path.split('/').any(|part| part.starts_with('.'));
        match normal(text).filter(|path| !path.is_empty() && path != "/" && !is_hidden(path)) {
            Some(path) => Ok(Self(path.into())),
            None => Err(BadPath {
                text: text.chars().take(128).collect(),
                what: "a folder of the host that can be lent",
            }),
        }
    }
}

impl FromStr for GuestPath {
    type Err = BadPath;

    fn from_str(text: &str) -> Result<Self, BadPath> {
        match normal(text).filter(|path| path.starts_with('/')) {
            Some(path) => Ok(Self(path.into())),
            None => Err(BadPath {
                text: text.chars().take(128).collect(),
                what: "a place for a guest, which begins with `/`",
            }),
        }
    }
}

impl fmt::Display for HostPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

as_text!(HostPath);
as_text!(GuestPath);

/// A text that names no folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not {what}: write names with `/` between them; `..` and hidden folders are not allowed", .text.escape_debug())]
pub struct BadPath {
    /// The text, or its beginning.
    pub text: String,
    /// What it should have been.
    pub what: &'static str,
}

#[cfg(test)]
mod tests {
    use super::{GuestPath, HostPath};

    #[test]
    fn a_path_has_one_form_and_leads_down() {
        let check = |text: &str, expect: Option<&str>| {
            let found = text.parse::<HostPath>().ok().map(|path| path.to_string());
            assert_eq!(found.as_deref(), expect, "{text}");
        };
        check("data/", Some("data"));
        check("./a.b/c", Some("a.b/c"));
        check("/srv//data/.", Some("/srv/data"));
        for bad in [
            "",
            ".",
            "./",
            "/",
            "//",
            ".wflo",
            "a/.git",
            "/home/a/.ssh",
            "..",
            "a/../b",
            "a/..",
            "/..",
            "a\0b",
            "a\\b",
            "a\nb",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn names_that_only_begin_alike_are_no_folders_of_each_other() {
        let holds =
            |wide: &str, narrow: &str| wide.parse::<HostPath>().unwrap().holds(&narrow.parse().unwrap());
        assert!(holds("data", "data") && holds("data", "data/a") && holds("/srv", "/srv/a"));
        assert!(!holds("data", "database") && !holds("data/a", "data") && !holds("srv", "/srv"));
        let overlap = |a: &str, b: &str| a.parse::<GuestPath>().unwrap().overlaps(&b.parse().unwrap());
        assert!(overlap("/", "/data") && overlap("/data/a", "/data") && !overlap("/data", "/database"));
    }
}
