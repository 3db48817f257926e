//! What others build on: every item of a version, a line each, as it was published.

use super::{Package, item};

/// The lines, sorted.
pub(crate) fn of(packages: &[Package], version: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for item in packages.iter().flat_map(item::all) {
        if item.version().as_deref() == Some(version) {
            lines.push(format!("{} {} {}", item.place, item.name, item.is));
        }
    }
    lines.sort();
    lines
}

/// The lines of `frozen` that are no longer there.
pub(crate) fn gone<'a>(frozen: &'a str, surface: &[String]) -> Vec<&'a str> {
    frozen.lines().filter(|line| surface.binary_search_by(|it| it.as_str().cmp(line)).is_err()).collect()
}

#[cfg(test)]
mod tests {
    use super::gone;

    #[test]
    fn a_removal_and_a_change_are_seen_and_an_addition_is_none() {
        let lines = |all: &[&str]| all.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let frozen = "a f func()\nb g func(x: u8)\n";
        assert!(gone(frozen, &lines(&["a e func()", "a f func()", "b g func(x: u8)"])).is_empty());
        assert_eq!(gone(frozen, &lines(&["a f func()"])), ["b g func(x: u8)"]);
        assert_eq!(gone(frozen, &lines(&["a f func()", "b g func(x: u16)"])), ["b g func(x: u8)"]);
    }
}
