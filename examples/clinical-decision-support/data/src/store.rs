//! The clinic as an SQLite file.

use std::path::Path;
use std::{fs, io};

use anyhow::{Context, Result};
use rusqlite::{Connection, params};

use crate::clinic::Clinic;

const SCHEMA: &str = "
    CREATE TABLE patients (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        born TEXT NOT NULL,
        sex TEXT NOT NULL,
        address TEXT NOT NULL,
        insurance TEXT NOT NULL UNIQUE
    ) STRICT;

    CREATE TABLE patient_records (
        id INTEGER PRIMARY KEY,
        patient_id INTEGER NOT NULL REFERENCES patients (id),
        at TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('complaint', 'vital', 'lab', 'allergy', 'medication')),
        finding TEXT NOT NULL,
        value TEXT,
        unit TEXT,
        recorded_by TEXT NOT NULL
    ) STRICT;

    CREATE INDEX patient_records_by_patient ON patient_records (patient_id, at);

    CREATE TABLE treatment_plans (
        id INTEGER PRIMARY KEY,
        patient_id INTEGER NOT NULL REFERENCES patients (id),
        run TEXT NOT NULL UNIQUE,
        diagnosis TEXT NOT NULL,
        plan TEXT NOT NULL,
        approved_by TEXT NOT NULL,
        status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'withdrawn'))
    ) STRICT;
";

/// Writes the clinic to a new file beside `path`, and puts it in the place of whatever is there.
pub(crate) fn write(clinic: &Clinic, path: &Path) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let file = tempfile::Builder::new().prefix(".clinic-").tempfile_in(folder).context("a file beside it")?;
    fill(clinic, file.path())?;
    file.as_file().sync_all()?;
    // A log of the old database must not be taken for one of the new.
    for log in ["-wal", "-shm", "-journal"] {
        let mut log_path = path.as_os_str().to_owned();
        log_path.push(log);
        match fs::remove_file(&log_path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    file.persist(path)?;
    Ok(())
}

fn fill(clinic: &Clinic, path: &Path) -> Result<()> {
    let mut connection = Connection::open(path)?;
    connection.execute_batch(SCHEMA)?;
    let transaction = connection.transaction()?;
    {
        let mut insert = transaction.prepare(
            "INSERT INTO patients (id, name, born, sex, address, insurance) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        for it in &clinic.patients {
            insert.execute(params![it.id, it.name, it.born, it.sex, it.address, it.insurance])?;
        }
        let mut insert = transaction.prepare(
            "INSERT INTO patient_records (patient_id, at, kind, finding, value, unit, recorded_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        for it in &clinic.records {
            insert.execute(params![it.patient, it.at, it.kind, it.finding, it.value, it.unit, it.by])?;
        }
    }
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_equal_files_and_replaces_an_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one.db"), folder.path().join("two.db"));
        let clinic = Clinic::generate(11);
        write(&clinic, &one).unwrap();
        write(&clinic, &two).unwrap();
        assert!(fs::read(&one).unwrap() == fs::read(&two).unwrap(), "the same clinic makes the same bytes");
        Connection::open(&one).unwrap().execute("DELETE FROM patient_records", []).unwrap();
        write(&clinic, &one).unwrap();
        assert!(fs::read(&one).unwrap() == fs::read(&two).unwrap(), "it is as it was");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside the databases");
    }
}
