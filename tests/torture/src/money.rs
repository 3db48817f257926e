//! Money as the command prints it.

use anyhow::{Context, Result, ensure};

/// Pico-dollars of a decimal number of dollars. Written here anew, so that a sum is held against another one's.
pub(crate) fn pico(text: &str) -> Result<i128> {
    let bad = || format!("`{text}` is no amount");
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    ensure!(part.len() <= 12 && part.bytes().all(|digit| digit.is_ascii_digit()), bad());
    let whole: i128 = whole.parse().with_context(bad)?;
    ensure!(whole >= 0, bad());
    let part: i128 = format!("{part:0<12}").parse().with_context(bad)?;
    Ok(whole * 1_000_000_000_000 + part)
}

#[cfg(test)]
mod tests {
    use super::pico;

    #[test]
    fn amounts_are_exact() {
        assert_eq!(pico("0").unwrap(), 0);
        assert_eq!(pico("12.000000000001").unwrap(), 12_000_000_000_001);
        assert_eq!(pico("0.5").unwrap(), 500_000_000_000);
        for bad in ["", "x", "1.x", "1.0000000000001", "-1"] {
            assert!(pico(bad).is_err(), "{bad}");
        }
    }
}
