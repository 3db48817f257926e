//! The table of what came of the examples.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::played::Played;

const BEGIN: &str = "<!-- begin: cargo xtask examples -->\n";
const END: &str = "<!-- end -->";

/// For a terminal.
pub(crate) fn plain(played: &[Played]) -> String {
    let mut out = String::new();
    for one in played {
        let _ = writeln!(out, "{}: {}", one.name, one.use_case);
        let _ = writeln!(out, "  shows     {}", one.shows);
        let _ = writeln!(out, "  happened  {}", one.happened());
        let _ = writeln!(out, "  took      {:.1} s, {} USD", one.time.as_secs_f64(), one.cost);
    }
    for one in played {
        for many in &one.many {
            let _ = writeln!(out, "{}", many.told(&one.name));
        }
    }
    out
}

/// For a page.
fn markdown(played: &[Played]) -> String {
    let mut out =
        "| use case | what it shows | command | what happened | time | cost |\n|---|---|---|---|---:|---:|\n"
            .to_owned();
    for one in played {
        let Played { name, use_case, shows, cost, .. } = one;
        let _ = writeln!(
            out,
            "| [{use_case}]({name}/README.md) | {shows} | `cargo xtask examples {name}` | {} | {:.1} s | {cost} USD |",
            one.happened(),
            one.time.as_secs_f64(),
        );
    }
    out
}

/// Puts the table in the place of the one in a page. Rows of what was not played stay.
pub(crate) fn replace(path: &Path, played: &[Played]) -> Result<()> {
    let (before, old, after) = parts(path)?;
    let new = markdown(played);
    let (head, rows): (Vec<&str>, Vec<&str>) =
        new.lines().partition(|line| line.starts_with("| use case") || line.starts_with("|---"));
    let is_new = |row: &str| played.iter().any(|one| row.contains(&format!("]({}/README.md)", one.name)));
    let kept = old.lines().filter(|line| line.starts_with("| [") && !is_new(line));
    let mut rows: Vec<&str> = rows.into_iter().chain(kept).collect();
    rows.sort_unstable();
    let table = head.into_iter().chain(rows).map(|line| format!("{line}\n")).collect::<String>();
    let at = || format!("`{}`", path.display());
    std::fs::write(path, format!("{before}{BEGIN}{table}{END}{after}")).with_context(at)
}

/// Holds the table in a page against what happened, but for the times. A page may have more than was played.
pub(crate) fn check(path: &Path, played: &[Played]) -> Result<()> {
    let (_, table, _) = parts(path)?;
    let without_time = |line: &str| {
        let cells: Vec<_> = line.split(" | ").collect();
        cells
            .iter()
            .enumerate()
            .filter(|(n, _)| *n != 4)
            .map(|(_, cell)| *cell)
            .collect::<Vec<_>>()
            .join(" | ")
    };
    let rows: Vec<String> = table.lines().map(without_time).collect();
    let made = markdown(played);
    let lacking: Vec<&str> = made.lines().filter(|line| !rows.contains(&without_time(line))).collect();
    if !lacking.is_empty() {
        bail!("`{}` lacks\n{}\n`cargo xtask examples --doc` writes it", path.display(), lacking.join("\n"));
    }
    Ok(())
}

/// What is before the table, the table, and what is after it.
fn parts(path: &Path) -> Result<(String, String, String)> {
    let at = || format!("`{}`", path.display());
    let page = std::fs::read_to_string(path).with_context(at)?;
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| {
        let (table, after) = rest.split_once(END)?;
        Some((before.to_owned(), table.to_owned(), after.to_owned()))
    });
    parts.with_context(|| format!("{} has no place for the table", at()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_table_agrees_with_itself_and_not_with_another_cost() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("before\n{BEGIN}old\n{END}\nafter\n")).unwrap();
        let mut played = vec![Played {
            name: "a".into(),
            use_case: "A".into(),
            shows: "it works".into(),
            commands: 3,
            runs: [("succeeded".to_owned(), 2)].into(),
            cost: "0.5".parse().unwrap(),
            time: Duration::from_secs(1),
            many: Vec::new(),
        }];
        replace(file.path(), &played).unwrap();
        let page = std::fs::read_to_string(file.path()).unwrap();
        assert!(
            page.starts_with("before\n") && page.ends_with("\nafter\n") && !page.contains("old"),
            "{page}"
        );
        assert!(page.contains("| 2 runs succeeded; 3 commands as shown | 1.0 s | 0.5 USD |"), "{page}");
        played[0].time = Duration::from_secs(9);
        check(file.path(), &played).unwrap();
        played[0].cost = "0.6".parse().unwrap();
        check(file.path(), &played).unwrap_err();
        let other = Played { name: "b".into(), use_case: "B".into(), ..played.remove(0) };
        replace(file.path(), &[other]).unwrap();
        let both = std::fs::read_to_string(file.path()).unwrap();
        assert!(both.contains("[A](a/README.md)") && both.contains("[B](b/README.md)"), "{both}");
    }
}
