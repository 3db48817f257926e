use serde_json::{Value, json};

use super::{BadRowFilter, FilterValue, RowFilter};

fn filter(text: &str) -> RowFilter {
    text.parse().unwrap_or_else(|error: BadRowFilter| panic!("{text}: {error}"))
}

#[test]
fn a_filter_is_written_as_it_is_read() {
    let check = |text: &str, expect: &str| {
        let read = filter(text);
        assert_eq!(read.to_string(), expect);
        assert_eq!(filter(expect), read, "it is read back");
        assert_eq!(serde_json::to_value(&read).unwrap(), json!(expect));
    };
    check("patient_id = :inputs.patient_id", "patient_id = :inputs.patient_id");
    check("Patient_ID=:inputs.patient-id", "patient_id = :inputs.patient-id");
    check("b = 1 and a = :item AND\nc = :item.id", "a = :item AND b = 1 AND c = :item.id");
    check("a = 'it''s' AND a = 'it''s'", "a = 'it''s'");
    check("a <> -1.50 AND b != 2 AND c < 3", "a <> -1.50 AND b <> 2 AND c < 3");
    check("a <= 4 AND a >= 5 AND a > 6", "a <= 4 AND a > 6 AND a >= 5");
    check(
        "a in (3,'x', :item) AND b is null AND c IS NOT NULL",
        "a IN (:item, 3, 'x') AND b IS NULL AND c IS NOT NULL",
    );
    check("\"my \"\"id\"\"\" = TRUE AND \"and\" = false", "\"and\" = false AND \"my \"\"id\"\"\" = true");
    check("a = 9223372036854775808", "a = 9223372036854775808");
    check("a = NULL", "a = NULL");
}

#[test]
fn what_is_no_filter_says_why() {
    let check = |text: &str, at: usize, says: &str| match text.parse::<RowFilter>() {
        Ok(read) => panic!("{text} was read as {read}"),
        Err(BadRowFilter { reason, at: found }) => {
            assert!(reason.contains(says), "{text}: {reason}");
            assert_eq!(found, at, "{text}: {reason}");
        }
    };
    check("", 0, "begins with a column");
    check("a = 1 OR b = 2", 6, "would widen it");
    check("a = 1 b = 2", 6, "joined by `AND`");
    check("a = 1 AND", 9, "begins with a column");
    check("1 = 1", 0, "begins with a column, not `1`");
    check("(a = 1)", 0, "begins with a column");
    check("a", 1, "not compared with anything");
    check("a BETWEEN 1 AND 2", 2, "not compared with anything");
    check("a = b", 4, "write text in single quotes");
    check("a = \"b\"", 4, "is a column");
    check("a = (SELECT 1)", 4, "a value must follow");
    check("a = ?1", 4, "means nothing");
    check("a = :outputs.x", 4, "is not there");
    check("a = :inputs.", 4, "is not there");
    check("a = :inputs.a.b", 4, "is not there");
    check("a = :item.a.b", 4, "is not there");
    check("a = 'open", 4, "not closed");
    check("a IN ()", 6, "a value must follow");
    check("a IN (1", 7, "not closed");
    check("a IS 1", 5, "must follow `IS`");
    check("a = 1e5", 4, "is no number");
    check("a = 1; DROP TABLE t", 5, "means nothing");
    check("a = 1 -- b", 6, "is no number");
    check(&format!("a = '{}'", "x".repeat(5000)), 4096, "longer than");
}

#[test]
fn values_are_bound_and_what_is_missing_matches_nothing() {
    let inputs = json!({"n": 17, "text": "17", "part": 0.5, "yes": true, "list": [1], "none": null, "big": {"integer": "9007199254740993"}});
    let check = |text: &str, item: Option<Value>, expect: &str| {
        let bound = filter(text).bound(inputs.as_object().unwrap(), item.as_ref());
        assert_eq!(bound.to_string(), expect, "{text}");
    };
    check("a = :inputs.n", None, "a = 17");
    check("a = :inputs.text", None, "a = '17'");
    check("a = :inputs.part AND b = :inputs.yes", None, "a = 0.5 AND b = true");
    check("a = :inputs.big", None, "a = 9007199254740993");
    for lost in ["list", "none", "unknown"] {
        check(&format!("a = :inputs.{lost}"), None, "a = NULL");
    }
    check("a = :item AND b = :item.id", Some(json!({"id": "x"})), "a = NULL AND b = 'x'");
    check("a = :item AND b = :item.id", Some(json!(5)), "a = 5 AND b = NULL");
    check("a = :item", None, "a = NULL");
}

#[test]
fn an_auditor_asks_by_what_columns_must_be() {
    let bound = filter("a = 17 AND b IN (1, 'x', NULL) AND c <> 3 AND d < 4 AND e = :item");
    let values: Vec<_> = bound.values().map(|(column, value)| (column, value.to_string())).collect();
    assert_eq!(values, [("a", "17".into()), ("b", "1".into()), ("b", "x".into())]);
    assert_eq!(FilterValue::from_json(&json!("17")).unwrap().to_string(), "17");
}

#[test]
fn more_conditions_are_narrower() {
    let (wide, narrow, other) = (filter("a = 1"), filter("a = 1 AND b = 2"), filter("a = 1 AND c = 3"));
    assert!(wide.covers(&narrow) && wide.covers(&wide) && !narrow.covers(&wide) && !narrow.covers(&other));
    assert_eq!(narrow.widened(&other), Some(wide));
    assert_eq!(filter("a = 1").widened(&filter("b = 2")), None);
}
