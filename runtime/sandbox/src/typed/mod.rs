//! Functions of a component's own types as steps: JSON to the values of WIT, and back.
//!
//! What JSON a type has is said once, in `docs/components.md`; [`lower`] reads it, [`lift`] writes it, [`schema`]
//! describes it, and all three follow a [`Shape`], which is all of a type that matters to them.

mod function;
mod lift;
mod lower;
mod schema;
mod shape;
mod text;

pub use function::FunctionError;
pub(crate) use function::{Exports, TypedFunction};
