//! Deterministic simulation of wflo.
//!
//! A [`Scenario`] is made from a seed: a random workflow with scripted steps, people who vote late and twice, databases,
//! models and channels that fail, a clock that is set back, and the moments at which the process is killed. [`play`] runs it,
//! process after process, on one thread and in virtual time, with the real runtime, engine and journal on a simulated
//! disk. After each process everything that is durable is held against what must always be so:
//!
//! | property | what it says |
//! |---|---|
//! | the journal is whole | every event reads back, in an unbroken chain, and folds |
//! | indexes follow the log | what a run's row says is what its events say |
//! | money | `settled - overrun + held <= limit` after every event, of the run and of the day; no call is admitted over the limit; nothing is held in the end, and fuel is charged once |
//! | nothing finished runs again | attempts follow one another, begin when they may, and nothing happens to what has ended |
//! | approvals | eligible votes in time decide; what is consumed was given, is good, and is still carried |
//! | no outcome twice | a model is not asked again after a recorded answer, and never without a durable intent |
//! | writes exactly once | databases hold exactly what the steps that succeeded wrote, and nothing of others |
//! | undone once | a rollback undoes what the run's steps committed, each once, newest first, and no write of others; the journal says what came of it |
//! | policies | what they refuse or ask about does not pass without them |
//! | people are told | what was to be told is told when the channel answers, and nothing that is not durable |
//! | promises are kept | what anybody was told is durable |
//! | one writer | no append is refused |
//! | nothing is stuck | every run ends, or stands still waiting for something that is named |
//! | scripts do the same again | no resume diverges |
//! | people are served | no operation fails for a reason of wflo's own |
//! | replay is identical | every attempt that ended replays to the same end |
//! | same seed, same bytes | a scenario played twice leaves the same journal |

mod channel;
mod check;
mod database;
mod draw;
mod history;
mod language_model;
mod plan;
mod process;
mod rng;
mod scenario;
mod script;
mod shrink;
mod site;
mod store;
mod told;
mod undone;
mod words;
mod world;

pub use history::{Played, Violation, play};
pub use rng::Rng;
pub use scenario::{Action, Asking, Crash, Does, End, Fault, Hears, Op, Rule, Scenario, Step, Timed, Wrong};
pub use shrink::{judge, shrink};
