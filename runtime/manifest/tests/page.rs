//! `docs/manifest.md` against the readers: its examples are valid, and it has every key there is.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use wflo_manifest::{Deployment, Workflow};

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/manifest.md")).unwrap()
}

/// The text of the fenced block that begins with these words.
fn block<'a>(page: &'a str, opening: &str) -> &'a str {
    let start = page.find(opening).unwrap_or_else(|| panic!("no `{opening}`")) + opening.len();
    let text = &page[start..];
    &text[..text.find("```").expect("the block ends")]
}

#[test]
fn its_examples_are_valid() {
    let page = page();
    let workflow = Workflow::parse("workflow.toml", block(&page, "```toml workflow\n"));
    workflow.unwrap_or_else(|wrong| panic!("{wrong}"));
    let deployment = Deployment::parse("wflo.toml", block(&page, "```toml deployment\n"));
    let deployment = deployment.unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(deployment.hints.render(false), "");
}

#[test]
fn it_has_every_key_that_is_read() {
    let page = page();
    let words: BTreeSet<_> = page.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let mut keys = BTreeSet::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ext| ext != "rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for opening in ["take(\"", "need(\"", "take_early(reader, \"", "&mut root, \""] {
            let found = text.split(opening).skip(1).filter_map(|rest| rest.split('"').next());
            keys.extend(found.map(str::to_owned));
        }
    }
    assert!(keys.len() > 100, "the readers are read in another way: {keys:?}");
    let absent: Vec<_> = keys.iter().filter(|key| !words.contains(key.as_str())).collect();
    assert!(absent.is_empty(), "docs/manifest.md says nothing of {absent:?}");
}
