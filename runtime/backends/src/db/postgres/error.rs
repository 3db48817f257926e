//! What PostgreSQL's errors mean for a step.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;
use wflo_ports::DbError;

const TOO_LONG: &str = "the statement ran longer than it may";

/// What an error says that is of the values which a statement was about, so that the same with others may do: no trouble
/// with the connection, with what others do at the same time, or with time, which stay errors.
pub(super) fn of_values(error: DbError) -> Result<String, DbError> {
    match error {
        DbError::Constraint(message) | DbError::Denied(message) | DbError::Invalid(message) => Ok(message),
        DbError::Limit(message) if message != TOO_LONG => Ok(message),
        other => Err(other),
    }
}

/// Translates an error of a statement. Details, which hold values, are left out.
///
/// [`DbError::Interrupted`] says that the transaction is gone.
pub(super) fn translate(error: Error) -> DbError {
    let Some(db) = error.as_db_error() else {
        let message = with_cause(&error);
        return match error.is_closed() || is_io(&error) {
            true => DbError::Interrupted(format!("the connection to the database was lost: {message}")),
            false => DbError::Other(message),
        };
    };
    let (code, message) = (db.code(), db.message().to_owned());
    if *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED {
        return DbError::Interrupted(format!(
            "somebody else changed the same rows at the same time: {message}"
        ));
    }
    if *code == SqlState::INSUFFICIENT_PRIVILEGE && message.starts_with("permission denied for ") {
        return DbError::Denied(format!(
            "{message}; `wflo db prepare` gives the login role what steps are granted"
        ));
    }
    if *code == SqlState::INSUFFICIENT_PRIVILEGE || *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        return DbError::Denied(message);
    }
    if *code == SqlState::QUERY_CANCELED {
        return DbError::Limit(TOO_LONG.into());
    }
    if *code == SqlState::LOCK_NOT_AVAILABLE {
        return DbError::Unavailable(
            "another program holds a lock on the rows or the table, and was waited for in vain; it can be tried again".into(),
        );
    }
    match &code.code()[..2] {
        "23" | "P0" | "44" => DbError::Constraint(message),
        // Such messages repeat the value.
        "22" => DbError::Invalid(unfit(code, message)),
        "42" | "0A" | "21" | "26" | "34" => DbError::Invalid(message),
        "54" => DbError::Limit(message),
        "40" | "57" | "08" | "58" => DbError::Interrupted(format!("the database gave up: {message}")),
        "53" | "55" => DbError::Unavailable(message),
        _ => DbError::Other(message),
    }
}

/// Translates what comes of asking outside a transaction of a step: whatever was lost can be asked again.
pub(super) fn unavailable(error: DbError) -> DbError {
    match error {
        DbError::Interrupted(message) => DbError::Unavailable(message),
        other => other,
    }
}

/// An error whose message may repeat a value, without it.
fn unfit(code: &SqlState, message: String) -> String {
    let without_values = [
        SqlState::DIVISION_BY_ZERO,
        SqlState::STRING_DATA_RIGHT_TRUNCATION,
        SqlState::CHARACTER_NOT_IN_REPERTOIRE,
    ];
    match without_values.contains(code) {
        true => message,
        false => format!("a value is none of its type, or out of its range ({})", code.code()),
    }
}

fn is_io(error: &Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.is::<std::io::Error>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// An error and what it came of. Neither has the address, which may hold a password.
pub(super) fn with_cause(error: &Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(db), _) => db.message().to_owned(),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}

/// The statement takes another number of parameters than were given.
pub(super) fn parameter_count(given: usize, wanted: usize) -> DbError {
    DbError::Invalid(format!("the statement takes {wanted} parameters, {given} were given"))
}
