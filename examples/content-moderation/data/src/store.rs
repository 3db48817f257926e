//! The items as a file, and the site's table of them.

use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::{fs, io};

use anyhow::{Context, Result};
use rusqlite::{Connection, params};
use serde_json::json;

use crate::content::Item;

const SCHEMA: &str = "
    CREATE TABLE content (
        id INTEGER PRIMARY KEY,
        length INTEGER NOT NULL,
        status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'approved', 'blocked')),
        decided_by TEXT
    ) STRICT;
";

/// Writes both anew.
pub(crate) fn write(folder: &Path, items: &[Item]) -> Result<()> {
    let inbox = folder.join("inbox");
    fs::create_dir_all(&inbox).with_context(|| format!("`{}`", inbox.display()))?;
    let path = inbox.join("content.jsonl");
    let mut file = BufWriter::new(fs::File::create(&path).with_context(|| format!("`{}`", path.display()))?);
    for item in items {
        writeln!(file, "{}", json!({ "content_id": item.id, "text": item.text }))?;
    }
    file.flush()?;
    let path = folder.join("site.db");
    table(&path, items).with_context(|| format!("`{}`", path.display()))
}

fn table(path: &Path, items: &[Item]) -> Result<()> {
    // A log of the old database must not be taken for one of the new.
    for end in ["", "-wal", "-shm", "-journal"] {
        let mut file = path.as_os_str().to_owned();
        file.push(end);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    let mut connection = Connection::open(path)?;
    connection.execute_batch(SCHEMA)?;
    let transaction = connection.transaction()?;
    {
        let mut insert = transaction.prepare("INSERT INTO content (id, length) VALUES (?1, ?2)")?;
        for item in items {
            let (id, length) = (i64::try_from(item.id)?, i64::try_from(item.text.len())?);
            insert.execute(params![id, length])?;
        }
    }
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::generate;

    #[test]
    fn both_have_every_item_and_are_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        for count in [30, 20] {
            write(folder.path(), &generate(7, count)).unwrap();
            let lines = fs::read_to_string(folder.path().join("inbox/content.jsonl")).unwrap();
            assert_eq!(lines.lines().count(), count);
            let site = Connection::open(folder.path().join("site.db")).unwrap();
            let sql = "SELECT count(*) FROM content WHERE status = 'pending' AND decided_by IS NULL";
            let pending: i64 = site.query_row(sql, [], |row| row.get(0)).unwrap();
            assert_eq!(usize::try_from(pending), Ok(count));
        }
    }
}
