//! The fuzz targets on the stable compiler: every committed seed, and mutations of them that are the same each time.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use wflo_fuzz::{TARGETS, play};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let entries = folder().join("corpus").join(target).read_dir().expect("a target has a corpus");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let seeds: Vec<_> = paths.iter().map(|path| std::fs::read(path).expect("a seed")).collect();
    assert!(!seeds.is_empty(), "`{target}` has no seeds");
    seeds
}

fn run(name: &str, rounds: u32) {
    let (_, target) = TARGETS.iter().find(|(target, _)| *target == name).expect("a target of that name");
    play(*target, &seeds(name), rounds);
}

#[test]
fn audit_files() {
    run("audit", 3_000);
}

#[test]
fn deployments() {
    run("deployment", 3_000);
}

#[test]
fn requests_and_patterns() {
    run("http", 30_000);
}

#[test]
fn manifests() {
    run("manifest", 3_000);
}

#[test]
fn policies() {
    run("policy", 20_000);
}

#[test]
fn records() {
    run("record", 50_000);
}

#[test]
fn statements() {
    run("sql", 3_000);
}

#[test]
fn every_target_has_a_corpus_and_a_file_for_the_fuzzer() {
    let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let listed = |folder: PathBuf| -> BTreeSet<String> {
        let entries = folder.read_dir().expect("a folder").map(|entry| entry.expect("an entry").path());
        entries.map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned()).collect()
    };
    assert_eq!(listed(folder().join("corpus")), names);
    assert_eq!(listed(folder().join("fuzz_targets")), names);
}

#[test]
#[should_panic(expected = "under the input b\"x\\xff\"")]
fn what_panics_is_told_with_its_input() {
    play(|bytes| assert!(bytes.len() != 2, "two bytes"), &[b"x".to_vec(), vec![b'x', 0xff]], 0);
}
