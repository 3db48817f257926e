//! Names: of grants, which are compared without case, and such as no statement of a guest can spell.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Write as _;

use wflo_model::{DbAccess, TableAccess};
use wflo_ports::{DbError, Entropy};

use crate::SystemEntropy;

/// Begins the names of temporary things of the host, differently each time: `wflo_` and 128 bits.
///
/// It is made of letters, digits and `_` alone, so that a text which names such a thing has it in one piece, whatever
/// quotes are around it.
///
/// # Errors
/// When the system has no randomness to give.
pub(super) fn unguessable() -> Result<String, DbError> {
    let mut bytes = [0; 16];
    SystemEntropy.fill(&mut bytes).map_err(|error| DbError::Other(error.to_string()))?;
    Ok(bytes.iter().fold("wflo_".to_owned(), |mut name, byte| {
        write!(name, "{byte:02x}").expect("text takes whatever is written to it");
        name
    }))
}

/// An access with its names in lower case, as everything here looks them up. Of two grants that name one table, the
/// narrower holds, and none where neither is within the other.
pub(super) fn folded(access: &DbAccess) -> DbAccess {
    DbAccess {
        read: tables(&access.read),
        write: tables(&access.write),
        call: access.call.clone(),
        whole: access.whole,
    }
}

fn tables(granted: &BTreeMap<String, TableAccess>) -> BTreeMap<String, TableAccess> {
    let mut all: BTreeMap<String, Option<TableAccess>> = BTreeMap::new();
    for (name, access) in granted {
        let columns =
            access.columns().map(|all| all.iter().map(|column| column.to_ascii_lowercase()).collect());
        let access = TableAccess::new(columns, access.filter().cloned());
        match all.entry(name.to_ascii_lowercase()) {
            Entry::Vacant(free) => _ = free.insert(Some(access)),
            Entry::Occupied(mut first) => {
                let narrower = match first.get() {
                    Some(first) if first.covers(&access) => Some(access),
                    Some(first) if access.covers(first) => Some(first.clone()),
                    _ => None,
                };
                first.insert(narrower);
            }
        }
    }
    all.into_iter().filter_map(|(name, access)| Some((name, access?))).collect()
}

#[cfg(test)]
mod tests {
    use wflo_model::{DbAccess, TableAccess};

    use super::folded;

    #[test]
    fn names_that_differ_in_case_are_one_and_open_no_more_than_each() {
        let columns =
            |names: &[&str]| TableAccess::Columns(names.iter().map(|it| (*it).to_owned()).collect());
        let access = DbAccess {
            read: [
                ("Orders".to_owned(), TableAccess::All),
                ("orders".to_owned(), columns(&["ID"])),
                ("Log".to_owned(), columns(&["a"])),
                ("log".to_owned(), columns(&["b"])),
            ]
            .into(),
            ..DbAccess::default()
        };
        assert_eq!(folded(&access).read, [("orders".to_owned(), columns(&["id"]))].into());
    }
}
