//! How long somebody waits after failed attempts to log in.
//!
//! Pure: a function of the attempts in the system log, so that a restart forgets none of them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wflo_model::{PrincipalName, Timestamp};

/// Attempts that may fail before anybody has to wait: a person mistypes.
const FREE: u32 = 5;
/// The wait after the first failure beyond those; it doubles with each one after it.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait. It bounds what somebody who only knows a name can keep its owner from; at this rate a
/// token of 160 random bits outlasts the sun.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// Failures this old are forgotten.
const MEMORY: Duration = Duration::from_secs(86_400);
/// Most names remembered, so that guessing names does not fill memory. Those whose failure is oldest go first.
const MOST_NAMES: usize = 4096;

/// Failed attempts, by the name that was given; it need not be anybody's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Throttle(BTreeMap<PrincipalName, Failures>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Failures {
    count: u32,
    last: Timestamp,
}

impl Throttle {
    /// Notes a failure.
    pub(crate) fn failed(&mut self, name: &PrincipalName, at: Timestamp) {
        let failures = self.0.entry(name.clone()).or_insert(Failures { count: 0, last: at });
        if at.since(failures.last) > MEMORY {
            failures.count = 0;
        }
        *failures = Failures { count: failures.count.saturating_add(1), last: at.max(failures.last) };
        if self.0.len() > MOST_NAMES {
            let oldest =
                self.0.iter().min_by_key(|(_, failures)| failures.last).map(|(name, _)| name.clone());
            oldest.and_then(|name| self.0.remove(&name));
        }
    }

    /// Notes that they have got in.
    pub(crate) fn succeeded(&mut self, name: &PrincipalName) {
        self.0.remove(name);
    }

    /// Whether any failure is remembered.
    pub(crate) fn remembers(&self, name: &PrincipalName) -> bool {
        self.0.contains_key(name)
    }

    /// From when on they may try again, with `more` attempts counted that are under way; none: at once.
    pub(crate) fn not_before(&self, name: &PrincipalName, more: u32, now: Timestamp) -> Option<Timestamp> {
        let seen = self.0.get(name).filter(|failures| now.since(failures.last) <= MEMORY);
        let Failures { count, last } = seen.copied().unwrap_or(Failures { count: 0, last: now });
        // What is under way may fail too: many attempts at once are no way around.
        let beyond = count.saturating_add(more).checked_sub(FREE)?;
        let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(beyond)).min(LONGEST_WAIT);
        let last = if more > 0 { now } else { last };
        Some(last.after(wait)).filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn alice() -> PrincipalName {
        "alice".parse().unwrap()
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn the_wait_doubles_up_to_five_minutes_and_a_success_ends_it() {
        let mut throttle = Throttle::default();
        let waits = (0..16).map(|_| {
            throttle.failed(&alice(), at(1000));
            throttle.not_before(&alice(), 0, at(1000)).map_or(0, |until| until.since(at(1000)).as_secs())
        });
        let waits: Vec<u64> = waits.collect();
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(throttle.not_before(&alice(), 0, at(1300)), None, "the wait is over");
        assert_eq!(throttle.not_before(&"carol".parse().unwrap(), 0, at(1000)), None, "it is hers alone");
        throttle.succeeded(&alice());
        assert_eq!(throttle.not_before(&alice(), 0, at(1000)), None);
    }

    #[test]
    fn attempts_under_way_count() {
        let throttle = Throttle::default();
        assert_eq!(throttle.not_before(&alice(), FREE - 1, at(9)), None);
        assert_eq!(throttle.not_before(&alice(), FREE, at(9)), Some(at(10)));
    }

    #[test]
    fn a_day_later_they_are_forgotten() {
        let mut throttle = Throttle::default();
        (0..20).for_each(|_| throttle.failed(&alice(), at(0)));
        assert!(throttle.not_before(&alice(), 0, at(10)).is_some());
        throttle.failed(&alice(), at(100_000));
        assert_eq!(throttle.not_before(&alice(), 0, at(100_000)), None);
    }

    #[test]
    fn guessing_names_fills_no_memory() {
        let mut throttle = Throttle::default();
        for n in 0..2 * MOST_NAMES as u64 {
            throttle.failed(&format!("guess-{n}").parse().unwrap(), at(n));
        }
        assert_eq!(throttle.0.len(), MOST_NAMES);
    }

    proptest! {
        /// A clock that is set back shortens no wait.
        #[test]
        fn nobody_waits_less_for_a_clock_set_back(times in prop::collection::vec(0..10_000_u64, 6..20)) {
            let mut throttle = Throttle::default();
            times.iter().for_each(|time| throttle.failed(&alice(), at(*time)));
            let latest = at(*times.iter().max().unwrap());
            prop_assert!(throttle.not_before(&alice(), 0, latest).is_some_and(|until| until > latest));
        }
    }
}
