//! Accounts within a run, and windows of time for those above it.

use std::fmt;

use serde::{Deserialize, Serialize};
use wflo_model::{PicoUsd, StepName, Timestamp};

use crate::Place;

/// An account within a run. What a call costs is charged to all that it is in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// The run.
    Run,
    /// A step, all its items and attempts together.
    Step(StepName),
    /// One item, all its attempts together.
    Item(StepName, u32),
    /// All that undoes steps.
    Undoing,
}

impl Account {
    /// The accounts that a call made there is charged to, the widest first.
    pub fn of(place: &Place) -> impl Iterator<Item = Self> + use<> {
        let step = place.step.clone();
        let item = step.clone().zip(place.item);
        let undoing = step.as_ref().and_then(StepName::compensates).map(|_| Self::Undoing);
        let step = step.map(Self::Step);
        let item = item.map(|(step, item)| Self::Item(step, item));
        std::iter::once(Self::Run).chain(step).chain(item).chain(undoing)
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run => f.write_str("the run"),
            Self::Step(step) => write!(f, "step `{step}`"),
            Self::Item(step, item) => write!(f, "item {item} of step `{step}`"),
            Self::Undoing => f.write_str("what undoes steps"),
        }
    }
}

/// What an account stands at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// What was charged.
    pub settled: PicoUsd,
    /// What open calls hold.
    pub held: PicoUsd,
    /// How far single calls cost more than was held for them.
    pub overrun: PicoUsd,
}

/// A day, in UTC.
///
/// ```
/// use wflo_engine::Day;
/// use wflo_model::Timestamp;
/// let day = Day::of(Timestamp::from_micros(1_709_164_800_000_000));
/// assert_eq!(day.to_string(), "2024-02-29");
/// assert_eq!(day.month().count(), 29);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(u64);

impl Day {
    /// The day of an instant.
    #[must_use]
    pub const fn of(at: Timestamp) -> Self {
        Self(at.micros() / 86_400_000_000)
    }

    /// All days of its month.
    pub fn month(self) -> impl Iterator<Item = Self> {
        let (year, month, day) = self.civil();
        let first = self.0 + 1 - u64::from(day);
        (first..first + 31).map(Self).take_while(move |other| {
            let (other_year, other_month, _) = other.civil();
            (other_year, other_month) == (year, month)
        })
    }

    /// Year, month and day: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
    const fn civil(self) -> (u64, u8, u8) {
        let shifted = self.0 + 719_468;
        let (era, of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + (month <= 2) as u64;
        (year, month as u8, day as u8)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        // As the timestamps print themselves, through years with and without a day more.
        for day in (0..60_000).step_by(7) {
            let at = Timestamp::from_micros(day * 86_400_000_000 + 86_399_999_999);
            assert_eq!(Day::of(at).to_string(), at.to_string()[..10]);
        }
        let february = Day::of(Timestamp::from_micros(1_677_600_000_000_000));
        let month: Vec<_> = february.month().collect();
        assert_eq!((month.len(), month[0].to_string().as_str()), (28, "2023-02-01"));
    }

    #[test]
    fn a_call_is_in_every_account_around_it() {
        let place = Place { item: Some(3), ..Place::step(&"a".parse().unwrap()) };
        let all: Vec<_> = Account::of(&place).map(|account| account.to_string()).collect();
        assert_eq!(all, ["the run", "step `a`", "item 3 of step `a`"]);
        assert_eq!(Account::of(&Place::RUN).count(), 1);
        let undoing = Place::step(&"__undo__a".parse().unwrap());
        let all: Vec<_> = Account::of(&undoing).map(|account| account.to_string()).collect();
        assert_eq!(all, ["the run", "step `__undo__a`", "what undoes steps"]);
    }
}
