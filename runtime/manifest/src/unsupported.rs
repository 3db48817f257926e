//! What the manifest names and this version cannot honour.
//!
//! A key or value listed here is an error of its own, so that nobody believes in a guard that is not there. When
//! a version learns one, its line is deleted here and its reader is written.

/// Keys, by the place they stand in.
pub(crate) const KEYS: &[(&str, &str)] = &[("[db]", "statement"), ("[principal]", "public_key")];

/// Values, by the key they stand at.
pub(crate) const VALUES: &[(&str, &str)] = &[];

/// Schemes of addresses, by the place they stand in.
pub(crate) const SCHEMES: &[(&str, &str)] = &[("[store]", "postgres"), ("[store]", "postgresql")];

/// Whether `list` has the pair.
pub(crate) fn has(list: &[(&str, &str)], place: &str, name: &str) -> bool {
    list.contains(&(place, name))
}

/// The message for it.
pub(crate) fn message(name: &str) -> String {
    format!("`{name}` is not supported by this version of wflo")
}
