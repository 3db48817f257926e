//! Says where a step writes to a table whose changes cannot be kept, although it wants them to be.

use wflo_model::{Label, StepName};

use crate::diagnostic::Diagnostics;
use crate::reader::Reader;
use crate::workflow::Workflow;

impl Workflow {
    /// An error at the grant by which `step` writes to a table of database `label` whose changes cannot be kept, so that
    /// its `rollback = true` could not be. `why` says what is wrong with the table, in words that follow its name.
    ///
    /// ```
    /// use wflo_manifest::Workflow;
    /// let text = "[workflow]\nname = \"w\"\ncomponent = \"w.wasm\"\n[[step]]\nname = \"pay\"\nrollback = true\n\
    ///             grants.db.shop = { write = [\"log\"] }\n";
    /// let workflow = Workflow::parse("workflow.toml", text).unwrap();
    /// let (step, label) = ("pay".parse().unwrap(), "shop".parse().unwrap());
    /// let found = workflow.unkept(&step, &label, "log", "has no primary key").render(false);
    /// assert!(found.contains("table `log` of database `shop` has no primary key"), "{found}");
    /// assert!(found.contains("workflow.toml:7"), "{found}");
    /// ```
    #[must_use]
    pub fn unkept(&self, step: &StepName, label: &Label, table: &str, why: &str) -> Diagnostics {
        let mut reader = Reader::new(&self.source);
        let grant = self.steps.iter().find(|it| it.name == *step).and_then(|it| it.db.get(label));
        if let Some(grant) = grant {
            let message = format!(
                "table `{table}` of database `{label}` {why}, so what step `{step}` changes in it cannot be undone"
            );
            let mend = match why.contains("primary key") {
                true => "give the table a primary key",
                false if why.starts_with("is a view") => "grant the table that it is of",
                // The words say what makes it.
                false => "see to that",
            };
            let hint = format!("{mend}, or take `rollback = true` away from the step");
            reader.error(grant.span.clone(), message).hint(hint);
        }
        reader.finish()
    }
}
