//! A few rounds of `cargo xtask torture`, and environments that are as bad as machines are.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::{fs, io};

use serde_json::Value;

use crate::harness::{Output, Project, Provider, approval_of, binary};

#[test]
fn nothing_is_lost_and_nothing_happens_twice_however_often_it_is_killed() {
    let tortured = Output::of(Command::new(binary("wflo-torture")).args(["--rounds", "6"]));
    assert_eq!(tortured.code, 0, "{}", tortured.stderr);
    assert!(tortured.stderr.contains("runs checked"), "{}", tortured.stderr);
}

#[test]
fn nor_on_postgresql() {
    let args = ["--rounds", "6", "--database", "postgres"];
    let tortured = Output::of(Command::new(binary("wflo-torture")).args(args));
    assert_eq!(tortured.code, 0, "{}", tortured.stderr);
    assert!(tortured.stderr.contains("runs checked"), "{}", tortured.stderr);
}

/// The chores, with a book to write into and somebody who decides: their name and token.
fn chores() -> (Project, String) {
    let project = Project::workflow("chores");
    let book = rusqlite::Connection::open(project.path("book.db")).expect("the book");
    book.execute_batch("CREATE TABLE squares (number INTEGER PRIMARY KEY, square INTEGER)")
        .expect("the book");
    let token = project.wflo(&["identity", "add", "olga", "--group", "ops"]).expect_code(0).stdout;
    (project, token.trim().to_owned())
}

fn id(run: &Value) -> String {
    run["run"].as_str().expect("a run has an id").to_owned()
}

/// A run that waits for a decision.
fn waiting(project: &Project) -> Value {
    project.wflo(&["run", "--json", "--input", "ask=true"]).expect_code(10).json()
}

#[test]
fn a_damaged_state_folder_is_refused_with_a_way_out_and_left_as_it_is() {
    type Damage = fn(&Path);
    let remove: Damage = |path| fs::remove_file(path).expect("it is there");
    let empty: Damage = |path| fs::write(path, "").expect("it is there");
    let flip: Damage = |path| {
        let mut bytes = fs::read(path).expect("it is there");
        let used = bytes.iter().rposition(|byte| *byte != 0).expect("it is not empty");
        bytes[..used].iter_mut().step_by(64).for_each(|byte| *byte ^= 0x55);
        fs::write(path, bytes).expect("it is there");
    };
    let (project, token) = chores();
    let run = waiting(&project);
    for (file, how, damage, says) in [
        ("FORMAT", "removed", remove, "`FORMAT` is missing"),
        ("FORMAT", "emptied", empty, "does not hold a wflo store"),
        ("FORMAT", "flipped", flip, "does not hold a wflo store"),
        ("CURRENT", "removed", remove, "`CURRENT` is missing"),
        ("CURRENT", "emptied", empty, "names no generation"),
        ("CURRENT", "flipped", flip, "names no generation"),
        ("MARK", "emptied", empty, "no line `writes N`"),
        ("seal.key", "removed", remove, "seal.key"),
        ("seal.key", "emptied", empty, "64 hex digits"),
        ("gen-0001/log/00000001", "removed", remove, "`log/00000001` is missing"),
        ("gen-0001/log/00000001", "emptied", empty, "is damaged"),
        ("gen-0001/log/00000001", "flipped", flip, "is damaged"),
    ] {
        let path = project.path(".wflo").join(file);
        let whole = project.path("whole");
        fs::copy(&path, &whole).expect("it is there");
        damage(&path);
        for args in [&["runs"][..], &["resume", &id(&run)], &["run"]] {
            let refused = project.wflo(args);
            assert_eq!(refused.code, 70, "`{file}` {how}: {refused:?}");
            let stderr = &refused.stderr;
            assert!(stderr.contains(says) && stderr.contains("\nhint: "), "`{file}` {how}: {stderr}");
        }
        fs::copy(&whole, &path).expect("it is there");
    }
    // What only says again what the log says is made anew.
    for damage in [remove, empty, flip] {
        damage(&project.path(".wflo/gen-0001/index/db"));
        project.wflo(&["show", &id(&run)]).expect_code(0);
    }
    let run = project.wflo_as("olga", &token, &["approve", &approval_of(&run), "--json"]).expect_code(0);
    assert_eq!(run.json()["status"], "succeeded", "what was restored goes on");
}

#[test]
fn stores_that_were_mixed_up_are_told_apart() {
    let (one, _) = chores();
    let (other, _) = chores();
    let run = waiting(&one);
    let swap = |part: &str| {
        let (ours, theirs, aside) =
            (one.path(".wflo").join(part), other.path(".wflo").join(part), one.path("aside"));
        fs::rename(&ours, &aside).expect("it is there");
        fs::rename(&theirs, &ours).expect("it is there");
        fs::rename(&aside, &theirs).expect("it is there");
    };
    for (part, says) in [
        ("FORMAT", "another store"),
        ("seal.key", "the master key is not the one"),
        ("gen-0001", "another store"),
    ] {
        swap(part);
        let refused = one.wflo(&["runs"]).expect_code(70).stderr;
        assert!(refused.contains(says) && refused.contains("\nhint: "), "`{part}`: {refused}");
        swap(part);
    }
    assert_eq!(one.wflo(&["show", &id(&run), "--json"]).expect_code(0).json(), run);
}

#[test]
fn a_run_in_flight_needs_its_deployment_and_nothing_else_of_its_folder() {
    let (project, token) = chores();
    let run = waiting(&project);
    let deployment = fs::read_to_string(project.path("wflo.toml")).expect("wflo.toml");
    fs::remove_file(project.path("wflo.toml")).expect("wflo.toml");
    let refused = project.wflo(&["resume", &id(&run)]).expect_code(2).stderr;
    assert!(refused.contains("database `book`") && refused.contains("\nhint: "), "{refused}");
    project.write("wflo.toml", &deployment);

    // What it runs was pinned when it was started.
    project.write("chores.wasm", "another component");
    project.edit("workflow.toml", "max_parallel = 4", "max_parallel = 1");
    project.wflo(&["resume", &id(&run)]).expect_code(10);
    fs::remove_file(project.path("chores.wasm")).expect("the component");
    let ended = project.wflo_as("olga", &token, &["approve", &approval_of(&run), "--json"]).expect_code(0);
    assert_eq!(ended.json()["status"], "succeeded");
    project.wflo(&["replay", &id(&run)]).expect_code(0);
}

/// Runs a script where it may mount; none where this machine has no such place.
fn with_mounts(project: &Project, script: &str) -> Option<Output> {
    let unshared = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--map-root-user", "sh", "-euc", script]).current_dir(project.path("."));
        command.env("WFLO", binary("wflo")).env("NO_COLOR", "1").output().ok()
    };
    let can = unshared("mkdir -p mounted && mount -t tmpfs tmpfs mounted");
    if !can.is_some_and(|output| output.status.success()) {
        writeln!(io::stderr(), "skipped: this machine lets nobody mount a file system").expect("stderr");
        return None;
    }
    unshared(script).map(Output::from)
}

#[test]
fn on_a_full_disk_a_run_stops_with_a_way_out_and_goes_on_when_there_is_room() {
    let project = Project::workflow("torture");
    let provider = Provider::start(&project, &[]);
    project.use_server(&provider.address);
    let book = rusqlite::Connection::open(project.path("book.db")).expect("the book");
    let tables = "
        CREATE TABLE effects (run TEXT, step TEXT, item INTEGER, PRIMARY KEY (run, step, item));
        CREATE TABLE tally (step TEXT, item INTEGER, n INTEGER);
        INSERT INTO tally VALUES ('flaky', 0, 0);";
    book.execute_batch(tables).expect("the book");
    // The second run finds everything there but room for what its step `large` returns. sled fills its file with
    // zeros when it is opened the second time.
    let script = r#"
        mkdir small; mount -t tmpfs -o size=64m tmpfs small
        wflo() {
            code=0; $WFLO "$@" --state small/state --json >said 2>&1 || code=$?
            echo "$1 $code"; grep -e ^error -e ^hint said || true
        }
        $WFLO identity add olga --group ops --state small/state >said
        wflo run --input count=0 --input nap_ms=0 --input ask=false
        wflo runs
        head -c 99m /dev/zero >small/ballast 2>/dev/null || true
        truncate -s -700k small/ballast
        wflo run --input count=0 --input nap_ms=0 --input ask=false
        wflo resume
        rm small/ballast
        wflo resume
        wflo runs; cat said
        for run in $(grep -o '"run": "[^"]*"' said | cut -d '"' -f 4); do
            $WFLO audit show $run --state small/state
        done
    "#;
    let Some(output) = with_mounts(&project, script) else { return };
    let hint = "\nhint: make room on the disk of the state folder";
    let said: Vec<&str> = output.stdout.split_inclusive(hint).collect();
    let [first, full, rest] = said[..] else { panic!("two commands fail for lack of room: {output:?}") };
    assert!(first.starts_with("run 10\nruns 0\nrun 70\nerror: "), "{output:?}");
    assert!(full.contains("\nresume 70\nerror: "), "{output:?}");
    assert!(rest.contains("\nresume 10\nruns 0\n"), "{output:?}");
    assert_eq!(
        rest.matches(r#""status": "waiting""#).count(),
        2,
        "both runs are where they wait: {output:?}"
    );
    // Each effect happened once a run. A model is asked again only for an answer that there was no room for: every
    // question has an intent of its own.
    let raised: i64 = book.query_row("SELECT n FROM tally", [], |row| row.get(0)).expect("the book");
    assert_eq!(raised, 2, "{output:?}");
    let intents = rest.matches("calls wflo:llm").count();
    let asked = 2 * 4..=intents;
    assert!(asked.contains(&provider.requests()), "{} of {asked:?}: {output:?}", provider.requests());
    assert!(intents <= 2 * 4 + 4, "no more than were under way: {output:?}");
}

#[test]
fn a_state_folder_that_cannot_be_written_is_refused_with_a_way_out() {
    let (project, _) = chores();
    let run = waiting(&project);
    let script = r#"
        mount --bind .wflo .wflo; mount -o remount,ro,bind .wflo
        for command in runs resume run; do
            code=0; $WFLO $command >said 2>&1 || code=$?; echo "$command $code"; cat said
        done
    "#;
    let Some(output) = with_mounts(&project, script) else { return };
    for command in ["runs", "resume", "run"] {
        assert!(output.stdout.contains(&format!("{command} 70\nerror: ")), "{output:?}");
    }
    assert_eq!(output.stdout.matches("hint: the state folder must be writable").count(), 3, "{output:?}");
    assert_eq!(project.wflo(&["show", &id(&run), "--json"]).expect_code(0).json(), run);
}

/// Shifts the clock of a command by as many seconds as `SHIFT` says; every compiler that links Rust can build it.
const SHIFTED_CLOCK: &str = r#"
    #define _GNU_SOURCE
    #include <stdlib.h>
    #include <sys/syscall.h>
    #include <time.h>
    #include <unistd.h>
    int clock_gettime(clockid_t clock, struct timespec *to) {
        long failed = syscall(SYS_clock_gettime, clock, to);
        const char *shift = getenv("SHIFT");
        if (!failed && clock == CLOCK_REALTIME && shift) to->tv_sec += atol(shift);
        return (int)failed;
    }"#;

#[test]
#[cfg(target_os = "linux")]
fn a_clock_that_is_set_back_stops_neither_timers_nor_approvals() {
    let (project, token) = chores();
    project.write("clock.c", SHIFTED_CLOCK);
    let library = project.path("clock.so");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(project.path("clock.c"))
        .output();
    let built = built.expect("what links Rust is there");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let at = |shift: &str, args: &[&str]| {
        let mut command = project.command(args);
        command.env("LD_PRELOAD", &library).env("SHIFT", shift).env("WFLO_TOKEN", &token);
        Output::of(&mut command)
    };
    let events = |run: &str| {
        let shown = project.wflo(&["audit", "show", run, "--json"]).expect_code(0).json();
        shown.as_array().expect("events").clone()
    };

    let inputs = ["run", "--json", "--input", "ask=true", "--input", "nap_ms=5000"];
    let run = at("3600", &inputs).expect_code(10).json();
    let name = id(&run);
    let before = events(&name);
    // An hour is taken back: what is decided now counts, and does not come before what it is about.
    let open = approval_of(&run);
    let decided = at("0", &["approve", &open, "--as", "olga", "--json"]).expect_code(11).json();
    assert_eq!(decided["waiting_for"][0]["kind"], "timer", "{decided}");
    at("-86400", &["resume", &name]).expect_code(11);
    let ended = at("3700", &["resume", &name, "--json"]).expect_code(0).json();
    assert_eq!(ended["status"], "succeeded");

    let after = events(&name);
    assert_eq!(after[..before.len()], before, "nothing of what was written has changed");
    let times: Vec<&str> = after.iter().map(|event| event["at"].as_str().expect("a time")).collect();
    assert!(times.is_sorted(), "the times of events go back: {times:?}");
    project.wflo(&["replay", &name]).expect_code(0);
    project.wflo(&["audit", "export", &name, "-o", "run.audit"]).expect_code(0);
    project.wflo(&["audit", "verify", "run.audit"]).expect_code(0);
}
