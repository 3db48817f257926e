//! What goes over the socket: answers that are lost, and peers that are not ours.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use serde_json::{Value, json};

use crate::gate::Gate;
use crate::harness::{Output, Project, Provider, approval_of};
use crate::shared::Running;

fn read(from: &mut UnixStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).ok()?;
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    from.read_exact(&mut frame).ok()?;
    Some(frame)
}

fn write(to: &mut UnixStream, frame: &[u8]) {
    let length = u32::try_from(frame.len()).expect("frames are small").to_be_bytes();
    to.write_all(&[&length, frame].concat()).expect("the peer reads");
}

/// Stands between the holder and the next command, and loses the answer to its first `operation`: the holder has
/// done it, and the command does not know.
fn lose_answer(state: &Path, operation: &'static str) -> JoinHandle<Value> {
    let (socket, real) = (state.join("wflo.sock"), state.join("real.sock"));
    std::fs::rename(&socket, &real).expect("somebody holds the store");
    let listener = UnixListener::bind(&socket).expect("a socket of our own");
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("the command comes");
        let mut holder = UnixStream::connect(&real).expect("the holder is there");
        write(&mut client, &read(&mut holder).expect("its hello"));
        write(&mut holder, &read(&mut client).expect("its hello"));
        loop {
            let ask = read(&mut client).expect("a request");
            write(&mut holder, &ask);
            let reply = read(&mut holder).expect("a reply");
            let ask: Value = serde_json::from_slice(&ask).expect("a request is JSON");
            if ask["request"].get(operation).is_some() {
                // From now on the command meets the holder itself.
                std::fs::rename(&real, &socket).expect("the holder's socket is there");
                return serde_json::from_slice(&reply).expect("a reply is JSON");
            }
            write(&mut client, &reply);
        }
    })
}

#[test]
fn what_was_done_and_not_answered_is_not_done_twice() {
    let (project, people) = Project::fraud();
    let waiting = project.wflo(&["run", "--json"]).expect_code(10).json();
    let provider = Provider::start(&project, &[]);
    let gate = Gate::before(&provider);
    project.use_server(&gate.address);
    let holder = Running::start(&mut project.command(&["run"]));
    gate.arrived(1);
    let state: PathBuf = project.path(".wflo");

    let lost = lose_answer(&state, "keep");
    let token = project.wflo(&["identity", "add", "dora"]).expect_code(0).stdout;
    assert_eq!(lost.join().expect("it was lost"), json!({"done": null}));

    let hello = Project::new("hello");
    let lost = lose_answer(&state, "start");
    let mut command = hello.command(&["run", "--json", "--as", "dora"]);
    command.arg("--state").arg(&state).env("WFLO_TOKEN", token.trim());
    let run = Output::of(&mut command).expect_code(0).json();
    assert_eq!(lost.join().expect("it was lost"), json!({"done": run["run"]}));
    let runs = project.wflo(&["runs", "--workflow", "hello", "--json"]).expect_code(0).json();
    assert_eq!(runs.as_array().map(Vec::len), Some(1), "{runs}");

    let approval = approval_of(&waiting);
    let lost = lose_answer(&state, "vote");
    project.wflo_as("alice", &people.alice, &["approve", &approval, "--comment", "seen"]).expect_code(10);
    assert_eq!(lost.join().expect("it was lost")["done"]["id"], approval.as_str());
    let shown = project.wflo(&["approvals", "show", &approval, "--json"]).expect_code(0).json();
    assert_eq!(shown["votes"].as_array().map(Vec::len), Some(1), "{shown}");
    // Typed again, it is a second vote, and refused.
    project.wflo_as("alice", &people.alice, &["approve", &approval, "--comment", "seen"]).expect_code(3);

    gate.open();
    holder.end().expect_code(10);
}

/// Listens in the place of a holder and says this to the first that comes.
fn impostor(project: &Project, says: Vec<u8>) -> JoinHandle<()> {
    std::fs::create_dir_all(project.path(".wflo")).expect("a state folder");
    let listener = UnixListener::bind(project.path(".wflo/wflo.sock")).expect("a socket");
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("the command comes");
        client.write_all(&says).expect("the command reads");
        // Kept open until the command has decided to go.
        let _ = client.read_to_end(&mut Vec::new());
    })
}

#[test]
fn another_version_and_what_is_no_wflo_are_told_apart() {
    let hello = json!({"protocol": 99, "wflo": "9.9.9", "process": 17}).to_string();
    let mut newer = u32::try_from(hello.len()).expect("small").to_be_bytes().to_vec();
    newer.extend(hello.bytes());
    for (says, expect) in [
        (newer, "process 17 holds the store and is wflo 9.9.9 (protocol 99)"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "bytes; at most"),
        (b"\0\0\0\x02{}".to_vec(), "cannot be read"),
    ] {
        let project = Project::new("hello");
        let peer = impostor(&project, says);
        let refused = project.wflo(&["runs"]).expect_code(70);
        assert!(refused.stderr.contains(expect), "{}", refused.stderr);
        assert!(refused.stderr.contains("\nhint: "), "{}", refused.stderr);
        peer.join().expect("it has spoken");
    }
}

#[test]
fn what_no_command_sends_is_refused_and_harms_nobody() {
    let (project, _) = Project::fraud();
    let provider = Provider::start(&project, &[]);
    let gate = Gate::before(&provider);
    project.use_server(&gate.address);
    let holder = Running::start(&mut project.command(&["run", "--json"]));
    gate.arrived(1);
    let speak = || {
        let mut peer = UnixStream::connect(project.path(".wflo/wflo.sock")).expect("the holder is there");
        let hello = read(&mut peer).expect("its hello");
        write(&mut peer, &hello);
        peer
    };
    let mut unknown = speak();
    write(&mut unknown, br#"{"request":{"format_the_disk":{}}}"#);
    let reply: Value = serde_json::from_slice(&read(&mut unknown).expect("a reply")).expect("JSON");
    assert!(reply["failed"]["message"].as_str().expect("why").contains("cannot be read"), "{reply}");
    let mut endless = speak();
    endless.write_all(&[0xff; 4]).expect("it reads");
    let reply: Value = serde_json::from_slice(&read(&mut endless).expect("a reply")).expect("JSON");
    assert!(reply["failed"]["message"].as_str().expect("why").contains("at most"), "{reply}");
    assert_eq!(read(&mut endless), None, "nothing more is heard from such a peer");
    // One that says nothing, and one that leaves in the middle of a word.
    let _silent = speak();
    speak().write_all(&[0, 0]).expect("it reads");

    project.wflo(&["runs"]).expect_code(0);
    gate.open();
    holder.end().expect_code(10);
}
