//! Which rows of a table a grant is for.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::{InputName, SqlValue};

mod parse;
#[cfg(test)]
mod tests;

pub use parse::BadRowFilter;

/// The rows of a table that a step may touch: those for which every condition holds.
///
/// It is written as SQL has it, with the conditions joined by `AND`. A condition compares one column with what is known
/// before the step runs: a value, an input of the run (`:inputs.patient_id`), the item that an attempt is of (`:item`),
/// or a field of it (`:item.id`). A database never sees the text: it is given the conditions with their values
/// [bound](Self::bound).
///
/// More conditions make a narrower filter, so filters can be compared without knowing any row.
///
/// ```
/// use serde_json::json;
/// use wflo_model::RowFilter;
/// let filter: RowFilter = "patient_id = :inputs.patient_id AND ward IN ('3', '4')".parse().unwrap();
/// let inputs = json!({ "patient_id": 17 });
/// let bound = filter.bound(inputs.as_object().unwrap(), None);
/// assert_eq!(bound.to_string(), "patient_id = 17 AND ward IN ('3', '4')");
/// assert!("ward = '3' OR 1 = 1".parse::<RowFilter>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowFilter(BTreeSet<RowCondition>);

/// A condition on one column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowCondition {
    /// The column, in lower case.
    pub column: String,
    /// What its value must be.
    pub test: RowTest,
}

/// What the value of a column must be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowTest {
    /// It compares so. Nothing compares with NULL.
    Is(Comparison, FilterOperand),
    /// It is one of these.
    In(BTreeSet<FilterOperand>),
    /// It is NULL.
    Null,
    /// It is anything else.
    NotNull,
}

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
}

impl Comparison {
    /// As SQL writes it.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
        }
    }
}

/// What a column is compared with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FilterOperand {
    /// An input of the run: `:inputs.name`.
    Input(InputName),
    /// The item: `:item`.
    Item,
    /// A field of the item: `:item.name`.
    ItemField(String),
    /// A value.
    Value(FilterValue),
    /// No value: nothing is equal to it. It is what an operand comes to that is not there, or is no single value.
    Nothing,
}

/// A value that a column is compared with. Numbers are exact.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FilterValue {
    /// A boolean.
    Boolean(bool),
    /// A 64-bit integer.
    Integer(i64),
    /// Any other number, as text.
    Decimal(String),
    /// Text.
    Text(String),
}

impl FilterValue {
    /// The value that JSON has, where that is a single one: what a run was given, or a list is made of.
    #[must_use]
    pub fn from_json(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Bool(value) => Self::Boolean(*value),
            Value::Number(number) => {
                number.as_i64().map_or_else(|| Self::Decimal(number.to_string()), Self::Integer)
            }
            Value::String(text) => Self::Text(text.clone()),
            // As rows of a database have them.
            Value::Object(_) => match SqlValue::try_from(value.clone()).ok()? {
                SqlValue::Integer(number) => Self::Integer(number),
                SqlValue::Decimal(text) => Self::Decimal(text),
                SqlValue::Uuid(text) | SqlValue::Timestamp(text) => Self::Text(text),
                _ => return None,
            },
            Value::Null | Value::Array(_) => return None,
        })
    }
}

/// As people write it: `17` is 17, and text has no quotes around it.
impl fmt::Display for FilterValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => value.fmt(f),
            Self::Integer(number) => number.fmt(f),
            Self::Decimal(text) | Self::Text(text) => f.write_str(text),
        }
    }
}

impl RowFilter {
    /// The conditions, all of which must hold.
    pub fn conditions(&self) -> impl ExactSizeIterator<Item = &RowCondition> + Clone {
        self.0.iter()
    }

    /// What columns are compared with.
    pub fn operands(&self) -> impl Iterator<Item = &FilterOperand> {
        self.0.iter().flat_map(RowCondition::operands)
    }

    /// Whether every row of `narrower` is one of these.
    #[must_use]
    pub fn covers(&self, narrower: &Self) -> bool {
        self.0.is_subset(&narrower.0)
    }

    /// The narrowest filter that covers both; none where that is no filter at all.
    #[must_use]
    pub fn widened(&self, other: &Self) -> Option<Self> {
        let common: BTreeSet<_> = self.0.intersection(&other.0).cloned().collect();
        (!common.is_empty()).then_some(Self(common))
    }

    /// The filter with the values that a run and an item of a list give it. What is not there is
    /// [`FilterOperand::Nothing`], so that no row is let through for want of a value.
    #[must_use]
    pub fn bound(&self, inputs: &Map<String, Value>, item: Option<&Value>) -> Self {
        let bind = |operand: &FilterOperand| {
            let value = match operand {
                FilterOperand::Input(name) => inputs.get(name.as_str()),
                FilterOperand::Item => item,
                FilterOperand::ItemField(name) => item.and_then(|item| item.get(name)),
                FilterOperand::Value(_) | FilterOperand::Nothing => return operand.clone(),
            };
            value.and_then(FilterValue::from_json).map_or(FilterOperand::Nothing, FilterOperand::Value)
        };
        let bound = |condition: &RowCondition| RowCondition {
            column: condition.column.clone(),
            test: match &condition.test {
                RowTest::Is(comparison, operand) => RowTest::Is(*comparison, bind(operand)),
                RowTest::In(operands) => RowTest::In(operands.iter().map(bind).collect()),
                RowTest::Null => RowTest::Null,
                RowTest::NotNull => RowTest::NotNull,
            },
        };
        Self(self.0.iter().map(bound).collect())
    }

    /// The columns that must have one value, or one of some, with each of these: what an auditor asks by. Only a bound
    /// filter has any.
    pub fn values(&self) -> impl Iterator<Item = (&str, &FilterValue)> {
        self.0.iter().flat_map(|condition| {
            let operands = match &condition.test {
                RowTest::Is(Comparison::Equal, _) | RowTest::In(_) => Some(condition.operands()),
                _ => None,
            };
            operands.into_iter().flatten().filter_map(|operand| match operand {
                FilterOperand::Value(value) => Some((condition.column.as_str(), value)),
                _ => None,
            })
        })
    }
}

impl RowCondition {
    /// What the column is compared with.
    pub fn operands(&self) -> impl Iterator<Item = &FilterOperand> {
        let (one, many) = match &self.test {
            RowTest::Is(_, operand) => (Some(operand), None),
            RowTest::In(operands) => (None, Some(operands)),
            RowTest::Null | RowTest::NotNull => (None, None),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}

impl fmt::Display for RowFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, condition) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(" AND ")?;
            }
            condition.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for RowCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if parse::is_plain(&self.column) {
            f.write_str(&self.column)?;
        } else {
            write!(f, "\"{}\"", self.column.replace('"', "\"\""))?;
        }
        match &self.test {
            RowTest::Is(comparison, operand) => write!(f, " {} {operand}", comparison.sign()),
            RowTest::In(operands) => {
                f.write_str(" IN (")?;
                for (at, operand) in operands.iter().enumerate() {
                    let comma = if at > 0 { ", " } else { "" };
                    write!(f, "{comma}{operand}")?;
                }
                f.write_str(")")
            }
            RowTest::Null => f.write_str(" IS NULL"),
            RowTest::NotNull => f.write_str(" IS NOT NULL"),
        }
    }
}

/// As a filter writes it.
impl fmt::Display for FilterOperand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(name) => write!(f, ":inputs.{name}"),
            Self::Item => f.write_str(":item"),
            Self::ItemField(name) => write!(f, ":item.{name}"),
            Self::Value(FilterValue::Text(text)) => write!(f, "'{}'", text.replace('\'', "''")),
            Self::Value(value) => value.fmt(f),
            Self::Nothing => f.write_str("NULL"),
        }
    }
}

/// Its text: plans hold filters as people have written them.
impl Serialize for RowFilter {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RowFilter {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}
