//! The goals, one file each.

mod audit;
mod bulk;
mod calls;
mod command;
mod crowd;
mod decay;
mod memory;
mod moderation;
mod neighbours;
mod parked;
mod recovery;
mod resume;
mod sandbox;
mod sequence;

use std::pin::Pin;

use anyhow::{Result, bail};

use crate::args::Args;
use crate::row::Row;

/// One thing to measure.
pub(crate) struct Goal {
    pub(crate) name: &'static str,
    /// What is done, for who waits.
    pub(crate) says: &'static str,
    pub(crate) measure: for<'a> fn(&'a Args) -> Measuring<'a>,
}

/// What it comes to, once it is done.
type Measuring<'a> = Pin<Box<dyn Future<Output = Result<Vec<Row>>> + 'a>>;

macro_rules! goals {
    ($($name:ident: $says:literal,)*) => {
        &[$(Goal { name: stringify!($name), says: $says, measure: |args| Box::pin($name::measure(args)) },)*]
    };
}

/// All of them, in the order of the table.
pub(crate) const ALL: &[Goal] = goals! {
    sandbox: "an instance of a step, made and dropped",
    neighbours: "a trivial step beside a guest at its limits",
    sequence: "one run, its steps one after another",
    crowd: "64 runs at once of 10 steps each",
    decay: "200,000 steps in one store",
    calls: "calls of the host, 64 runs at once",
    memory: "calls of the host, in memory",
    resume: "a parked step with 1,000 calls goes on",
    parked: "100,000 parked runs",
    recovery: "kill -9 with 200 runs in flight",
    audit: "an audit file is verified",
    bulk: "1,000,000 rows inserted, read and taken away again",
    command: "`wflo run`, from its start to its end",
    moderation: "10,000 items moderated in one run",
};

/// Plays a part in another process's measurement.
pub(crate) async fn child(what: &str, rest: &[String]) -> Result<()> {
    match what {
        "bulk" => bulk::child(rest).await,
        "parked" => parked::child(rest).await,
        "recovery-before" => recovery::before(rest).await,
        "recovery-after" => recovery::after(rest).await,
        other => bail!("there is no part `{other}`"),
    }
}
