//! What a README shows, held against what was printed.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

/// Names that differ from run to run, as the README has them, with those of this one.
pub(crate) type Names = BTreeMap<String, String>;

/// A word of an output with what differs from run to run taken out.
fn plain(word: &str) -> String {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let bare = bare(word);
    if is_approval(bare) {
        "APPROVAL".to_owned()
    } else if is_run(bare) {
        "RUN".to_owned()
    } else if bare.ends_with('Z') && digits >= 14 {
        "TIME".to_owned()
    } else if bare.starts_with("wflo-store/") {
        "STORE".to_owned()
    } else if bare.starts_with("sha256:") || (bare.len() == 64 && digits > 10) {
        "DIGEST".to_owned()
    } else if bare.ends_with('s') && bare.contains('.') && digits > 2 {
        "SECONDS".to_owned()
    } else {
        word.to_owned()
    }
}

fn bare(word: &str) -> &str {
    word.trim_end_matches([',', '.', ':', '"', '`']).trim_start_matches(['"', '`'])
}

fn is_approval(word: &str) -> bool {
    word.starts_with("apr_") && word.len() == 20
}

fn is_run(word: &str) -> bool {
    word.len() == 26 && word.starts_with("01")
}

/// A line without what differs: figures of time and memory, names, and how much room there is between words.
fn line(text: &str) -> String {
    let mut words: Vec<String> = text.split_whitespace().map(plain).collect();
    for at in 1..words.len() {
        if matches!(words[at].trim_end_matches([',', '.']), "ms" | "MiB") {
            words[at - 1] = "N".to_owned();
        }
        // How many there are depends on how long the commands took.
        if words[at - 1] == "checkpoint" {
            words[at] = "N".to_owned();
        }
    }
    words.join(" ")
}

fn lines(text: &str) -> Vec<(&str, String)> {
    text.lines().map(|text| (text, line(text))).filter(|(_, line)| !line.is_empty()).collect()
}

/// How many lines of output the README shows.
pub(crate) fn count(shown: &str) -> usize {
    lines(shown).len()
}

/// Holds what a README shows of a command against what it printed: line for line, but for `...`, which stands for any
/// number of lines. Runs and approvals that the README names get the names they have now.
pub(crate) fn compare(shown: &str, printed: &str, names: &mut Names) -> Result<()> {
    let real = lines(printed);
    let shown = lines(shown);
    let mut at = 0;
    let pieces: Vec<&[(&str, String)]> = shown.split(|(_, line)| line == "...").collect();
    for (n, piece) in pieces.iter().enumerate() {
        let (is_first, is_last) = (n == 0, n + 1 == pieces.len());
        let fits = |from: usize| {
            from + piece.len() <= real.len()
                && piece.iter().zip(&real[from..]).all(|(one, other)| one.1 == other.1)
        };
        let last = real.len().saturating_sub(piece.len());
        let found = match (is_first, is_last) {
            (true, true) => (piece.len() == real.len() && fits(0)).then_some(0),
            (true, false) => fits(0).then_some(0),
            (false, true) => (last >= at && fits(last)).then_some(last),
            (false, false) => (at..=last).find(|from| fits(*from)),
        };
        let Some(found) = found else {
            let piece = piece.iter().map(|(text, _)| *text).collect::<Vec<_>>().join("\n");
            bail!("the README shows\n{piece}\nand the command prints\n{printed}");
        };
        for ((shown, _), (real, _)) in piece.iter().zip(&real[found..]) {
            let words = shown.split_whitespace().map(bare).zip(real.split_whitespace().map(bare));
            for (shown, real) in words.filter(|(word, _)| is_run(word) || is_approval(word)) {
                names.insert(shown.to_owned(), real.to_owned());
            }
        }
        at = found + piece.len();
    }
    Ok(())
}

/// A command with the names that things have now.
pub(crate) fn renamed(command: &str, names: &Names) -> String {
    names.iter().fold(command.to_owned(), |text, (shown, real)| text.replace(shown, real))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(shown: &str, printed: &str) -> bool {
        compare(shown, printed, &mut Names::new()).is_ok()
    }

    #[test]
    fn what_differs_from_run_to_run_is_no_difference() {
        assert!(fits("took 49 ms\n", "took   7 ms\n"));
        assert!(fits("until 2026-11-23T03:29:39.002028Z", "until 2027-01-01T00:00:00.5Z"));
        assert!(fits("took 1.25s", "took 90.5s"));
        assert!(!fits("17 accounts", "18 accounts"));
        assert!(!fits("one\n", "one\ntwo\n"));
    }

    #[test]
    fn dots_stand_for_lines() {
        assert!(
            fits("a\n...\nd\n", "a\nb\nc\nd\n") && fits("a\n...\n", "a\nb\n") && fits("...\nb\n", "a\nb\n")
        );
        assert!(fits("...\nb\n...\n", "a\nb\nc\n"));
        assert!(!fits("a\n...\nb\n", "a\nb\nc\n") && !fits("b\n...\n", "a\nb\n"));
    }

    #[test]
    fn names_are_learned_and_used() {
        let mut names = Names::new();
        let shown = "`x` waits for approval apr_pqw6rceeme3sbk51 until 2026-11-23T03:29:39.002028Z\n";
        let real = "`x` waits for approval apr_0000000000000000 until 2026-11-24T03:29:39.002028Z\n";
        compare(shown, real, &mut names).unwrap();
        assert_eq!(
            renamed("wflo approve apr_pqw6rceeme3sbk51 --as alice", &names),
            "wflo approve apr_0000000000000000 --as alice"
        );
    }
}
