//! Takes what a step has read out of what it logs and fails with.
//!
//! Logs and error texts travel further than results: to terminals, to tickets, to whoever operates the host. In a step
//! that handles labelled data, every text that a database has given it, and every long number, is taken out of its log
//! lines and of the words it fails with; so is each line of such a text, for what is printed is logged line by line, and
//! the text as JSON and languages write it, with escapes. It follows from the results that the journal has, so that a
//! replay comes to the same words.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use aho_corasick::{AhoCorasick, MatchKind};
use serde_json::Value;
use wflo_model::{CallResult, SqlRows, SqlValue};

/// Shortest text that is taken out: what is shorter is in too many others.
const SHORTEST: usize = 4;
/// Digits of a number that is taken out: counts and ages are shorter, numbers of patients and accounts longer.
const LONG_NUMBER: usize = 6;
/// Most bytes that are remembered. A step that reads more than that is not allowed a word of it.
const MOST: usize = 2 << 20;
/// What stands in the place of each.
const MARK: &str = "[redacted]";

/// Remembers what a step with labels has read.
#[derive(Default)]
pub(crate) struct Redactor {
    is_on: bool,
    words: BTreeSet<String>,
    bytes: usize,
    /// Made when it is needed, and again when there is more.
    found: Option<AhoCorasick>,
}

impl Redactor {
    /// One for a step; it does something only where the step has labels.
    pub(crate) fn new(has_labels: bool) -> Self {
        Self { is_on: has_labels, ..Self::default() }
    }

    /// Takes notice of what a call came to.
    pub(crate) fn saw(&mut self, interface: &str, result: &CallResult) {
        if !self.is_on || interface != "wflo:db/sql" {
            return;
        }
        let Ok(value) = result else { return };
        let Ok(SqlRows { rows, .. }) = serde_json::from_value::<SqlRows>(value.clone()) else { return };
        for value in rows.into_iter().flatten() {
            let (text, shortest) = match value {
                SqlValue::Text(text)
                | SqlValue::Json(text)
                | SqlValue::Uuid(text)
                | SqlValue::Timestamp(text) => (text, SHORTEST),
                SqlValue::Decimal(text) => (text, LONG_NUMBER),
                SqlValue::Integer(number) => (number.to_string(), LONG_NUMBER),
                _ => continue,
            };
            for form in forms(text) {
                if form.len() >= shortest && self.bytes <= MOST && !self.words.contains(&form) {
                    self.bytes += form.len();
                    self.words.insert(form);
                    self.found = None;
                }
            }
        }
    }

    /// A text without what was read.
    pub(crate) fn text(&mut self, text: String) -> String {
        if self.words.is_empty() {
            return text;
        }
        if self.bytes > MOST {
            return format!("[redacted: the step has read more than {MOST} bytes of labelled data]");
        }
        let words = &self.words;
        let found = self.found.get_or_insert_with(|| {
            AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .ascii_case_insensitive(true)
                .build(words)
                .expect("two mebibytes of words are no more than an automaton holds")
        });
        if !found.is_match(&text) {
            return text;
        }
        found.replace_all(&text, &vec![MARK; self.words.len()])
    }
}

/// The ways in which a text stands in another.
fn forms(text: String) -> BTreeSet<String> {
    let lines = text.lines().map(|line| line.trim().to_owned());
    let mut forms: BTreeSet<String> = lines.chain([text.trim().to_owned()]).collect();
    // Twice, for who quotes what quotes it: the words of an error that has a row in it.
    for _ in 0..2 {
        let escaped: Vec<String> = forms.iter().flat_map(|text| escaped(text)).collect();
        forms.extend(escaped);
    }
    forms.insert(text);
    forms
}

/// A text between quotes: in JSON, in JSON of ASCII alone, and as Rust and Python write it for who looks for a defect.
fn escaped(text: &str) -> [String; 5] {
    let json = Value::from(text).to_string();
    let json = json[1..json.len() - 1].to_owned();
    let mut units = [0; 2];
    let ascii = json.chars().fold(String::with_capacity(json.len()), |mut all, sign| {
        match sign {
            sign if sign.is_ascii() => all.push(sign),
            sign => sign.encode_utf16(&mut units).iter().for_each(|unit| _ = write!(all, "\\u{unit:04x}")),
        }
        all
    });
    let debug = format!("{text:?}");
    let debug = debug[1..debug.len() - 1].to_owned();
    // Python quotes by `'` where it can, and then escapes no `"`.
    let python = json.replace("\\\"", "\"");
    // The host's own words about an output.
    let ticked = json.replace('"', "`");
    [json, ascii, debug, python, ticked]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Redactor;

    fn reads(redactor: &mut Redactor, values: &serde_json::Value) {
        let columns: Vec<_> = (0..values.as_array().unwrap().len()).map(|n| n.to_string()).collect();
        redactor.saw("wflo:db/sql", &Ok(json!({"columns": columns, "rows": [values]})));
    }

    #[test]
    fn what_was_read_is_not_told() {
        let mut redactor = Redactor::new(true);
        reads(&mut redactor, &json!(["Ada Lovelace", {"integer": "1234567"}, {"integer": "42"}, "Ada"]));
        let told = |redactor: &mut Redactor, text: &str| redactor.text(text.to_owned());
        assert_eq!(
            told(&mut redactor, "ADA LOVELACE (1234567) is 42, says Ada"),
            "[redacted] ([redacted]) is 42, says Ada"
        );
        assert_eq!(told(&mut redactor, "nobody"), "nobody");
        // More may come.
        reads(&mut redactor, &json!(["nobody"]));
        assert_eq!(told(&mut redactor, "nobody"), "[redacted]");
    }

    #[test]
    fn nor_in_another_form() {
        let mut redactor = Redactor::new(true);
        let note = "Grace \"Amazing\" Hopper\nwas admitted for a fracture, é\tno";
        reads(&mut redactor, &json!([note, "O'Brien\\Ward"]));
        let row = json!({ "note": note });
        for text in [
            note.to_owned(),
            "line Grace \"Amazing\" Hopper".to_owned(),
            "  was admitted for a fracture, é\tno".to_owned(),
            format!("{note:?}"),
            format!("{note:?} is not of type \"integer\"").replace('"', "`"),
            format!("{:?}", [Some(note)]),
            row.to_string(),
            format!("{:?}", row.to_string()),
            row.to_string().replace('é', "\\u00e9"),
            "O'Brien\\Ward".to_owned(),
            json!(["O'Brien\\Ward"]).to_string(),
        ] {
            let told = redactor.text(text.clone());
            assert!(told.contains("[redacted]"), "{text} stays");
            for part in ["Grace", "Hopper", "admitted", "fracture", "Brien"] {
                assert!(!told.contains(part), "{told} of {text}");
            }
        }
    }

    #[test]
    fn without_labels_nothing_is_hidden() {
        let mut redactor = Redactor::new(false);
        reads(&mut redactor, &json!(["Ada Lovelace"]));
        assert_eq!(redactor.text("Ada Lovelace".to_owned()), "Ada Lovelace");
    }

    #[test]
    fn who_has_read_too_much_says_nothing() {
        let mut redactor = Redactor::new(true);
        for n in 0..8 {
            reads(&mut redactor, &json!([format!("{n}").repeat(300_000)]));
        }
        assert!(redactor.text("hello".to_owned()).starts_with("[redacted: "));
    }
}
