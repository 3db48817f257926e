//! PostgreSQL, with the grants of a step enforced by login roles and by what a statement is made of.
//!
//! # Two walls
//! A database is bound by a login role for reading and one for writing. The server holds them to their own privileges,
//! which are those of all steps together and no more: a role that is a superuser, passes by row level security, may make
//! roles or replicate is never lent, and `wflo check` looks at the rest ([`Postgres::walls`]). Within that, every
//! statement is taken apart before it is sent, and what is not on a list is refused: kinds of statements, tables by the
//! step's own grants, functions, types. What is sent is written anew from the tokens that were judged.
//!
//! # Transactions
//! A query is a read-only transaction of its own. A step's writes are one `REPEATABLE READ` transaction, whose first change
//! is a row in `wflo_effects`; each statement stands in a savepoint, so that one that fails leaves the rest. A statement
//! that loses against somebody else's (`40001`, `40P01`), or a connection that breaks, ends the transaction with
//! [`DbError::Interrupted`](wflo_ports::DbError::Interrupted): nothing of it has happened.
//!
//! # What is different from SQLite
//! - Tables and columns are named as PostgreSQL has them: in lower case unless they are quoted, and with their schema,
//!   as `schema.table`, where that is not the first of the role's search path.
//! - Views need a grant for themselves alone; what they read is their owner's to answer for.
//! - Foreign keys need no grants, and triggers run as PostgreSQL runs them, in a rollback too.
//! - `wflo_effects` and the triggers that keep changes are made by the owner: see [`Preparation`].
//!
//! PostgreSQL 13 is the oldest that has all this needs.

mod address;
mod bulk;
mod capture;
mod cursor;
mod database;
mod error;
mod images;
mod inserted;
mod judge;
mod login;
mod paged;
mod prepare;
mod roles;
mod some_rows;
mod table;
mod tls;
mod transaction;
mod undo;
mod undo_inserted;
mod value;

pub use database::{Postgres, PostgresOptions};
pub use prepare::Preparation;
pub use roles::Wall;
