//! Audit files.
