//! The index: passages in SQLite, with the words of each in FTS5.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, TransactionBehavior, params};
use wflo_model::Digest;
use wflo_ports::Passage;

use super::passages::Piece;
use crate::wal::to_wal;

/// The form of the index. Another one, or a damaged one, is made anew: all of it comes of the documents.
const VERSION: i64 = 1;
/// How long one process waits for another that brings the index up to date.
const BUSY: Duration = Duration::from_secs(30);
/// Most different words of a question that are looked for.
const MOST_WORDS: usize = 64;

const SCHEMA: &str = "
    CREATE TABLE documents (
        id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, modified INTEGER NOT NULL, size INTEGER NOT NULL,
        digest TEXT NOT NULL
    );
    CREATE TABLE passages (
        id INTEGER PRIMARY KEY, document INTEGER NOT NULL, number INTEGER NOT NULL, title TEXT NOT NULL,
        text TEXT NOT NULL
    );
    CREATE INDEX passages_of ON passages (document);
    CREATE VIRTUAL TABLE words USING fts5 (
        title, text, content = '', contentless_delete = 1, tokenize = 'porter unicode61 remove_diacritics 2'
    );";

/// What the file system says of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// When it was changed, in nanoseconds since 1970.
    pub(super) modified: i64,
    pub(super) size: i64,
}

/// A document as it was read.
pub(super) struct Document {
    pub(super) digest: Digest,
    pub(super) pieces: Vec<Piece>,
}

/// An open index.
pub(super) struct Index(Connection);

impl Index {
    /// Opens the index in this file, and makes it if it is not there, or is of no use.
    pub(super) fn open(path: &Path) -> rusqlite::Result<Self> {
        match Self::try_open(path) {
            Err(error) if is_damaged(&error) => {
                tracing::warn!(path = %path.display(), %error, "the index of a knowledge base is made anew");
                for end in ["", "-wal", "-shm"] {
                    let mut name = path.as_os_str().to_owned();
                    name.push(end);
                    // One that is not there need not be removed.
                    let _ = std::fs::remove_file(name);
                }
                Self::try_open(path)
            }
            opened => opened,
        }
    }

    /// An index that is gone when it is dropped.
    pub(super) fn in_memory() -> rusqlite::Result<Self> {
        Self::prepared(Connection::open_in_memory()?)
    }

    fn try_open(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        to_wal(&connection, BUSY)?;
        // What a crash takes from it is made again.
        connection.pragma_update(None, "synchronous", "normal")?;
        Self::prepared(connection)
    }

    fn prepared(mut connection: Connection) -> rusqlite::Result<Self> {
        let version = |connection: &Connection| {
            connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))
        };
        if version(&connection)? != VERSION {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // Another process may have been faster.
            if version(&transaction)? != VERSION {
                transaction.execute_batch(
                    "DROP TABLE IF EXISTS words; DROP TABLE IF EXISTS passages; DROP TABLE IF EXISTS documents;",
                )?;
                transaction.execute_batch(SCHEMA)?;
                transaction.pragma_update(None, "user_version", VERSION)?;
            }
            transaction.commit()?;
        }
        Ok(Self(connection))
    }

    /// The documents that are in it.
    pub(super) fn stamps(&self) -> rusqlite::Result<BTreeMap<String, Stamp>> {
        stamps(&self.0)
    }

    /// Brings it to what the folder holds: `found` has what there is, and `read` reads one. Nothing of it is seen before
    /// all of it is there.
    pub(super) fn update<E: From<rusqlite::Error>>(
        &mut self,
        found: &BTreeMap<String, Stamp>,
        read: impl Fn(&str) -> Result<Document, E>,
    ) -> Result<(), E> {
        let transaction = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // By now, since another process may have brought it there.
        let known = stamps(&transaction)?;
        for path in known.keys().filter(|path| !found.contains_key(*path)) {
            forget(&transaction, path)?;
            transaction.execute("DELETE FROM documents WHERE path = ?1", [path])?;
        }
        for (path, stamp) in found.iter().filter(|(path, stamp)| known.get(*path) != Some(stamp)) {
            put(&transaction, path, *stamp, &read(path)?)?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// The passages that fit these words best.
    pub(super) fn search(&self, query: &str, top: usize) -> rusqlite::Result<Vec<Passage>> {
        let Some(words) = expression(query) else { return Ok(Vec::new()) };
        // A word in the title says more than one in the text. FTS5 gives what is better as less.
        let mut found = self.0.prepare_cached(
            "SELECT documents.path, passages.number, passages.title, passages.text, -bm25(words, 3.0, 1.0) AS score
             FROM words JOIN passages ON passages.id = words.rowid
             JOIN documents ON documents.id = passages.document
             WHERE words MATCH ?1 ORDER BY score DESC, documents.path, passages.number LIMIT ?2",
        )?;
        let top = i64::try_from(top).unwrap_or(i64::MAX);
        let rows = found.query_map(params![words, top], |row| {
            let (path, number): (String, i64) = (row.get(0)?, row.get(1)?);
            Ok(Passage {
                source: format!("{path}#{number}"),
                title: row.get(2)?,
                text: row.get(3)?,
                score: row.get(4)?,
            })
        })?;
        rows.collect()
    }
}

fn stamps(connection: &Connection) -> rusqlite::Result<BTreeMap<String, Stamp>> {
    let mut all = connection.prepare_cached("SELECT path, modified, size FROM documents")?;
    let rows =
        all.query_map([], |row| Ok((row.get(0)?, Stamp { modified: row.get(1)?, size: row.get(2)? })))?;
    rows.collect()
}

fn forget(connection: &Connection, path: &str) -> rusqlite::Result<()> {
    let of =
        "SELECT passages.id FROM passages JOIN documents ON documents.id = passages.document WHERE path = ?1";
    connection.execute(&format!("DELETE FROM words WHERE rowid IN ({of})"), [path])?;
    connection.execute(&format!("DELETE FROM passages WHERE id IN ({of})"), [path])?;
    Ok(())
}

fn put(connection: &Connection, path: &str, stamp: Stamp, document: &Document) -> rusqlite::Result<()> {
    let Document { digest, pieces } = document;
    let digest = digest.to_string();
    let same = connection.execute(
        "UPDATE documents SET modified = ?2, size = ?3 WHERE path = ?1 AND digest = ?4",
        params![path, stamp.modified, stamp.size, digest],
    )?;
    // It was touched, and says what it said.
    if same > 0 {
        return Ok(());
    }
    forget(connection, path)?;
    let id: i64 = connection.query_row(
        "INSERT INTO documents (path, modified, size, digest) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (path) DO UPDATE SET modified = ?2, size = ?3, digest = ?4 RETURNING id",
        params![path, stamp.modified, stamp.size, digest],
        |row| row.get(0),
    )?;
    for (number, Piece { title, text }) in (1_i64..).zip(pieces) {
        connection.execute(
            "INSERT INTO passages (document, number, title, text) VALUES (?1, ?2, ?3, ?4)",
            params![id, number, title, text],
        )?;
        let passage = connection.last_insert_rowid();
        connection.execute(
            "INSERT INTO words (rowid, title, text) VALUES (?1, ?2, ?3)",
            params![passage, title, text],
        )?;
    }
    Ok(())
}

/// A question as FTS5 wants it: any of its words, each in quotes, so that no sign and no word of it is an operator. None
/// where it has no word.
fn expression(query: &str) -> Option<String> {
    let words = query.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let mut seen = BTreeSet::new();
    let distinct = words.map(str::to_lowercase).filter(|word| seen.insert(word.clone())).take(MOST_WORDS);
    let quoted: Vec<_> = distinct.map(|word| format!("\"{word}\"")).collect();
    (!quoted.is_empty()).then(|| quoted.join(" OR "))
}

/// Whether a file is no index, or no longer one.
fn is_damaged(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

#[cfg(test)]
mod tests {
    use super::expression;

    #[test]
    fn a_question_is_words_and_nothing_else() {
        let read = |query: &str| expression(query).unwrap_or_default();
        assert_eq!(read("How do I return shoes?"), r#""how" OR "do" OR "i" OR "return" OR "shoes""#);
        assert_eq!(read(r#"title:x AND "y" NOT (z*) NEAR/2 ^a"#), {
            r#""title" OR "x" OR "and" OR "y" OR "not" OR "z" OR "near" OR "2" OR "a""#
        });
        assert_eq!(read("Größe größe GRÖSSE"), r#""größe" OR "grösse""#);
        assert_eq!(read("?! \"' -- ; \u{0}"), "");
        assert_eq!(read(&"w ".repeat(500)), r#""w""#);
        let many: String = (0..500).map(|n| format!("w{n} ")).collect();
        assert_eq!(read(&many).matches(" OR ").count(), super::MOST_WORDS - 1);
    }
}
