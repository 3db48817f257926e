//! How often somebody may try to log in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// Failures from one address within the window after which nobody there is listened to.
const MOST: usize = 10;
/// The window.
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered.
const ADDRESSES: usize = 10_000;
/// Tokens checked at a time. Checking one is slow on purpose, and must not take all of the machine.
const AT_ONCE: usize = 2;

/// Counts failures by the address they come from.
pub(crate) struct Limiter {
    failures: Mutex<HashMap<IpAddr, Vec<Instant>>>,
    checking: Semaphore,
}

impl Default for Limiter {
    fn default() -> Self {
        Self { failures: Mutex::default(), checking: Semaphore::new(AT_ONCE) }
    }
}

impl Limiter {
    /// How long somebody from there is not listened to; none if they are.
    pub(crate) fn closed(&self, from: IpAddr, now: Instant) -> Option<Duration> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let recent: Vec<_> = failures.get(&from)?.iter().filter(|at| now - **at < WINDOW).collect();
        let first = recent.len().checked_sub(MOST)?;
        Some(WINDOW.saturating_sub(now - *recent[first]))
    }

    /// Notes a failure.
    pub(crate) fn failed(&self, from: IpAddr, now: Instant) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= ADDRESSES {
            failures.retain(|_, all| all.iter().any(|at| now - *at < WINDOW));
        }
        let all = failures.entry(from).or_default();
        all.retain(|at| now - *at < WINDOW);
        all.push(now);
    }

    /// A turn at checking a token.
    pub(crate) async fn turn(&self) -> SemaphorePermit<'_> {
        self.checking.acquire().await.expect("it is never closed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_ten_failures_a_minute_has_to_pass() {
        let now = Instant::now();
        let (limiter, here, there) =
            (Limiter::default(), IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        for _ in 0..MOST {
            assert_eq!(limiter.closed(here, now), None);
            limiter.failed(here, now);
        }
        assert!(limiter.closed(here, now).is_some());
        assert_eq!(limiter.closed(there, now), None);
        assert_eq!(limiter.closed(here, now + WINDOW), None);
    }
}
