//! The bank as an SQLite file.

use std::path::Path;
use std::{fs, io};

use anyhow::{Context, Result};
use rusqlite::{Connection, params};

use crate::bank::{Bank, PROCESSED_UNTIL};
use crate::business::timestamp;

const SCHEMA: &str = "
    CREATE TABLE accounts (
        id TEXT PRIMARY KEY,
        holder TEXT NOT NULL,
        country TEXT NOT NULL,
        opened TEXT NOT NULL,
        status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'blocked', 'closed'))
    ) STRICT;

    CREATE TABLE transactions (
        id INTEGER PRIMARY KEY,
        account_id TEXT NOT NULL REFERENCES accounts (id),
        at TEXT NOT NULL,
        amount_cents INTEGER NOT NULL,
        merchant TEXT NOT NULL,
        country TEXT NOT NULL,
        channel TEXT NOT NULL CHECK (channel IN ('pos', 'online', 'atm', 'transfer', 'cash_deposit')),
        card_present INTEGER NOT NULL CHECK (card_present IN (0, 1)),
        processed INTEGER NOT NULL DEFAULT 0 CHECK (processed IN (0, 1))
    ) STRICT;

    CREATE INDEX transactions_by_account ON transactions (account_id, at);
    CREATE INDEX transactions_by_time ON transactions (processed, at);
";

/// Writes the bank to a new file beside `path`, and puts it in the place of whatever is there.
pub(crate) fn write(bank: &Bank, path: &Path) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let file = tempfile::Builder::new().prefix(".bank-").tempfile_in(folder).context("a file beside it")?;
    fill(bank, file.path())?;
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

fn fill(bank: &Bank, path: &Path) -> Result<()> {
    let mut connection = Connection::open(path)?;
    connection.execute_batch(SCHEMA)?;
    let transaction = connection.transaction()?;
    {
        let mut insert = transaction
            .prepare("INSERT INTO accounts (id, holder, country, opened) VALUES (?1, ?2, ?3, ?4)")?;
        for account in &bank.accounts {
            insert.execute(params![account.id, account.holder, account.country, account.opened])?;
        }
        let mut insert = transaction.prepare(
            "INSERT INTO transactions
                 (account_id, at, amount_cents, merchant, country, channel, card_present, processed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        for one in &bank.transactions {
            let processed = one.at < PROCESSED_UNTIL;
            insert.execute(params![
                one.account,
                timestamp(one.at),
                one.amount_cents,
                one.merchant,
                one.country,
                one.channel,
                one.card_present(),
                processed
            ])?;
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
        let bank = Bank::generate(7);
        write(&bank, &one).unwrap();
        write(&bank, &two).unwrap();
        assert!(fs::read(&one).unwrap() == fs::read(&two).unwrap(), "the same bank makes the same bytes");

        Connection::open(&one).unwrap().execute("UPDATE accounts SET status = 'blocked'", []).unwrap();
        fs::write(folder.path().join("one.db-wal"), "stale").unwrap();
        write(&bank, &one).unwrap();
        assert!(!folder.path().join("one.db-wal").exists());
        let count = |sql: &str| -> i64 {
            Connection::open(&one).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
        };
        assert_eq!(count("SELECT count(*) FROM accounts WHERE status = 'active'"), 500);
        assert_eq!(count("SELECT count(*) FROM transactions"), 20_000);
        assert_eq!(count("SELECT count(*) FROM transactions WHERE (at < '2026-01-01') <> processed"), 0);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside the databases");
    }
}
