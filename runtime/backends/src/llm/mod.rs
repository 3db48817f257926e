//! Language models: one module each.
