//! When to send again.

use std::time::Duration;

use jiff::fmt::rfc2822;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use wflo_model::Timestamp;
use wflo_ports::{Entropy, SystemEntropyError};

/// The wait before the first retry; it doubles with each.
const FIRST: Duration = Duration::from_millis(500);

/// The longest wait within a call. A provider that asks for more gets it from the caller, which can put the
/// whole run aside.
pub(super) const LONGEST: Duration = Duration::from_secs(60);

/// The wait before retry `n`, from 0: between half and all of an exponentially growing time, at random, so
/// that the callers that were refused together do not come back together.
pub(super) fn backoff(n: u32, entropy: &dyn Entropy) -> Result<Duration, SystemEntropyError> {
    let most = FIRST.saturating_mul(2u32.saturating_pow(n)).min(LONGEST);
    let mut bytes = [0; 4];
    entropy.fill(&mut bytes)?;
    let share = f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX);
    Ok(most.mul_f64(0.5 + share / 2.0))
}

/// How long the provider wants to be left alone: `Retry-After` in seconds or as a date, or `retry-after-ms`.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(millis) = text("retry-after-ms").and_then(|text| text.parse().ok()) {
        return Some(Duration::from_millis(millis));
    }
    let text = text(RETRY_AFTER.as_str())?;
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    let micros = u64::try_from(date.as_microsecond()).ok()?;
    Some(Timestamp::from_micros(micros).since(now))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
    use wflo_model::Timestamp;

    use super::{LONGEST, backoff, retry_after};
    use crate::SystemEntropy;

    #[test]
    fn retry_after_is_read_in_all_its_forms() {
        let now = Timestamp::from_micros(784_111_770_000_000);
        let check = |name: &'static str, value: &'static str, expect| {
            let headers =
                HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))]);
            assert_eq!(retry_after(&headers, now), expect, "{name}: {value}");
        };
        check("retry-after", "0", Some(Duration::ZERO));
        check("retry-after", " 1.5 ", Some(Duration::from_millis(1500)));
        check("retry-after-ms", "20", Some(Duration::from_millis(20)));
        check("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT", Some(Duration::from_secs(7)));
        check("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT", Some(Duration::ZERO));
        for bad in ["", "-1", "soon", "inf", "NaN", "1e300"] {
            check("retry-after", bad, None);
        }
        check("other", "1", None);
    }

    #[test]
    fn backoff_grows_to_its_cap() {
        for n in 0..40 {
            let most = Duration::from_millis(500).saturating_mul(2u32.saturating_pow(n)).min(LONGEST);
            let wait = backoff(n, &SystemEntropy).unwrap();
            assert!(wait >= most / 2 && wait <= most, "{n}: {wait:?}");
        }
    }
}
