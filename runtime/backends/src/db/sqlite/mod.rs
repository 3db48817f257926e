//! SQLite, with the grants of a step enforced by SQLite's own authorizer.
//!
//! # What a step can reach
//! SQLite asks an authorizer about every table, column, function and kind of statement while it compiles a
//! statement, after names are resolved. [`Sqlite`] answers *no* to whatever is not allowed here:
//!
//! | asked | allowed when |
//! |---|---|
//! | read a column | `read` names the table, and the column where it names columns |
//! | count rows, without any column | `read` names the table |
//! | insert, delete | `write` names the whole table |
//! | update a column | `write` names the table, and the column where it names columns |
//! | call a function | it is one of the built-in functions that compute from their arguments alone |
//! | `json_each`, `json_tree` | always: they read their argument |
//! | schema tables, `wflo_effects`, pragmas (as functions too), `ATTACH`, `EXPLAIN`, DDL, temporary objects, transactions, savepoints, extensions, `VACUUM` | never, whatever the grant says |
//!
//! A statement is one statement; statements of [`query`](wflo_ports::Database::query) only read.
//!
//! - **Views** need a grant for the view *and* for what it reads. SQLite does tell the authorizer through
//!   which view a table is reached, but the same field carries the name of a common table expression, which
//!   the guest chooses, so it proves nothing.
//! - **Rows**: where a grant names rows (`where`), the step finds these under the table's name, and no others: it meets a
//!   temporary view there, or where it writes, a temporary table whose changes are carried over. The table itself
//!   (`main.patients`) is closed, through views and foreign keys of other tables too. A constraint can still tell that a
//!   row which the step cannot see has some value, when it wants to write the same where that must be unique.
//! - **Triggers** of the database are its owner's code and run as part of the write that fires them, without
//!   grants of the step. They too are told apart by name, so a trigger is taken for one only if its name
//!   cannot have come from the statement: it is made of ASCII letters, digits and `_`, no table or view has
//!   it, and it does not occur in the statement's text. Otherwise what it touches needs grants. Triggers
//!   never touch `wflo_effects` while a guest writes.
//! - **Joins by `USING` or `NATURAL`** need grants for all columns of every table the statement names, since
//!   SQLite compares the columns of such a join without asking the authorizer: with nothing but a guess of a
//!   value, a step could otherwise find out whether a row has it. `ON` has no such limit.
//! - **Foreign keys** are enforced. Checking one reads the other table's key, and `ON DELETE CASCADE` deletes
//!   there: SQLite asks as if the statement did so itself, so the step needs these grants.
//! - **Column grants** for writing do not add or remove rows: `UPDATE OR REPLACE`, which can remove some, needs
//!   a grant for the whole table.
//! - `random` and `randomblob` work outside a transaction only, whether a statement, a default or a trigger calls them:
//!   inside, statements may have to be executed again with equal results. The time functions work everywhere; pass the step's own time as a parameter
//!   where a redo must write the same.
//! - A statement that has failed changes nothing, and the transaction goes on; but a write that ran into its
//!   time limit, `OR ROLLBACK`, and a trigger's `RAISE(ROLLBACK)` make SQLite end the transaction. Whatever
//!   follows in it then fails, its commit included.
//! - Double-quoted text is a name, never a string.
//!
//! Errors name tables and columns, never values.

mod authorize;
mod capture;
mod connection;
mod database;
mod deferred;
mod effects;
mod error;
mod fence;
mod filter;
mod functions;
mod names;
mod paged;
mod schema;
mod stage;
mod table;
mod text;
mod transaction;
mod undo;
mod value;

pub use database::{Sqlite, SqliteOptions};
