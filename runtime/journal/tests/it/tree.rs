//! Checkpoints of the audit tree, and what they prove in audit files.

use std::sync::Arc;

use serde_json::Value;
use wflo_backends::SystemEntropy;
use wflo_journal::audit::{Trust, Verified, VerifyError, export, export_since, verify, verify_with};
use wflo_journal::{Created, Draft, Extras, Journal, MasterKey, RunWriter, SYSTEM_LOG};

use crate::support::{at, draft, entropy, run};

async fn started(journal: &Journal, n: u8, events: usize) -> RunWriter {
    let drafts = (0..events).map(|n| draft(format!("event {n}"))).collect();
    match journal.create_run(run(n), None, drafts, Vec::new()).await.unwrap() {
        Created::New(writer) => writer,
        Created::Exists(_) => panic!("no key was given"),
    }
}

async fn go_on(writer: &mut RunWriter, body: &str) {
    writer.append(vec![draft(body)], Extras::default()).unwrap().ticket.durable().await.unwrap();
}

async fn file(journal: &Journal, n: u8) -> Vec<String> {
    let mut file = Vec::new();
    export(journal, run(n), &mut file).await.unwrap();
    String::from_utf8(file).unwrap().lines().map(str::to_owned).collect()
}

fn check(lines: &[String], trust: &Trust) -> Result<Verified, VerifyError> {
    verify_with(lines.join("\n").as_bytes(), trust)
}

fn wrong(lines: &[String]) -> String {
    check(lines, &Trust::default()).unwrap_err().to_string()
}

fn size(note: &str) -> u64 {
    note.lines().nth(1).unwrap().parse().unwrap()
}

/// Changes the line of the proof.
fn with_proof(lines: &[String], change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut lines = lines.to_vec();
    let mut proof = serde_json::from_str(&lines[1]).unwrap();
    change(&mut proof);
    lines[1] = proof.to_string();
    lines
}

/// A journal with three runs and a few checkpoints; the first run is in the second of them, and has gone on since.
async fn world() -> (Journal, Vec<String>) {
    let journal = Journal::in_memory(entropy()).await.unwrap();
    let mut notes = Vec::new();
    drop(started(&journal, 2, 1).await);
    notes.push(journal.checkpoint(at(5)).await.unwrap().unwrap());
    let mut one = started(&journal, 1, 3).await;
    notes.push(journal.checkpoint(at(6)).await.unwrap().unwrap());
    for n in 3..8 {
        drop(started(&journal, n, 1).await);
        notes.push(journal.checkpoint(at(7)).await.unwrap().unwrap());
    }
    go_on(&mut one, "after the checkpoint").await;
    (journal, notes)
}

#[tokio::test]
async fn a_run_is_proven_to_a_checkpoint_and_after_it_by_the_chain() {
    let (journal, notes) = world().await;
    let lines = file(&journal, 1).await;
    let verified = check(&lines, &Trust::default()).unwrap();
    let proven = verified.proven.clone().unwrap();
    assert_eq!((proven.seq, proven.checkpoint.size, proven.since), (3, 7, 2));
    assert!(!proven.trusted && proven.kept.is_empty());
    let words = verified.explain();
    for expect in [
        "Proven to checkpoint 7 of wflo-store/",
        "events 1 to 3 are those that the log has of it, since checkpoint 2 at the latest",
        "After it only the chain: events 4 to 4",
        "nobody you trust says so",
        "only a checkpoint kept elsewhere shows that",
    ] {
        assert!(words.contains(expect), "no `{expect}` in:\n{words}");
    }

    let keys = vec![journal.verifier_key().await.unwrap()];
    let kept = vec![notes[1].clone(), notes.last().unwrap().clone()];
    let words = check(&lines, &Trust { keys, kept }).unwrap().explain();
    assert!(
        words.contains("the log goes on from checkpoint 2 and 7, and nothing under it was rewritten"),
        "{words}"
    );
    assert!(!words.contains("Not proven"), "{words}");

    // From any other checkpoint it is shown on demand.
    let trust = Trust { keys: Vec::new(), kept: vec![notes[4].clone()] };
    assert!(matches!(check(&lines, &trust), Err(VerifyError::NotCompared { kept: 5 })));
    let mut file = Vec::new();
    export_since(&journal, run(1), &[5], &mut file).await.unwrap();
    assert_eq!(verify_with(&file[..], &trust).unwrap().proven.unwrap().kept, [5]);

    // Once it is in a checkpoint, all of it is proven.
    journal.checkpoint(at(9)).await.unwrap().unwrap();
    let words = check(&self::file(&journal, 1).await, &Trust::default()).unwrap().explain();
    assert!(!words.contains("After it only the chain"), "{words}");
}

#[tokio::test]
async fn every_flipped_bit_of_a_file_is_found() {
    let (journal, notes) = world().await;
    let text = file(&journal, 1).await.join("\n");
    let trust = Trust { keys: vec![journal.verifier_key().await.unwrap()], kept: vec![notes[1].clone()] };
    let truth = verify_with(text.as_bytes(), &trust).unwrap();
    // A bit of each byte, another one from byte to byte.
    for place in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[place] ^= 1 << (place % 8);
        if let Ok(verified) = verify_with(&bytes[..], &trust) {
            // A hex digit in the large form says the same.
            assert_eq!(verified, truth, "byte {place}: {:?}", &text[place.saturating_sub(20)..place + 1]);
            let (was, is) = (text.as_bytes()[place], bytes[place]);
            assert!(
                was.eq_ignore_ascii_case(&is),
                "byte {place}: {}",
                &text[place.saturating_sub(20)..place + 1]
            );
        }
    }
}

#[tokio::test]
async fn what_was_dropped_moved_cut_or_rewritten_is_found_and_named() {
    let (journal, notes) = world().await;
    let lines = file(&journal, 1).await;
    let edit = |change: fn(&mut Vec<String>)| {
        let mut lines = lines.clone();
        change(&mut lines);
        wrong(&lines)
    };
    assert_eq!(edit(|lines| drop(lines.remove(3))), "event 2 is missing: event 3 stands in its place");
    assert_eq!(edit(|lines| lines.swap(3, 4)), "event 2 is missing: event 3 stands in its place");
    assert!(edit(|lines| drop(lines.remove(1))).starts_with("the proof by a checkpoint is damaged"));
    assert_eq!(edit(|lines| drop(lines.pop())), "the file is cut short: it announces 4 events and has 3");

    // Cut before the checkpoint, with the first line made to fit: the chain alone would hold.
    let mut cut = lines.clone();
    let first: Value = serde_json::from_str(&cut[0]).unwrap();
    let second: Value = serde_json::from_str(&cut[3]).unwrap();
    cut[0] = cut[0].replace("\"events\":4", "\"events\":2");
    cut[0] = cut[0].replace(first["head"].as_str().unwrap(), second["hash"].as_str().unwrap());
    cut.truncate(4);
    assert_eq!(
        wrong(&cut),
        "events were cut off: checkpoint 7 has event 3 of the run, and the file ends with event 2"
    );
    // Without the line of the proof it is a file that proves less, which whoever trusts a key does not take.
    let mut bare = cut.clone();
    bare.remove(1);
    bare[0] = bare[0].replace("\"version\":3", "\"version\":1");
    assert!(
        check(&bare, &Trust::default())
            .unwrap()
            .explain()
            .contains("Not proven: that no events were cut off")
    );
    let trust = Trust { keys: vec![journal.verifier_key().await.unwrap()], kept: Vec::new() };
    assert!(matches!(check(&bare, &trust), Err(VerifyError::NoCheckpoint)));

    // Rewritten as a whole, in the same store: the chain holds, and the checkpoint has another.
    let forged = Journal::in_memory(entropy()).await.unwrap();
    drop(started(&forged, 1, 4).await);
    let mut rewritten = file(&forged, 1).await;
    rewritten[0] = rewritten[0].replace("\"version\":1", "\"version\":3");
    rewritten[0] = rewritten[0].replace(&forged.store_id().to_string(), &journal.store_id().to_string());
    rewritten.insert(1, lines[1].clone());
    assert_eq!(wrong(&rewritten), "event 3 is not the one in checkpoint 7: the run was rewritten");

    // Kept elsewhere is a checkpoint of a log that was rewritten since.
    let kept = |note: &str| Trust { keys: Vec::new(), kept: vec![note.to_owned()] };
    let other = with_proof(&lines, |proof| proof["earlier"] = Value::Array(Vec::new()));
    assert!(matches!(check(&other, &kept(&notes[1])), Err(VerifyError::NotCompared { kept: 2 })));
    let newer = { journal.checkpoint(at(9)).await.unwrap().unwrap() };
    assert!(matches!(check(&lines, &kept(&newer)), Err(VerifyError::OlderThanKept { size: 7, kept: 8 })));
}

#[tokio::test]
async fn swapped_keys_and_spliced_logs_are_found() {
    let ((journal, notes), (other, other_notes)) = (world().await, world().await);
    let (lines, others) = (file(&journal, 1).await, file(&other, 1).await);
    let key = journal.verifier_key().await.unwrap();
    let other_key = other.verifier_key().await.unwrap();

    // The key of another store.
    let swapped = with_proof(&lines, |proof| proof["key"] = other_key.to_string().into());
    assert_eq!(
        wrong(&swapped),
        "checkpoint 7 is not signed by the key of the log: it was changed, or another key made it"
    );
    let trust = Trust { keys: vec![other_key.clone()], kept: Vec::new() };
    let error = check(&lines, &trust).unwrap_err();
    assert_eq!(error.to_string(), format!("the checkpoint is signed by a key that you do not trust: {key}"));

    // The proof of another store, its checkpoints one by one, or one that was kept.
    let mut spliced = lines.clone();
    spliced[1].clone_from(&others[1]);
    let both = "two logs were put together";
    assert!(wrong(&spliced).ends_with(both), "{}", wrong(&spliced));
    let spliced = with_proof(&lines, |proof| {
        proof["earlier"][0]["checkpoint"] = other_notes[1].clone().into();
    });
    assert!(wrong(&spliced).ends_with(both));
    let trust = Trust { keys: Vec::new(), kept: vec![other_notes[1].clone()] };
    assert!(check(&lines, &trust).unwrap_err().to_string().ends_with(both));

    // A checkpoint of this store in the place of another, and proofs in the place of others.
    let moved = with_proof(&lines, |proof| proof["checkpoint"] = notes[5].clone().into());
    assert_eq!(wrong(&moved), "that the run stood at event 3 is not in checkpoint 6: the proof does not fit");
    let moved = with_proof(&lines, |proof| proof["earlier"][0]["checkpoint"] = notes[3].clone().into());
    assert_eq!(
        wrong(&moved),
        "checkpoint 7 does not go on from checkpoint 4: the log was rewritten in between"
    );
    let moved = with_proof(&lines, |proof| proof["seq"] = 2.into());
    assert_eq!(wrong(&moved), "that the run stood at event 2 is not in checkpoint 7: the proof does not fit");
}

#[tokio::test]
async fn old_keys_verify_old_checkpoints_and_hand_on_to_new_ones() {
    let (journal, notes) = world().await;
    let old = journal.verifier_key().await.unwrap();
    let new = journal.rotate_signing_key(at(9)).await.unwrap();
    assert_ne!(old, new);
    // Before the next checkpoint, the newest one is still the old key's.
    let lines = file(&journal, 1).await;
    for key in [&old, &new] {
        let trust = Trust { keys: vec![key.clone()], kept: vec![notes[1].clone()] };
        let proven = check(&lines, &trust).unwrap().proven.unwrap();
        assert!(proven.trusted && proven.key == old);
    }
    let newest = journal.rotate_signing_key(at(10)).await.unwrap();
    journal.checkpoint(at(11)).await.unwrap().unwrap();
    let lines = file(&journal, 1).await;
    for key in [&old, &new, &newest] {
        let trust = Trust { keys: vec![key.clone()], kept: Vec::new() };
        let proven = check(&lines, &trust).unwrap().proven.unwrap();
        assert!(proven.trusted && proven.key == newest);
    }
    // Without the rotations nothing leads from one to the other.
    let stripped = with_proof(&lines, |proof| proof["rotations"] = Value::Array(Vec::new()));
    let trust = Trust { keys: vec![old], kept: Vec::new() };
    assert!(matches!(check(&stripped, &trust), Err(VerifyError::Untrusted { .. })));
    let reordered = with_proof(&lines, |proof| proof["rotations"].as_array_mut().unwrap().reverse());
    assert!(wrong(&reordered).starts_with("the proof by a checkpoint is damaged"), "{}", wrong(&reordered));
}

#[tokio::test]
async fn an_erased_run_stays_proven() {
    let (journal, _) = world().await;
    let mut writer = journal.claim(run(1)).await.unwrap();
    let ended = Extras { ended: Some(true), ..Extras::default() };
    writer.append(vec![draft("the end")], ended).unwrap().ticket.durable().await.unwrap();
    journal.checkpoint(at(9)).await.unwrap().unwrap();
    journal.erase(run(1), Vec::new()).await.unwrap();
    let lines = file(&journal, 1).await;
    let verified = check(&lines, &Trust::default()).unwrap();
    assert!(verified.erased);
    assert_eq!(verified.proven.clone().unwrap().seq, 5);
    assert!(verified.explain().contains("whether the run was erased"));
}

#[tokio::test]
async fn the_log_of_the_store_is_in_the_tree_too() {
    let journal = Journal::in_memory(entropy()).await.unwrap();
    let mut log = journal.system_log().await.unwrap();
    log.append(vec![draft("alice was added")], Extras::default()).unwrap().ticket.durable().await.unwrap();
    let note = journal.checkpoint(at(1)).await.unwrap().unwrap();
    assert_eq!(size(&note), 1);
    let mut file = Vec::new();
    export(&journal, SYSTEM_LOG, &mut file).await.unwrap();
    let words = verify(&file[..]).unwrap().explain();
    assert!(words.starts_with("Proven: the chain of the log of the store"), "{words}");
    assert!(words.contains("Proven to checkpoint 1"), "{words}");
}

/// Whatever moved in a process that was killed is found by the next one, and nothing is said twice.
#[tokio::test]
async fn what_moved_before_a_crash_comes_into_the_next_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Journal::open_state(dir.path(), Some(MasterKey::new([7; 32])), Arc::new(SystemEntropy));
    let journal = open().await.unwrap();
    assert_eq!(journal.checkpoint(at(1)).await.unwrap(), None, "an empty store needs no tree");
    drop(started(&journal, 1, 2).await);
    drop(started(&journal, 2, 1).await);
    assert_eq!(size(&journal.checkpoint(at(1)).await.unwrap().unwrap()), 2);
    assert_eq!(journal.checkpoint(at(1)).await.unwrap(), None);
    drop(journal);

    let journal = open().await.unwrap();
    assert_eq!(journal.checkpoint(at(1)).await.unwrap(), None, "nothing has moved");
    go_on(&mut journal.claim(run(1)).await.unwrap(), "and no checkpoint after it").await;
    drop(started(&journal, 3, 1).await);
    drop(journal);

    let journal = open().await.unwrap();
    // This process, too, moves something before it looks.
    go_on(&mut journal.claim(run(2)).await.unwrap(), "in the third process").await;
    let note = journal.checkpoint(at(2)).await.unwrap().unwrap();
    assert_eq!(size(&note), 5, "three have moved");
    for (n, seq) in [(1, 3), (2, 2), (3, 1)] {
        assert_eq!(check(&file(&journal, n).await, &Trust::default()).unwrap().proven.unwrap().seq, seq);
    }
    assert_eq!(journal.checkpoint(at(2)).await.unwrap(), None);
    drop(journal);
    let journal = open().await.unwrap();
    assert_eq!(journal.checkpoint(at(2)).await.unwrap(), None);
    assert_eq!(journal.newest_checkpoint().await.unwrap(), Some(note));
}

/// While others append, no move is lost: after the last checkpoint the tree has every run as it stands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_moves_during_a_checkpoint_is_missed() {
    let journal = Journal::in_memory(entropy()).await.unwrap();
    let writing = (1..=6).map(|n| {
        let journal = journal.clone();
        tokio::spawn(async move {
            let mut writer = started(&journal, n, 1).await;
            for _ in 0..30 {
                writer
                    .append(vec![draft("more")], Extras::default())
                    .unwrap()
                    .ticket
                    .durable()
                    .await
                    .unwrap();
            }
        })
    });
    let writing: Vec<_> = writing.collect();
    while !writing.iter().all(tokio::task::JoinHandle::is_finished) {
        journal.checkpoint(at(1)).await.unwrap();
    }
    for task in writing {
        task.await.unwrap();
    }
    journal.checkpoint(at(1)).await.unwrap();
    for n in 1..=6 {
        assert_eq!(check(&file(&journal, n).await, &Trust::default()).unwrap().proven.unwrap().seq, 31);
    }
}

/// A store that was made before there were checkpoints has all of its runs in the first one.
#[tokio::test]
async fn drafts_of_any_kind_move_a_run() {
    let journal = Journal::in_memory(entropy()).await.unwrap();
    let mut writer = started(&journal, 1, 1).await;
    journal.checkpoint(at(1)).await.unwrap().unwrap();
    let large = Draft { body: b"large ".repeat(2000), ..draft("") };
    writer.append(vec![large], Extras::default()).unwrap().ticket.durable().await.unwrap();
    let note = journal.checkpoint(at(1)).await.unwrap().unwrap();
    assert_eq!(size(&note), 2);
}
