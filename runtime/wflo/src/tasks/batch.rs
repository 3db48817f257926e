//! Cutting much into pieces that a request can hold.

use serde_json::{Map, Value, json};

/// Most bytes of JSON in a piece; one value alone may have more.
const MOST_BYTES: usize = 24 << 10;

/// Cuts a list into pieces of at most so many values and [`MOST_BYTES`], in order. No piece is empty.
pub(super) fn pieces(values: Vec<Value>, most: usize) -> Vec<Vec<Value>> {
    let (mut pieces, mut piece, mut size) = (Vec::new(), Vec::new(), 0);
    for value in values {
        let bytes = value.to_string().len();
        if !piece.is_empty() && (piece.len() == most || size + bytes > MOST_BYTES) {
            pieces.push(std::mem::take(&mut piece));
            size = 0;
        }
        size += bytes;
        piece.push(value);
    }
    pieces.extend(Some(piece).filter(|piece| !piece.is_empty()));
    pieces
}

/// The schema of `{"rows": [exactly so many of what `row` says]}`.
pub(super) fn rows_schema(row: &Value, count: usize) -> Value {
    let mut row = row.clone();
    let mut schema = Map::new();
    // What a row refers to by `#/$defs/...` stays at the top.
    if let Value::Object(inner) = &mut row {
        for key in ["$defs", "definitions"] {
            schema.extend(inner.shift_remove(key).map(|defs| (key.to_owned(), defs)));
        }
    }
    schema.insert("type".into(), "object".into());
    let rows = json!({ "type": "array", "items": row, "minItems": count, "maxItems": count });
    schema.insert("properties".into(), json!({ "rows": rows }));
    schema.insert("required".into(), json!(["rows"]));
    schema.insert("additionalProperties".into(), false.into());
    Value::Object(schema)
}

/// Numbered lines: `1. no spam`.
pub(super) fn numbered(lines: &[String]) -> String {
    let lines = lines.iter().enumerate().map(|(n, line)| format!("{}. {}", n + 1, line.trim()));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{MOST_BYTES, pieces, rows_schema};

    #[test]
    fn pieces_keep_order_and_are_bounded() {
        let values: Vec<Value> = (0..100).map(|n| json!({ "n": n, "text": "x".repeat(n * 40) })).collect();
        let cut = pieces(values.clone(), 7);
        assert_eq!(cut.concat(), values);
        for piece in &cut {
            let bytes: usize = piece.iter().map(|value| value.to_string().len()).sum();
            assert!((1..=7).contains(&piece.len()) && bytes <= MOST_BYTES);
        }
        // What is too large for a piece has one of its own.
        let large = json!("y".repeat(MOST_BYTES + 1));
        assert_eq!(
            pieces(vec![json!(1), large.clone(), json!(2)], 7),
            [vec![json!(1)], vec![large], vec![json!(2)]]
        );
        assert!(pieces(Vec::new(), 7).is_empty());
    }

    #[test]
    fn a_schema_of_rows_counts_them_and_keeps_definitions_reachable() {
        let row = json!({ "$ref": "#/$defs/row", "$defs": { "row": { "type": "integer" } } });
        let validator = jsonschema::validator_for(&rows_schema(&row, 2)).unwrap();
        assert!(validator.is_valid(&json!({ "rows": [1, 2] })));
        for bad in [json!({ "rows": [1] }), json!({ "rows": [1, "2"] }), json!([1, 2])] {
            assert!(!validator.is_valid(&bad), "{bad}");
        }
    }
}
