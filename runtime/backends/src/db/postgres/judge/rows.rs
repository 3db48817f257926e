//! Row filters: the rows of a table that may be read.

use wflo_model::{Comparison, FilterOperand, FilterValue, RowCondition, RowFilter, RowTest};

use crate::db::names::quoted;

/// What comes behind the name of a table, in a subquery, so that only these rows come out of it.
///
/// `OFFSET 0` is a fence: PostgreSQL filters before any expression of the guest sees a row. Without it a condition of the
/// statement could run on every row of the table, and tell by an error what is in it.
pub(super) fn only(filter: &RowFilter) -> String {
    format!(" WHERE {} OFFSET 0", all_of([filter], ""))
}

/// A condition that a row passes all of these filters; true for none. `of` stands before each column.
pub(in crate::db::postgres) fn all_of<'f>(
    filters: impl IntoIterator<Item = &'f RowFilter>,
    of: &str,
) -> String {
    // Both filters of a table often say the same.
    let mut conditions: Vec<String> = Vec::new();
    for condition in filters.into_iter().flat_map(RowFilter::conditions) {
        let condition = self::condition(condition, of);
        if !conditions.contains(&condition) {
            conditions.push(condition);
        }
    }
    if conditions.is_empty() { "true".to_owned() } else { conditions.join(" AND ") }
}

fn condition(condition: &RowCondition, of: &str) -> String {
    let column = format!("{of}{}", quoted(&condition.column));
    match &condition.test {
        RowTest::Null => format!("{column} IS NULL"),
        RowTest::NotNull => format!("{column} IS NOT NULL"),
        RowTest::Is(Comparison::Equal, operand) => equal(&column, operand),
        RowTest::Is(comparison, operand) => match literal(operand) {
            Some(value) => format!("{column} {} {value}", comparison.sign()),
            None => "false".into(),
        },
        RowTest::In(operands) => {
            let any: Vec<String> = operands.iter().map(|operand| equal(&column, operand)).collect();
            if any.is_empty() { "false".into() } else { format!("( {} )", any.join(" OR ")) }
        }
    }
}

/// What must be equal must also be written so: PostgreSQL takes `'017'` for 17 where the column holds integers, and the
/// audit, which has digests of values, would not.
fn equal(column: &str, operand: &FilterOperand) -> String {
    match (literal(operand), operand) {
        (Some(value), FilterOperand::Value(FilterValue::Text(_) | FilterValue::Decimal(_))) => {
            format!("( {column} = {value} AND ( {column} ) :: pg_catalog . text = {value} )")
        }
        (Some(value), _) => format!("{column} = {value}"),
        (None, _) => "false".into(),
    }
}

/// A value as a string, which PostgreSQL reads as the type of the column; none for what is no value.
fn literal(operand: &FilterOperand) -> Option<String> {
    match operand {
        FilterOperand::Value(value) => Some(format!("'{}'", value.to_string().replace('\'', "''"))),
        // What was not bound lets no row through.
        FilterOperand::Input(_)
        | FilterOperand::Item
        | FilterOperand::ItemField(_)
        | FilterOperand::Nothing => None,
    }
}

#[cfg(test)]
mod tests {
    use super::only;

    #[test]
    fn a_filter_is_written_with_its_values_as_strings() {
        let check = |filter: &str, expect: &str| {
            assert_eq!(only(&filter.parse().unwrap()), format!(" WHERE {expect} OFFSET 0"), "{filter}");
        };
        check("id = 17", "\"id\" = '17'");
        check("id > 17", "\"id\" > '17'");
        check("ward IS NULL", "\"ward\" IS NULL");
        check("id IN (1, 2)", "( \"id\" = '1' OR \"id\" = '2' )");
        check(
            "name = 'O''Hara'",
            "( \"name\" = 'O''Hara' AND ( \"name\" ) :: pg_catalog . text = 'O''Hara' )",
        );
        check("id = :inputs.patient", "false");
    }
}
