//! Values that stand in a row for a moment, so that what it has there is free for another row.
//!
//! Nobody else ever sees one. They look like what they stand for, so that they pass what a table checks of its rows, and
//! are random, so that no other row has them.

use wflo_model::SqlValue;
use wflo_ports::{DbError, Entropy as _};

use crate::SystemEntropy;

/// How many of the same shape are tried before others.
const TRIES: usize = 3;

/// What may stand for a value, the most likely first; none of what is `wanted` by other rows: it may be free for the moment,
/// and has to stay so.
pub(super) fn stand_ins<'v>(
    value: &SqlValue,
    wanted: impl Iterator<Item = &'v SqlValue> + Clone,
) -> Result<Vec<SqlValue>, DbError> {
    let mut seed = [0; 8];
    SystemEntropy.fill(&mut seed).map_err(|error| DbError::Other(error.to_string()))?;
    let mut all = seeded(value, u64::from_le_bytes(seed));
    all.retain(|value| !wanted.clone().any(|wanted| is_alike(value, wanted)));
    Ok(all)
}

/// Whether a database may take two values for the same.
fn is_alike(one: &SqlValue, other: &SqlValue) -> bool {
    match (one, other) {
        (SqlValue::Text(one), SqlValue::Text(other)) => {
            one.trim().to_lowercase() == other.trim().to_lowercase()
        }
        _ => one == other,
    }
}

fn seeded(value: &SqlValue, mut state: u64) -> Vec<SqlValue> {
    // SplitMix64 (G. Steele et al., "Fast splittable pseudorandom number generators", 2014).
    let mut below = |end: u64| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    };
    let mut out = Vec::new();
    match value {
        SqlValue::Null => {}
        SqlValue::Boolean(value) => out.push(SqlValue::Boolean(!value)),
        SqlValue::Integer(n) => integers(*n, &mut out, &mut below),
        SqlValue::Real(n) => {
            let size = if n.abs() < 1.0 || !n.is_finite() { 1.0 } else { n.abs() };
            for factor in [1.0, 1.0, 1e6] {
                #[expect(clippy::cast_precision_loss, reason = "any number will do")]
                let part = (1 + below(1 << 50)) as f64 / (1_u64 << 50) as f64;
                out.push(SqlValue::Real((size * factor * part).copysign(*n)));
            }
        }
        SqlValue::Decimal(text) => {
            for longer in ["", "", "", "00", "000000"] {
                let digits = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
                let longer = format!("{}{longer}{}", &text[..digits], &text[digits..]);
                out.push(SqlValue::Decimal(same_shape(&longer, &mut below)));
            }
        }
        SqlValue::Uuid(_) => out.push(SqlValue::Uuid(uuid(&mut below))),
        SqlValue::Timestamp(text) => {
            for _ in 0..TRIES {
                out.push(SqlValue::Timestamp(date(text, &mut below).unwrap_or_else(|| text.clone())));
            }
        }
        SqlValue::Json(_) => out.push(SqlValue::Json(format!("\"{}\"", uuid(&mut below)))),
        SqlValue::Text(text) => {
            // A range that overlaps none, and one that hardly does.
            if text.starts_with(['[', '(']) && text.ends_with([']', ')']) && text.contains(',') {
                let from = (1 << 29) + below(1 << 29);
                out.push(SqlValue::Text(format!("[{from},{})", from + 1)));
                out.push(SqlValue::Text("empty".to_owned()));
            }
            for _ in 0..TRIES {
                let like = date(text, &mut below).unwrap_or_else(|| same_shape(text, &mut below));
                out.push(SqlValue::Text(like));
            }
            out.push(SqlValue::Text(uuid(&mut below)));
        }
        SqlValue::Blob(bytes) => {
            for length in [bytes.len(), bytes.len(), 16] {
                let byte = || u8::try_from(below(256)).expect("it is below 256");
                out.push(SqlValue::Blob(std::iter::repeat_with(byte).take(length).collect()));
            }
        }
    }
    out.retain(|other| other != value);
    out
}

/// Of as many digits, then of as many as each type of integers can hold; the other sign at last.
fn integers(n: i64, out: &mut Vec<SqlValue>, below: &mut impl FnMut(u64) -> u64) {
    let digits = n.unsigned_abs().checked_ilog10().unwrap_or(0);
    let (least, sign) = (10_u64.pow(digits), n.signum() | 1);
    let bounds = [
        (least, least.saturating_mul(10)),
        (least, least.saturating_mul(10)),
        (1, 1 << 15),
        (1, 1 << 15),
        (1 << 15, 1 << 31),
        (1 << 31, 1 << 63),
    ];
    for (from, to) in bounds {
        let size = from + below(to.min(1 << 63).saturating_sub(from).max(1));
        out.push(SqlValue::Integer(i64::try_from(size).unwrap_or(i64::MAX) * sign));
    }
    out.push(SqlValue::Integer(-sign * i64::try_from(1 + below((1 << 15) - 1)).expect("it is small")));
    out.push(SqlValue::Integer(-sign * i64::try_from((1 << 15) + below(1 << 30)).expect("it is small")));
}

/// Other letters for letters, and other digits for digits.
fn same_shape(text: &str, below: &mut impl FnMut(u64) -> u64) -> String {
    let mut of = |first: u8, count: u64| {
        char::from(first + u8::try_from(below(count)).expect("an alphabet is smaller than that"))
    };
    let other = |c: char| match c {
        '0'..='9' => of(b'0', 10),
        _ if c.is_uppercase() => of(b'A', 26),
        _ if c.is_alphabetic() => of(b'a', 26),
        _ => c,
    };
    text.chars().map(other).collect()
}

/// Another day, far in the future, for what begins with one.
fn date(text: &str, below: &mut impl FnMut(u64) -> u64) -> Option<String> {
    let begins = text.len() >= 10
        && text.bytes().zip(b"0000-00-00").all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            form => byte == *form,
        });
    let (year, month, day) = (2100 + below(7900), 1 + below(12), 1 + below(28));
    begins.then(|| format!("{year}-{month:02}-{day:02}{}", &text[10..]))
}

fn uuid(below: &mut impl FnMut(u64) -> u64) -> String {
    let mut hex = |digits: usize| format!("{:0digits$x}", below(1 << (4 * digits)));
    format!("{}-{}-4{}-a{}-{}", hex(8), hex(4), hex(3), hex(3), hex(12))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wflo_model::SqlValue;

    use super::{seeded, stand_ins};

    fn texts(value: &SqlValue) -> Vec<String> {
        seeded(value, 7).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn they_look_like_what_they_stand_for() {
        let shape = |text: &str| -> String {
            let one = |c: char| match c {
                '0'..='9' => '0',
                'a'..='z' => 'a',
                'A'..='Z' => 'A',
                other => other,
            };
            text.chars().map(one).collect()
        };
        for (text, expect) in [("IBAN-07 x", "AAAA-00 a"), ("Zoë@example.org", "Aaa@aaaaaaa.aaa"), ("", "")]
        {
            let like = texts(&SqlValue::Text(text.into()));
            assert!(like.iter().rev().skip(1).all(|like| shape(like) == expect), "{like:?}");
            assert_eq!(like.last().unwrap().len(), 36);
        }
        for day in ["2026-02-28", "2026-02-28 10:00:00"] {
            let like = &texts(&SqlValue::Text(day.into()))[0];
            assert_eq!(shape(like), shape(day));
            assert!(like[..4].parse::<u32>().unwrap() >= 2100 && like[8..10].parse::<u32>().unwrap() <= 28);
            assert_eq!(like[10..], day[10..]);
        }
        let like = texts(&SqlValue::Text("[6,7)".into()));
        assert_eq!((&shape(&like[0])[..], &like[1][..]), ("[000000000,000000000)", "empty"));
        let like = texts(&SqlValue::Decimal("-12.50".into()));
        assert_eq!(shape(&like[0]), "-00.00");
        assert!(matches!(&seeded(&SqlValue::Blob(vec![1, 2]), 7)[0], SqlValue::Blob(b) if b.len() == 2));
        assert_eq!(stand_ins(&SqlValue::Null, [].iter()).unwrap(), []);
        // Of every letter there is none that is left.
        let letters: Vec<_> = ('a'..='z').map(|c| SqlValue::Text(c.into())).collect();
        for value in stand_ins(&SqlValue::Text("Q".into()), letters.iter()).unwrap() {
            assert!(matches!(&value, SqlValue::Text(text) if text.len() > 1), "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn integers_have_their_sign_and_fit_their_type(n in any::<i64>(), seed in any::<u64>()) {
            let found = seeded(&SqlValue::Integer(n), seed);
            let sizes: Vec<i64> = found.iter().map(|it| match it { SqlValue::Integer(n) => *n, _ => 0 }).collect();
            prop_assert!(sizes.iter().all(|it| *it != n));
            prop_assert!(sizes.iter().any(|it| i16::try_from(*it).is_ok() && (*it < 0) == (n < 0)));
            if n.unsigned_abs() > 9 && n != i64::MIN && n.unsigned_abs() < 1 << 60 {
                prop_assert!(sizes.iter().any(|it| it.to_string().len() == n.to_string().len()));
            }
        }
    }
}
