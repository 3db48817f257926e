//! Money, exact.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One USD in pico-dollars.
const USD: i128 = 1_000_000_000_000;

/// An amount of money in pico-dollars (1e-12 USD). Never a float.
///
/// Outside it is a decimal string of USD, in serde too.
///
/// ```
/// use wflo_model::PicoUsd;
/// let price: PicoUsd = "0.000000546875".parse().unwrap();
/// assert_eq!((price * 2).to_string(), "0.00000109375");
/// assert_eq!("5.46875e-07".parse::<PicoUsd>().unwrap(), price);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PicoUsd(i128);

impl PicoUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// More than anybody has; what an account without a limit may spend.
    pub const MAX: Self = Self(i128::MAX / 4);

    /// Makes an amount of pico-dollars.
    #[must_use]
    pub const fn from_pico(pico: i128) -> Self {
        Self(pico)
    }

    /// Makes an amount of whole dollars.
    #[must_use]
    pub const fn from_usd(usd: i64) -> Self {
        Self(usd as i128 * USD)
    }

    /// The amount in pico-dollars.
    #[must_use]
    pub const fn pico(self) -> i128 {
        self.0
    }

    /// Whether the amount is below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// How many units of `price` this amount buys; `None` when the price is zero or less.
    #[must_use]
    pub fn buys(self, price: Self) -> Option<u64> {
        (price.0 > 0).then(|| u64::try_from(self.0.max(0) / price.0).unwrap_or(u64::MAX))
    }
}

impl std::ops::Mul<u64> for PicoUsd {
    type Output = Self;
    fn mul(self, n: u64) -> Self {
        Self(self.0.saturating_mul(i128::from(n)))
    }
}

impl Add for PicoUsd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for PicoUsd {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for PicoUsd {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl AddAssign for PicoUsd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for PicoUsd {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum for PicoUsd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for PicoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0.unsigned_abs() / USD as u128, self.0.unsigned_abs() % USD as u128);
        let sign = if self.0 < 0 { "-" } else { "" };
        let text = match part {
            0 => format!("{sign}{whole}"),
            _ => format!("{sign}{whole}.{}", format!("{part:012}").trim_end_matches('0')),
        };
        f.pad(&text)
    }
}

impl FromStr for PicoUsd {
    type Err = BadMoney;

    /// Reads a decimal number of USD, with an optional exponent; finer than a pico-dollar is an error.
    fn from_str(text: &str) -> Result<Self, BadMoney> {
        let bad = || BadMoney { text: text.to_owned() };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| bad())?),
            None => (text, 0),
        };
        let (negative, mantissa) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa),
        };
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{part}");
        if digits.is_empty() || digits.len() > 30 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(bad());
        }
        let mut n: i128 = digits.parse().map_err(|_| bad())?;
        let shift = i32::try_from(part.len())
            .ok()
            .and_then(|len| (12 + exponent).checked_sub(len))
            .ok_or_else(bad)?;
        if !(-40..=30).contains(&shift) {
            return Err(bad());
        }
        let power = 10i128.checked_pow(shift.unsigned_abs()).ok_or_else(bad)?;
        if shift >= 0 {
            n = n.checked_mul(power).ok_or_else(bad)?;
        } else if n % power == 0 {
            n /= power;
        } else {
            return Err(bad());
        }
        if n > Self::MAX.0 {
            return Err(bad());
        }
        Ok(Self(if negative { -n } else { n }))
    }
}

impl Serialize for PicoUsd {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PicoUsd {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A text that is no exact amount of USD.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an amount in USD: write a decimal such as `\"100.00\"`, no finer than 1e-12")]
pub struct BadMoney {
    /// The text.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::PicoUsd;

    #[test]
    fn reads_and_prints_exactly() {
        let check = |text: &str, pico: Option<i128>| {
            assert_eq!(text.parse::<PicoUsd>().ok().map(PicoUsd::pico), pico, "{text}");
        };
        check("100.00", Some(100_000_000_000_000));
        check("3e-05", Some(30_000_000));
        check("0.000001", Some(1_000_000));
        check("-1.5", Some(-1_500_000_000_000));
        check("1e-13", None);
        check("", None);
        check(".", None);
        check("1.2.3", None);
        check("NaN", None);
        check("1e400000000", None);
        assert_eq!(PicoUsd::from_pico(30_000_000).to_string(), "0.00003");
        assert_eq!(PicoUsd::from_usd(-2).to_string(), "-2");
    }
}
