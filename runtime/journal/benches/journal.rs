//! Appends a second, bytes an event, and what opening costs: `cargo bench -p wflo-journal`.
//!
//! Figures move with the machine's mood, so each stands beside the disk's own sync, measured in the same run. The
//! state lies below `TMPDIR`: on a memory file system the syncs cost nothing, and the figures say nothing.

#![expect(clippy::print_stdout, reason = "its output is the table")]

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wflo_backends::SystemEntropy;
use wflo_journal::{Created, Draft, Extras, Journal, Prune, RunWriter};
use wflo_model::{RunId, Timestamp};

/// Runs that stand still while the store is opened.
const PARKED: u32 = 100_000;
/// How long each writer is measured.
const LONG: Duration = Duration::from_secs(4);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    runtime.block_on(async {
        let dir = tempfile::tempdir().expect("a folder");
        println!("{:<44} {:>12.0} us", "a sync of 4 KiB, median", sync_floor(dir.path()));
        for writers in [1, 8, 64] {
            appends(&dir.path().join(format!("appends-{writers}")), writers).await;
        }
        parked(&dir.path().join("parked")).await;
        long_run(&dir.path().join("long")).await;
    });
}

async fn open(path: &Path) -> Journal {
    Journal::open_state(path, None, Arc::new(SystemEntropy)).await.expect("the journal opens")
}

fn run_id(n: u32) -> RunId {
    let mut random = [0; 10];
    random[..4].copy_from_slice(&n.to_be_bytes());
    RunId::new(Timestamp::from_micros(1_700_000_000_000_000 + u64::from(n) * 1000), random)
}

async fn create(journal: &Journal, n: u32) -> RunWriter {
    let draft = Draft::new(Timestamp::from_micros(1), 1, vec![b'c'; 200]);
    match journal.create_run(run_id(n), None, vec![draft], vec![b's'; 200]).await.expect("a run") {
        Created::New(writer) => writer,
        Created::Exists(_) => unreachable!("no key was given"),
    }
}

/// What a trivial step appends: its end, and the start of the next.
fn step(n: u64) -> Vec<Draft> {
    let time = Timestamp::from_micros(2);
    let draft = |kind, step: u64, size| Draft {
        step: Some(format!("step-{step}").parse().expect("a name")),
        attempt: 1,
        ..Draft::new(time, kind, vec![b'b'; size])
    };
    vec![draft(2, n, 60), draft(3, n + 1, 60)]
}

/// The median of a small append and `sync_data`, in microseconds.
fn sync_floor(dir: &Path) -> f64 {
    let mut file = std::fs::File::create(dir.join("floor")).expect("a file");
    let mut times = (0..400)
        .map(|_| {
            file.write_all(&[7; 4096]).expect("room");
            let start = Instant::now();
            file.sync_data().expect("a disk");
            start.elapsed()
        })
        .collect::<Vec<_>>();
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}

/// Runs of ten steps, one append a step, each waited for.
async fn appends(path: &Path, writers: u32) {
    let journal = open(path).await;
    let before = written();
    let start = Instant::now();
    let tasks = (0..writers).map(|writer| {
        let journal = journal.clone();
        tokio::spawn(async move {
            let (mut steps, mut run) = (0_u64, 0);
            while start.elapsed() < LONG {
                let mut writer = create(&journal, run * writers + writer).await;
                run += 1;
                for n in 0..10 {
                    let extras = Extras { due: Some(None), ..Extras::default() };
                    let appended = writer.append(step(n), extras).expect("the writer goes on");
                    appended.ticket.durable().await.expect("the disk works");
                    steps += 1;
                }
            }
            steps
        })
    });
    let mut steps = 0;
    for task in tasks.collect::<Vec<_>>() {
        steps += task.await.expect("no panic");
    }
    let (took, bytes) = (start.elapsed(), written() - before);
    drop(journal);
    let name = |what: &str| format!("{writers} at once: {what}");
    println!("{:<44} {:>12.0} steps/s", name("durable steps"), steps as f64 / took.as_secs_f64());
    println!("{:<44} {:>12.0} bytes", name("written a step (2 events)"), bytes as f64 / steps as f64);
    println!("{:<44} {:>12.0} bytes", name("on disk a step"), size(path) as f64 / steps as f64);
}

/// Bytes this process had the system write to files.
fn written() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("wchar: "));
    line.and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn size(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry"));
    entries
        .map(|it| if it.path().is_dir() { size(&it.path()) } else { it.metadata().expect("a file").len() })
        .sum()
}

fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or_default() << 10
}

/// Opens a store of many runs that stand still.
async fn parked(path: &Path) {
    let journal = open(path).await;
    let tasks = (0..64).map(|task| {
        let journal = journal.clone();
        tokio::spawn(async move {
            for n in (task..PARKED).step_by(64) {
                let mut writer = create(&journal, n).await;
                let due = Some(Some(Timestamp::from_micros(1 << 60)));
                let appended = writer.append(step(0), Extras { due, ..Extras::default() });
                appended.expect("the writer goes on").ticket.durable().await.expect("the disk works");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no panic");
    }
    drop(journal);
    let before = resident();
    let start = Instant::now();
    let journal = open(path).await;
    println!(
        "{:<44} {:>12.0} ms",
        format!("{PARKED} parked runs: open"),
        start.elapsed().as_secs_f64() * 1e3
    );
    let after = resident();
    println!(
        "{:<44} {:>12} bytes",
        "resident a parked run",
        after.saturating_sub(before) / u64::from(PARKED)
    );
    let start = Instant::now();
    let (mut found, mut after) = (0, None);
    loop {
        let page = journal.unfinished(after, 1000).await.expect("the store can be read");
        found += page.len();
        after = page.last().copied();
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, PARKED as usize);
    say(&format!("{PARKED} parked runs: list them"), start, "");
    drop(journal);
}

fn say(what: &str, start: Instant, more: &str) {
    println!("{what:<44} {:>12.1} ms{more}", start.elapsed().as_secs_f64() * 1e3);
}

/// One run of many items: reading one of them, reading all, and moving to a new generation.
async fn long_run(path: &Path) {
    const ITEMS: u32 = 20_000;
    let journal = open(path).await;
    let mut writer = create(&journal, 0).await;
    let of = |item, kind| Draft {
        step: Some("review".parse().expect("a name")),
        item: Some(item),
        attempt: 1,
        ..Draft::new(Timestamp::from_micros(2), kind, vec![b'b'; 120])
    };
    // Eight at once, each with five events.
    let mut last = None;
    for first in (0..ITEMS).step_by(8) {
        for kind in 0..5 {
            let drafts = (first..first + 8).map(|item| of(item, kind)).collect();
            last = Some(writer.append(drafts, Extras::default()).expect("the writer goes on").ticket);
        }
    }
    last.expect("there are items").durable().await.expect("the disk works");
    let (run, review) = (writer.run(), "review".parse().expect("a name"));
    let start = Instant::now();
    for item in (0..ITEMS).step_by(100) {
        let entries = journal.read_of(run, &review, Some(item)).await.expect("the item can be read");
        assert_eq!(entries.len(), 5);
    }
    say("an item of a run of 100,000 events, 200 times", start, "");
    let start = Instant::now();
    assert_eq!(journal.read(run, 1).await.expect("the run can be read").len() as u32, 5 * ITEMS + 1);
    say("the whole run", start, "");
    let start = Instant::now();
    journal.prune(Prune::default()).await.expect("the disk works");
    say("a new generation of 100,000 events", start, "");
}
