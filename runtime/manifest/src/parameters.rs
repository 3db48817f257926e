//! What a named statement is called with: values by name, bound by what each is declared to be.

use serde_json::{Map, Value};
use wflo_model::SqlValue;

use crate::expression::Decimal;
use crate::policy_value::{BareName, ValueType, bytes, json_text, number};
use crate::statement::Statement;

/// Why values are no parameters of a statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadParameters {
    /// The statement has no parameter of that name.
    #[error("the statement has no parameter `{name}`")]
    Unknown {
        /// The name, cut to what a message can hold.
        name: String,
    },
    /// A parameter has no value; null is one.
    #[error("parameter `{name}` is missing")]
    Missing {
        /// Which.
        name: BareName,
    },
    /// A value is not what its parameter is declared to be.
    #[error("parameter `{name}` is not {}", what(*.declared))]
    Mistyped {
        /// Which.
        name: BareName,
        /// What it is declared to be.
        declared: ValueType,
    },
}

fn what(declared: ValueType) -> String {
    if declared == ValueType::Json {
        return "JSON: a text is read as JSON, in which a string stands in quotes of its own".into();
    }
    let word =
        ValueType::PARAMS.iter().find(|(_, other)| *other == declared).map_or("value", |(word, _)| word);
    let vowel = word.starts_with(['a', 'e', 'i', 'o']);
    format!("{} {word}", if vowel { "an" } else { "a" })
}

impl Statement {
    /// The values that the statement is executed with, in the order in which its parameters first stand in the SQL.
    ///
    /// Each is bound as what it is declared to be, and what an expression [reads](ValueType::read) of it is what is
    /// bound: a policy stands on what is executed, and cannot judge a double that is no exact number, such as an infinity.
    /// Decimals are exact, and may be written as text or as a number. JSON is any value; a text is JSON as it is written.
    ///
    /// ```
    /// use serde_json::json;
    /// use wflo_manifest::{Statement, ValueType};
    /// use wflo_model::SqlValue;
    ///
    /// let statement = Statement {
    ///     sql: "INSERT INTO refunds (order_id, amount) VALUES (:order_id, :amount)".into(),
    ///     params: [("amount", ValueType::Decimal), ("order_id", ValueType::Integer)]
    ///         .map(|(name, declared)| (name.parse().unwrap(), declared))
    ///         .into(),
    /// };
    /// let params = json!({ "amount": "150.00", "order_id": 7 });
    /// let bound = statement.bind(params.as_object().unwrap()).unwrap();
    /// assert_eq!(bound, [SqlValue::Integer(7), SqlValue::Decimal("150.00".into())]);
    /// ```
    ///
    /// # Errors
    /// When a value is missing, is not what its parameter is, or belongs to none.
    pub fn bind(&self, params: &Map<String, Value>) -> Result<Vec<SqlValue>, BadParameters> {
        if let Some(name) = params.keys().find(|name| !self.params.contains_key(name.as_str())) {
            return Err(BadParameters::Unknown { name: name.chars().take(64).collect() });
        }
        let mut order: Vec<&str> = Vec::new();
        for name in self.placeholders() {
            if !order.contains(&name) {
                order.push(name);
            }
        }
        order
            .into_iter()
            .filter_map(|name| self.params.get_key_value(name))
            .map(|(name, declared)| {
                let value =
                    params.get(name.as_str()).ok_or_else(|| BadParameters::Missing { name: name.clone() })?;
                let mistyped = || BadParameters::Mistyped { name: name.clone(), declared: *declared };
                bound(*declared, value).ok_or_else(mistyped)
            })
            .collect()
    }

    /// Whether it only reads, by what it says. What it does not say is for the database to see: a statement that is
    /// taken for one that reads and writes after all is refused there, and the other way round.
    ///
    /// ```
    /// # use wflo_manifest::Statement;
    /// let reads = |sql: &str| Statement { sql: sql.into(), params: [].into() }.only_reads();
    /// assert!(reads("-- what is owed\nselect amount from refunds"));
    /// assert!(!reads("WITH old AS (SELECT 1) DELETE FROM refunds"));
    /// ```
    #[must_use]
    pub fn only_reads(&self) -> bool {
        let code = self.code().to_ascii_uppercase();
        let words: Vec<_> = code
            .split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .filter(|word| !word.is_empty())
            .collect();
        let writes = |pair: &[&str]| match pair {
            ["INSERT" | "UPDATE" | "DELETE" | "MERGE", ..] => true,
            // It is a function as well.
            ["REPLACE", next, ..] => *next == "INTO",
            _ => false,
        };
        match words.first() {
            Some(&("SELECT" | "VALUES")) => true,
            Some(&"WITH") => !words.windows(2).any(writes),
            _ => false,
        }
    }
}

/// A value as SQL; `None` where it is not what is declared.
fn bound(declared: ValueType, value: &Value) -> Option<SqlValue> {
    if value.is_null() {
        return Some(SqlValue::Null);
    }
    if declared == ValueType::Number {
        return real(value).map(SqlValue::Real);
    }
    // What a policy cannot read is not executed either.
    declared.read(value)?;
    let tagged = || SqlValue::try_from(value.clone()).ok();
    let text = || match value {
        Value::String(text) => Some(text.clone()),
        _ => None,
    };
    Some(match declared {
        ValueType::Boolean => SqlValue::Boolean(value.as_bool()?),
        ValueType::Integer => SqlValue::Integer(number(value)?.to_string().parse().ok()?),
        ValueType::Decimal => SqlValue::Decimal(match (text(), tagged()) {
            (Some(text), _) | (None, Some(SqlValue::Decimal(text))) => plain(text)?,
            _ => number(value)?.to_string(),
        }),
        ValueType::Text => SqlValue::Text(text()?),
        ValueType::Timestamp => text().map(SqlValue::Timestamp).or_else(tagged)?,
        ValueType::Uuid => text().map(SqlValue::Uuid).or_else(tagged)?,
        ValueType::Json => SqlValue::Json(json_text(value)?),
        // A text of bytes is hexadecimal, as their tag has it.
        ValueType::Blob => match text() {
            Some(text) => SqlValue::try_from(serde_json::json!({ "blob": text })).ok()?,
            None => bytes(value).map(SqlValue::Blob).or_else(tagged)?,
        },
        ValueType::Any | ValueType::Number | ValueType::Array | ValueType::Object => return None,
    })
}

/// A double, which may be none of the numbers that an expression knows.
fn real(value: &Value) -> Option<f64> {
    if let Value::Number(n) = value {
        return n.as_f64();
    }
    match SqlValue::try_from(value.clone()).ok()? {
        SqlValue::Real(n) => Some(n),
        _ => number(value)?.to_string().parse().ok(),
    }
}

/// A decimal as every database reads it. One that is written with digits and a point alone keeps its zeros.
fn plain(text: String) -> Option<String> {
    let number: Decimal = text.parse().ok()?;
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let is_plain = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.ends_with(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    Some(if is_plain { text } else { number.to_string() })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wflo_model::SqlValue;

    use super::{BadParameters, ValueType};
    use crate::Statement;

    fn bind(declared: ValueType, params: &Value) -> Result<SqlValue, BadParameters> {
        let statement =
            Statement { sql: "SELECT :a, :a".into(), params: [("a".parse().unwrap(), declared)].into() };
        Ok(statement.bind(params.as_object().unwrap())?.remove(0))
    }

    #[test]
    fn a_value_is_bound_as_what_it_is_declared_to_be() {
        let check = |declared: ValueType, value: Value, expect: Option<SqlValue>| {
            assert_eq!(bind(declared, &json!({ "a": value })).ok(), expect, "{declared:?} of {value}");
        };
        check(ValueType::Integer, json!(7), Some(SqlValue::Integer(7)));
        check(
            ValueType::Integer,
            json!({"integer": "9007199254740993"}),
            Some(SqlValue::Integer(9_007_199_254_740_993)),
        );
        check(ValueType::Integer, json!(7.5), None);
        check(ValueType::Integer, json!("7"), None);
        check(ValueType::Integer, json!(u64::MAX), None);
        check(ValueType::Decimal, json!("150.00"), Some(SqlValue::Decimal("150.00".into())));
        check(ValueType::Decimal, json!("1.5e2"), Some(SqlValue::Decimal("150".into())));
        check(ValueType::Decimal, json!(".5"), Some(SqlValue::Decimal("0.5".into())));
        check(ValueType::Decimal, json!({"decimal": "0.10"}), Some(SqlValue::Decimal("0.10".into())));
        check(ValueType::Decimal, json!({"decimal": "1.5e2"}), Some(SqlValue::Decimal("150".into())));
        check(ValueType::Decimal, json!(150.5), Some(SqlValue::Decimal("150.5".into())));
        check(ValueType::Decimal, json!("150 OR 1"), None);
        check(ValueType::Number, json!(0.1), Some(SqlValue::Real(0.1)));
        for (text, expect) in [("inf", f64::INFINITY), ("1e300", 1e300), ("0.1", 0.1)] {
            check(ValueType::Number, json!({"real": text}), Some(SqlValue::Real(expect)));
        }
        let nan = bind(ValueType::Number, &json!({"a": {"real": "NaN"}}));
        assert!(matches!(nan, Ok(SqlValue::Real(n)) if n.is_nan()), "{nan:?}");
        check(ValueType::Number, json!({"integer": "7"}), Some(SqlValue::Real(7.0)));
        check(ValueType::Number, json!("0.1"), None);
        check(ValueType::Text, json!("x"), Some(SqlValue::Text("x".into())));
        check(ValueType::Text, json!(1), None);
        check(ValueType::Boolean, json!(true), Some(SqlValue::Boolean(true)));
        check(ValueType::Blob, json!("00ff"), Some(SqlValue::Blob(vec![0, 255])));
        check(ValueType::Blob, json!("zz"), None);
        check(ValueType::Blob, json!({"blob": "00ff"}), Some(SqlValue::Blob(vec![0, 255])));
        check(ValueType::Blob, json!([0, 255]), Some(SqlValue::Blob(vec![0, 255])));
        check(ValueType::Blob, json!([]), Some(SqlValue::Blob(vec![])));
        check(ValueType::Blob, json!([0, 256]), None);
        check(ValueType::Blob, json!([0.5]), None);
        for (given, expect) in [
            (json!({"json": "[ 1]"}), "[ 1]"),
            (json!({"a": [1], "b": 2}), r#"{"a":[1],"b":2}"#),
            (json!([1, 2]), "[1,2]"),
            (json!(5), "5"),
            (json!(true), "true"),
            (json!({}), "{}"),
            (json!({"integer": "5"}), r#"{"integer":"5"}"#),
            (json!({"json": [1]}), r#"{"json":[1]}"#),
            (json!("{\"a\": 1.50}"), r#"{"a": 1.50}"#),
            (json!("\"s\""), "\"s\""),
        ] {
            check(ValueType::Json, given, Some(SqlValue::Json(expect.into())));
        }
        check(ValueType::Json, json!("s"), None);
        check(
            ValueType::Timestamp,
            json!("2026-01-01T00:00:00Z"),
            Some(SqlValue::Timestamp("2026-01-01T00:00:00Z".into())),
        );
        check(ValueType::Text, Value::Null, Some(SqlValue::Null));
    }

    #[test]
    fn names_that_do_not_fit_are_named() {
        let message = |declared, params: Value| bind(declared, &params).unwrap_err().to_string();
        assert_eq!(message(ValueType::Integer, json!({})), "parameter `a` is missing");
        assert_eq!(message(ValueType::Integer, json!({"a": "x"})), "parameter `a` is not an integer");
        assert_eq!(message(ValueType::Decimal, json!({"a": "x"})), "parameter `a` is not a decimal");
        assert_eq!(
            message(ValueType::Json, json!({"a": "s"})),
            "parameter `a` is not JSON: a text is read as JSON, in which a string stands in quotes of its own"
        );
        assert_eq!(
            message(ValueType::Integer, json!({"a": 1, "b": 2})),
            "the statement has no parameter `b`"
        );
    }

    #[test]
    fn what_reads_is_told_by_its_words() {
        let check = |sql: &str, expect: bool| {
            assert_eq!(Statement { sql: sql.into(), params: [].into() }.only_reads(), expect, "{sql}");
        };
        check("SELECT 1", true);
        check("  (select 1)", true);
        check("/* UPDATE */ VALUES (1)", true);
        check("WITH a AS (SELECT 'DELETE', replace(x, 'a', 'b') FROM t) SELECT * FROM a", true);
        check("WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a", false);
        check("WITH a AS (SELECT 1) REPLACE INTO t SELECT * FROM a", false);
        check("INSERT INTO t VALUES (1)", false);
        check("UPDATE t SET a = 1", false);
        check("", false);
    }
}
