//! Sizes in bytes, as people write them.

use std::str::FromStr;

/// A number of bytes: `65536`, `64KiB`, `64 MiB`, `1GiB`, or in thousands `64MB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size(pub(crate) u64);

#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not a size: write it such as `\"64MiB\"`")]
pub(crate) struct BadSize {
    text: String,
}

/// What a double counts exactly, and so canonical JSON.
const MOST: u64 = 1 << 53;

impl FromStr for Size {
    type Err = BadSize;

    fn from_str(text: &str) -> Result<Self, BadSize> {
        let bad = || BadSize { text: text.to_owned() };
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let unit = match text[digits..].trim_start_matches([' ', '_']) {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "kB" | "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            _ => return Err(bad()),
        };
        let bytes = text[..digits].parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).ok_or_else(bad)?;
        if (1..=MOST).contains(&bytes) { Ok(Self(bytes)) } else { Err(bad()) }
    }
}

/// Writes a number of bytes in the largest unit that keeps it whole.
pub(crate) fn show(bytes: u64) -> String {
    for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes >= 1 << shift && bytes.trailing_zeros() >= shift {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    format!("{bytes} bytes")
}

#[cfg(test)]
mod tests {
    use super::{Size, show};

    #[test]
    fn reads_what_people_write() {
        let check = |text: &str, bytes: Option<u64>| {
            assert_eq!(text.parse::<Size>().ok().map(|size| size.0), bytes, "{text}");
        };
        check("64MiB", Some(64 << 20));
        check("1 GiB", Some(1 << 30));
        check("10kB", Some(10_000));
        check("123", Some(123));
        for bad in ["", "MiB", "64mib", "-1", "0", "1.5MiB", "99999999999999GiB", "１MiB"] {
            check(bad, None);
        }
        assert_eq!(show(64 << 20), "64MiB");
        assert_eq!(show(1000), "1000 bytes");
    }
}
