//! Other processes: one that finds the store locked, and ones that are killed while they write.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use wflo_backends::SystemEntropy;
use wflo_journal::{
    AppendError, Blobs, Created, Draft, Extras, FaultSync, Journal, MasterKey, OpenError, Prune, PruneError,
    Sizes, SledStore,
};

use crate::support::{draft, entropy, run, small};

/// Names the state folder to the process that a test starts: this binary again, with one test.
const CHILD: &str = "WFLO_JOURNAL_TEST_CHILD";

fn child(test: &str, state: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, state)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

async fn open(state: &Path, sizes: Sizes) -> Journal {
    let store = SledStore::open_sized(state, &SystemEntropy, Arc::new(FaultSync::at(0)), sizes).unwrap();
    let blobs = Blobs::open(&state.join("blobs")).unwrap();
    Journal::open(Arc::new(store), blobs, MasterKey::new([3; 32]), entropy()).await.unwrap()
}

/// In a process of its own: appends until it is killed, and says which events are durable. The bodies of some go
/// to blobs, and now and then the store moves to a new generation. Of every two such processes, one has a store of
/// small parts, in which something is always under way.
#[tokio::test]
async fn child_that_appends() {
    let Some(state) = std::env::var_os(CHILD) else { return };
    let sizes = if std::process::id().is_multiple_of(2) { small() } else { Sizes::default() };
    let journal = open(Path::new(&state), sizes).await;
    let mut out = std::io::stdout();
    let mut writer = match journal.create_run(run(1), None, vec![draft("1")], Vec::new()).await {
        Ok(Created::New(writer)) => writer,
        _ => journal.claim(run(1)).await.unwrap(),
    };
    writeln!(out, "durable {}", writer.head()).unwrap();
    for round in 1_u64.. {
        let pipelined: Vec<_> = (0..8)
            .map(|_| {
                let body = (writer.head() + 1).to_string();
                let large = writer.head().is_multiple_of(50);
                let body = if large { body.repeat(3000) } else { body };
                writer.append(vec![draft(body), draft("pair")], Extras::default()).unwrap().ticket
            })
            .collect();
        if round.is_multiple_of(3) {
            journal.prune(Prune::default()).await.unwrap();
        }
        for ticket in pipelined {
            ticket.durable().await.unwrap();
        }
        writeln!(out, "durable {}", writer.head()).unwrap();
    }
}

/// Rounds of a test of this file: a few, or as many as the tool for long tests says.
fn rounds(few: u32) -> u32 {
    let many = std::env::var_os("WFLO_JOURNAL_KILLS").and_then(|text| text.into_string().ok());
    many.map_or(few, |text| text.parse().expect("`WFLO_JOURNAL_KILLS` is a number"))
}

/// Waits until the process has said that something is durable `times` times, and then for as long as it takes to
/// kill it; gives the newest event it called durable.
fn kill_after(child: &mut Child, times: u32) -> u64 {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let durable =
        lines.map_while(Result::ok).filter_map(|line| line.rsplit_once("durable ")?.1.parse::<u64>().ok());
    let mut newest = 0;
    for (n, head) in (1..).zip(durable) {
        newest = head;
        if n == times {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    newest
}

async fn check(state: &Path, acknowledged: u64, round: u32) {
    let journal = open(state, Sizes::default()).await;
    let entries = journal.read(run(1), 1).await.unwrap();
    let head = entries.len() as u64;
    assert!(head >= acknowledged && acknowledged > 0, "round {round}: {head} of {acknowledged}");
    assert_eq!(head % 2, 1, "appends of two land whole");
    let generations = std::fs::read_dir(state)
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("gen-"));
    assert_eq!(generations.count(), 1, "no generation is left behind");
}

/// Kills a writing process again and again: what it called durable is there, whole and chained.
#[tokio::test]
async fn nothing_acknowledged_is_lost_to_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..rounds(8) {
        let mut child = child("process::child_that_appends", dir.path());
        acknowledged = acknowledged.max(kill_after(&mut child, 2 + round % 7));
        check(dir.path(), acknowledged, round).await;
    }
}

/// Kills a process while it opens the store: at any time between its start and its first word.
#[tokio::test]
async fn nothing_acknowledged_is_lost_to_a_kill_while_opening() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = child("process::child_that_appends", dir.path());
    let start = Instant::now();
    let mut acknowledged = kill_after(&mut first, 1);
    let opening = start.elapsed();
    let rounds = rounds(30);
    for round in 0..rounds {
        let mut child = child("process::child_that_appends", dir.path());
        // No event can be awaited in the middle of an opening: the moment moves on from round to round.
        std::thread::sleep(opening * (round % 30) / 30);
        child.kill().unwrap();
        acknowledged = acknowledged.max(kill_after(&mut child, 0));
        if round % 5 == 4 || round + 1 == rounds {
            check(dir.path(), acknowledged, round).await;
        }
    }
}

/// In a process of its own, whose files may not grow beyond a limit: appends until that fails, and says how.
#[tokio::test]
async fn child_that_fills_the_disk() {
    let Some(state) = std::env::var_os(CHILD) else { return };
    let journal = open(Path::new(&state), Sizes::default()).await;
    let Ok(Created::New(mut writer)) = journal.create_run(run(1), None, vec![draft("1")], Vec::new()).await
    else {
        panic!("the run is new")
    };
    let mut out = std::io::stdout();
    let failure = loop {
        let pair = vec![draft(vec![7; 3000]), draft("pair")];
        let appended = match writer.append(pair, Extras::default()) {
            Ok(appended) => appended.ticket.durable().await,
            Err(error) => Err(error),
        };
        match appended {
            Ok(()) => writeln!(out, "durable {}", writer.head()).unwrap(),
            Err(error) => break error,
        }
    };
    assert!(matches!(failure, AppendError::Unknown { .. }), "{failure}");
    let next = journal.create_run(run(2), None, vec![draft("1")], Vec::new()).await;
    assert!(matches!(next, Err(AppendError::Poisoned { .. })), "{next:?}");
    let pruned = journal.prune(Prune::default()).await;
    assert!(matches!(pruned, Err(PruneError::Poisoned { .. })), "{pruned:?}");
    assert_eq!(journal.read(run(1), 1).await.unwrap().len() as u64 % 2, 1, "it can still be read");
    writeln!(out, "poisoned").unwrap();
}

/// A disk that is full: the append that did not fit is in doubt, nothing is written after it, and with room again
/// everything acknowledged is there.
#[tokio::test]
async fn a_full_disk_poisons_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // The shell's `ulimit` stands for the disk: a write beyond it fails, where the signal for it is ignored.
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 4096; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "process::child_that_fills_the_disk", "--nocapture", "--test-threads=1"])
        .env(CHILD, dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(
        said.contains("poisoned") && child.status.success(),
        "{said} {}",
        String::from_utf8_lossy(&child.stderr)
    );
    let durable = said.lines().filter_map(|line| line.rsplit_once("durable ")?.1.parse::<u64>().ok());
    check(dir.path(), durable.max().unwrap(), 0).await;
    let journal = open(dir.path(), Sizes::default()).await;
    let mut writer = journal.claim(run(1)).await.unwrap();
    writer.append(vec![draft("on")], Extras::default()).unwrap().ticket.durable().await.unwrap();
}

/// Megabytes that are written in the tests of memory: some times the cache.
const LONG: u32 = 160;
/// What a process with a store may have in memory, in megabytes: sled's cache of 64, and half as much again.
const BOUND: u64 = 128;

/// In a process of its own, for nothing else to be in its memory: writes for long, and says how much it has.
#[tokio::test]
async fn child_that_writes_for_long() {
    let Some(state) = std::env::var_os(CHILD) else { return };
    let journal = Journal::open_state(Path::new(&state), None, entropy()).await.unwrap();
    for n in 0..LONG / 8 {
        let made = journal.create_run(run(u8::try_from(n).unwrap()), None, Vec::new(), Vec::new()).await;
        let Ok(Created::New(mut writer)) = made else { panic!("the run is new") };
        let mut last = None;
        for item in 0..8 * 1024 / 60_u32 {
            let of = |n: u32| Draft {
                step: Some("step".parse().unwrap()),
                item: Some(item * 20 + n),
                ..draft(vec![7; 3 << 10])
            };
            last = Some(writer.append((0..20).map(of).collect(), Extras::default()).unwrap().ticket);
        }
        last.unwrap().durable().await.unwrap();
        say_resident();
    }
}

/// The same with sled as it comes.
#[test]
fn child_that_writes_for_long_without_the_guard() {
    let Some(state) = std::env::var_os(CHILD) else { return };
    let db = sled::Config::new().path(state).flush_every_ms(None).open().unwrap();
    for n in 0..LONG / 8 {
        for item in 0..8 * 1024 / 3_u32 {
            db.insert([n.to_be_bytes(), item.to_be_bytes()].concat(), vec![7; 3 << 10]).unwrap();
        }
        db.flush().unwrap();
        say_resident();
    }
}

fn say_resident() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kilobytes = line.trim().trim_end_matches(" kB").parse::<u64>().unwrap();
    let mut out = std::io::stdout();
    writeln!(out, "resident {}", kilobytes >> 10).unwrap();
}

/// Megabytes that a process had in memory in the course of its work.
fn resident(test: &str) -> Vec<u64> {
    let dir = tempfile::tempdir().unwrap();
    let mut child = child(test, dir.path());
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let resident = lines.filter_map(|line| line.rsplit_once("resident ")?.1.parse().ok()).collect::<Vec<_>>();
    assert!(child.wait().unwrap().success());
    assert_eq!(resident.len() as u32, LONG / 8);
    resident
}

/// Guard 4, with its specimen: what a process holds of a store has a bound, however much it writes; sled as it comes
/// holds all that was written.
#[test]
fn memory_has_a_bound_over_a_long_run() {
    let guarded = resident("process::child_that_writes_for_long");
    assert!(guarded.iter().all(|megabytes| *megabytes <= BOUND), "{guarded:?}");
    let without = resident("process::child_that_writes_for_long_without_the_guard");
    assert!(without.iter().any(|megabytes| *megabytes > BOUND), "{without:?}");
}

#[tokio::test]
async fn a_store_that_another_process_has_open_is_locked() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = child("process::child_that_appends", dir.path());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("durable")), "the child opened the store");
    let error = SledStore::open(dir.path(), &SystemEntropy).err().unwrap();
    let pid = child.id();
    assert!(matches!(error, OpenError::Locked { by: Some(by), .. } if by == pid), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
    SledStore::open(dir.path(), &SystemEntropy).unwrap();
}
