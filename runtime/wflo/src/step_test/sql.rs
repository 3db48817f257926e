//! Values of databases, as people write them on a tape.

use serde_json::Value;
use wflo_model::SqlValue;

use super::{TapeAnswer, TapeArgs, TapeEntry};

/// The interface that has them.
const SQL: &str = "wflo:db/sql";

impl TapeEntry {
    /// The same entry with `{ integer = 1 }` and `{ real = 0.5 }` as `wflo:db/sql` has them: with text, which is exact.
    pub(super) fn exact(mut self) -> Self {
        if self.interface == SQL {
            if let TapeAnswer::Value(value) = &mut self.answer {
                make_exact(value);
            }
            if let TapeArgs::Like(args) | TapeArgs::Exactly(args) = &mut self.args {
                make_exact(args);
            }
        }
        self
    }

    /// Where the first value of its rows is that no database has: `rows[0][1]`.
    pub(super) fn misfit(&self) -> Option<String> {
        let TapeAnswer::Value(value) = &self.answer else { return None };
        let rows = value["rows"].as_array().filter(|_| self.interface == SQL)?;
        let values = rows.iter().enumerate().flat_map(|(row, values)| {
            values
                .as_array()
                .into_iter()
                .flatten()
                .enumerate()
                .map(move |(column, value)| (row, column, value))
        });
        let mut bad = values.filter(|(.., value)| SqlValue::try_from((*value).clone()).is_err());
        bad.next().map(|(row, column, _)| format!("rows[{row}][{column}]"))
    }
}

fn make_exact(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(make_exact),
        Value::Object(fields) => {
            let is_alone = fields.len() == 1;
            for (name, value) in fields {
                match value {
                    Value::Number(n) if is_alone && (name == "integer" && !n.is_f64() || name == "real") => {
                        *value = Value::String(n.to_string());
                    }
                    _ => make_exact(value),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{TapeAnswer, TapeArgs, TapeEntry};

    fn entry(value: Value) -> TapeEntry {
        TapeEntry::any("wflo:db/sql", "query", value).exact()
    }

    #[test]
    fn numbers_are_exact() {
        let given = json!({"rows": [[{"integer": i64::MIN}, {"real": 0.1}, {"real": 2}, {"integer": "7"}, "x", null]]});
        let exact = json!({"rows": [[{"integer": "-9223372036854775808"}, {"real": "0.1"}, {"real": "2"}, {"integer": "7"}, "x", null]]});
        let made = entry(given.clone());
        assert_eq!(made.answer, TapeAnswer::Value(exact.clone()));
        assert_eq!(made.misfit(), None);
        let args = |args| TapeEntry { args: TapeArgs::Like(args), ..entry(json!(null)) };
        assert_eq!(args(given.clone()).exact().args, TapeArgs::Like(exact));
        let other = TapeEntry::any("wflo:llm/chat", "complete", given.clone()).exact();
        assert_eq!(other.answer, TapeAnswer::Value(given));
    }

    #[test]
    fn what_no_database_has_is_found_where_it_is() {
        for bad in [json!(1), json!({"integr": 1}), json!({"integer": 1.5}), json!({"decimal": 1}), json!([])]
        {
            let entry = entry(json!({"columns": ["a", "b"], "rows": [["x", null], [true, bad]]}));
            assert_eq!(entry.misfit().as_deref(), Some("rows[1][1]"), "{bad}");
        }
        for fine in [json!({"cols": 1}), json!({"rows": [1]}), json!(null)] {
            assert_eq!(entry(fine).misfit(), None);
        }
    }
}
