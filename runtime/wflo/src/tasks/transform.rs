//! Rows in, rows out, in batches.

use serde::Deserialize;
use serde_json::Value;
use wflo_host_api::Stop;
use wflo_model::{CallError, ModelName};

use super::batch::{pieces, rows_schema};
use super::question::{Question, Total};
use super::{Caller, TRANSFORM};

/// Most rows of a batch: models lose count of more.
const MOST_ROWS: usize = 40;

#[derive(Deserialize)]
pub(crate) struct Transform {
    model: ModelName,
    rows: Vec<Value>,
    instructions: String,
    schema: Value,
}

impl Transform {
    pub(super) async fn perform(
        self,
        caller: &mut dyn Caller,
        total: &mut Total,
    ) -> Result<Result<Value, CallError>, Stop> {
        let Self { model, rows, instructions, schema } = self;
        let mut out = Vec::with_capacity(rows.len());
        for batch in pieces(rows, MOST_ROWS) {
            let schema = rows_schema(&schema, batch.len());
            let user = format!("{}\n\nRows:\n{}", instructions.trim(), Value::Array(batch));
            match Question::new(model.clone(), TRANSFORM, user, schema).ask(caller, total).await? {
                Ok(mut answer) => match answer["rows"].take() {
                    Value::Array(rows) => out.extend(rows),
                    _ => return Err(Stop::Host("rows were checked and are none".into())),
                },
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(Value::Array(out)))
    }
}
