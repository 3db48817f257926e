//! The journal from outside: the contract of stores, log and index, sled's guards, the chain, audit files.

mod audit;
mod audit_golden;
mod chain;
mod contract;
mod contract_lists;
mod faults;
mod guards;
mod log;
mod log_golden;
mod on_disk;
mod power;
mod process;
mod prune;
mod records;
mod support;
mod tree;
mod upgrade;
