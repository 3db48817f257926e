//! Says what is wrong with how a database is bound, where a step is granted it.

use wflo_model::Label;

use crate::diagnostic::Diagnostics;
use crate::reader::Reader;
use crate::workflow::Workflow;

impl Workflow {
    /// Something about the binding of database `label`, at the first grant of it: an error where the database is not to
    /// be used so, else a hint.
    ///
    /// ```
    /// use wflo_manifest::Workflow;
    /// let text = "[workflow]\nname = \"w\"\ncomponent = \"w.wasm\"\n[[step]]\nname = \"pay\"\n\
    ///             grants.db.shop = { read = [\"log\"] }\n";
    /// let workflow = Workflow::parse("workflow.toml", text).unwrap();
    /// let shop = "shop".parse().unwrap();
    /// let found = workflow.bound(&shop, true, "login role `w` is a superuser").render(false);
    /// assert!(found.contains("database `shop`: login role `w` is a superuser"), "{found}");
    /// assert!(found.contains("hint: bind it to login roles"), "{found}");
    /// ```
    #[must_use]
    pub fn bound(&self, label: &Label, refused: bool, why: &str) -> Diagnostics {
        let mut reader = Reader::new(&self.source);
        if let Some(grant) = self.steps.iter().find_map(|step| step.db.get(label)) {
            let message = format!("database `{label}`: {why}");
            if refused {
                reader.error(grant.span.clone(), message).hint(
                    "bind it to login roles that may do no more than steps are granted: `wflo db prepare` grants what is \
                     missing and takes away what is theirs and too much; what every role may, `REVOKE .. FROM PUBLIC` \
                     takes away",
                );
            } else {
                reader.note(grant.span.clone(), message);
            }
        }
        reader.finish()
    }
}
