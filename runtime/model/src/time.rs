//! Instants, as the journal keeps them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An instant in microseconds since 1970-01-01T00:00:00Z.
///
/// Serialises as that integer; prints as RFC 3339.
///
/// ```
/// use wflo_model::Timestamp;
/// assert_eq!(Timestamp::from_micros(1_700_000_000_000_000).to_string(), "2023-11-14T22:13:20Z");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Makes an instant from microseconds since the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Milliseconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0 / 1000
    }

    /// This instant moved on by `by`; saturates at the end of time.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this instant is; zero if it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// A text that is no instant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no time: write it such as `2026-01-31` or `2026-01-31T09:30:00Z`")]
pub struct BadTimestamp {
    /// The text.
    pub text: String,
}

impl FromStr for Timestamp {
    type Err = BadTimestamp;

    /// Reads RFC 3339, or a date, which is the beginning of that day in UTC.
    ///
    /// ```
    /// use wflo_model::Timestamp;
    /// let day: Timestamp = "2023-11-14".parse().unwrap();
    /// assert_eq!(day.to_string(), "2023-11-14T00:00:00Z");
    /// assert_eq!("2023-11-14T01:00:00+01:00".parse(), Ok(day));
    /// assert!("yesterday".parse::<Timestamp>().is_err());
    /// ```
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let midnight = || {
            let date: jiff::civil::Date = text.parse().ok()?;
            format!("{date}T00:00:00Z").parse::<jiff::Timestamp>().ok()
        };
        let instant = text.parse::<jiff::Timestamp>().ok().or_else(midnight);
        let micros = instant.and_then(|instant| u64::try_from(instant.as_microsecond()).ok());
        micros.map(Self).ok_or_else(|| BadTimestamp { text: text.to_owned() })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instant = i64::try_from(self.0).ok().and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
        match instant {
            Some(instant) => instant.fmt(f),
            None => write!(f, "+{}us", self.0),
        }
    }
}
