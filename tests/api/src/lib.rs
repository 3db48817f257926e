//! Lists what a crate offers to others, from its source: every public item, at every path at which it can be named, with
//! its signature.
//!
//! It follows modules and `pub use` as the compiler does, as far as crates that keep to one style need it. Types are as
//! they are written, not as they resolve. What macros make is listed by the public parts of the macro; what blanket
//! implementations and auto traits add is not listed.

mod source;
mod surface;
mod tidy;

pub use source::Source;
