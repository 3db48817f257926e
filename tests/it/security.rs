//! `SECURITY.md` promises, and names the tests that show it.

use crate::harness::root;

#[test]
fn every_promise_names_tests_and_every_named_test_is_there() {
    let page = std::fs::read_to_string(root().join("SECURITY.md")).expect("the page");
    let (_, promises) = page.split_once("## What is promised").expect("it promises");
    let (promises, _) = promises.split_once("\n## ").expect("and says what it does not");
    let rows = promises.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| promise |"));
    let mut named = 0;
    for row in rows {
        let tests: Vec<_> = row.split('`').filter_map(|word| word.split_once(".rs::")).collect();
        assert!(!tests.is_empty(), "no test shows that: {row}");
        for (file, test) in tests {
            let path = root().join(format!("{file}.rs"));
            let text = std::fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("`{}`: {error}", path.display()));
            let at =
                text.find(&format!("fn {test}(")).unwrap_or_else(|| panic!("no `{test}` in `{file}.rs`"));
            // Right above it, whatever stands between: a test, and not a helper of one.
            let above: Vec<_> = text[..at].lines().rev().take(5).collect();
            let is_test = |line: &&str| line.contains("test]") || line.contains("proptest!");
            assert!(above.iter().any(is_test), "`{file}.rs::{test}` is no test");
            named += 1;
        }
    }
    assert!(named >= 50, "{named} tests are named");
}
