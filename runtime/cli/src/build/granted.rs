//! What the steps of a workflow are granted, as far as it shapes their component.
//!
//! Python has no linker that leaves out what is not used: a component of it imports what its steps were granted, and a
//! step that asks for more hears from the SDK what it lacks.

use std::collections::{BTreeMap, BTreeSet};

use toml_edit::{Document, Item, TableLike};
use wflo_host_api::INTERFACES;
use wflo_model::interface_capability;

/// The grants of a workflow's steps: only their kinds, and the labels of databases.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Granted {
    /// Kinds, as `workflow.toml` and [`wflo_model::Capability`] write them: `db`, `llm`, ...
    kinds: BTreeSet<String>,
    /// The databases of each step.
    pub(super) databases: BTreeMap<String, Vec<String>>,
    /// The named statements of each database, with their parameters in the order of the file.
    pub(super) statements: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

impl Granted {
    /// Reads them out of a manifest that has been found to be one.
    pub(super) fn of(manifest: &str) -> Self {
        let mut granted = Self::default();
        let Ok(manifest) = Document::parse(manifest) else { return granted };
        let databases = manifest.get("db").and_then(Item::as_table_like);
        for (label, database) in databases.into_iter().flat_map(|databases| databases.iter()) {
            let Some(statements) = database.get("statement").and_then(Item::as_table_like) else { continue };
            let parameters = |statement: &Item| {
                statement.get("params").and_then(Item::as_table_like).map(labels).unwrap_or_default()
            };
            let statements =
                statements.iter().map(|(name, statement)| (name.to_owned(), parameters(statement)));
            granted.statements.insert(label.to_owned(), statements.collect());
        }
        let Some(steps) = manifest.get("step").and_then(Item::as_array_of_tables) else { return granted };
        for step in steps {
            let Some(name) = step.get("name").and_then(Item::as_str) else { continue };
            // One component may hold a step under another name than the workflow's.
            let name = step.get("function").and_then(Item::as_str).unwrap_or(name);
            let Some(grants) = step.get("grants").and_then(Item::as_table_like) else { continue };
            granted.kinds.extend(grants.iter().map(|(kind, _)| kind.to_owned()));
            let databases = grants.get("db").and_then(Item::as_table_like).map(labels).unwrap_or_default();
            granted.databases.insert(name.to_owned(), databases);
        }
        granted
    }

    /// The interfaces that these open, and those that every step has.
    pub(super) fn interfaces(&self) -> BTreeSet<String> {
        let is_open = |interface: &&&str| match interface_capability(interface) {
            // Files come to a language through its own library.
            _ if interface.starts_with("wasi:filesystem/") => false,
            Ok(Some(kind)) => self.kinds.contains(&kind.to_string()),
            Ok(None) => true,
            Err(_) => false,
        };
        let is_types = |interface: &str| interface.starts_with("wflo:") && interface.contains("/types@");
        let named = INTERFACES.iter().filter(is_open).filter(|interface| !is_types(interface));
        named.map(|interface| (*interface).to_owned()).collect()
    }
}

/// The keys of a table, in their order.
fn labels(table: &dyn TableLike) -> Vec<String> {
    table.iter().map(|(label, _)| label.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::Granted;

    #[test]
    fn a_component_imports_what_its_steps_were_granted() {
        let granted = Granted::of(
            "[workflow]\nname = \"w\"\n[[step]]\nname = \"a\"\ngrants.db.bank = { read = [\"t\"] }\n\
             grants.llm = [\"gpt-4\"]\n[[step]]\nname = \"b\"\nfunction = \"c\"\n[step.grants.db.one]\n[step.grants.db.two]\n",
        );
        assert_eq!(granted.databases["a"], ["bank"]);
        assert_eq!(granted.databases["c"], ["one", "two"]);
        let interfaces = granted.interfaces();
        let has = |interface: &str| interfaces.iter().any(|other| other.starts_with(interface));
        assert!(
            has("wflo:db/sql-json@") && has("wflo:llm/chat@") && has("wflo:step/context@"),
            "{interfaces:?}"
        );
        assert!(!has("wasi:http/") && !has("wflo:secret/") && !has("wasi:filesystem/"), "{interfaces:?}");
    }
}
