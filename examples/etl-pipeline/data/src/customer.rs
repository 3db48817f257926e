//! Made-up customers, as an old system exports them.

use crate::random::Random;

/// The first line of the export.
pub const HEADER: &str = "cust_id,full_name,addr,phone,signup,ltv,notes\n";

/// Rows whose address is not written as the others are: no rule of a few words covers them.
pub const ODD_ROWS: [(u64, &str); 6] = [
    (101, "Rear house behind 12 Elm, Springfield Illinois (62704)"),
    (333, "P.O. Box 1181 / Dayton / OH / 45401"),
    (777, "RR 2 Box 45A Fargo North Dakota 58102"),
    (1009, "c/o Marlow 88 Pine Bldg C Boise ID. 83702"),
    (1404, "Corner Oak & 3rd (no. 7) -- Salem Oregon 97301"),
    (1777, "Hwy 61 mile 12 Natchez MS zip 39120"),
];

const FIRST: [&str; 12] = [
    "Ada",
    "Grace",
    "Alan",
    "Edsger",
    "Barbara",
    "Donald",
    "Katherine",
    "John",
    "Frances",
    "Ken",
    "Jean",
    "Tony",
];
const LAST: [&str; 12] = [
    "Lovelace", "Hopper", "Turing", "Dijkstra", "Liskov", "Knuth", "Johnson", "Backus", "Allen", "Thompson",
    "Bartik", "Hoare",
];
const STREETS: [&str; 8] = ["Elm", "Oak", "Maple", "Cedar", "Walnut", "Lake", "Hill", "Park"];
const SUFFIXES: [&str; 10] = ["St", "St.", "Street", "Ave", "Ave.", "Avenue", "Rd", "Rd.", "Blvd", "Ln"];
const UNITS: [&str; 5] = ["", "", "", "Apt ", "Ste "];
const CITIES: [&str; 8] = [
    "Springfield IL 62704",
    "Dayton OH 45402",
    "Fargo ND 58103",
    "Boise ID 83702",
    "Salem OR 97301",
    "Natchez MS 39120",
    "Portland ME 04101",
    "Reno NV 89501",
];
const WORDS: [&str; 16] = [
    "called",
    "about",
    "invoice",
    "prefers",
    "mail",
    "delivery",
    "delayed",
    "asked",
    "for",
    "refund",
    "renewal",
    "discount",
    "account",
    "moved",
    "manager",
    "satisfied",
];

/// How good the export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// Every row has what it needs.
    Good,
    /// One row in twenty lacks its name or its date.
    Broken,
}

/// One row of the export, from 0; some 470 bytes. The same number is the same customer, however many there are.
#[must_use]
pub fn row(number: u64, quality: Quality) -> String {
    let mut random = Random::of_row(number);
    let name = format!("{}, {}", random.pick(&LAST), random.pick(&FIRST));
    let (house, street, suffix) = (1 + random.below(998), random.pick(&STREETS), random.pick(&SUFFIXES));
    let unit = match random.pick(&UNITS) {
        "" => String::new(),
        unit => format!(", {unit}{}", 1 + random.below(40)),
    };
    let city = random.pick(&CITIES);
    let odd = ODD_ROWS.iter().find(|(odd, _)| *odd == number);
    let address = match odd {
        Some((_, address)) => (*address).to_owned(),
        None => format!("{house} {street} {suffix}{unit}, {city}"),
    };
    let phone = format!("({}) 555-{:04}", 201 + random.below(700), random.below(10_000));
    let date = format!("{:02}/{:02}/{}", 1 + random.below(12), 1 + random.below(28), 2015 + random.below(10));
    let (dollars, cents) = (random.below(9_000), random.below(100));
    let value = match dollars {
        0..1000 => format!("${dollars}.{cents:02}"),
        _ => format!("${},{:03}.{cents:02}", dollars / 1000, dollars % 1000),
    };
    let mut notes = String::new();
    while notes.len() < 370 {
        notes.push_str(random.pick(&WORDS));
        notes.push(' ');
    }
    let lacks = quality == Quality::Broken && number % 20 == 7;
    let (name, date) = match (lacks, number % 40) {
        (true, 7) => (String::new(), date),
        (true, _) => (name, String::new()),
        (false, _) => (name, date),
    };
    format!("C-{number:06},\"{name}\",\"{address}\",{phone},{date},\"{value}\",{}\n", notes.trim_end())
}

#[cfg(test)]
mod tests {
    use super::{ODD_ROWS, Quality, row};

    #[test]
    fn a_row_is_the_same_each_time_and_about_as_long_as_any() {
        let total: usize = (0..2_000).map(|number| row(number, Quality::Good).len()).sum();
        assert!((450..500).contains(&(total / 2_000)), "{}", total / 2_000);
        assert_eq!(row(7, Quality::Good), row(7, Quality::Good));
        assert!(row(ODD_ROWS[0].0, Quality::Good).contains("Rear house"));
        assert!(row(7, Quality::Broken).starts_with("C-000007,\"\","));
        assert_eq!(row(8, Quality::Broken), row(8, Quality::Good));
    }
}
