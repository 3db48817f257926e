//! How the rows of the source become those of the warehouse. A model works the rules out once, on a sample; applying
//! them to a row costs nothing.

use std::collections::BTreeMap;

/// What the model says about the source.
#[wflo::data]
pub struct Rules {
    /// Which column of the source has what.
    pub columns: Columns,
    /// Whether names stand as `LAST, First`.
    pub last_name_first: bool,
    /// In which order a date has its parts.
    pub dates: DateOrder,
    /// The last word of a street: each way in which it is written.
    pub street_words: Vec<Word>,
    /// The word that begins a unit, such as apartment or suite: each way in which it is written.
    pub unit_words: Vec<Word>,
}

#[wflo::data]
pub struct Word {
    /// As it is written, in lower case and without a period.
    pub written: String,
    /// The word in full.
    pub means: String,
}

#[wflo::data]
pub struct Columns {
    pub id: String,
    pub name: String,
    pub address: String,
    pub phone: String,
    pub signed_up: String,
    pub lifetime_value: String,
}

#[wflo::data]
#[serde(rename_all = "snake_case")]
pub enum DateOrder {
    MonthFirst,
    DayFirst,
    YearFirst,
}

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

pub type Row = BTreeMap<String, String>;

impl Rules {
    /// The customer that a row is about; none where the rules do not say what to make of its address.
    pub fn apply(&self, row: &Row) -> Option<Customer> {
        let text = |column: &String| Some(row.get(column)?.trim()).filter(|text| !text.is_empty());
        let mut parts: Vec<&str> = text(&self.columns.address)?.split(',').map(str::trim).collect();
        let (city, state, zip) = place(parts.pop()?)?;
        let unit = match parts.len() {
            1 => None,
            2 => Some(in_full(&self.unit_words, parts.pop()?, 0)?),
            _ => return None,
        };
        let last = parts[0].split(' ').count() - 1;
        Some(Customer {
            id: text(&self.columns.id)?.to_owned(),
            name: text(&self.columns.name).map(|name| self.name(name)),
            street: in_full(&self.street_words, parts[0], last).filter(|street| starts_with_digit(street))?,
            unit,
            city: city.to_owned(),
            state: state.to_owned(),
            zip: zip.to_owned(),
            phone: text(&self.columns.phone).map(|phone| phone.chars().filter(char::is_ascii_digit).collect()),
            signed_up: text(&self.columns.signed_up).and_then(|date| self.date(date)),
            lifetime_cents: cents(text(&self.columns.lifetime_value)?)?,
        })
    }

    fn name(&self, name: &str) -> String {
        let (last, first) = match name.split_once(", ").filter(|_| self.last_name_first) {
            Some((last, first)) => (last, first),
            None => return name.to_owned(),
        };
        let (initial, rest) = last.split_at(last.chars().next().map_or(0, char::len_utf8));
        format!("{first} {initial}{}", rest.to_lowercase())
    }

    fn date(&self, date: &str) -> Option<String> {
        let parts: Vec<&str> = date.split(['/', '-', '.']).collect();
        let [a, b, c] = parts[..] else { return None };
        let (year, month, day) = match self.dates {
            DateOrder::MonthFirst => (c, a, b),
            DateOrder::DayFirst => (c, b, a),
            DateOrder::YearFirst => (a, b, c),
        };
        Some(format!("{year:0>4}-{month:0>2}-{day:0>2}"))
    }
}

/// City, state and zip code.
fn place(text: &str) -> Option<(&str, &str, &str)> {
    let (rest, zip) = text.rsplit_once(' ')?;
    let (city, state) = rest.rsplit_once(' ')?;
    let is_zip = zip.len() == 5 && zip.bytes().all(|byte| byte.is_ascii_digit());
    (is_zip && state.len() == 2 && state.bytes().all(|byte| byte.is_ascii_uppercase())).then_some((city, state, zip))
}

/// A text with its n-th word in full; none where that is not among the words.
fn in_full(words: &[Word], text: &str, nth: usize) -> Option<String> {
    let mut all: Vec<&str> = text.split(' ').collect();
    let word = all.get(nth)?.trim_end_matches('.').to_lowercase();
    all[nth] = &words.iter().find(|it| it.written == word)?.means;
    Some(all.join(" "))
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// Cents of an amount such as `$1,234.50`.
fn cents(amount: &str) -> Option<i64> {
    let (whole, part) = amount.rsplit_once('.')?;
    let digits: String = whole.chars().chain(part.chars()).filter(char::is_ascii_digit).collect();
    (part.len() == 2).then(|| digits.parse().ok()).flatten()
}
