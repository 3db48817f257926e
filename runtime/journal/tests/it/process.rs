//! Other processes: one that finds the store locked, and ones that are killed while they write.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use wflo_backends::SystemEntropy;
use wflo_journal::{Created, Extras, Journal, OpenError, SledStore};

use crate::support::{draft, entropy, run};

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

/// In a process of its own: appends until it is killed, and says which events are durable. The bodies of some go
/// to blobs.
#[tokio::test]
async fn child_that_appends() {
    let Some(state) = std::env::var_os(CHILD) else { return };
    let journal = Journal::open_state(Path::new(&state), None, entropy()).await.unwrap();
    let mut writer = match journal.create_run(run(1), None, vec![draft("1")], Vec::new()).await {
        Ok(Created::New(writer)) => writer,
        _ => journal.claim(run(1)).await.unwrap(),
    };
    let mut out = std::io::stdout();
    writeln!(out, "durable {}", writer.head()).unwrap();
    loop {
        let pipelined: Vec<_> = (0..8)
            .map(|_| {
                let body = (writer.head() + 1).to_string();
                let large = writer.head().is_multiple_of(50);
                let body = if large { body.repeat(3000) } else { body };
                writer.append(vec![draft(body), draft("pair")], Extras::default()).unwrap().ticket
            })
            .collect();
        for ticket in pipelined {
            ticket.durable().await.unwrap();
        }
        writeln!(out, "durable {}", writer.head()).unwrap();
    }
}

/// Kills a writing process again and again: what it called durable is there, whole and chained.
#[tokio::test]
async fn nothing_acknowledged_is_lost_to_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..6 {
        let mut child = child("process::child_that_appends", dir.path());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let durable = lines
            .map_while(Result::ok)
            .filter_map(|line| line.rsplit_once("durable ")?.1.parse::<u64>().ok());
        for (n, head) in durable.enumerate() {
            acknowledged = head;
            if n == 3 + 2 * round {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let journal = Journal::open_state(dir.path(), None, entropy()).await.unwrap();
        let entries = journal.read(run(1), 1).await.unwrap();
        let head = entries.len() as u64;
        assert!(head >= acknowledged && acknowledged > 0, "round {round}: {head} of {acknowledged}");
        assert_eq!(head % 2, 1, "appends of two land whole");
    }
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
