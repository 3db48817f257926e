//! The records, one file each: encode, decode, golden bytes.

mod blocks;
mod chain;
mod codec;
mod event;
mod extents;
mod frame;
mod header;
mod row;

pub(crate) use blocks::{BLOCK, ItemBlocks, block_of};
pub(crate) use chain::{ChainState, WRAPPED_KEY};
pub(crate) use codec::Cursor;
pub use codec::Malformed;
pub(crate) use event::{BodyForm, EventRecord};
pub(crate) use extents::{Extents, put, take};
pub(crate) use frame::{CHECKSUM, frame, unframe};
pub use header::Header;
#[cfg(test)]
pub(crate) use header::tests::any_header;
pub use row::RunRow;
