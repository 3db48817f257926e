//! The judgement on the signals of the fraud-detection example, by rule where a model would use its sense.

use serde_json::{Value, json};

/// Countries that share a border, in the order of the alphabet: what is reached in an hour.
const NEIGHBOURS: &[(&str, &str)] = &[
    ("AT", "CH"),
    ("AT", "DE"),
    ("AT", "IT"),
    ("CH", "DE"),
    ("CH", "FR"),
    ("CH", "IT"),
    ("DE", "FR"),
    ("DE", "NL"),
    ("DE", "PL"),
    ("ES", "FR"),
    ("FR", "IT"),
];

/// What is found in the data of a request; none if it holds no signals.
///
/// - `card_testing`: small charges at five merchants or more in a day.
/// - `impossible_travel`: between countries that are no neighbours.
/// - `structuring`: four deposits or more within a week, none of them reported.
/// - `account_takeover`: a country the account never saw, and an amount of 1,000 USD or more.
pub(crate) fn findings(message: &str) -> Option<Value> {
    let signals = signals(message)?;
    let rows = |list: &str| signals[list].as_array().into_iter().flatten();
    let mut found: Vec<(String, &str, String)> = Vec::new();
    let mut add = |row: &Value, kind, reason: Option<String>| {
        if let (Some(account), Some(reason)) = (row["account"].as_str(), reason) {
            found.push((account.to_owned(), kind, reason));
        }
    };
    rows("small_charge_bursts").for_each(|row| add(row, "card_testing", card_testing(row)));
    rows("fast_travel").for_each(|row| add(row, "impossible_travel", impossible_travel(row)));
    rows("large_cash_deposits").for_each(|row| add(row, "structuring", structuring(row)));
    rows("woken_accounts").for_each(|row| add(row, "account_takeover", account_takeover(row)));
    found.sort();
    found.dedup_by(|a, b| a.0 == b.0);
    let findings = found
        .into_iter()
        .map(|(account, kind, reason)| json!({ "account": account, "kind": kind, "reason": reason }));
    Some(json!({ "findings": findings.collect::<Value>() }))
}

/// The JSON object with signals that stands somewhere in a message.
fn signals(message: &str) -> Option<Value> {
    let candidates = message.match_indices('{').map(|(index, _)| &message[index..]);
    candidates
        .filter_map(|text| serde_json::Deserializer::from_str(text).into_iter::<Value>().next()?.ok())
        .find(|value| value.get("small_charge_bursts").is_some())
}

fn card_testing(row: &Value) -> Option<String> {
    let [charges, merchants, minutes, largest] =
        numbers(row, ["small_charges", "merchants", "minutes", "largest_cents"])?;
    (merchants >= 5).then(|| {
        format!(
            "{charges} charges under 3 USD at {merchants} merchants within {minutes} minutes, and one of {} the same \
             day",
            usd(largest)
        )
    })
}

fn impossible_travel(row: &Value) -> Option<String> {
    let (from, to) = (row["from_country"].as_str()?, row["to_country"].as_str()?);
    let [minutes] = numbers(row, ["minutes"])?;
    let border = (from.min(to), from.max(to));
    (!NEIGHBOURS.contains(&border))
        .then(|| format!("card present in {from}, and {minutes} minutes later in {to}"))
}

fn structuring(row: &Value) -> Option<String> {
    let [deposits, reported, least, most] =
        numbers(row, ["deposits", "reported", "least_cents", "most_cents"])?;
    let (first, last) = (row["first_day"].as_str()?, row["last_day"].as_str()?);
    let days = day(last)? - day(first)? + 1;
    (deposits >= 4 && reported == 0 && days <= 7).then(|| {
        format!(
            "{deposits} cash deposits of {} to {} within {days} days, none reported",
            usd(least),
            usd(most)
        )
    })
}

fn account_takeover(row: &Value) -> Option<String> {
    let [silent, known, charges, total, largest] =
        numbers(row, ["silent_days", "known_country", "charges", "total_cents", "largest_cents"])?;
    let country = row["country"].as_str()?;
    (known == 0 && largest >= 100_000).then(|| {
        format!(
            "silent for {silent} days, then {charges} charges of {} in all in {country}, never used there",
            usd(total)
        )
    })
}

fn numbers<const N: usize>(row: &Value, names: [&str; N]) -> Option<[i64; N]> {
    let mut numbers = [0; N];
    for (number, name) in numbers.iter_mut().zip(names) {
        *number = row[name].as_i64()?;
    }
    Some(numbers)
}

/// `1,234.56 USD`.
fn usd(cents: i64) -> String {
    let (dollars, cents) = (cents / 100, cents % 100);
    match dollars {
        1000.. => format!("{},{:03}.{cents:02} USD", dollars / 1000, dollars % 1000),
        _ => format!("{dollars}.{cents:02} USD"),
    }
}

/// Days since 1970 of `YYYY-MM-DD` (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn day(text: &str) -> Option<i64> {
    let mut parts = text.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let year = if month <= 2 { year - 1 } else { year };
    let of_era = year - year.div_euclid(400) * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(year.div_euclid(400) * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_fraud_from_what_looks_like_it() {
        let data = json!({
            "small_charge_bursts": [
                { "account": "A-1", "small_charges": 11, "merchants": 11, "minutes": 5, "largest_cents": 138_471 },
                { "account": "A-2", "small_charges": 9, "merchants": 1, "minutes": 632, "largest_cents": 290 },
            ],
            "fast_travel": [
                { "account": "A-3", "from_country": "ES", "to_country": "MX", "minutes": 88 },
                { "account": "A-3", "from_country": "MX", "to_country": "ES", "minutes": 99 },
                { "account": "A-4", "from_country": "DE", "to_country": "CH", "minutes": 48 },
            ],
            "large_cash_deposits": [
                { "account": "A-5", "deposits": 5, "reported": 0, "least_cents": 926_200, "most_cents": 997_500,
                  "first_day": "2026-01-30", "last_day": "2026-02-03" },
                { "account": "A-6", "deposits": 4, "reported": 1, "least_cents": 898_000, "most_cents": 1_048_800,
                  "first_day": "2026-01-03", "last_day": "2026-01-24" },
            ],
            "woken_accounts": [
                { "account": "A-0", "silent_days": 78, "country": "BR", "known_country": 0, "charges": 4,
                  "total_cents": 1_504_188, "largest_cents": 466_155 },
                { "account": "A-7", "silent_days": 87, "country": "PT", "known_country": 0, "charges": 3,
                  "total_cents": 16_006, "largest_cents": 6_950 },
            ],
        });
        let found = findings(&format!("Find {{patterns}}.\n\nData:\n{data}")).unwrap();
        let expected = json!({ "findings": [
            { "account": "A-0", "kind": "account_takeover",
              "reason": "silent for 78 days, then 4 charges of 15,041.88 USD in all in BR, never used there" },
            { "account": "A-1", "kind": "card_testing",
              "reason": "11 charges under 3 USD at 11 merchants within 5 minutes, and one of 1,384.71 USD the same day" },
            { "account": "A-3", "kind": "impossible_travel",
              "reason": "card present in ES, and 88 minutes later in MX" },
            { "account": "A-5", "kind": "structuring",
              "reason": "5 cash deposits of 9,262.00 USD to 9,975.00 USD within 5 days, none reported" },
        ]});
        assert_eq!(found, expected);
    }

    #[test]
    fn other_requests_hold_no_signals() {
        assert_eq!(findings("hello"), None);
        assert_eq!(findings("Data: {\"a\": 1}"), None);
    }
}
