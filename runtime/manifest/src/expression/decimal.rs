//! Exact numbers.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use wflo_model::PicoUsd;

/// Digits of a quotient that has no end.
const QUOTIENT: i32 = 18;
/// The largest exponent that is read. A double has at most 324 places; what is beyond is a slip or an attack.
const FAR: i32 = 400;

/// A number of expressions: up to 38 digits with a decimal point anywhere, never rounded on the way in.
///
/// Integers and decimals are one kind, so `1`, `1.0` and `"1.00"` of a database are equal. A double of JSON is the
/// number that is written: `0.1` is one tenth. Sums, differences and products are exact or an error; a quotient has
/// at most 18 places behind the point, rounded half to even.
///
/// ```
/// use wflo_manifest::Decimal;
/// let refund: Decimal = "150.00".parse().unwrap();
/// assert_eq!(refund.to_string(), "150");
/// assert!(refund > "149.99999999999999999999".parse().unwrap());
/// assert!("12 EUR".parse::<Decimal>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// Never divisible by ten unless it is zero, so that equal numbers are equal fields.
    digits: i128,
    /// How many of the digits stand behind the point; negative for zeros in front of it. 0 for zero.
    places: i32,
}

impl Decimal {
    /// Zero.
    pub const ZERO: Self = Self { digits: 0, places: 0 };

    fn new(mut digits: i128, mut places: i32) -> Self {
        if digits == 0 {
            return Self::ZERO;
        }
        while digits % 10 == 0 {
            digits /= 10;
            places -= 1;
        }
        Self { digits, places }
    }

    /// The number that a double is written as; `None` if it is not finite.
    #[must_use]
    pub fn from_f64(x: f64) -> Option<Self> {
        // The shortest text that reads back as `x`: what JSON has.
        x.is_finite()
            .then(|| format!("{x:e}").parse().expect("a double has 17 digits and 324 places at most"))
    }

    /// The nearest double.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        let text = format!("{}e{}", self.digits, -i64::from(self.places));
        text.parse().expect("digits and an exponent are a double")
    }

    /// The number, if it is an integer of 64 bits.
    #[must_use]
    pub fn to_i64(self) -> Option<i64> {
        i64::try_from(self.scaled(0)?).ok()
    }

    /// The number, if it is an integer of 64 bits without a sign.
    #[must_use]
    pub fn to_u64(self) -> Option<u64> {
        u64::try_from(self.scaled(0)?).ok()
    }

    /// Whether it has nothing behind the point.
    #[must_use]
    pub const fn is_integer(self) -> bool {
        self.places <= 0
    }

    /// The digits if `places` of them stood behind the point; `None` if it takes more than there can be.
    fn scaled(self, places: i32) -> Option<i128> {
        let more = u32::try_from(places.checked_sub(self.places)?).ok()?;
        self.digits.checked_mul(10_i128.checked_pow(more)?)
    }

    /// The sum, unless it takes more than 38 digits.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        // Zero has no place of its own, and must not ask for one.
        if self == Self::ZERO || other == Self::ZERO {
            return Some(if self == Self::ZERO { other } else { self });
        }
        let places = self.places.max(other.places);
        Some(Self::new(self.scaled(places)?.checked_add(other.scaled(places)?)?, places))
    }

    /// The difference, unless it takes more than 38 digits.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.checked_add(other.checked_neg()?)
    }

    /// The number with the other sign.
    #[must_use]
    pub fn checked_neg(self) -> Option<Self> {
        Some(Self { digits: self.digits.checked_neg()?, places: self.places })
    }

    /// The product, unless it takes more than 38 digits.
    #[must_use]
    pub fn checked_mul(self, other: Self) -> Option<Self> {
        let places = self.places.checked_add(other.places).filter(|places| places.abs() <= 2 * FAR)?;
        Some(Self::new(self.digits.checked_mul(other.digits)?, places))
    }

    /// The quotient to 18 places, half to even; `None` for a division by zero or more than 38 digits.
    #[must_use]
    pub fn checked_div(self, other: Self) -> Option<Self> {
        let shift = QUOTIENT + other.places - self.places;
        let by = 10_i128.checked_pow(shift.unsigned_abs())?;
        let (above, below) = if shift >= 0 {
            (self.digits.checked_mul(by)?, other.digits)
        } else {
            (self.digits, other.digits.checked_mul(by)?)
        };
        let (whole, rest) = (above.checked_div(below)?, above.checked_rem(below)?);
        let half = rest.unsigned_abs().cmp(&(below.unsigned_abs() - rest.unsigned_abs()));
        let up = half == Ordering::Greater || (half == Ordering::Equal && whole % 2 != 0);
        let away = if (above < 0) == (below < 0) { 1 } else { -1 };
        Some(Self::new(if up { whole.checked_add(away)? } else { whole }, QUOTIENT))
    }

    /// The remainder of two integers, with the sign of the first; `None` for decimals and a division by zero.
    #[must_use]
    pub fn checked_rem(self, other: Self) -> Option<Self> {
        Some(Self::new(self.scaled(0)?.checked_rem(other.scaled(0)?)?, 0))
    }

    /// The integer towards zero.
    #[must_use]
    pub fn truncate(self) -> Self {
        let Ok(places) = u32::try_from(self.places) else { return self };
        Self::new(10_i128.checked_pow(places).map_or(0, |by| self.digits / by), 0)
    }

    /// How many digits stand in front of the point, less those that are missing behind it.
    fn magnitude(self) -> i32 {
        let digits = self.digits.unsigned_abs().checked_ilog10().map_or(0, |log| log + 1);
        i32::try_from(digits).expect("39 at most") - self.places
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    /// Never fails: numbers of different magnitude are not brought to the same places first.
    fn cmp(&self, other: &Self) -> Ordering {
        let signs = self.digits.signum().cmp(&other.digits.signum());
        if signs != Ordering::Equal || self.digits == 0 {
            return signs;
        }
        let absolute = self.magnitude().cmp(&other.magnitude()).then_with(|| {
            // As many digits in front of the point, so the longer one has the smaller digits behind it.
            let (mine, theirs) = (self.digits.unsigned_abs(), other.digits.unsigned_abs());
            let pad = |digits: u128, by: i32| {
                let by = 10_u128.checked_pow(by.unsigned_abs()).and_then(|by| digits.checked_mul(by));
                // More than 38 digits are more than any number has.
                by.unwrap_or(u128::MAX)
            };
            match self.places - other.places {
                more @ 0.. => mine.cmp(&pad(theirs, more)),
                less => pad(mine, less).cmp(&theirs),
            }
        });
        if self.digits < 0 { absolute.reverse() } else { absolute }
    }
}

impl FromStr for Decimal {
    type Err = BadDecimal;

    /// Reads `150`, `-1.50`, `.5`, `2e-3`: ASCII, with nothing around it.
    fn from_str(text: &str) -> Result<Self, BadDecimal> {
        let bad = || BadDecimal { text: text.chars().take(64).collect() };
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i32>().map_err(|_| bad())?),
            None => (text, 0),
        };
        let (negative, number) = match number.strip_prefix('-') {
            Some(number) => (true, number),
            None => (false, number.strip_prefix('+').unwrap_or(number)),
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let all = whole.bytes().chain(part.bytes());
        if whole.len() + part.len() == 0 || !all.clone().all(|byte| byte.is_ascii_digit()) {
            return Err(bad());
        }
        // Zeros at the end are no digits of the number, and may be more than 38.
        let part = part.trim_end_matches('0');
        let mut digits: i128 = 0;
        for byte in whole.bytes().chain(part.bytes()) {
            digits = digits
                .checked_mul(10)
                .and_then(|n| n.checked_add(i128::from(byte - b'0')))
                .ok_or_else(bad)?;
        }
        let places =
            i32::try_from(part.len()).ok().and_then(|places| places.checked_sub(exponent)).ok_or_else(bad)?;
        if digits != 0 && places.abs() > FAR {
            return Err(bad());
        }
        Ok(Self::new(if negative { -digits } else { digits }, places))
    }
}

impl From<i64> for Decimal {
    fn from(n: i64) -> Self {
        Self::new(i128::from(n), 0)
    }
}

impl From<u64> for Decimal {
    fn from(n: u64) -> Self {
        Self::new(i128::from(n), 0)
    }
}

impl From<PicoUsd> for Decimal {
    /// The amount in USD.
    fn from(usd: PicoUsd) -> Self {
        Self::new(usd.pico(), 12)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.digits.unsigned_abs().to_string();
        let text = match usize::try_from(self.places) {
            Ok(0) => digits,
            Ok(places) if places < digits.len() => {
                let (whole, part) = digits.split_at(digits.len() - places);
                format!("{whole}.{part}")
            }
            Ok(places) => format!("0.{digits:0>places$}"),
            Err(_) => {
                let zeros = self.places.unsigned_abs() as usize;
                format!("{digits}{:0<zeros$}", "")
            }
        };
        f.pad_integral(self.digits >= 0, "", &text)
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no number of 38 digits or fewer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a number of up to 38 digits")]
pub struct BadDecimal {
    /// The text, cut to what a message can hold.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::Decimal;

    fn n(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn reads_and_writes_what_people_write() {
        for (text, expect) in [
            ("0", "0"),
            ("-0.000", "0"),
            ("150.00", "150"),
            ("+1.50", "1.5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("-0.05", "-0.05"),
            ("1e3", "1000"),
            ("2.5E-3", "0.0025"),
            ("9007199254740993", "9007199254740993"),
            ("0.10000000000000000000000000000000000000000000000000", "0.1"),
            ("99999999999999999999999999999999999999", "99999999999999999999999999999999999999"),
        ] {
            assert_eq!(n(text).to_string(), expect, "{text}");
        }
        for text in
            ["", "-", ".", "1,5", "1 ", " 1", "0x10", "1e", "1e9999", "٣", "1.2.3", "--1", "NaN", "inf"]
        {
            assert!(text.parse::<Decimal>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_double_is_the_number_it_is_written_as() {
        assert_eq!(Decimal::from_f64(0.1), Some(n("0.1")));
        assert_eq!(Decimal::from_f64(0.95), Some(n("0.95")));
        assert_eq!(Decimal::from_f64(f64::NAN), None);
        for x in [f64::MAX, f64::MIN_POSITIVE, 5e-324, -0.0, 1e21, 1.0 / 3.0] {
            assert_eq!(Decimal::from_f64(x).unwrap().to_f64().to_bits(), (x + 0.0).to_bits(), "{x}");
        }
    }

    #[test]
    fn divides_to_eighteen_places_half_to_even() {
        let check = |a: &str, b: &str, expect: &str| {
            assert_eq!(n(a).checked_div(n(b)).unwrap().to_string(), expect, "{a} / {b}");
        };
        check("7", "2", "3.5");
        check("1", "3", "0.333333333333333333");
        check("-2", "3", "-0.666666666666666667");
        check("1", "2000000000000000000", "0");
        check("3", "2000000000000000000", "0.000000000000000002");
        check("1", "0.0000000000000000001", "10000000000000000000");
        assert_eq!(n("1").checked_div(Decimal::ZERO), None);
        assert_eq!(n("7").checked_rem(n("-4")), Some(n("3")));
        assert_eq!(n("7.5").checked_rem(n("2")), None);
        assert_eq!(n("-7.9").truncate(), n("-7"));
    }

    #[test]
    fn what_does_not_fit_is_none() {
        let big = n("99999999999999999999999999999999999999");
        assert_eq!(big.checked_add(n("0.1")), None);
        assert_eq!(big.checked_mul(n("11")), None);
        assert_eq!(big.checked_add(Decimal::ZERO), Some(big));
        assert_eq!(n("1e300").checked_add(n("1")), None);
        assert_eq!(n("1").checked_div(n("1e-300")), None);
        assert!(n("1e300") > big && n("-1e300") < n("1e-300") && n("1e-300") > Decimal::ZERO);
    }

    proptest! {
        /// On what 64 bits hold, it is arithmetic on integers.
        #[test]
        fn agrees_with_integers(a in -1_000_000_000_i64..1_000_000_000, b in -1_000_000_000_i64..1_000_000_000, p in 0_i32..9) {
            let (x, y) = (Decimal::new(a.into(), p), Decimal::new(b.into(), p));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(x.checked_add(y), Some(Decimal::new((a + b).into(), p)));
            prop_assert_eq!(x.checked_sub(y), Some(Decimal::new((a - b).into(), p)));
            prop_assert_eq!(x.checked_mul(y), Some(Decimal::new(i128::from(a) * i128::from(b), 2 * p)));
            prop_assert_eq!(x.to_string().parse::<Decimal>().unwrap(), x);
        }

        /// The order is total and agrees with the difference wherever that exists.
        #[test]
        fn the_order_is_that_of_differences(a: i128, b: i128, p in -40_i32..40, q in -40_i32..40) {
            let (x, y) = (Decimal::new(a / 2, p), Decimal::new(b / 2, q));
            prop_assert_eq!(x.cmp(&y), y.cmp(&x).reverse());
            prop_assert_eq!(x.cmp(&y) == Ordering::Equal, x == y);
            if let Some(difference) = x.checked_sub(y) {
                prop_assert_eq!(x.cmp(&y), difference.digits.cmp(&0));
            }
        }
    }
}
