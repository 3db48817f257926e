//! The bank: its accounts, and what happened on them.

use std::fmt;

use crate::random::Random;
use crate::{business, fraud};

/// Accounts of the bank.
pub(crate) const ACCOUNTS: usize = 500;
/// Transactions of all accounts together.
pub(crate) const TRANSACTIONS: usize = 20_000;
/// 2025-10-01T00:00:00Z, when the history begins.
pub(crate) const BEGIN: i64 = 1_759_276_800;
/// 2026-01-01T00:00:00Z: what came before has been looked at already.
pub(crate) const PROCESSED_UNTIL: i64 = 1_767_225_600;
/// 2026-02-01T00:00:00Z, when the history ends.
pub(crate) const END: i64 = 1_769_904_000;

/// Everything in the database, and the truth about it, which is not in the database.
pub(crate) struct Bank {
    pub(crate) accounts: Vec<Account>,
    /// In the order they happened.
    pub(crate) transactions: Vec<Transaction>,
    /// By account.
    pub(crate) planted: Vec<Planted>,
}

/// One account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) holder: String,
    /// Where its holder lives.
    pub(crate) country: &'static str,
    /// A day, such as `2019-04-30`.
    pub(crate) opened: String,
}

/// One transaction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Transaction {
    /// Seconds since 1970.
    pub(crate) at: i64,
    pub(crate) account: String,
    pub(crate) amount_cents: i64,
    pub(crate) merchant: String,
    pub(crate) country: &'static str,
    /// `pos`, `online`, `atm`, `transfer` or `cash_deposit`.
    pub(crate) channel: &'static str,
}

impl Transaction {
    /// Whether the card itself was there.
    pub(crate) fn card_present(&self) -> bool {
        matches!(self.channel, "pos" | "atm")
    }
}

/// What was planted on an account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Planted {
    pub(crate) account: String,
    pub(crate) kind: Kind,
}

/// The kinds of fraud, and what honest people do that looks like one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    CardTesting,
    ImpossibleTravel,
    Structuring,
    AccountTakeover,
    LooksLike(&'static str),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CardTesting => f.write_str("card_testing"),
            Self::ImpossibleTravel => f.write_str("impossible_travel"),
            Self::Structuring => f.write_str("structuring"),
            Self::AccountTakeover => f.write_str("account_takeover"),
            Self::LooksLike(what) => write!(f, "honest: {what}"),
        }
    }
}

impl Bank {
    /// Makes a bank; equal seeds make equal banks.
    pub(crate) fn generate(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let accounts: Vec<Account> =
            (1..=ACCOUNTS).map(|number| business::account(number, &mut random)).collect();
        let (planted, mut transactions, dormant) = fraud::plant(&accounts, &mut random);
        let usual = TRANSACTIONS - transactions.len();
        for (index, account) in accounts.iter().enumerate() {
            // The remainder goes to the first accounts, one each.
            let count = usual / ACCOUNTS + usize::from(index < usual % ACCOUNTS);
            let end = if dormant.contains(&account.id) { fraud::LAST_SIGN_OF_LIFE } else { END };
            transactions.extend(business::usual(account, count, end, &mut random));
        }
        transactions.sort();
        Self { accounts, transactions, planted }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn equal_seeds_make_equal_banks() {
        let (one, two, other) = (Bank::generate(7), Bank::generate(7), Bank::generate(8));
        assert_eq!(one.accounts, two.accounts);
        assert_eq!(one.transactions, two.transactions);
        assert_eq!(one.planted, two.planted);
        assert_ne!(one.transactions, other.transactions);
    }

    #[test]
    fn has_the_size_it_says() {
        for seed in 0..20 {
            let bank = Bank::generate(seed);
            assert_eq!((bank.accounts.len(), bank.transactions.len()), (ACCOUNTS, TRANSACTIONS));
            assert!(bank.transactions.iter().all(|t| (BEGIN..END).contains(&t.at)), "seed {seed}");
        }
    }

    #[test]
    fn plants_four_kinds_on_accounts_of_their_own() {
        let planted = Bank::generate(7).planted;
        let accounts: BTreeSet<_> = planted.iter().map(|planted| &planted.account).collect();
        assert_eq!(accounts.len(), planted.len());
        let mut counts = BTreeMap::new();
        for planted in &planted {
            let kind = match planted.kind {
                Kind::LooksLike(_) => "honest".to_owned(),
                kind => kind.to_string(),
            };
            *counts.entry(kind).or_insert(0) += 1;
        }
        let expected = [
            ("account_takeover", 4),
            ("card_testing", 5),
            ("honest", 12),
            ("impossible_travel", 4),
            ("structuring", 4),
        ];
        assert_eq!(counts, expected.map(|(kind, count)| (kind.to_owned(), count)).into());
    }
}
