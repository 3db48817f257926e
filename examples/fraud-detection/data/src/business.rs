//! What usually happens: people, and what they pay for.

use jiff::Timestamp;

use crate::bank::{Account, BEGIN, Transaction};
use crate::random::Random;

const FIRST: &[&str] = &[
    "Ada", "Bruno", "Clara", "Daan", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kaya", "Lena",
    "Marek", "Nora", "Oskar", "Paula", "Quentin", "Rosa", "Samir", "Tilda", "Ugo", "Vera", "Willem", "Xenia",
    "Yann", "Zoe",
];
const LAST: &[&str] = &[
    "Abel", "Bianchi", "Costa", "Dubois", "Engel", "Fischer", "Garcia", "Huber", "Ivanov", "Jansen",
    "Kowalski", "Lindt", "Moreau", "Novak", "Olsen", "Perez", "Quist", "Rossi", "Schmid", "Taylor", "Unger",
    "Visser", "Weber", "Young", "Zeller",
];
/// Where holders live; a country that stands twice is twice as likely.
const HOME: &[&str] = &["DE", "DE", "DE", "FR", "FR", "NL", "GB", "GB", "US", "ES", "IT", "CH", "AT", "PL"];
/// Where shops on the web are, beside the holder's own country.
const WEB: &[&str] = &["IE", "LU", "GB", "US", "NL"];

const POS: &[&str] = &[
    "Corner Bakery",
    "City Grocer",
    "Green Market",
    "Station Kiosk",
    "Book Nook",
    "Hardware & Home",
    "Cafe Aurora",
    "Petrol 24",
    "Pharmacy Plus",
    "Shoe Box",
    "Cinema Lux",
    "Noodle Bar",
    "Garden Centre",
    "Bike Works",
];
const ONLINE: &[&str] = &[
    "webmart.example",
    "stream.example",
    "airline.example",
    "shoes.example",
    "gadgets.example",
    "books.example",
    "rooms.example",
    "tickets.example",
    "games.example",
    "pets.example",
];
const TRANSFER: &[&str] = &["Rent", "Electricity", "Insurance", "Savings plan", "Gym", "Phone"];

/// Makes the account with this number.
pub(crate) fn account(number: usize, random: &mut Random) -> Account {
    let opened = BEGIN - random.between(200, 4_000) * 86_400;
    Account {
        id: format!("A-{number:04}"),
        holder: format!("{} {}", random.pick(FIRST), random.pick(LAST)),
        country: random.pick(HOME),
        opened: timestamp(opened)[..10].to_owned(),
    }
}

/// The usual transactions of an account until `end`: one in each of `count` equal spans, and never close to the
/// border of a span, so that two in a row are hours apart and nobody is silent for long by chance.
pub(crate) fn usual(account: &Account, count: usize, end: i64, random: &mut Random) -> Vec<Transaction> {
    let count = i64::try_from(count).expect("a number of transactions");
    let span = (end - BEGIN) / count;
    // One in twelve goes abroad once, for some spans in a row.
    let trip = random.chance(8).then(|| (random.between(3, count - 6), random.pick(HOME)));
    let deposits = random.chance(10);
    let one = |index: i64| {
        let at = BEGIN + index * span + span / 10 + random.between(0, span * 8 / 10);
        let here = match trip {
            Some((first, country)) if (first..first + 3).contains(&index) => country,
            _ => account.country,
        };
        let (channel, merchant, country, amount_cents) = match random.between(1, 100) {
            1..=55 => ("pos", random.pick(POS), here, random.between(310, 15_000)),
            56..=85 => {
                let country = if random.chance(15) { random.pick(WEB) } else { account.country };
                ("online", random.pick(ONLINE), country, random.between(450, 30_000))
            }
            86..=92 => ("transfer", random.pick(TRANSFER), account.country, random.between(1_000, 120_000)),
            93..=96 if deposits => {
                ("cash_deposit", "Branch", account.country, random.between(50_000, 700_000))
            }
            // Parking, a coffee: small amounts are not fraud by themselves.
            97..=98 => ("online", "parking.example", account.country, random.between(80, 290)),
            _ => ("atm", "ATM", here, random.between(1, 20) * 2_000),
        };
        Transaction {
            at,
            account: account.id.clone(),
            amount_cents,
            merchant: merchant.to_owned(),
            country,
            channel,
        }
    };
    (0..count).map(one).collect()
}

/// RFC 3339, in UTC and whole seconds.
pub(crate) fn timestamp(seconds: i64) -> String {
    Timestamp::from_second(seconds).expect("a time of this century").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::END;

    #[test]
    fn usual_transactions_are_hours_apart() {
        let mut random = Random::new(3);
        let account = account(1, &mut random);
        let transactions = usual(&account, 40, END, &mut random);
        assert_eq!(transactions.len(), 40);
        let gaps = transactions.windows(2).map(|pair| pair[1].at - pair[0].at);
        assert!(gaps.clone().all(|gap| gap > 10 * 3_600), "{:?}", gaps.min());
        assert_eq!((account.id.as_str(), timestamp(BEGIN).as_str()), ("A-0001", "2025-10-01T00:00:00Z"));
    }
}
