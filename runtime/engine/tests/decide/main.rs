//! Whole histories through `decide` and `apply`, without a host.

mod approvals;
mod driver;
mod interventions;
mod items;
mod policies;
mod steps;
mod undoing;
