//! A component that knows nothing of wflo: it exports functions of its own types, of every kind that there is.

mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "scorer" });
}

use std::hash::{BuildHasher, RandomState};
use std::time::SystemTime;

use bindings::exports::acme::fraud::handles::{self, AccountBorrow, GuestAccount};
use bindings::exports::acme::fraud::scoring::{self, Channel, Party, Signals, Transaction, Verdict};
use bindings::exports::acme::fraud::trouble::{self, Failure, Reason};
use bindings::exports::acme::fraud::types::{self, Everything};

struct Scorer;

impl bindings::Guest for Scorer {
    fn add_up(numbers: Vec<i64>) -> i64 {
        numbers.iter().sum()
    }
}

impl scoring::Guest for Scorer {
    fn score(t: Transaction) -> Result<Verdict, String> {
        if t.amount < 0.0 {
            return Err(format!("transaction {} has a negative amount", t.id));
        }
        println!("scoring {}", t.id);
        let mut reasons = Vec::new();
        if t.signals.contains(Signals::FOREIGN_COUNTRY) && t.channel == Channel::Online {
            reasons.push("abroad, online".to_owned());
        }
        match &t.payer {
            Party::Unknown => reasons.push("nobody knows who pays".to_owned()),
            Party::Company(company) if company.vat_number.is_none() => {
                reasons.push(format!("{} has no VAT number", company.name));
            }
            Party::Person(_) | Party::Company(_) => {}
        }
        let risk = (t.amount / 10_000.0 + 0.25 * reasons.len() as f64).min(1.0);
        let review_by = (risk > 0.5).then(|| t.note.unwrap_or_else(|| "anybody".to_owned()));
        Ok(Verdict { transaction: t.id, risk, reasons, review_by })
    }

    fn limit(account_id: String, amounts: Vec<f64>, most: Option<u32>) -> (String, u32) {
        let within = amounts.iter().filter(|amount| **amount <= f64::from(most.unwrap_or(100))).count();
        (account_id, within as u32)
    }

    fn stamp() -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |past| past.as_nanos());
        format!("{now}-{:x}", RandomState::new().hash_one(1))
    }
}

impl types::Guest for Scorer {
    fn echo(of: Everything) -> Everything {
        of
    }
}

impl trouble::Guest for Scorer {
    fn refuse(amount: u32) -> Result<u32, Reason> {
        match amount {
            0 => Err(Reason::TooLate),
            1..10 => Err(Reason::TooSmall(amount)),
            _ => Ok(amount),
        }
    }

    fn again(why: String) -> Result<(), Failure> {
        Err(match why.as_str() {
            "later" => Failure::Retryable("not yet".to_owned()),
            "anew" => Failure::Redo("ask again".to_owned()),
            _ => Failure::Permanent(why),
        })
    }

    fn silent() -> Result<(), ()> {
        Err(())
    }

    fn divide(by: f64) -> (String, f64) {
        ("it is".to_owned(), (1.0 - by) / by)
    }

    fn spin() -> u32 {
        let mut n = 0_u32;
        loop {
            n = std::hint::black_box(n.wrapping_add(1));
        }
    }

    fn flood(length: u32) -> Vec<String> {
        vec!["x".repeat(1024); length as usize]
    }

    fn bytes(length: u32) -> Vec<u8> {
        vec![7; length as usize]
    }

    fn burst() -> String {
        panic!("it bursts")
    }
}

struct Account(u64);

impl GuestAccount for Account {
    fn balance(&self) -> u64 {
        self.0
    }
}

impl handles::Guest for Scorer {
    type Account = Account;

    fn open(name: String) -> handles::Account {
        handles::Account::new(Account(name.len() as u64))
    }

    fn name(of: AccountBorrow<'_>) -> String {
        of.get::<Account>().0.to_string()
    }
}

bindings::export!(Scorer with_types_in bindings);
