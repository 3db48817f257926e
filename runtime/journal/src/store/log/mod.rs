//! The log of a generation: what every group changed, in order, in files that are only ever appended to.
//!
//! A group is durable by one sync of one file. Events live here as long as their generation does; everything else
//! that a record says is taken into the index below now and then, and read again from here after a crash.

mod files;
mod patch;
mod place;
mod record;
mod segment;
mod segments;
mod tail;

pub(super) use files::LogFiles;
pub(super) use place::Place;
pub(super) use record::{Change, Draft, Salt};
pub(super) use segments::Segments;
pub(super) use tail::{End, Tail};

/// The folder of a generation's log.
pub(super) const LOG: &str = "log";
/// How large a segment becomes before the next one is begun. A record is never cut: one that begins below this may end
/// above it.
pub(super) const SEGMENT: u32 = 64 << 20;

#[cfg(test)]
mod tests;
