//! Which variables of the environment a deployment names.

use std::collections::BTreeSet;

use toml_edit::{Document, Item, Value};

use crate::deployment::Deployment;

impl Deployment {
    /// The variables that the file names with `env:NAME`, but for the key of the store: whoever has a run driven
    /// by another process sends it just these, and that process has the store open.
    ///
    /// ```
    /// use wflo_manifest::Deployment;
    /// let text = "[llm.x]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1/v1\"\napi_key = \"env:KEY\"\nmodels = [\"m\"]\n";
    /// let deployment = Deployment::parse("wflo.toml", text).unwrap();
    /// assert_eq!(deployment.variables(), ["KEY".to_owned()].into());
    /// ```
    #[must_use]
    pub fn variables(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        // It was parsed before; the default deployment has an empty text.
        if let Ok(document) = Document::parse(self.source.text()) {
            for (name, item) in document.as_table() {
                if name != "store" {
                    item_variables(item, &mut found);
                }
            }
        }
        found
    }
}

fn item_variables(item: &Item, found: &mut BTreeSet<String>) {
    match item {
        Item::None => {}
        Item::Value(value) => value_variables(value, found),
        Item::Table(table) => table.iter().for_each(|(_, item)| item_variables(item, found)),
        Item::ArrayOfTables(tables) => {
            tables.iter().flat_map(|table| table.iter()).for_each(|(_, item)| item_variables(item, found));
        }
    }
}

fn value_variables(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => found.extend(text.value().strip_prefix("env:").map(ToOwned::to_owned)),
        Value::Array(values) => values.iter().for_each(|value| value_variables(value, found)),
        Value::InlineTable(table) => table.iter().for_each(|(_, value)| value_variables(value, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::Deployment;

    #[test]
    fn every_variable_but_the_key_of_the_store() {
        let text = "[store]\nurl = \"sled:.wflo\"\nseal_key = \"env:SEAL\"\n\
                    [channel.\"slack://a\"]\nwebhook = \"env:HOOK\"\n\
                    [principal]\nalice = { groups = [\"g\"], token_hash = \"env:ALICE\" }\n";
        let deployment = Deployment::parse("wflo.toml", text).unwrap();
        assert_eq!(deployment.variables(), ["ALICE".to_owned(), "HOOK".to_owned()].into());
        assert!(Deployment::default().variables().is_empty());
    }
}
