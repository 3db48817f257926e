//! Audit files to the byte: what this version writes, and what every later one must verify. The files never change; a
//! new version gets files of its own.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wflo_journal::audit::{Trust, export, verify_with};
use wflo_journal::{Created, Draft, Extras, Journal};
use wflo_ports::{Entropy, SystemEntropyError};

use crate::support::{at, draft, run};

/// Bytes that count, so that a store is the same each time.
struct Counted(AtomicU64);

impl Entropy for Counted {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), SystemEntropyError> {
        for byte in bytes {
            *byte = u8::try_from(self.0.fetch_add(1, Ordering::SeqCst) % 251).expect("it is less than 256");
        }
        Ok(())
    }
}

/// A run as it goes: without a checkpoint, with one that does not have all of it, with a rotated key, erased.
async fn files() -> Vec<(&'static str, Vec<u8>, Trust)> {
    let journal = Journal::in_memory(Arc::new(Counted(AtomicU64::new(0)))).await.unwrap();
    let step = Draft {
        time: at(1_700_000_000_000_000),
        kind: 3,
        step: Some("analyze".parse().unwrap()),
        item: Some(2),
        attempt: 1,
        ordinal: 4,
        body: "\u{1f600} \"quoted\"\n\u{1}".into(),
    };
    let drafts = vec![draft(r#"{"event":"run_created"}"#), step.clone(), draft(vec![0xff, 0x00])];
    let Created::New(mut writer) = journal.create_run(run(1), None, drafts, Vec::new()).await.unwrap() else {
        panic!("no key was given");
    };
    let mut out = Vec::new();
    let file = async || {
        let mut file = Vec::new();
        export(&journal, run(1), &mut file).await.unwrap();
        file
    };
    out.push(("run-v1", file().await, Trust::default()));

    let first = journal.checkpoint(at(9)).await.unwrap().unwrap();
    let old = journal.verifier_key().await.unwrap();
    journal.create_run(run(2), None, vec![draft("another")], Vec::new()).await.unwrap();
    journal.checkpoint(at(10)).await.unwrap().unwrap();
    writer.append(vec![step], Extras::default()).unwrap().ticket.durable().await.unwrap();
    let trust = Trust { keys: vec![old.clone()], kept: vec![first.clone()] };
    out.push(("run-v3", file().await, trust.clone()));

    journal.rotate_signing_key(at(11)).await.unwrap();
    let ended = Extras { ended: Some(true), ..Extras::default() };
    writer.append(vec![draft("the end")], ended).unwrap().ticket.durable().await.unwrap();
    journal.checkpoint(at(12)).await.unwrap().unwrap();
    out.push(("rotated-v3", file().await, Trust { keys: vec![old.clone()], kept: Vec::new() }));
    journal.erase(run(1), Vec::new()).await.unwrap();
    out.push(("erased-v3", file().await, Trust { keys: vec![old], kept: Vec::new() }));
    out
}

#[tokio::test]
async fn audit_files_are_written_and_verified_to_the_byte() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden");
    for (name, file, trust) in files().await {
        let verified = verify_with(&file[..], &trust).unwrap();
        for (end, text) in [("audit", &file[..]), ("words", verified.explain().as_bytes())] {
            let golden = folder.join(format!("{name}.{end}"));
            if !golden.exists() {
                std::fs::write(&golden, text).unwrap();
                panic!("`{name}.{end}` was missing, and is written: look at it, and commit it");
            }
            let expect = std::fs::read(&golden).unwrap();
            assert_eq!(String::from_utf8_lossy(text), String::from_utf8_lossy(&expect), "{name}.{end}");
        }
    }
}
