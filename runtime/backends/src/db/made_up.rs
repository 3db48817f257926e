//! Columns whose values a database makes up by itself, anew each time a row is inserted.
//!
//! What a step has written is redone after a wait or a crash. A row with such a column is another one then, so that what
//! people have approved is never what would commit.

/// A column with such a default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeUp {
    /// The table, as it was asked for.
    pub table: String,
    /// The column.
    pub column: String,
    /// Where its value comes from, as the database writes it: `now()`.
    pub from: String,
}

/// What stands in the default of a column that is another value each time; in lower case.
const ANEW: &[&str] = &[
    "current_date",
    "current_time",
    "localtime",
    "now()",
    "'now'",
    "clock_timestamp()",
    "statement_timestamp()",
    "transaction_timestamp()",
    "timeofday()",
    "nextval(",
    "random",
    "uuid_generate",
    "uuidv",
    "txid_current",
    "pg_current_xact_id",
    // SQLite's functions of time, where they are given none.
    "date()",
    "datetime()",
    "time()",
    "julianday()",
    "unixepoch()",
];

/// Whether a default, as the schema has it, is another value each time. A plain text is none, whatever it says.
pub(super) fn is_made_up(default: &str) -> bool {
    let default = default.trim().to_ascii_lowercase();
    let is_text = default.strip_prefix('\'').and_then(|rest| rest.find('\'')).is_some_and(|end| {
        // A cast may follow, as PostgreSQL writes it.
        let rest = &default[end + 2..];
        rest.is_empty() || rest.starts_with("::")
    });
    !is_text && ANEW.iter().any(|made_up| default.contains(made_up))
}

/// Whether a default, as the schema has it, is a plain value, maybe with a cast: it calls nothing.
pub(super) fn is_constant(default: &str) -> bool {
    let default = default.trim().to_ascii_lowercase();
    let default = default.trim_start_matches('(');
    let rest = match default.strip_prefix('\'') {
        Some(text) => {
            let text = text.replace("''", "");
            let Some((_, rest)) = text.split_once('\'') else { return false };
            rest.to_owned()
        }
        None => {
            let is_word = ["true", "false"].iter().any(|word| default.starts_with(word));
            let is_number = default.trim_start_matches(['-', '+']).starts_with(|c: char| c.is_ascii_digit());
            if !is_word && !is_number {
                return false;
            }
            default.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "+-.".contains(c)).to_owned()
        }
    };
    let rest = rest.trim_start_matches(')');
    rest.is_empty()
        || rest.starts_with("::") && rest.chars().all(|c| c.is_alphanumeric() || " _:\".,()[]".contains(c))
}

#[cfg(test)]
mod tests {
    use super::{is_constant, is_made_up};

    #[test]
    fn what_is_another_value_each_time_is_told_from_what_is_not() {
        for default in [
            "now()",
            "CURRENT_TIMESTAMP",
            "(datetime('now'))",
            "(strftime('%s', 'now'))",
            "nextval('t_id_seq'::regclass)",
            "gen_random_uuid()",
            "(CURRENT_DATE + '1 day'::interval)",
            "(random())",
            "datetime()",
        ] {
            assert!(is_made_up(default), "{default}");
        }
        for default in
            ["0", "'now'", "'random'::text", "'active'", "lower('A'::text)", "NULL", "(1 + 2)", "''"]
        {
            assert!(!is_made_up(default), "{default}");
        }
    }

    #[test]
    fn a_constant_is_told_from_what_calls_something() {
        for default in [
            "0",
            "+7",
            "(-1)",
            "'-1'::integer",
            "1.5",
            "TRUE",
            "''",
            "'it''s now()'::text",
            "'a'::character varying(5)",
            "(0)::numeric(10,2)",
            "'{}'::text[]",
            "'x'::\"Mood\"",
        ] {
            assert!(is_constant(default), "{default}");
        }
        for default in [
            "now()",
            "CURRENT_DATE",
            "nextval('s'::regclass)",
            "(1 + f())",
            "'a'::text || f()",
            "lower('A'::text)",
            "true_of()",
            "word",
            "\"word\"",
        ] {
            assert!(!is_constant(default), "{default}");
        }
    }
}
