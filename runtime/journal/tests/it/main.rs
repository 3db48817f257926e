//! The journal from outside: the contract of stores, sled's guards, the chain, audit files.

mod audit;
mod audit_golden;
mod chain;
mod contract;
mod contract_lists;
mod faults;
mod guards;
mod power;
mod process;
mod prune;
mod records;
mod support;
mod tree;
