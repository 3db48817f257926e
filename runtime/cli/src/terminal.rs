//! What a terminal can show: colours for statuses, and nothing for whoever does not want them.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use serde::Serialize;
use wflo_model::steers;

use crate::project::variable;

/// Whether stderr takes colours.
pub(crate) fn stderr_colors() -> bool {
    std::io::stderr().is_terminal() && wanted()
}

/// Whether stdout takes colours.
pub(crate) fn stdout_colors() -> bool {
    std::io::stdout().is_terminal() && wanted()
}

/// Whether stderr takes lines that change while they stand there.
pub(crate) fn stderr_moves() -> bool {
    std::io::stderr().is_terminal() && variable("TERM").is_none_or(|term| term != "dumb")
}

/// <https://no-color.org>: any value but an empty one means none.
fn wanted() -> bool {
    variable("NO_COLOR").is_none() && variable("TERM").is_none_or(|term| term != "dumb")
}

/// The colour of a status word, as its code; none for what is ordinary.
fn color(status: &str) -> Option<u8> {
    Some(match status {
        "succeeded" | "approved" | "consumed" => 32,
        "failed" | "rejected" | "expired" | "rollback_failed" => 31,
        "waiting" | "parked" | "open" | "partially_rolled_back" => 33,
        "running" | "rolling_back" => 36,
        "pending" | "skipped" | "cancelled" | "superseded" | "rolled_back" => 2,
        _ => return None,
    })
}

/// A status in its colour, if `colors`, and filled up to `width`.
pub(crate) fn status(status: &impl ToString, width: usize, colors: bool) -> String {
    let word = status.to_string();
    match color(&word) {
        Some(code) if colors => format!("\x1b[{code}m{word:<width$}\x1b[0m"),
        _ => format!("{word:<width$}"),
    }
}

/// The level of a log line in its colour.
pub(crate) fn level(level: &str, width: usize, colors: bool) -> String {
    let level = tame(level);
    let code = match level.as_str() {
        "error" | "critical" => 31,
        "warn" => 33,
        "trace" | "debug" => 2,
        _ => 0,
    };
    if colors && code > 0 {
        format!("\x1b[{code}m{level:<width$}\x1b[0m")
    } else {
        format!("{level:<width$}")
    }
}

/// A text that steps back, if `colors`.
pub(crate) fn dim(text: &str, colors: bool) -> String {
    if colors { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() }
}

/// A text on one line, without what could steer the terminal, or have it read as another: it comes from a guest.
pub(crate) fn tame(text: &str) -> String {
    let tamed = |c: char| match c {
        '\n' => ' ',
        '\t' => c,
        c if steers(c) => '\u{fffd}',
        c => c,
    };
    text.trim_end_matches('\n').chars().map(tamed).collect()
}

/// The same on as many lines as it has.
pub(crate) fn tame_text(text: &str) -> String {
    text.split('\n').map(tame).collect::<Vec<_>>().join("\n")
}

/// The lines of such a text, those after the first as far to the right as it.
pub(crate) fn tame_lines(text: &str, indent: usize) -> String {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).map(tame).collect();
    lines.join(&format!("\n{:indent$}", ""))
}

/// A word as a shell reads it back.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./+,:@%".contains(c);
    match !word.is_empty() && !word.starts_with('-') && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// JSON over several lines, with escapes in the place of what [`tame`] takes out: it is the same JSON.
pub(crate) fn json(value: &(impl Serialize + ?Sized)) -> String {
    escaped(serde_json::to_string_pretty(value).expect("what is shown has text keys"))
}

/// The same in one line.
pub(crate) fn json_line(value: &(impl Serialize + ?Sized)) -> String {
    escaped(serde_json::to_string(value).expect("what is shown has text keys"))
}

fn escaped(text: String) -> String {
    // Outside of texts there is none but the line feeds; within, serde escapes those.
    if !text.contains(|c| steers(c) && c != '\n') {
        return text;
    }
    text.chars().fold(String::with_capacity(text.len()), |mut text, c| {
        if steers(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        } else {
            text.push(c);
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{quoted, status, tame, tame_lines, tame_text};

    #[test]
    fn a_status_has_its_width_with_and_without_colour() {
        assert_eq!(status(&"failed", 8, false), "failed  ");
        assert_eq!(status(&"failed", 8, true), "\x1b[31mfailed  \x1b[0m");
        assert_eq!(status(&"odd", 4, true), "odd ");
    }

    #[test]
    fn a_shell_reads_one_word() {
        assert_eq!(quoted("/tmp/a-b/c.1"), "/tmp/a-b/c.1");
        assert_eq!(quoted("sp ace/x"), "'sp ace/x'");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
    }

    #[test]
    fn a_guest_does_not_steer_the_terminal() {
        assert_eq!(tame("a\x1b[2Jb\rc\n"), "a\u{fffd}[2Jb\u{fffd}c");
        assert_eq!(tame("a\nsucceeded"), "a succeeded");
        assert_eq!(tame_lines("trap:\n\n  at \x07main\n", 2), "trap:\n    at \u{fffd}main");
        assert_eq!(tame("a\u{202e}b\u{9b}2J"), "a\u{fffd}b\u{fffd}2J");
        assert_eq!(tame_text("trap:\n  at \x07main\n"), "trap:\n  at \u{fffd}main\n");
        let said = json!({ "a\u{9b}": ["\u{7f}\u{202e}\u{e0041}", "\n\t\u{1b} ä"] });
        let shown = super::json(&said);
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), said);
        assert!(shown.contains(r#""a\u009b""#) && shown.contains(r#""\u007f\u202e\udb40\udc41""#), "{shown}");
        assert!(shown.contains(r#""\n\t\u001b ä""#), "{shown}");
    }
}
