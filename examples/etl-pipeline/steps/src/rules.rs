//! How the rows of the source become those of the warehouse. A model works the rules out once, on a sample; applying
//! them to a row costs nothing.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use regex::Regex;

pub type Row = BTreeMap<String, String>;

/// A customer as the warehouse has it.
#[wflo::data]
pub struct Customer {
    pub id: String,
    pub name: Option<String>,
    pub street: String,
    pub unit: Option<String>,
    pub city: String,
    /// Two letters.
    pub state: String,
    /// Five digits.
    pub zip: String,
    pub phone: Option<String>,
    /// As `2024-12-31`.
    pub signed_up: Option<String>,
    pub lifetime_cents: i64,
}

/// What the model says about the source.
#[wflo::data]
pub struct Rules {
    /// One or more for each column of the warehouse; the first whose pattern fits counts. Where none fits, the row is
    /// left over.
    pub rules: Vec<Rule>,
}

#[wflo::data]
pub struct Rule {
    /// What is made: `id`, `name` (first name first), `street` (its last word in full), `unit` (its first word in full;
    /// empty where there is none), `city`, `state` (two letters), `zip` (five digits), `phone` (digits), `signed_up` (as
    /// `2024-12-31`) or `lifetime_cents` (digits).
    pub column: String,
    /// The column of the source that it is made of.
    pub from: String,
    /// A regular expression that fits all that stands there.
    pub pattern: String,
    /// What becomes of it: text, in which `${1}` is what the first group fits.
    pub value: String,
    #[serde(skip)]
    compiled: OnceCell<Option<Regex>>,
}

impl Rules {
    /// The customer that a row is about; none where the rules do not say what to make of it.
    pub fn apply(&self, row: &Row) -> Option<Customer> {
        let may_lack = |column: &str| {
            let mut rules = self.rules.iter().filter(|rule| rule.column == column);
            rules.find_map(|rule| rule.apply(row)).map(|made| Some(made).filter(|made| !made.is_empty()))
        };
        let needs = |column| may_lack(column).flatten();
        Some(Customer {
            id: needs("id")?,
            name: may_lack("name")?,
            street: needs("street")?,
            unit: may_lack("unit")?,
            city: needs("city")?,
            state: needs("state")?,
            zip: needs("zip")?,
            phone: may_lack("phone")?,
            signed_up: may_lack("signed_up")?,
            lifetime_cents: needs("lifetime_cents")?.parse().ok()?,
        })
    }
}

impl Rule {
    /// What is made of a row; none where the pattern does not fit, nothing of nothing. A pattern that is no regular
    /// expression fits nothing.
    fn apply(&self, row: &Row) -> Option<String> {
        let text = row.get(&self.from)?.trim();
        if text.is_empty() {
            return Some(String::new());
        }
        let compile = || Regex::new(&format!("^(?:{})$", self.pattern)).ok();
        let mut made = String::new();
        self.compiled.get_or_init(compile).as_ref()?.captures(text)?.expand(&self.value, &mut made);
        Some(made)
    }
}
