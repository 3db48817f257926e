//! Accounts above the runs: what all runs of a workflow, or of the deployment, have spent and hold in a window of time.
//!
//! A row is a cache: the sum of what the runs' own events say. It changes in the same atomic write as the events do,
//! so that it never says anything else than they do.

use crate::record::{Cursor, Malformed};

const VERSION: u8 = 1;

/// What an append means for an account above the run.
///
/// ```
/// use wflo_journal::{AccountRow, Debit};
/// let debit = Debit { account: "refunds".into(), window: "2026-11-25".into(), change: AccountRow { held: 5, ..AccountRow::default() } };
/// assert_eq!(AccountRow::default().after(&debit.change).held, 5);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debit {
    /// The account; any text without a zero byte.
    pub account: String,
    /// The window of time.
    pub window: String,
    /// What is added to the row.
    pub change: AccountRow,
}

/// What an account stands at, or a change of that, in the smallest unit of its money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountRow {
    /// What was charged.
    pub settled: i128,
    /// What open calls hold.
    pub held: i128,
    /// How far single calls cost more than was held for them.
    pub overrun: i128,
}

impl AccountRow {
    /// The row after a change.
    #[must_use]
    pub fn after(&self, change: &Self) -> Self {
        Self {
            settled: self.settled.saturating_add(change.settled),
            held: self.held.saturating_add(change.held),
            overrun: self.overrun.saturating_add(change.overrun),
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        for amount in [self.settled, self.held, self.overrun] {
            out.extend_from_slice(&amount.to_be_bytes());
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Cursor::new(bytes);
        from.version(VERSION)?;
        let mut amount = || from.array().map(i128::from_be_bytes);
        let (settled, held, overrun) = (amount()?, amount()?, amount()?);
        from.finish()?;
        Ok(Self { settled, held, overrun })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::AccountRow;

    #[test]
    fn the_bytes_of_a_row_stay() {
        let row = AccountRow { settled: 1, held: 0x0203, overrun: -1 };
        let hex: String = row.encode().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "01\
             00000000000000000000000000000001\
             00000000000000000000000000000203\
             ffffffffffffffffffffffffffffffff"
        );
    }

    proptest! {
        #[test]
        fn a_row_comes_back(settled: i128, held: i128, overrun: i128) {
            let row = AccountRow { settled, held, overrun };
            prop_assert_eq!(AccountRow::decode(&row.encode()).unwrap(), row);
            prop_assert!(AccountRow::decode(&row.encode()[1..]).is_err());
        }
    }
}
