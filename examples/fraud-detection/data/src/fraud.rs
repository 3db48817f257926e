//! What is planted: four kinds of fraud, and for each what honest people do that looks like it.

use std::collections::BTreeSet;

use crate::bank::{Account, Kind, PROCESSED_UNTIL, Planted, Transaction};
use crate::random::Random;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// 2025-10-26: the last usual transaction of an account that falls silent.
pub(crate) const LAST_SIGN_OF_LIFE: i64 = PROCESSED_UNTIL - 67 * DAY;

/// Far from every country a holder lives in, and where none has a card used before.
const FAR: &[&str] = &["BR", "SG", "ZA", "MX", "VN"];

/// Plants everything: what was planted where, its transactions, and the accounts that must be silent before.
pub(crate) fn plant(
    accounts: &[Account],
    random: &mut Random,
) -> (Vec<Planted>, Vec<Transaction>, BTreeSet<String>) {
    let mut order: Vec<&Account> = accounts.iter().collect();
    random.shuffle(&mut order);
    let mut unused = order.into_iter();
    // A traveller has to live where the story says; everybody else may live anywhere.
    let mut next =
        |of: &dyn Fn(&Account) -> bool| unused.find(|account| of(account)).expect("500 are enough");
    let anywhere = |_: &Account| true;
    let mut plot = Plot::default();
    for _ in 0..5 {
        plot.card_testing(next(&anywhere), random);
    }
    for _ in 0..4 {
        plot.impossible_travel(next(&anywhere), random);
    }
    for _ in 0..4 {
        plot.structuring(next(&anywhere), random);
    }
    for _ in 0..4 {
        plot.account_takeover(next(&anywhere), random);
    }
    for _ in 0..3 {
        plot.commuter(next(&anywhere), random);
    }
    for _ in 0..3 {
        plot.border(next(&|account| account.country == "DE"), random);
    }
    for _ in 0..3 {
        plot.shop(next(&anywhere), random);
    }
    for index in 0..3 {
        plot.back_again(next(&anywhere), index == 0, random);
    }
    plot.planted.sort();
    (plot.planted, plot.transactions, plot.dormant)
}

#[derive(Default)]
struct Plot {
    planted: Vec<Planted>,
    transactions: Vec<Transaction>,
    dormant: BTreeSet<String>,
}

impl Plot {
    /// Somebody tries stolen card data: ten to sixteen charges under 2 USD at as many web shops within minutes,
    /// then one purchase that pays.
    fn card_testing(&mut self, account: &Account, random: &mut Random) {
        self.mark(account, Kind::CardTesting);
        let mut at = moment(random);
        for shop in 0..random.between(10, 16) {
            at += random.between(12, 50);
            let merchant = format!("shop-{:03}.example", (shop * 37 + random.between(0, 30)) % 999);
            self.add(account, at, random.between(49, 199), &merchant, "US", "online");
        }
        at += random.between(3, 9) * MINUTE;
        self.add(account, at, random.between(60_000, 180_000), "gadgets.example", "US", "online");
    }

    /// A cloned card: it is used at home, and within two hours on another continent.
    fn impossible_travel(&mut self, account: &Account, random: &mut Random) {
        self.mark(account, Kind::ImpossibleTravel);
        let at = moment(random);
        self.add(account, at, random.between(800, 6_000), "Cafe Aurora", account.country, "pos");
        let far = random.pick(FAR);
        let mut there = at + random.between(35, 110) * MINUTE;
        for _ in 0..random.between(2, 3) {
            self.add(account, there, random.between(40_000, 120_000), "Duty Free", far, "pos");
            there += random.between(5, 15) * MINUTE;
        }
    }

    /// Cash in amounts just under the 10,000 USD that a bank must report, day after day.
    fn structuring(&mut self, account: &Account, random: &mut Random) {
        self.mark(account, Kind::Structuring);
        let first = moment(random) / DAY * DAY;
        for day in 0..random.between(4, 5) {
            let at = first + day * DAY + random.between(9, 16) * HOUR + random.between(0, 59) * MINUTE;
            let amount = random.between(9_100, 9_990) * 100;
            self.add(account, at, amount, "Branch", account.country, "cash_deposit");
        }
    }

    /// A dormant account wakes up in a country it was never used in, and spends much.
    fn account_takeover(&mut self, account: &Account, random: &mut Random) {
        self.mark(account, Kind::AccountTakeover);
        self.dormant.insert(account.id.clone());
        let (mut at, far) = (moment(random), random.pick(FAR));
        for _ in 0..random.between(3, 6) {
            self.add(account, at, random.between(110_000, 480_000), "luxury.example", far, "online");
            at += random.between(8, 90) * MINUTE;
        }
    }

    /// Many small charges in a day, all at one merchant: buses and trams.
    fn commuter(&mut self, account: &Account, random: &mut Random) {
        self.mark(account, Kind::LooksLike("small fares of one transit company"));
        let mut at = moment(random) / DAY * DAY + 6 * HOUR;
        for _ in 0..random.between(7, 9) {
            at += random.between(60, 110) * MINUTE;
            self.add(account, at, random.between(140, 290), "citytransit.example", account.country, "online");
        }
    }

    /// Two countries within the hour, and a bridge in between.
    fn border(&mut self, account: &Account, random: &mut Random) {
        self.mark(account, Kind::LooksLike("shops on both sides of a border"));
        let at = moment(random);
        self.add(account, at, random.between(900, 4_000), "City Grocer", account.country, "pos");
        let neighbour = random.pick(&["CH", "AT", "FR", "NL"]);
        let later = at + random.between(40, 100) * MINUTE;
        self.add(account, later, random.between(1_500, 9_000), "Petrol 24", neighbour, "pos");
    }

    /// Large cash deposits, week after week, some of them above 10,000 USD: the takings of a shop.
    fn shop(&mut self, account: &Account, random: &mut Random) {
        self.mark(account, Kind::LooksLike("takings of a shop, reported when above 10,000"));
        let first = PROCESSED_UNTIL + random.between(1, 3) * DAY;
        for week in 0..4 {
            let at = first + week * 7 * DAY + random.between(9, 16) * HOUR;
            let dollars =
                if week == 1 { random.between(10_200, 14_000) } else { random.between(8_700, 9_600) };
            self.add(account, at, dollars * 100, "Branch", account.country, "cash_deposit");
        }
    }

    /// Silent for months, then back: at home, or on a holiday with its usual small amounts.
    fn back_again(&mut self, account: &Account, abroad: bool, random: &mut Random) {
        self.mark(account, Kind::LooksLike("back after months, with small amounts"));
        self.dormant.insert(account.id.clone());
        let country = if abroad { "PT" } else { account.country };
        let mut at = moment(random);
        for _ in 0..random.between(3, 5) {
            self.add(account, at, random.between(600, 9_000), "Noodle Bar", country, "pos");
            at += random.between(20, 30) * HOUR;
        }
    }

    fn mark(&mut self, account: &Account, kind: Kind) {
        self.planted.push(Planted { account: account.id.clone(), kind });
    }

    fn add(
        &mut self,
        account: &Account,
        at: i64,
        amount_cents: i64,
        merchant: &str,
        country: &'static str,
        channel: &'static str,
    ) {
        let (account, merchant) = (account.id.clone(), merchant.to_owned());
        self.transactions.push(Transaction { at, account, amount_cents, merchant, country, channel });
    }
}

/// A time in the second or third week of January 2026: after what was looked at, and with days left for a story.
fn moment(random: &mut Random) -> i64 {
    PROCESSED_UNTIL + random.between(7, 21) * DAY + random.between(8, 18) * HOUR + random.between(0, 3_599)
}
