//! Near-name hints.

/// The candidate that `name` is most likely a slip of, if one is near enough.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let fold = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let name = fold(name);
    let near = |candidate: &&'a str| {
        let candidate = fold(candidate);
        let distance = strsim::damerau_levenshtein(&name, &candidate);
        let longest = name.chars().count().max(candidate.chars().count());
        // A third of the letters: more than that is another word.
        (distance * 3 <= longest.max(3)).then_some(distance)
    };
    candidates
        .into_iter()
        .filter_map(|candidate| Some((near(&candidate)?, candidate)))
        .min()
        .map(|(_, name)| name)
}

/// A hint that names the nearest candidate, else lists them all.
pub(crate) fn did_you_mean<'a>(
    name: &str,
    what: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<String> {
    if let Some(near) = nearest(name, candidates.clone()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let all: Vec<_> = candidates.into_iter().map(|name| format!("`{name}`")).collect();
    (!all.is_empty()).then(|| format!("{what}: {}", all.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::{did_you_mean, nearest};

    #[test]
    fn finds_slips_and_nothing_else() {
        let names = ["depends_on", "grants", "retry", "when"];
        assert_eq!(nearest("depend_on", names), Some("depends_on"));
        assert_eq!(nearest("depends-on", names), Some("depends_on"));
        assert_eq!(nearest("Grants", names), Some("grants"));
        assert_eq!(nearest("rtery", names), Some("retry"));
        assert_eq!(nearest("colour", names), None);
        assert_eq!(
            did_you_mean("x", "there are", ["aaaa", "bbbb"]).as_deref(),
            Some("there are: `aaaa`, `bbbb`")
        );
        assert_eq!(did_you_mean("x", "there are", []), None);
    }
}
