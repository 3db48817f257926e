//! PostgreSQL's binary form of `numeric`, as exact text.
//!
//! Digits to the base of 10,000, most significant first: their number, the weight of the first, the sign, and how many
//! decimals are shown (`src/backend/utils/adt/numeric.c`, `numeric_send`).

/// The text, as PostgreSQL writes it; none for bytes that are no such value.
pub(super) fn to_text(raw: &[u8]) -> Option<String> {
    let half = |at: usize| Some(u16::from_be_bytes(raw.get(at..at + 2)?.try_into().ok()?));
    let (digits, weight, sign, scale) = (half(0)?, half(2)?.cast_signed(), half(4)?, half(6)?);
    let sign = match sign {
        0 => "",
        0x4000 => "-",
        0xC000 => return Some("NaN".into()),
        0xD000 => return Some("Infinity".into()),
        0xF000 => return Some("-Infinity".into()),
        _ => return None,
    };
    let digits: Vec<u16> = (0..usize::from(digits)).map(|n| half(8 + 2 * n)).collect::<Option<_>>()?;
    // Digits of zero at either end are not kept.
    let digit = |place: i32| usize::try_from(place).ok().and_then(|at| digits.get(at)).copied().unwrap_or(0);
    let weight = i32::from(weight);
    let mut text = String::from(sign);
    if weight < 0 {
        text.push('0');
    } else {
        text.push_str(&digit(0).to_string());
        (1..=weight).for_each(|place| text.push_str(&format!("{:04}", digit(place))));
    }
    if scale > 0 {
        let scale = usize::from(scale);
        let mut decimals = String::new();
        let mut place = weight + 1;
        while decimals.len() < scale {
            decimals.push_str(&format!("{:04}", digit(place)));
            place += 1;
        }
        decimals.truncate(scale);
        text.push('.');
        text.push_str(&decimals);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::to_text;

    fn value(weight: i16, sign: u16, scale: u16, digits: &[u16]) -> String {
        let mut raw = Vec::new();
        raw.extend(u16::try_from(digits.len()).unwrap().to_be_bytes());
        raw.extend(weight.to_be_bytes());
        raw.extend(sign.to_be_bytes());
        raw.extend(scale.to_be_bytes());
        digits.iter().for_each(|digit| raw.extend(digit.to_be_bytes()));
        to_text(&raw).unwrap()
    }

    #[test]
    fn it_is_written_as_postgresql_does() {
        assert_eq!(value(0, 0, 0, &[]), "0");
        assert_eq!(value(0, 0, 2, &[]), "0.00");
        assert_eq!(value(0, 0, 2, &[12, 5000]), "12.50");
        assert_eq!(value(1, 0x4000, 3, &[1, 0, 10]), "-10000.001");
        assert_eq!(value(-1, 0, 4, &[1]), "0.0001");
        assert_eq!(value(-2, 0, 8, &[1]), "0.00000001");
        assert_eq!(value(-3, 0, 12, &[1]), "0.000000000001");
        assert_eq!(value(2, 0, 0, &[1]), "100000000");
        assert_eq!(value(0, 0xC000, 0, &[]), "NaN");
        assert_eq!(value(0, 0xF000, 0, &[]), "-Infinity");
        assert_eq!(to_text(&[0, 1, 0]), None);
    }
}
