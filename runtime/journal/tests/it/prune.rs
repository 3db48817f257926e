//! Pruning and erasing: what goes is gone from the disk, and what stays is as it was.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use wflo_journal::{
    AppendError, BlobError, Created, Draft, Erased, Extras, Journal, Prune, PruneError, Pruned, ReadError,
    RunWriter,
};
use wflo_model::{Content, RunId};

use crate::support::{draft, entropy, files, run};

async fn open(dir: &Path) -> Journal {
    Journal::open_state(dir, None, entropy()).await.unwrap()
}

async fn new_run(journal: &Journal, n: u8, drafts: Vec<Draft>) -> RunWriter {
    match journal.create_run(run(n), Some(&format!("key {n}")), drafts, b"summary".to_vec()).await.unwrap() {
        Created::New(writer) => writer,
        Created::Exists(_) => panic!("the key is new"),
    }
}

async fn end(writer: &mut RunWriter, body: &str) {
    let ended = Extras { ended: Some(true), ..Extras::default() };
    writer.append(vec![draft(body)], ended).unwrap().ticket.durable().await.unwrap();
}

fn of<const N: usize>(runs: [(u8, u64); N]) -> HashMap<RunId, u64> {
    runs.into_iter().map(|(n, head)| (run(n), head)).collect()
}

/// Three runs, each with a large body and ended, and public content.
async fn specimen(journal: &Journal) -> Vec<RunWriter> {
    let mut writers = Vec::new();
    for n in 1..=3 {
        let mut writer =
            new_run(journal, n, vec![draft("a"), draft(format!("large {n} ").repeat(1000))]).await;
        end(&mut writer, "the end").await;
        writers.push(writer);
    }
    writers
}

#[tokio::test]
async fn a_dropped_run_is_gone_with_its_blobs_and_the_others_are_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path()).await;
    let mut writers = specimen(&journal).await;
    let kept = journal.read(run(1), 1).await.unwrap();
    let mut reader = journal.reader(run(2), 1).await.unwrap();
    reader.next().await.unwrap();

    let pruned = journal.prune(Prune { runs: of([(2, 3), (3, 3), (9, 1)]), public: None }).await.unwrap();
    assert_eq!((pruned.runs, pruned.events, pruned.blobs, pruned.public), (2, 6, 2, 0));
    assert!(pruned.bytes > 2 * 8000, "the blobs at least: {pruned:?}");
    let left = files(&dir.path().join("blobs/runs"));
    assert_eq!(left.len(), 1);
    assert!(left[0].parent().unwrap().ends_with(run(1).to_string()));
    assert!(!dir.path().join("blobs/runs").join(run(2).to_string()).exists());

    assert!(matches!(reader.next().await, Err(ReadError::UnknownRun { .. })), "a reader is told so");
    let stale = writers[1].append(vec![draft("x".repeat(9000))], Extras::default()).unwrap();
    assert!(matches!(stale.ticket.durable().await, Err(AppendError::UnknownRun { .. })));
    end(&mut writers[0], "goes on").await;
    assert!(matches!(new_run(&journal, 4, vec![draft("x")]).await.head(), 1), "nothing is poisoned");
    drop((journal, writers, reader));

    let journal = open(dir.path()).await;
    assert_eq!(journal.read(run(1), 1).await.unwrap()[..3], kept);
    assert_eq!(journal.runs().await.unwrap().len(), 2);
    assert_eq!(journal.by_key("key 2").await.unwrap(), None);
    // What the stale writer had left goes the next time.
    assert_eq!(journal.prune(Prune::default()).await.unwrap().blobs, 1);
    assert!(!dir.path().join("blobs/runs").join(run(2).to_string()).exists());
}

#[tokio::test]
async fn a_run_that_has_gone_on_stops_the_pruning() {
    let journal = Journal::in_memory(entropy()).await.unwrap();
    specimen(&journal).await;
    let error =
        journal.prune(Prune { runs: of([(1, 3), (2, 2)]), public: Some(HashSet::new()) }).await.unwrap_err();
    assert!(matches!(error, PruneError::Moved { run: moved, head: 3 } if moved == run(2)), "{error}");
    assert_eq!(journal.runs().await.unwrap().len(), 3, "nothing was changed");
}

#[tokio::test]
async fn public_content_goes_when_nobody_needs_it() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path()).await;
    let plan = journal.put_public(&Content::new(b"plan".to_vec())).await.unwrap();
    let component = journal.put_public(&Content::new(b"component".to_vec())).await.unwrap();
    drop(journal);

    let journal = open(dir.path()).await;
    let again = journal.put_public(&Content::new(b"component".to_vec())).await.unwrap();
    assert_eq!(again, component);
    let keep = |digests: &[wflo_model::Digest]| Prune {
        public: Some(digests.iter().copied().collect()),
        ..Prune::default()
    };
    let pruned = journal.prune(keep(&[plan])).await.unwrap();
    assert_eq!(pruned.public, 0, "what this process has put may be about to be needed");
    drop(journal);

    let journal = open(dir.path()).await;
    assert_eq!(journal.prune(Prune::default()).await.unwrap().public, 0);
    let pruned = journal.prune(keep(&[plan])).await.unwrap();
    assert_eq!((pruned.public, pruned.blobs), (1, 0));
    assert!(pruned.bytes >= 9);
    assert!(matches!(journal.get_public(&component).await, Err(BlobError::Missing { .. })));
    assert_eq!(journal.get_public(&plan).await.unwrap().bytes(), b"plan");
    journal.put_public(&Content::new(b"component".to_vec())).await.unwrap();
    assert_eq!(journal.get_public(&component).await.unwrap().bytes(), b"component");
}

/// While runs are made and written, with blobs and public content, pruning takes nothing that they need.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pruning_takes_nothing_from_runs_that_are_being_made() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path()).await;
    let makers = (0..4_u8).map(|maker| {
        let journal = journal.clone();
        tokio::spawn(async move {
            for n in 0..8 {
                let plan = journal.put_public(&Content::new(vec![maker, n])).await.unwrap();
                let body = plan.to_string().repeat(100);
                let mut writer = new_run(&journal, 1 + maker * 50 + n, vec![draft(body.clone())]).await;
                writer
                    .append(vec![draft(body + "more")], Extras::default())
                    .unwrap()
                    .ticket
                    .durable()
                    .await
                    .unwrap();
            }
        })
    });
    let makers = makers.collect::<Vec<_>>();
    let mut pruned = 0;
    while !makers.iter().all(tokio::task::JoinHandle::is_finished) || pruned == 0 {
        journal.prune(Prune { public: Some(HashSet::new()), ..Prune::default() }).await.unwrap();
        pruned += 1;
    }
    for maker in makers {
        maker.await.unwrap();
    }
    for maker in 0..4 {
        for n in 0..8 {
            let entries = journal.read(run(1 + maker * 50 + n), 1).await.unwrap();
            assert_eq!(entries.len(), 2);
            let plan = String::from_utf8(entries[0].body[..71].to_vec()).unwrap().parse().unwrap();
            assert_eq!(journal.get_public(&plan).await.unwrap().bytes(), [maker, n]);
        }
    }
}

/// Whoever reads a run while it is dropped is told that it is unknown, and never that it is damaged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_a_run_that_is_dropped_are_told_so() {
    let journal = Journal::in_memory(entropy()).await.unwrap();
    for n in 1..=100 {
        let drafts = (0..50).map(|_| draft(vec![n; 100])).collect();
        new_run(&journal, n, drafts).await;
        let readers = (0..3).map(|_| {
            let journal = journal.clone();
            tokio::spawn(async move {
                loop {
                    if let Err(error) = journal.read(run(n), 1).await {
                        return error;
                    }
                }
            })
        });
        let readers = readers.collect::<Vec<_>>();
        tokio::task::yield_now().await;
        journal.prune(Prune { runs: of([(n, 50)]), public: None }).await.unwrap();
        for reader in readers {
            let error = reader.await.unwrap();
            assert!(matches!(error, ReadError::UnknownRun { .. }), "{error}");
        }
    }
}

/// A disk that is full, or not ours to write, changes nothing and stops nobody.
#[tokio::test]
async fn pruning_that_fails_leaves_everything_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path()).await;
    let mut writers = specimen(&journal).await;
    // A file stands where the next generation is to be.
    fs::write(dir.path().join("gen-0002"), b"in the way").unwrap();
    let error = journal.prune(Prune { runs: of([(2, 3)]), public: None }).await.unwrap_err();
    assert!(matches!(error, PruneError::Failed { .. }), "{error}");
    end(&mut writers[1], "goes on").await;
    assert_eq!(journal.read(run(2), 1).await.unwrap().len(), 4);
    fs::remove_file(dir.path().join("gen-0002")).unwrap();
    let pruned = journal.prune(Prune { runs: of([(2, 4)]), public: None }).await.unwrap();
    assert!(matches!(pruned, Pruned { runs: 1, events: 4, blobs: 1, .. }), "{pruned:?}");
}

#[tokio::test]
async fn an_erased_run_has_its_headers_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path()).await;
    let mut writers = specimen(&journal).await;
    let (two, three) = (journal.read(run(2), 1).await.unwrap(), journal.read(run(3), 1).await.unwrap());
    let blob = fs::read(&files(&dir.path().join("blobs/runs").join(run(2).to_string()))[0]).unwrap();
    drop((journal, writers.split_off(0)));
    // The sealed parts and the wrapped key as they are on the disk.
    let secrets = crate::on_disk::pairs(dir.path()).into_iter().filter_map(|(key, value)| match key[0] {
        b'e' if key[1..17] == *run(2).as_bytes() => Some(value[value.len() - 40..value.len() - 4].to_vec()),
        b'r' if key[1..17] == *run(2).as_bytes() => Some(value[67..139].to_vec()),
        _ => None,
    });
    let mut secrets = secrets.collect::<Vec<_>>();
    assert_eq!(secrets.len(), 4);
    secrets.push(blob[..40].to_vec());
    let on_disk = |secret: &[u8]| {
        files(dir.path())
            .iter()
            .any(|file| fs::read(file).unwrap().windows(secret.len()).any(|it| it == secret))
    };
    assert!(secrets.iter().all(|secret| on_disk(secret)), "they are found this way");

    let journal = open(dir.path()).await;
    let mut writer = journal.claim(run(2)).await.unwrap();
    let erased = journal.erase(run(2), b"erased".to_vec()).await.unwrap();
    assert_eq!(erased, Erased { events: 3, blobs: 1 });
    let stale = writer.append(vec![draft("x")], Extras::default()).unwrap();
    assert!(matches!(stale.ticket.durable().await, Err(AppendError::Fenced)));
    drop((journal, writer));
    for secret in &secrets {
        assert!(!on_disk(secret), "it is gone from the disk");
    }

    let journal = open(dir.path()).await;
    let head = journal.head(run(2)).await.unwrap();
    assert!(head.erased && head.ended);
    assert_eq!((head.head, head.hash, &head.summary[..]), (3, two[2].hash, &b"erased"[..]));
    assert!(matches!(journal.read(run(2), 1).await, Err(ReadError::Erased { .. })));
    assert!(matches!(journal.keys(run(2)).await, Err(ReadError::Erased { .. })));
    assert!(matches!(journal.claim(run(2)).await, Err(AppendError::Erased { .. })));
    assert!(matches!(journal.erase(run(2), Vec::new()).await, Err(PruneError::Erased { .. })));
    assert_eq!(journal.by_key("key 2").await.unwrap(), Some(run(2)), "its key makes no second run");
    assert_eq!(journal.read(run(3), 1).await.unwrap(), three);

    let headers = journal.headers(run(2)).await.unwrap();
    assert_eq!(headers, two.into_iter().map(|entry| entry.header).collect::<Vec<_>>(), "the chain is whole");
    assert_eq!(journal.headers(run(3)).await.unwrap()[2].hash(), three[2].hash);
}

#[tokio::test]
async fn what_cannot_be_erased_is_said() {
    let journal = Journal::in_memory(entropy()).await.unwrap();
    let _writer = new_run(&journal, 1, vec![draft("1")]).await;
    let error = journal.erase(run(1), Vec::new()).await.unwrap_err();
    assert!(matches!(error, PruneError::Unfinished { .. }));
    assert!(error.to_string().contains("hint: cancel it first"));
    assert!(matches!(journal.erase(run(2), Vec::new()).await, Err(PruneError::UnknownRun { .. })));
    assert_eq!(journal.read(run(1), 1).await.unwrap().len(), 1);
}

/// A generation that was not switched to, or whose removal was cut short, goes when the store is opened.
#[tokio::test]
async fn generations_that_are_not_in_use_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).await);
    for other in ["gen-0002", "gen-0007"] {
        fs::create_dir(dir.path().join(other)).unwrap();
        fs::write(dir.path().join(other).join("db"), b"half").unwrap();
    }
    fs::write(dir.path().join("CURRENT.tmp"), b"gen-0").unwrap();
    let journal = open(dir.path()).await;
    assert!(!dir.path().join("gen-0002").exists() && !dir.path().join("gen-0007").exists());
    journal.prune(Prune::default()).await.unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("CURRENT")).unwrap(), "gen-0002\n");
}
