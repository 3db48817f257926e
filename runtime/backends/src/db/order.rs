//! An order of values, the same for every database: of change sets, so that equal ones have equal bytes.

use std::cmp::Ordering;

use wflo_model::SqlValue;

/// Compares two keys, column by column.
pub(super) fn by_value(a: &[SqlValue], b: &[SqlValue]) -> Ordering {
    a.iter()
        .zip(b)
        .map(|(a, b)| compare(a, b))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| a.len().cmp(&b.len()))
}

fn compare(a: &SqlValue, b: &SqlValue) -> Ordering {
    use SqlValue as V;
    match (a, b) {
        (V::Boolean(a), V::Boolean(b)) => a.cmp(b),
        (V::Integer(a), V::Integer(b)) => a.cmp(b),
        (V::Real(a), V::Real(b)) => a.total_cmp(b),
        (V::Blob(a), V::Blob(b)) => a.cmp(b),
        (V::Text(a), V::Text(b))
        | (V::Decimal(a), V::Decimal(b))
        | (V::Timestamp(a), V::Timestamp(b))
        | (V::Json(a), V::Json(b))
        | (V::Uuid(a), V::Uuid(b)) => a.cmp(b),
        _ => rank(a).cmp(&rank(b)),
    }
}

/// The place of a type among the others.
const fn rank(value: &SqlValue) -> u8 {
    match value {
        SqlValue::Null => 0,
        SqlValue::Boolean(_) => 1,
        SqlValue::Integer(_) => 2,
        SqlValue::Real(_) => 3,
        SqlValue::Decimal(_) => 4,
        SqlValue::Timestamp(_) => 5,
        SqlValue::Uuid(_) => 6,
        SqlValue::Text(_) => 7,
        SqlValue::Json(_) => 8,
        SqlValue::Blob(_) => 9,
    }
}

#[cfg(test)]
mod tests {
    use wflo_model::SqlValue;

    use super::by_value;

    #[test]
    fn numbers_are_in_their_own_order() {
        let mut keys =
            [[SqlValue::Integer(10)], [SqlValue::Text("a".into())], [SqlValue::Integer(9)], [SqlValue::Null]];
        keys.sort_by(|a, b| by_value(a, b));
        assert_eq!(
            keys.map(|[key]| key),
            [SqlValue::Null, SqlValue::Integer(9), SqlValue::Integer(10), SqlValue::Text("a".into())]
        );
    }
}
