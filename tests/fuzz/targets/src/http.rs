//! Patterns of requests and addresses: lines of `METHOD address`, each read as both, and held against each other.

use wflo_model::{HttpMethod, HttpPattern, HttpUrl};

pub(crate) fn read(bytes: &[u8]) {
    // Every pair is compared, so that there must not be many.
    let lines: Vec<&str> = crate::text(bytes).lines().take(6).collect();
    let patterns: Vec<HttpPattern> = lines.iter().filter_map(|line| line.parse().ok()).collect();
    let requests: Vec<(HttpMethod, HttpUrl)> = lines.iter().filter_map(|line| request(line)).collect();
    for pattern in &patterns {
        let shown = pattern.to_string();
        assert_eq!(shown.parse().as_ref(), Ok(pattern), "`{shown}` is read as something else");
        assert!(pattern.covers(pattern), "`{pattern}` does not cover itself");
        for narrower in patterns.iter().filter(|other| pattern.covers(other)) {
            for (method, url) in &requests {
                assert!(
                    !narrower.matches(method, url) || pattern.matches(method, url),
                    "`{pattern}` covers `{narrower}` and does not match `{method} {url}`"
                );
            }
            for narrowest in patterns.iter().filter(|other| narrower.covers(other)) {
                assert!(pattern.covers(narrowest), "`{pattern}`, `{narrower}`, `{narrowest}`");
            }
        }
    }
    for (method, url) in &requests {
        let shown = url.to_string();
        let again: HttpUrl = shown.parse().unwrap_or_else(|error| panic!("`{shown}`: {error}"));
        assert_eq!(again, *url, "`{shown}` is read as something else");
        assert!(url.path().starts_with('/'), "`{shown}`");
        assert!(!url.path().split('/').any(|part| part == ".." || part == "."), "`{shown}` goes up");
        // What a message proposes to grant is what was asked for, where a pattern can say it.
        let exact = format!("{method} {}{}", url.origin(), url.path());
        if !url.path().contains('*')
            && let Ok(pattern) = exact.parse::<HttpPattern>()
        {
            assert!(pattern.matches(method, url), "`{exact}` does not match `{shown}`");
        }
    }
}

fn request(line: &str) -> Option<(HttpMethod, HttpUrl)> {
    let (method, url) = line.split_once(' ')?;
    Some((method.parse().ok()?, url.parse().ok()?))
}
