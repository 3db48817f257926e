//! The embeddable wflo runtime: gate, executor, recovery.
