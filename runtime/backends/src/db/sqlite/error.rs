//! What SQLite's errors mean for a step.

use rusqlite::{Error, ErrorCode};
use wflo_ports::DbError;

/// Somebody else has the database, which passes.
pub(super) const LOCKED: &str = "the database is locked by another program; try again";

/// Translates an error of SQLite. Its messages name tables, columns and constraints, not values.
pub(super) fn translate(error: Error) -> DbError {
    let (code, message) = match error {
        Error::SqliteFailure(error, message) => (
            error.code,
            message.unwrap_or_else(|| rusqlite::ffi::code_to_str(error.extended_code).to_owned()),
        ),
        // The other fields repeat the statement, which may hold values.
        Error::SqlInputError { error, msg, .. } => (error.code, msg),
        Error::MultipleStatement => {
            return DbError::Invalid("more than one statement: send them one at a time".into());
        }
        Error::InvalidParameterCount(given, wanted) => return parameter_count(given, wanted),
        Error::NulError(_) => return DbError::Invalid("the statement holds a NUL character".into()),
        other => return DbError::Other(other.to_string()),
    };
    match code {
        ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch => DbError::Constraint(message),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => DbError::Unavailable(LOCKED.into()),
        ErrorCode::ReadOnly => DbError::Other(format!(
            "{message}: its file, and the folder that this is in, have to be writable"
        )),
        ErrorCode::CannotOpen | ErrorCode::SystemIoFailure | ErrorCode::DiskFull => {
            DbError::Unavailable(message)
        }
        ErrorCode::TooBig => DbError::Limit(message),
        ErrorCode::AuthorizationForStatementDenied => DbError::Denied(message),
        ErrorCode::Unknown | ErrorCode::ParameterOutOfRange => DbError::Invalid(message),
        _ => DbError::Other(message),
    }
}

/// The statement takes another number of parameters than were given.
pub(super) fn parameter_count(given: usize, wanted: usize) -> DbError {
    DbError::Invalid(format!("the statement takes {wanted} parameters, {given} were given"))
}
