//! The clinic of the clinical-decision-support example, the same one each time for the same seed.

mod case;
mod clinic;
mod random;
mod store;

use std::path::Path;

use anyhow::{Context, Result};

/// The seed of the clinic that the example's README and tape are about.
pub const SEED: u64 = 11;

/// How much was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Patients.
    pub patients: usize,
    /// Findings and notes about them.
    pub records: usize,
}

/// Writes the database. One that exists already is replaced, in one step: whoever opens it sees the old one or the
/// new one.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, seed: u64) -> Result<Written> {
    let clinic = clinic::Clinic::generate(seed);
    store::write(&clinic, path).with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(Written { patients: clinic.patients.len(), records: clinic.records.len() })
}

/// What each patient was given, by their number: the name of the illness, which is not in the database.
#[must_use]
pub fn truth(seed: u64) -> Vec<(i64, &'static str)> {
    let clinic = clinic::Clinic::generate(seed);
    clinic.patients.iter().map(|patient| (patient.id, patient.case)).collect()
}
