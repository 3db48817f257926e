//! Says where a database, or a table of one, is granted that is not there.

use wflo_model::Label;

use crate::diagnostic::Diagnostics;
use crate::reader::Reader;
use crate::workflow::Workflow;

impl Workflow {
    /// An error at the first grant of the file of database `label`, which is not there: no run starts without it.
    ///
    /// ```
    /// use wflo_manifest::Workflow;
    /// let text = "[workflow]\nname = \"w\"\ncomponent = \"w.wasm\"\n[[step]]\nname = \"look\"\n\
    ///             grants.db.shop = { read = [\"goods\"] }\n";
    /// let workflow = Workflow::parse("workflow.toml", text).unwrap();
    /// let label = "shop".parse().unwrap();
    /// let found = workflow.no_database(&label, "shop.db").render(false);
    /// assert!(found.contains("database `shop`: there is no file `shop.db`"), "{found}");
    /// let found = workflow.no_table(&label, "goods").render(false);
    /// assert!(found.contains("database `shop` has no table `goods`"), "{found}");
    /// assert!(found.contains("workflow.toml:6"), "{found}");
    /// ```
    #[must_use]
    pub fn no_database(&self, label: &Label, file: &str) -> Diagnostics {
        let mut reader = Reader::new(&self.source);
        if let Some(grant) = self.steps.iter().find_map(|step| step.db.get(label)) {
            reader
                .error(grant.span.clone(), format!("database `{label}`: there is no file `{file}`"))
                .hint("create it and its tables first, or correct the path in the deployment");
        }
        reader.finish()
    }

    /// An error at the first grant of a table that database `label` does not have.
    #[must_use]
    pub fn no_table(&self, label: &Label, table: &str) -> Diagnostics {
        let mut reader = Reader::new(&self.source);
        let mut grants = self.steps.iter().filter_map(|step| step.db.get(label));
        let names = |access: &wflo_model::DbAccess| {
            access.read.contains_key(table) || access.write.contains_key(table)
        };
        if let Some(grant) = grants.find(|grant| names(&grant.value)) {
            reader
                .error(grant.span.clone(), format!("database `{label}` has no table `{table}`"))
                .hint("create it first, or correct its name");
        }
        reader.finish()
    }
}
