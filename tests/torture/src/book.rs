//! The database of the workflow, in which every effect leaves a trace: a row that cannot be there twice, a number that shows
//! how often it was raised, and the database's own count.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::ValueEnum;
use wflo_test_postgres::Database;

/// How long the torturer waits for the database, which `wflo` may have locked.
const PATIENCE: Duration = Duration::from_secs(120);

/// Which database keeps the effects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    #[default]
    Sqlite,
    Postgres,
}

const SQLITE: &str = "
    CREATE TABLE effects (run TEXT, step TEXT, item INTEGER, PRIMARY KEY (run, step, item)) WITHOUT ROWID;
    CREATE TABLE tally (step TEXT, item INTEGER, n INTEGER, PRIMARY KEY (step, item)) WITHOUT ROWID;
    CREATE TABLE counted (run TEXT, step TEXT, item INTEGER);
    CREATE TRIGGER count AFTER INSERT ON effects
    BEGIN INSERT INTO counted VALUES (new.run, new.step, new.item); END;";

const POSTGRES: &str = "
    CREATE TABLE effects (run text, step text, item int, PRIMARY KEY (run, step, item));
    CREATE TABLE tally (step text, item int, n int, PRIMARY KEY (step, item));
    CREATE TABLE counted (run text, step text, item int);
    CREATE FUNCTION count_effect() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN INSERT INTO public.counted VALUES (NEW.run, NEW.step, NEW.item); RETURN NULL; END $$;
    CREATE TRIGGER count AFTER INSERT ON effects FOR EACH ROW EXECUTE FUNCTION count_effect();";

/// Where it is.
pub(crate) enum Book {
    Sqlite(PathBuf),
    Postgres(Database),
}

impl Book {
    /// Makes it, with a number for each step and item.
    pub(crate) fn make(kind: Kind, folder: &Path, items: u32) -> Result<Self> {
        let numbers = ["each", "flaky", "ask", "guarded"].iter().flat_map(|step| {
            (0..=items).map(move |item| format!("INSERT INTO tally VALUES ('{step}', {item}, 0);"))
        });
        let numbers: String = numbers.collect();
        match kind {
            Kind::Sqlite => {
                let path = folder.join("book.db");
                rusqlite::Connection::open(&path)?.execute_batch(&format!("{SQLITE}{numbers}"))?;
                Ok(Self::Sqlite(path))
            }
            Kind::Postgres => {
                let database = wflo_test_postgres::try_database().map_err(|why| anyhow!(why))?;
                database.sql(&format!("{POSTGRES}{numbers}"));
                Ok(Self::Postgres(database))
            }
        }
    }

    /// How `wflo.toml` binds it.
    pub(crate) fn binding(&self) -> String {
        match self {
            Self::Sqlite(_) => "url = \"sqlite:book.db\"".into(),
            Self::Postgres(it) => {
                format!("read_url = \"{}\"\nwrite_url = \"{}\"", it.url("read"), it.url("write"))
            }
        }
    }

    /// The address of its owner, where that is somebody.
    pub(crate) fn owner(&self) -> Option<String> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(database) => Some(database.url("owner")),
        }
    }

    /// The rows of a query, each with `|` between its values.
    pub(crate) fn rows(&self, sql: &str) -> Result<Vec<String>> {
        match self {
            Self::Sqlite(path) => {
                let book = rusqlite::Connection::open(path)?;
                book.busy_timeout(PATIENCE)?;
                let mut statement = book.prepare(sql)?;
                let width = statement.column_count();
                let row = |row: &rusqlite::Row<'_>| -> rusqlite::Result<String> {
                    let value = |at| {
                        Ok(match row.get_ref(at)? {
                            rusqlite::types::ValueRef::Integer(n) => n.to_string(),
                            rusqlite::types::ValueRef::Text(text) => {
                                String::from_utf8_lossy(text).into_owned()
                            }
                            _ => String::new(),
                        })
                    };
                    (0..width).map(value).collect::<rusqlite::Result<Vec<_>>>().map(|values| values.join("|"))
                };
                let rows = statement.query_map([], row)?.collect::<rusqlite::Result<_>>();
                rows.context("the rows of the book")
            }
            Self::Postgres(database) => Ok(database.sql(sql).lines().map(ToOwned::to_owned).collect()),
        }
    }
}
