//! Real time and randomness: the one place that has them.

use std::time::{SystemTime, UNIX_EPOCH};

use wflo_model::Timestamp;
use wflo_ports::{Clock, Entropy, SystemEntropyError};

/// Tells the system's time.
///
/// The time may jump back when the system's clock is set; whoever needs it monotonic keeps the newest it has
/// seen, as the journal does.
///
/// ```
/// use wflo_backends::SystemClock;
/// use wflo_ports::Clock;
/// assert!(SystemClock.now().micros() > 1_700_000_000_000_000);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that has them")]
    fn now(&self) -> Timestamp {
        // A clock set before 1970 tells 1970; one past the year 584,000 tells the end of time.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }
}

/// Gives the random bytes of the operating system.
///
/// ```
/// use wflo_backends::SystemEntropy;
/// use wflo_ports::Entropy;
/// let mut key = [0; 32];
/// SystemEntropy.fill(&mut key).unwrap();
/// assert_ne!(key, [0; 32]);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that has them")]
    fn fill(&self, bytes: &mut [u8]) -> Result<(), SystemEntropyError> {
        getrandom::fill(bytes).map_err(|error| SystemEntropyError { message: error.to_string() })
    }
}
