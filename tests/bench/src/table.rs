//! The figures as people read them.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::row::{Row, Sense};

/// What stands before and after the table in a page.
const BEGIN: &str = "<!-- begin: cargo xtask bench -->\n";
const END: &str = "<!-- end -->\n";

/// For a terminal.
pub(crate) fn plain(rows: &[Row]) -> String {
    let cells = rows.iter().map(cells).collect::<Vec<_>>();
    let head = ["", "measured", "floor", "goal", ""].map(str::to_owned);
    let mut widths = [0; 5];
    for row in std::iter::once(&head).chain(&cells) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for [name, value, floor, goal, ok] in std::iter::once(&head).chain(&cells) {
        let [a, b, c, d, _] = widths;
        let line = format!("{name:<a$}  {value:>b$}  {floor:>c$}  {goal:>d$}  {ok}");
        let _ = writeln!(out, "{}", line.trim_end());
    }
    for row in rows {
        if let Some(note) = &row.note {
            let _ = writeln!(out, "{}: {note}", row.name);
        }
    }
    out
}

/// For a page.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut out = "| what | measured | floor | goal | |\n|---|---:|---:|---:|---|\n".to_owned();
    for row in rows {
        let [name, value, floor, goal, ok] = cells(row);
        let note = row.note.as_ref().map(|note| format!("<br>*{note}*")).unwrap_or_default();
        let _ = writeln!(out, "| {name}{note} | {value} | {floor} | {goal} | {ok} |");
    }
    out
}

/// Puts the table in the place of the one in a page.
pub(crate) fn replace(path: &Path, rows: &[Row]) -> Result<()> {
    let at = || format!("`{}`", path.display());
    let page = std::fs::read_to_string(path).with_context(at)?;
    let new = between(&page, &markdown(rows)).with_context(at)?;
    std::fs::write(path, new).with_context(at)
}

fn between(page: &str, table: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{table}{END}{after}"))
}

fn cells(row: &Row) -> [String; 5] {
    let with_unit = |value: f64| format!("{} {}", number(value), row.unit);
    let goal = row.goal.map(|goal| {
        let sign = if row.sense == Some(Sense::AtLeast) { ">=" } else { "<=" };
        format!("{sign} {}", with_unit(goal))
    });
    let ok = match row.ok {
        Some(true) => "met",
        Some(false) => "not met",
        None => "",
    };
    let floor = row.floor.map(with_unit);
    [
        row.name.clone(),
        with_unit(row.value),
        floor.unwrap_or_default(),
        goal.unwrap_or_default(),
        ok.to_owned(),
    ]
}

/// Three digits that matter, and thousands apart.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        small if small < 10.0 => 2,
        small if small < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), ""), |(whole, rest)| (whole, rest));
    let mut out = String::new();
    for (at, digit) in whole.chars().enumerate() {
        let left = whole.len() - at;
        if at > 0 && left.is_multiple_of(3) && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    if rest.is_empty() { out } else { format!("{out}.{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_that_matter() {
        for (value, expect) in [
            (0.0, "0.00"),
            (1.234, "1.23"),
            (12.34, "12.3"),
            (123.4, "123"),
            (1234.5, "1,234"),
            (1_234_567.0, "1,234,567"),
            (-123.0, "-123"),
            (-1234.0, "-1,234"),
        ] {
            assert_eq!(number(value), expect);
        }
    }

    #[test]
    fn a_page_keeps_what_is_around_the_table() {
        let page = format!("before\n{BEGIN}old\n{END}after\n");
        let new = between(&page, &markdown(&[Row::new("a", 1.0, "us").at_most(2.0)])).unwrap();
        assert!(new.starts_with("before\n") && new.ends_with("after\n"), "{new}");
        assert!(new.contains("| a | 1.00 us |  | <= 2.00 us | met |") && !new.contains("old"), "{new}");
        assert_eq!(between("no place for it", ""), None);
    }

    #[test]
    fn columns_stand_below_one_another() {
        let rows = [Row::new("short", 1.0, "us").at_most(2.0), Row::new("much longer", 1000.0, "us")];
        let text = plain(&rows);
        let ends = text.lines().skip(1).map(|line| line.find(" us").unwrap()).collect::<Vec<_>>();
        assert_eq!(ends[0], ends[1], "{text}");
    }
}
