//! What an expression can read.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use wflo_model::PicoUsd;

use super::{Decimal, EvaluationError, Name, evaluate};

/// What the names of an expression stand for. Values are borrowed: binding a large output costs nothing.
///
/// ```
/// use serde_json::json;
/// use wflo_manifest::{Expression, Scope};
///
/// let output = json!({"papers": [{"id": 1}, {"id": 2}]});
/// let mut scope = Scope::new();
/// scope.bind(&["steps", "fetch_papers", "output"], &output);
/// let list: Expression = "steps.fetch_papers.output.papers".parse().unwrap();
/// assert_eq!(list.evaluate(&scope), Ok(json!([{"id": 1}, {"id": 2}])));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Scope<'a> {
    pub(super) roots: BTreeMap<String, Bound<'a>>,
}

/// A value that is bound to a name of a [`Scope`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Bound<'a> {
    /// A value of JSON.
    Json(&'a Value),
    /// An object of JSON.
    Object(&'a Map<String, Value>),
    /// A number.
    Number(Decimal),
    /// A text.
    Text(String),
    /// True or false.
    Boolean(bool),
    /// Names under this name.
    Names(BTreeMap<String, Bound<'a>>),
}

impl<'a> Scope<'a> {
    /// A scope in which nothing is bound.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Binds the name at a path, such as `["inputs"]` or `["steps", "look", "output"]`; what was there is replaced.
    pub fn bind(&mut self, path: &[&str], value: impl Into<Bound<'a>>) -> &mut Self {
        if let Some((name, above)) = path.split_last() {
            let mut here = &mut self.roots;
            for part in above {
                let next = here.entry((*part).to_owned()).or_insert_with(|| Bound::Names(BTreeMap::new()));
                if !matches!(next, Bound::Names(_)) {
                    *next = Bound::Names(BTreeMap::new());
                }
                let Bound::Names(names) = next else { return self };
                here = names;
            }
            here.insert((*name).to_owned(), value.into());
        }
        self
    }

    /// Takes away what is bound to a name.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.roots.remove(name);
        self
    }

    /// What a name stands for.
    ///
    /// # Errors
    /// When it is missing.
    pub fn read(&self, name: &Name) -> Result<Value, EvaluationError> {
        evaluate::read(name.path(), self)
    }

    /// Whether anything is bound to the name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.roots.contains_key(name)
    }
}

impl<'a> From<&'a Value> for Bound<'a> {
    fn from(value: &'a Value) -> Self {
        Self::Json(value)
    }
}

impl<'a> From<&'a Map<String, Value>> for Bound<'a> {
    fn from(object: &'a Map<String, Value>) -> Self {
        Self::Object(object)
    }
}

impl From<Decimal> for Bound<'_> {
    fn from(number: Decimal) -> Self {
        Self::Number(number)
    }
}

impl From<PicoUsd> for Bound<'_> {
    /// As a number of USD.
    fn from(usd: PicoUsd) -> Self {
        Self::Number(usd.into())
    }
}

impl From<u64> for Bound<'_> {
    fn from(n: u64) -> Self {
        Self::Number(n.into())
    }
}

impl From<bool> for Bound<'_> {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<String> for Bound<'_> {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Bound<'_> {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
