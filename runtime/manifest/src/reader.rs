//! TOML with places: what both files are read through.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;

use toml_edit::{ArrayOfTables, Document, Item, Table, TableLike, Value};

use crate::diagnostic::{Diagnostic, Diagnostics, Severity, Source, Span};
use crate::near::{did_you_mean, nearest};
use crate::unsupported;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// Collects what is wrong with one file.
pub(crate) struct Reader {
    pub(crate) source: Arc<Source>,
    pub(crate) found: Diagnostics,
    /// Reads what the runtime cannot honour yet: for the tests of its readers, which come first.
    pub(crate) everything: bool,
}

impl Reader {
    pub(crate) fn new(source: &Arc<Source>) -> Self {
        Self { source: source.clone(), found: Diagnostics::default(), everything: false }
    }

    /// Parses the file; says where if it is not TOML.
    pub(crate) fn document(&mut self) -> Option<Document<String>> {
        match Document::parse(self.source.text().to_owned()) {
            Ok(document) => Some(document),
            Err(error) => {
                let text = error.message().trim_end_matches('.').replace('\n', ", ");
                let end = self.source.text().len();
                self.error(error.span().unwrap_or(end..end), format!("not TOML: {text}"));
                None
            }
        }
    }

    pub(crate) fn error(&mut self, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Severity::Error, span, message.into())
    }

    pub(crate) fn note(&mut self, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Severity::Hint, span, message.into())
    }

    fn push(&mut self, severity: Severity, span: Span, message: String) -> &mut Diagnostic {
        let file = self.source.clone();
        self.found.push(Diagnostic { severity, file, span, message, label: String::new(), hint: None })
    }

    pub(crate) fn unsupported(&mut self, span: Span, name: &str) {
        self.error(span, unsupported::message(name));
    }

    /// All that was found, in the order of the text.
    pub(crate) fn finish(mut self) -> Diagnostics {
        self.found.sort();
        self.found
    }
}

/// A value of the file: where it stands, and what it is called.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    /// The key it was found at.
    pub(crate) name: String,
    /// Where the key stands; the value's place for elements of arrays.
    pub(crate) key: Span,
    /// Where the value stands.
    pub(crate) span: Span,
    pub(crate) kind: Kind<'a>,
}

#[derive(Clone, Copy)]
pub(crate) enum Kind<'a> {
    Value(&'a Value),
    Table(&'a Table),
    Tables(&'a ArrayOfTables),
}

impl<'a> Node<'a> {
    fn new(name: &str, key: Span, item: &'a Item) -> Option<Self> {
        let kind = match item {
            Item::None => return None,
            Item::Value(value) => Kind::Value(value),
            Item::Table(table) => Kind::Table(table),
            Item::ArrayOfTables(tables) => Kind::Tables(tables),
        };
        // A table that only dotted keys made has no place of its own.
        let span = item.span().filter(|span| !span.is_empty()).unwrap_or_else(|| key.clone());
        Some(Self { name: name.to_owned(), key, span, kind })
    }

    fn element(&self, value: &'a Value) -> Self {
        let span = value.span().unwrap_or_else(|| self.span.clone());
        Self { name: self.name.clone(), key: span.clone(), span, kind: Kind::Value(value) }
    }

    pub(crate) fn at<T>(&self, value: T) -> Spanned<T> {
        Spanned { value, span: self.span.clone() }
    }

    /// The value as the file has it.
    fn written(&self, reader: &Reader, value: &Value) -> String {
        let text = value.span().and_then(|span| reader.source.text().get(span));
        text.unwrap_or_default().to_owned()
    }

    fn found(&self) -> &'static str {
        match self.kind {
            Kind::Table(_) => "a table",
            Kind::Tables(_) => "an array of tables",
            Kind::Value(value) => match value {
                Value::String(_) => "a string",
                Value::Integer(_) => "an integer",
                Value::Float(_) => "a float",
                Value::Boolean(_) => "a boolean",
                Value::Datetime(_) => "a date",
                Value::Array(_) => "an array",
                Value::InlineTable(_) => "a table",
            },
        }
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(self.kind, Kind::Value(Value::String(_)))
    }

    pub(crate) fn is_boolean(&self) -> bool {
        matches!(self.kind, Kind::Value(Value::Boolean(_)))
    }

    pub(crate) fn list_is_empty(&self) -> bool {
        matches!(self.kind, Kind::Value(Value::Array(array)) if array.is_empty())
    }

    pub(crate) fn is_table(&self) -> bool {
        matches!(self.kind, Kind::Table(_) | Kind::Value(Value::InlineTable(_)))
    }

    pub(crate) fn expected<'r>(&self, reader: &'r mut Reader, what: &str) -> &'r mut Diagnostic {
        let message = format!("`{}` must be {what}, not {}", self.name, self.found());
        reader.error(self.span.clone(), message).label(format!("expected {what}"))
    }

    /// A string that is not empty.
    pub(crate) fn text(&self, reader: &mut Reader) -> Option<Spanned<String>> {
        let Kind::Value(Value::String(text)) = self.kind else {
            self.expected(reader, "a string");
            return None;
        };
        if text.value().is_empty() {
            reader.error(self.span.clone(), format!("`{}` is empty", self.name));
            return None;
        }
        Some(self.at(text.value().clone()))
    }

    /// A string that is a `T`.
    pub(crate) fn parse<T: FromStr<Err: fmt::Display>>(&self, reader: &mut Reader) -> Option<Spanned<T>> {
        let text = self.text(reader)?;
        match text.value.parse() {
            Ok(value) => Some(self.at(value)),
            Err(error) => {
                let error = error.to_string();
                let (message, hint) = error.split_once(": ").unwrap_or((&error, ""));
                let found = reader.error(text.span, message);
                if !hint.is_empty() {
                    found.hint(hint);
                }
                None
            }
        }
    }

    /// An amount of money: a string, since a float would round it.
    pub(crate) fn money(&self, reader: &mut Reader) -> Option<Spanned<wflo_model::PicoUsd>> {
        if let Kind::Value(number @ (Value::Integer(_) | Value::Float(_))) = self.kind {
            let written = self.written(reader, number);
            self.expected(reader, "a string").hint(format!("money is written as a string: `\"{written}\"`"));
            return None;
        }
        let money: Spanned<wflo_model::PicoUsd> = self.parse(reader)?;
        if money.value.is_negative() {
            reader.error(self.span.clone(), format!("`{}` is below zero", self.name));
            return None;
        }
        Some(money)
    }

    pub(crate) fn boolean(&self, reader: &mut Reader) -> Option<bool> {
        let Kind::Value(Value::Boolean(value)) = self.kind else {
            self.expected(reader, "`true` or `false`");
            return None;
        };
        Some(*value.value())
    }

    pub(crate) fn integer(&self, reader: &mut Reader, within: RangeInclusive<u64>) -> Option<Spanned<u64>> {
        let Kind::Value(Value::Integer(value)) = self.kind else {
            self.expected(reader, "an integer");
            return None;
        };
        match u64::try_from(*value.value()).ok().filter(|n| within.contains(n)) {
            Some(n) => Some(self.at(n)),
            None => {
                let (least, most) = within.into_inner();
                reader
                    .error(self.span.clone(), format!("`{}` must be between {least} and {most}", self.name));
                None
            }
        }
    }

    /// The elements of an array.
    pub(crate) fn list(&self, reader: &mut Reader) -> Option<Vec<Node<'a>>> {
        let Kind::Value(Value::Array(array)) = self.kind else {
            let written = match self.kind {
                Kind::Value(value @ Value::String(_)) => Some(self.written(reader, value)),
                _ => None,
            };
            self.expected(reader, "an array").hint = written.map(|written| format!("write `[{written}]`"));
            return None;
        };
        Some(array.iter().map(|value| self.element(value)).collect())
    }

    /// The elements of an array, each a `T`; one that stands there twice is an error.
    pub(crate) fn names<T>(&self, reader: &mut Reader) -> Vec<Spanned<T>>
    where
        T: FromStr<Err: fmt::Display> + PartialEq + fmt::Display,
    {
        let mut all: Vec<Spanned<T>> = Vec::new();
        for node in self.list(reader).unwrap_or_default() {
            let Some(name) = node.parse::<T>(reader) else { continue };
            if all.iter().any(|other| other.value == name.value) {
                reader.error(name.span, format!("`{}` is listed twice in `{}`", name.value, self.name));
            } else {
                all.push(name);
            }
        }
        all
    }

    /// One of the words of `choices`.
    pub(crate) fn choice<T: Copy>(&self, reader: &mut Reader, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(reader)?;
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text.value) {
            return Some(*value);
        }
        let assignment = format!("{} = \"{}\"", self.name, text.value);
        if unsupported::has(unsupported::VALUES, &self.name, &text.value) {
            reader.unsupported(text.span, &assignment);
            return None;
        }
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        let hint = did_you_mean(&text.value, "it can be", words);
        let found = reader.error(text.span, format!("`{}` cannot be `{}`", self.name, text.value));
        found.hint = hint;
        None
    }

    /// The keys of a table. `place` names it in messages and in the list of what is not supported.
    pub(crate) fn section(&self, reader: &mut Reader, place: &'static str) -> Option<Section<'a>> {
        let table: &'a dyn TableLike = match self.kind {
            Kind::Table(table) => table,
            Kind::Value(Value::InlineTable(table)) => table,
            _ => {
                self.expected(reader, "a table");
                return None;
            }
        };
        Some(Section { table, span: self.header(), place, asked: Vec::new(), missing: Vec::new() })
    }

    /// The tables of `[[name]]`.
    pub(crate) fn sections(&self, reader: &mut Reader, place: &'static str) -> Vec<Section<'a>> {
        match self.kind {
            Kind::Tables(tables) => {
                let span = |table: &Table| table.span().unwrap_or_else(|| self.key.clone());
                let section = |table: &'a Table| Section {
                    table,
                    span: span(table),
                    place,
                    asked: Vec::new(),
                    missing: Vec::new(),
                };
                tables.iter().map(section).collect()
            }
            Kind::Value(Value::Array(_)) => {
                let nodes = self.list(reader).unwrap_or_default();
                nodes.iter().filter_map(|node| node.section(reader, place)).collect()
            }
            _ => {
                let hint = format!("write `[[{}]]` above each", self.name);
                self.expected(reader, "an array of tables").hint(hint);
                Vec::new()
            }
        }
    }

    /// Where a message about the whole table points: its header or key, not all of its lines.
    fn header(&self) -> Span {
        match self.kind {
            Kind::Table(table) if !table.is_dotted() && !table.is_implicit() => self.span.clone(),
            _ => self.key.clone(),
        }
    }
}

/// The keys of one table. What is not asked for is unknown, which [`finish`](Self::finish) reports.
pub(crate) struct Section<'a> {
    table: &'a dyn TableLike,
    /// Where the table begins.
    pub(crate) span: Span,
    place: &'static str,
    asked: Vec<&'static str>,
    missing: Vec<&'static str>,
}

impl<'a> Section<'a> {
    pub(crate) fn root(document: &'a Document<String>, place: &'static str) -> Self {
        Self { table: document.as_table(), span: 0..0, place, asked: Vec::new(), missing: Vec::new() }
    }

    fn node(&self, key: &str) -> Option<Node<'a>> {
        let (found, item) = self.table.get_key_value(key)?;
        let span = found.span().or_else(|| item.span()).unwrap_or_else(|| self.span.clone());
        Node::new(key, span, item)
    }

    /// The value at `key`, which is thereby known here.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Node<'a>> {
        self.asked.push(key);
        self.node(key)
    }

    /// As [`take`](Self::take), for a key that has a reader before the runtime honours it: while it is listed as
    /// unsupported it stays unknown here, so that [`finish`](Self::finish) says so.
    pub(crate) fn take_early(&mut self, reader: &Reader, key: &'static str) -> Option<Node<'a>> {
        let listed = unsupported::has(unsupported::KEYS, self.place, key);
        if listed && !reader.everything { None } else { self.take(key) }
    }

    /// Whether it stands at that place.
    pub(crate) fn is(&self, place: &str) -> bool {
        self.place == place
    }

    /// Whether it has no key at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Whether `key` is there; it is no better known for having been asked after.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.node(key).is_some()
    }

    /// The value at `key`; its absence is an error.
    pub(crate) fn need(&mut self, key: &'static str) -> Option<Node<'a>> {
        let node = self.take(key);
        if node.is_none() {
            self.missing.push(key);
        }
        node
    }

    /// Every key and its value, where the keys are names of the writer's.
    pub(crate) fn all(&self) -> Vec<Node<'a>> {
        self.table.iter().filter_map(|(key, _)| self.node(key)).collect()
    }

    /// Every key that is a `T`, and its value.
    pub(crate) fn named<T: FromStr<Err: fmt::Display>>(
        &self,
        reader: &mut Reader,
    ) -> Vec<(Spanned<T>, Node<'a>)> {
        let mut all = Vec::new();
        for node in self.all() {
            match node.name.parse() {
                Ok(value) => all.push((Spanned { value, span: node.key.clone() }, node)),
                Err(error) => {
                    let error = T::Err::to_string(&error);
                    let (message, hint) = error.split_once(": ").unwrap_or((&error, ""));
                    reader.error(node.key, message).hint = (!hint.is_empty()).then(|| hint.to_owned());
                }
            }
        }
        all
    }

    /// Reports the keys that nobody asked for, and the needed ones that are not there.
    pub(crate) fn finish(mut self, reader: &mut Reader) {
        for node in self.all() {
            let key = node.name.as_str();
            if self.asked.contains(&key) {
                continue;
            }
            if unsupported::has(unsupported::KEYS, self.place, key) {
                let grant = self.place == "`grants`";
                let name = if grant { format!("grants.{key}") } else { key.to_owned() };
                reader.unsupported(node.key, &name);
                continue;
            }
            // A slip in a needed key is one mistake, not two.
            let near = nearest(key, self.asked.iter().copied());
            self.missing.retain(|missing| near != Some(missing));
            let hint = did_you_mean(key, "known keys are", self.asked.iter().copied());
            reader.error(node.key, format!("unknown key `{key}` in {}", self.place)).hint = hint;
        }
        self.report_missing(reader);
    }

    /// Reports the needed keys that are not there, where too little is known to judge the others.
    pub(crate) fn report_missing(self, reader: &mut Reader) {
        for key in &self.missing {
            reader.error(self.span.clone(), format!("`{key}` is missing in {}", self.place));
        }
    }
}
