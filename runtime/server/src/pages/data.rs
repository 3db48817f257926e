//! Data as people read it: objects as lists of names, lists of like objects as tables.

use std::collections::BTreeSet;

use maud::{Markup, html};
use serde_json::{Map, Value};

/// Rows of a table or elements of a list that are shown. What is decided on has to be read: nobody reads more.
const MOST: usize = 500;

/// Any JSON.
pub(super) fn data(value: &Value) -> Markup {
    match value {
        Value::Null => html! { span.none { "none" } },
        Value::Bool(yes) => html! { (if *yes { "yes" } else { "no" }) },
        Value::Number(number) => html! { span.number { (number) } },
        Value::String(text) if text.is_empty() => html! { span.none { "empty" } },
        Value::String(text) if text.contains('\n') => html! { pre { (text) } },
        Value::String(text) if is_plain(text) => html! { (text) },
        Value::String(text) => html! { (format!("{text:?}")) },
        Value::Array(all) if all.is_empty() => html! { span.none { "none" } },
        Value::Array(all) => list(all),
        Value::Object(map) if map.is_empty() => html! { span.none { "none" } },
        Value::Object(map) => object(map),
    }
}

/// Whether a text is seen as what it is: it has no sign that is not seen, and is no other value in words. Others stand in
/// quotes, with escapes.
fn is_plain(text: &str) -> bool {
    let is_seen = |sign: char| matches!(sign, '"' | '\'' | '\\') || sign.escape_debug().len() == 1;
    let is_word = matches!(text, "none" | "empty" | "yes" | "no");
    let is_around = text.starts_with('"') || text.trim() != text;
    text.chars().all(is_seen) && !is_word && !is_around && serde_json::from_str::<Value>(text).is_err()
}

fn object(map: &Map<String, Value>) -> Markup {
    html! {
        dl.data {
            @for (name, value) in map { div { dt { (words(name)) } dd { (data(value)) } } }
        }
    }
}

fn list(all: &[Value]) -> Markup {
    let rows: Option<Vec<&Map<String, Value>>> = all.iter().map(Value::as_object).collect();
    let left = all.len().saturating_sub(MOST);
    html! {
        @match rows {
            Some(rows) => (table(&rows)),
            None if all.iter().all(|one| !one.is_object() && !one.is_array()) && all.len() <= 24 => {
                ul.inline { @for one in all { li { (data(one)) } } }
            }
            None => ol.data { @for one in all.iter().take(MOST) { li { (data(one)) } } }
        }
        @if left > 0 { p.none { "and " (left) " more, which `wflo approvals show` prints" } }
    }
}

/// Objects, each a row; the columns are the names in the order in which they come.
fn table(rows: &[&Map<String, Value>]) -> Markup {
    let (mut columns, mut known) = (Vec::new(), BTreeSet::new());
    for name in rows.iter().flat_map(|row| row.keys()) {
        if known.insert(name) {
            columns.push(name);
        }
    }
    html! {
        div.scroll tabindex="0" role="region" aria-label="Rows" {
            table {
                thead { tr { @for name in &columns { th scope="col" { (words(name)) } } } }
                tbody {
                    @for row in rows.iter().take(MOST) {
                        tr { @for name in &columns { td { @if let Some(value) = row.get(*name) { (data(value)) } } } }
                    }
                }
            }
        }
    }
}

/// A name as it is read: `suspicious_accounts` is `suspicious accounts`.
fn words(name: &str) -> String {
    name.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::data;

    #[test]
    fn values_that_differ_look_different() {
        let all = json!([
            null,
            "none",
            "null",
            true,
            "true",
            "yes",
            100,
            "100",
            "",
            "empty",
            "a b",
            "a\u{200b} b",
            "a\u{a0}b",
            "a b ",
            "\"a b\"",
            [],
            "[]"
        ]);
        let shown: std::collections::BTreeSet<String> =
            all.as_array().unwrap().iter().map(|it| data(it).into_string()).collect();
        // A list of nothing, and nothing, are both none.
        assert_eq!(shown.len(), all.as_array().unwrap().len() - 1, "{shown:?}");
        assert_eq!(data(&json!("say \"hi\"")).into_string(), "say &quot;hi&quot;", "prose stays prose");
    }

    #[test]
    fn rows_are_a_table_and_nothing_in_them_is_markup() {
        let shown =
            data(&json!({ "rows": [{ "id": "A-7", "note": "<script>" }, { "id": "B-2", "sum": 3 }] }))
                .into_string();
        for part in
            ["<table>", "<th scope=\"col\">id</th>", "<th scope=\"col\">sum</th>", "A-7", "&lt;script&gt;"]
        {
            assert!(shown.contains(part), "no `{part}` in {shown}");
        }
        assert!(!shown.contains("<script>"));
    }
}
