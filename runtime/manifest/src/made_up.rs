//! Says where people decide on rows that a database makes up by itself.

use wflo_model::{Label, StepName};

use crate::diagnostic::Diagnostics;
use crate::reader::Reader;
use crate::workflow::Workflow;

impl Workflow {
    /// A hint at the grant by which `step`, whose commit people decide on, writes to a table of database `label` that has
    /// a column whose value the database makes up anew each time. `from` says where it comes from.
    ///
    /// ```
    /// use wflo_manifest::Workflow;
    /// let text = "[workflow]\nname = \"w\"\ncomponent = \"w.wasm\"\n[[step]]\nname = \"pay\"\n\
    ///             grants.db.shop = { write = [\"log\"] }\n";
    /// let workflow = Workflow::parse("workflow.toml", text).unwrap();
    /// let (step, label) = ("pay".parse().unwrap(), "shop".parse().unwrap());
    /// let found = workflow.made_up(&step, &label, ("log", "at"), "now()");
    /// assert!(!found.has_errors());
    /// assert!(found.render(false).contains("makes up `at` of table `log` anew each time (`now()`)"));
    /// ```
    #[must_use]
    pub fn made_up(
        &self,
        step: &StepName,
        label: &Label,
        (table, column): (&str, &str),
        from: &str,
    ) -> Diagnostics {
        let mut reader = Reader::new(&self.source);
        let grant = self.steps.iter().find(|it| it.name == *step).and_then(|it| it.db.get(label));
        if let Some(grant) = grant {
            let message = format!(
                "database `{label}` makes up `{column}` of table `{table}` anew each time (`{from}`), so that rows of step \
                 `{step}` that leave it out are never those that were approved at its commit"
            );
            let hint = "have the step pass the value in: what it writes is redone when it is approved";
            reader.note(grant.span.clone(), message).hint(hint);
        }
        reader.finish()
    }
}
