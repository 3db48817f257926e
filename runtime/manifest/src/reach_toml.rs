//! What both files say about secrets, files and labels.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use wflo_model::{BadHttpPattern, FileGrant, GuestPath, HostPath, HttpPattern, Label};

use crate::deployment::{HostBinding, SecretBinding};
use crate::labels::DataLabels;
use crate::message_toml::MessageToml;
use crate::reader::{Node, Reader, Section, Spanned};
use crate::terraform_toml::{self, TerraformGrantToml};
use crate::text::Text;

/// The grants of a step that lead to neither databases, models nor requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReachToml {
    pub(crate) files: Vec<Spanned<FileGrant>>,
    pub(crate) secrets: Vec<Spanned<Label>>,
    pub(crate) terraform: Vec<Spanned<TerraformGrantToml>>,
    pub(crate) messages: MessageToml,
}

/// Reads `files`, `secrets`, `terraform`, and what leads to people, of `grants`.
pub(crate) fn read_grants(reader: &mut Reader, grants: &mut Section<'_>) -> ReachToml {
    ReachToml {
        files: grants.take("files").map(|node| read_files(reader, &node)).unwrap_or_default(),
        secrets: grants.take("secrets").map(|node| node.names(reader)).unwrap_or_default(),
        messages: MessageToml::read(reader, grants),
        terraform: grants
            .take("terraform")
            .map(|node| terraform_toml::read_grants(reader, &node))
            .unwrap_or_default(),
    }
}

/// `[{ host = "data/", guest = "/data" }]`
fn read_files(reader: &mut Reader, node: &Node<'_>) -> Vec<Spanned<FileGrant>> {
    let mut all: Vec<Spanned<FileGrant>> = Vec::new();
    let list = if node.is_table() { vec![node.clone()] } else { node.list(reader).unwrap_or_default() };
    for node in list {
        if !node.is_table() {
            node.expected(reader, "`{ host = \"<folder>\", guest = \"/<name>\" }`");
            continue;
        }
        let Some(mut section) = node.section(reader, "a file grant") else { continue };
        let host: Option<Spanned<HostPath>> = section.need("host").and_then(|node| node.parse(reader));
        let guest: Option<Spanned<GuestPath>> = section.need("guest").and_then(|node| node.parse(reader));
        section.finish(reader);
        let (Some(host), Some(guest)) = (host, guest) else { continue };
        if let Some(other) = all.iter().find(|other| other.value.guest.overlaps(&guest.value)) {
            let message = format!("`{}` and `{}` overlap", other.value.guest, guest.value);
            reader.error(guest.span, message).hint("give each folder a place of its own");
            continue;
        }
        all.push(node.at(FileGrant { host: host.value, guest: guest.value }));
    }
    all
}

/// Reads `[secret]`.
pub(crate) fn read_secrets(reader: &mut Reader, section: &Section<'_>) -> BTreeMap<Label, SecretBinding> {
    let mut all = BTreeMap::new();
    for (label, node) in section.named::<Label>(reader) {
        let Some(mut section) = node.section(reader, "[secret]") else { continue };
        let value: Option<Spanned<Text>> = section.need("value").and_then(|node| node.parse(reader));
        if let Some(value) = value.as_ref().filter(|value| value.value.plain().is_some()) {
            reader
                .note(value.span.clone(), format!("secret `{}` stands in the file itself", label.value))
                .hint("keep it in the environment: `value = \"env:NAME\"`");
        }
        let list = section.need("hosts");
        let hosts: Vec<Spanned<Origin>> = list.as_ref().map(|node| node.names(reader)).unwrap_or_default();
        if let Some(node) = list.filter(|node| hosts.is_empty() && node.list_is_empty()) {
            reader.error(node.span, "`hosts` is empty").hint("list where the secret may go");
        }
        for host in hosts.iter().filter(|host| !host.value.is_safe()) {
            reader
                .note(host.span.clone(), format!("secret `{}` would travel unencrypted", label.value))
                .hint("bind it to `https://`");
        }
        section.finish(reader);
        let hosts = hosts.into_iter().map(|host| host.value.0).collect();
        if let Some(value) = value {
            all.insert(label.value, SecretBinding { value: value.value, hosts });
        }
    }
    all
}

/// Reads `[host]`: what servers may be given.
pub(crate) fn read_hosts(reader: &mut Reader, section: &Section<'_>) -> Vec<HostBinding> {
    let mut all = Vec::new();
    for node in section.all() {
        let origin = node.name.parse::<Origin>();
        let Some(mut section) = node.section(reader, "[host]") else { continue };
        let accepts = read_labels(reader, section.need("accepts"));
        section.finish(reader);
        match origin {
            Ok(origin) => all.push(HostBinding { host: origin.0, accepts }),
            Err(error) => {
                let message = format!("`{}` names no server", error.pattern);
                reader.error(node.key, message).hint(error.reason);
            }
        }
    }
    all
}

/// Reads `files` of `[limits]`.
pub(crate) fn read_folders(reader: &mut Reader, node: &Node<'_>) -> Vec<HostPath> {
    let folders: Vec<Spanned<HostPath>> = node.names(reader);
    folders.into_iter().map(|folder| folder.value).collect()
}

/// A list of labels.
pub(crate) fn read_labels(reader: &mut Reader, node: Option<Node<'_>>) -> BTreeSet<Label> {
    let labels: Vec<Spanned<Label>> = node.map(|node| node.names(reader)).unwrap_or_default();
    labels.into_iter().map(|label| label.value).collect()
}

/// `labels` and `columns` of a database: what the data in it are.
pub(crate) fn read_data(reader: &mut Reader, section: &mut Section<'_>) -> DataLabels {
    let mut data = DataLabels { all: read_labels(reader, section.take("labels")), ..DataLabels::default() };
    if let Some(columns) = section.take("columns").and_then(|node| node.section(reader, "`columns`")) {
        for node in columns.all() {
            let Some((table, column)) =
                node.name.rsplit_once('.').filter(|(t, c)| !t.is_empty() && !c.is_empty())
            else {
                let message = format!("`{}` names no column", node.name);
                reader.error(node.key, message).hint("write it such as `\"patients.name\" = [\"phi\"]`");
                continue;
            };
            let column = (table.to_ascii_lowercase(), column.to_ascii_lowercase());
            let labels = read_labels(reader, Some(node.clone()));
            data.columns.insert(column, labels);
        }
    }
    data
}

/// A server: `https://api.stripe.com`, or `https://*.example.org`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin(HttpPattern);

impl Origin {
    /// Whether what goes there is encrypted, or stays on this machine.
    fn is_safe(&self) -> bool {
        let text = self.0.to_string();
        let address = text.strip_prefix("* ").unwrap_or(&text);
        let local = ["http://127.", "http://localhost", "http://[::1]"];
        address.starts_with("https://") || local.iter().any(|local| address.starts_with(local))
    }
}

impl FromStr for Origin {
    type Err = BadHttpPattern;

    fn from_str(text: &str) -> Result<Self, BadHttpPattern> {
        let bad = |reason: &str| BadHttpPattern { pattern: text.to_owned(), reason: reason.to_owned() };
        let origin = text.trim_end_matches('/');
        let host = origin.split_once("://").map_or("", |(_, host)| host);
        if host.is_empty() || host.contains(['/', '?', '#', ' ']) {
            return Err(bad("write a server such as `\"https://api.example.org\"`"));
        }
        let pattern: HttpPattern = format!("* {origin}/*").parse()?;
        Ok(Self(pattern))
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a folder is above what the deployment lends; none if it is not.
pub(crate) fn above(folder: &HostPath, ceiling: Option<&[HostPath]>) -> Option<String> {
    (!folder.is_within(ceiling)).then(|| match ceiling {
        Some([]) => "no folder may be read: `files` in `[limits]` is empty".to_owned(),
        Some(most) => {
            let most: Vec<_> = most.iter().map(|most| format!("`{most}`")).collect();
            format!("it allows {}; ask for less, or add to `files` in `[limits]`", most.join(", "))
        }
        None => "only folders that lie beside it may be read; `files` in `[limits]` allows others".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::{HostPath, Origin, above};

    #[test]
    fn a_server_is_no_page() {
        let read = |text: &str| text.parse::<Origin>().map(|origin| origin.0.to_string());
        assert_eq!(read("https://api.stripe.com").unwrap(), "* https://api.stripe.com/*");
        assert_eq!(read("https://*.example.org:8443/").unwrap(), "* https://*.example.org:8443/*");
        for bad in ["api.stripe.com", "https://", "https://a/b", "GET https://a.example", "ftp://a.example"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_folder_that_is_not_lent_comes_with_what_is() {
        let path = |text: &str| text.parse::<HostPath>().unwrap();
        assert_eq!(above(&path("data"), None), None);
        let said = |folder: &str, ceiling: Option<&[HostPath]>| above(&path(folder), ceiling).unwrap();
        assert!(said("/srv", None).contains("beside it"));
        assert!(said("data", Some(&[path("/srv")])).contains("it allows `/srv`"));
        assert!(said("data", Some(&[])).contains("no folder"));
    }
}
