//! Row filters of grants: read, and held against what their workflow has.

use wflo_model::{BadRowFilter, FilterOperand, InputName, Label, RowFilter, StepName};

use crate::diagnostic::Diagnostics;
use crate::near::did_you_mean;
use crate::reader::{Node, Reader, Spanned};
use crate::workflow::Workflow;
use crate::workflow_toml::{StepToml, WorkflowToml};

/// Reads `where` of a table grant.
pub(crate) fn read_filter(reader: &mut Reader, node: &Node<'_>) -> Option<Spanned<RowFilter>> {
    let text = node.text(reader)?;
    match text.value.parse() {
        Ok(value) => Some(Spanned { value, span: text.span }),
        Err(BadRowFilter { reason, .. }) => {
            let message = format!("`where` is no row filter: {reason}");
            reader.error(text.span, message).hint("write it such as `patient_id = :inputs.patient_id`");
            None
        }
    }
}

/// What the filters of steps compare with is there, and is a value that a column can have.
pub(crate) fn check_filters(reader: &mut Reader, toml: &WorkflowToml) {
    for step in &toml.steps {
        for filter in &step.filters {
            for operand in filter.value.operands() {
                check_operand(reader, toml, step, filter, operand);
            }
        }
    }
}

fn check_operand(
    reader: &mut Reader,
    toml: &WorkflowToml,
    step: &StepToml,
    filter: &Spanned<RowFilter>,
    operand: &FilterOperand,
) {
    let span = || filter.span.clone();
    match operand {
        FilterOperand::Value(_) => {}
        FilterOperand::Nothing => {
            let found = reader.error(span(), "nothing is equal to `NULL`, so the filter lets no row through");
            found.hint("write `IS NULL` or `IS NOT NULL`");
        }
        FilterOperand::Item | FilterOperand::ItemField(_) => {
            if step.items.for_each.is_none() {
                let message =
                    format!("`{operand}` is not there: the step does not run for each element of a list");
                reader.error(span(), message).hint("add `for_each = \"<a list>\"`, or compare with an input");
            }
        }
        FilterOperand::Input(name) => match toml.inputs.get(name) {
            None => {
                let names = toml.inputs.keys().map(InputName::as_str);
                let found = reader.error(span(), format!("there is no input `{name}`"));
                found.hint = did_you_mean(name.as_str(), "the inputs are", names)
                    .or_else(|| Some(format!("add `[inputs.{name}]` with its `type`")));
            }
            Some(input) => {
                let is_single = match &input.schema["type"] {
                    serde_json::Value::String(kind) => !matches!(kind.as_str(), "array" | "object" | "null"),
                    _ => true,
                };
                if !is_single {
                    let message =
                        format!("input `{name}` is no single value, so the filter lets no row through");
                    reader.error(span(), message).hint("give it `type = \"string\"` or `\"integer\"`");
                }
            }
        },
    }
}

impl Workflow {
    /// An error at the grant whose row filters database `label` cannot keep `step` to. `why` says what is wrong with the
    /// table, in words that follow its name.
    ///
    /// ```
    /// use wflo_manifest::Workflow;
    /// let text = "[workflow]\nname = \"w\"\ncomponent = \"w.wasm\"\n[[step]]\nname = \"look\"\n\
    ///             grants.db.clinic = { read = [{ table = \"visits\", where = \"patient = 17\" }] }\n";
    /// let workflow = Workflow::parse("workflow.toml", text).unwrap();
    /// let (step, label) = ("look".parse().unwrap(), "clinic".parse().unwrap());
    /// let found = workflow.unfiltered(&step, &label, "visits", "has no column `patient`").render(false);
    /// assert!(found.contains("table `visits` of database `clinic` has no column `patient`"), "{found}");
    /// assert!(found.contains("workflow.toml:6"), "{found}");
    /// ```
    #[must_use]
    pub fn unfiltered(&self, step: &StepName, label: &Label, table: &str, why: &str) -> Diagnostics {
        let mut reader = Reader::new(&self.source);
        let grant = self.steps.iter().find(|it| it.name == *step).and_then(|it| it.db.get(label));
        if let Some(grant) = grant {
            let message = format!("table `{table}` of database `{label}` {why}");
            let hint = format!("step `{step}` cannot be kept to the rows that its grant names");
            reader.error(grant.span.clone(), message).hint(hint);
        }
        reader.finish()
    }
}
