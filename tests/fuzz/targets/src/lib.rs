//! What strangers write and wflo reads, thrown at its readers.
//!
//! Each [target](TARGETS) takes bytes and panics where something that must hold does not. libFuzzer drives them by
//! `cargo xtask fuzz`, on a nightly compiler and for as long as one likes; [`play`] drives them in the ordinary tests,
//! on the stable one, with mutations of the committed corpus that are the same each time.

mod audit;
mod deployment;
mod http;
mod manifest;
mod mutate;
mod policy;
mod record;
mod sql;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use mutate::Mutator;

/// What reads bytes, and panics where something that must hold does not.
pub type Target = fn(&[u8]);

/// Every target, by its name: a folder of `corpus`, and a file of `fuzz_targets`.
pub const TARGETS: &[(&str, Target)] = &[
    ("audit", audit::read),
    ("deployment", deployment::read),
    ("http", http::read),
    ("manifest", manifest::read),
    ("policy", policy::read),
    ("record", record::read),
    ("sql", sql::read),
];

/// Gives a target every seed as it is, and then `rounds` mutations of them.
///
/// # Panics
/// With the bytes under which the target panicked.
pub fn play(target: Target, seeds: &[Vec<u8>], rounds: u32) {
    let mut mutator = Mutator::new(seeds);
    let mutated = (0..rounds).map(|_| mutator.next_input());
    for input in seeds.iter().cloned().chain(mutated) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(&input))) {
            let words = panic.downcast_ref::<String>().cloned();
            let words = words.or_else(|| panic.downcast_ref::<&str>().map(|&words| words.to_owned()));
            panic!(
                "{}\nunder the input b\"{}\"",
                words.unwrap_or_else(|| "the target panicked".to_owned()),
                input.escape_ascii()
            );
        }
    }
}

/// The part of some bytes that is text; most readers take nothing else, and never see the rest.
fn text(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).expect("that much of it is text"),
    }
}
