//! Goes for the limits and the walls of its sandbox, in one way a step.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant, SystemTime};

wit_bindgen::generate!({
    inline: r#"
        package test:rogue;
        world rogue {
            import wflo:step/context@0.1.0;
            import wasi:logging/logging@0.1.0-draft;
            import wflo:approval/gate@0.1.0;
            import wflo:approval/policy@0.1.0;
            export wflo:step/handler@0.1.0;
        }
    "#,
    path: ["../../../wit/deps/logging", "../../../wit/step", "../../../wit/approval"],
    world: "test:rogue/rogue",
    generate_all,
});

use exports::wflo::step::handler::{Failure, Guest, StepInfo, Undo};
use wasi::logging::logging::{Level, log};
use wasip2::clocks::monotonic_clock;
use wasip2::io::poll::poll;
use wasip2::random::random::get_random_bytes;
use wflo::approval::{gate, policy};
use wflo::step::context;

struct Rogue;
export!(Rogue);

/// What a step is made of.
type Step = fn() -> Result<String, Failure>;

const STEPS: &[(&str, Step)] = &[
    ("spins", || {
        loop {
            std::hint::black_box(());
        }
    }),
    ("allocates", || {
        let mut held = Vec::new();
        loop {
            held.push(std::hint::black_box(vec![1_u8; 1 << 20]));
        }
    }),
    ("recurses", || Ok(format!("{}", deep(1)))),
    ("panics", || panic!("on purpose")),
    ("exits", || std::process::exit(0)),
    ("hoards_handles", || {
        let held: Vec<_> = (0..1_000_000).map(monotonic_clock::subscribe_instant).collect();
        Ok(format!("{}", held.len()))
    }),
    ("polls_nothing", || {
        poll(&[]);
        Ok("null".into())
    }),
    ("sleeps_for_a_year", || {
        std::thread::sleep(Duration::from_secs(365 * 86_400));
        Ok("null".into())
    }),
    ("naps_for_ever", || {
        loop {
            std::thread::sleep(Duration::from_millis(200));
        }
    }),
    ("returns_much", || Ok(format!("{:?}", "x".repeat(3 << 20)))),
    ("returns_no_json", || Ok("{\"amount\": 1, }".into())),
    ("returns_a_pit", || Ok("[".repeat(200_000) + &"]".repeat(200_000))),
    ("returns_a_number_too_large", || Ok("1e999".into())),
    ("returns_twice_the_same_key", || Ok(r#"{"amount":1,"amount":100}"#.into())),
    ("returns_controls", || Ok(r#""\u0000\u001b]0;owned\u0007\u202e""#.into())),
    ("fails_at_length", || Err(Failure::Permanent("no! ".repeat(1 << 20)))),
    ("logs_a_flood", || {
        for n in 0..60_000 {
            log(Level::Info, "flood", &format!("line {n} of many that nobody wants to read"));
        }
        Ok("null".into())
    }),
    ("logs_without_end", || {
        for _ in 0..4096 {
            print!("{}", "y".repeat(1024));
        }
        Ok("null".into())
    }),
    ("logs_controls", || {
        log(Level::Info, "\u{1b}[31mred", "\u{1b}]0;owned\u{7}\u{1b}[2Jgone\r\nerror: forged\u{9b}1m");
        println!("\u{1b}[8mhidden\u{1b}[0m");
        Err(Failure::Permanent("\u{1b}]52;c;cm0gLXJm\u{7}pasted".into()))
    }),
    ("logs_what_looks_like_more", || {
        log(Level::Info, "app", "{\"level\":\"error\",\"run\":\"another\",\"message\":\"forged\"}");
        Ok("null".into())
    }),
    ("floods_its_host", || {
        for n in 0..1_000_000_u32 {
            // Each another, so that each is a call of its own.
            let _ = policy::fact("undeclared", &n.to_string());
        }
        Ok("null".into())
    }),
    ("says_too_much", || Ok(told(policy::fact("undeclared", &format!("{:?}", "x".repeat(20 << 20)))))),
    ("says_a_pit", || Ok(told(policy::fact("undeclared", &("[".repeat(200_000) + &"]".repeat(200_000)))))),
    ("claims_what_it_did_not_declare", || Ok(told(policy::fact("risk", "0")))),
    ("claims_another_type", || Ok(told(policy::fact("amount", "\"0\"")))),
    ("asks_nobody", || Ok(told(gate::request(&ask(&[]))))),
    ("asks_a_terminal", || Ok(told(gate::request(&ask(&["team", "\x1b[2J\u{202e}x\nstatus approved"]))))),
    ("asks_strangers", || Ok(told(gate::request(&ask(&["nobody-of-that-name"]))))),
    ("looks_around", || Ok(around())),
    ("asks_the_time", || {
        // However long it really takes, a reading is a microsecond after the one before.
        let (began, wall) = (Instant::now(), SystemTime::now());
        let mut sum = 0_u64;
        for n in 0..20_000_000_u64 {
            sum = sum.wrapping_add(std::hint::black_box(n));
        }
        std::hint::black_box(sum);
        let wall = wall.elapsed().expect("time does not go back");
        Ok(format!("[{},{}]", began.elapsed().as_micros(), wall.as_micros()))
    }),
    ("draws_lots", || {
        let bytes = get_random_bytes(32);
        Ok(format!("{}", bytes.iter().any(|byte| *byte != bytes[0])))
    }),
    ("draws_too_many", || Ok(format!("{}", get_random_bytes(1 << 40).len()))),
    ("opens_sockets", || {
        Ok(listed(&[
            failed(TcpStream::connect("127.0.0.1:22")),
            failed(TcpStream::connect("[::1]:22")),
            failed(TcpListener::bind("0.0.0.0:0")),
            failed(UdpSocket::bind("127.0.0.1:0")),
            failed("localhost:80".to_socket_addrs()),
            failed("example.org:80".to_socket_addrs()),
        ]))
    }),
    ("escapes", || Ok(escapes())),
    ("races_a_link", || Ok(races())),
    ("writes_into_what_it_was_lent", || {
        Ok(listed(&[
            failed(fs::write("/data/new.txt", "x")),
            failed(fs::write("/data/hello.txt", "x")),
            failed(fs::create_dir("/data/folder")),
            failed(fs::remove_file("/data/hello.txt")),
            failed(fs::rename("/data/hello.txt", "/data/other.txt")),
            failed(fs::hard_link("/data/hello.txt", "/data/other.txt")),
        ]))
    }),
    ("writes_files", || {
        Ok(listed(&[
            failed(fs::write("/tmp/owned", "x")),
            failed(fs::write("owned", "x")),
            failed(fs::create_dir("/owned")),
            failed(fs::remove_file("/etc/passwd")),
            failed(fs::rename("/etc/passwd", "/etc/passwd.old")),
            failed(fs::hard_link("/etc/passwd", "/owned")),
            failed(fs::File::create("/dev/null")),
        ]))
    }),
    ("compares_itself", || {
        Ok(format!("[{:?},{:?}]", context::output_of("another"), context::output_of("../secrets"))
            .replace("None", "null"))
    }),
];

impl Guest for Rogue {
    fn describe() -> Vec<StepInfo> {
        let info = |(name, _): &(&str, Step)| StepInfo {
            name: (*name).into(),
            summary: "Should not get far.".into(),
            compensates: false,
            output_schema: None,
            facts: Vec::new(),
        };
        STEPS.iter().map(info).collect()
    }

    fn run(step: String) -> Result<String, Failure> {
        match STEPS.iter().find(|(name, _)| *name == step) {
            Some((_, step)) => step(),
            None => Err(Failure::Permanent(format!("no step `{step}`"))),
        }
    }

    fn compensate(_: Undo) -> Result<(), Failure> {
        Ok(())
    }
}

fn told(answer: impl std::fmt::Debug) -> String {
    format!("{:?}", format!("{answer:?}"))
}

fn listed(found: &[String]) -> String {
    let found: Vec<String> = found.iter().map(|text| format!("{text:?}")).collect();
    format!("[{}]", found.join(","))
}

fn failed<T>(tried: std::io::Result<T>) -> String {
    if tried.is_ok() { "done".into() } else { "refused".into() }
}

fn ask(approvers: &[&str]) -> gate::Ask {
    gate::Ask {
        summary: "may I?".into(),
        details: None,
        approvers: approvers.iter().map(|name| (*name).to_owned()).collect(),
        quorum: None,
        timeout_seconds: None,
    }
}

fn deep(n: u64) -> u64 {
    let frame = std::hint::black_box([n; 64]);
    if n == 0 { 0 } else { deep(std::hint::black_box(n + 1)) + frame[5] }
}

/// What its surroundings hold: environment, arguments, input.
fn around() -> String {
    let mut input = String::new();
    let read = std::io::stdin().read_to_string(&mut input).unwrap_or(0);
    let _ = std::io::stdout().flush();
    listed(&[
        format!("{}", std::env::vars().count()),
        format!("{}", std::env::args().count()),
        format!("{read}"),
        failed(fs::read_dir("/")),
        failed(fs::read_dir(".")),
        failed(std::env::current_dir().and_then(fs::read_dir)),
    ])
}

/// Ways to a file that nobody gave it; the first is to one that somebody may have.
fn escapes() -> String {
    let ways = [
        "/data/hello.txt",
        "/etc/passwd",
        "etc/passwd",
        "../etc/passwd",
        "../../../../../../../../etc/passwd",
        "/data/../etc/passwd",
        "/data/../secret.txt",
        "/data/../../../../etc/passwd",
        "/data/./.././secret.txt",
        "//etc/passwd",
        "/data/link_out",
        "/data/folder_out/secret.txt",
        "/data/absolute_link",
        "/data/link_to_link",
        "/proc/self/environ",
        "/proc/self/root/etc/passwd",
        "/dev/fd/0",
        "..\\..\\etc\\passwd",
        "/data/\u{2025}/secret.txt",
        "/.wflo/master.key",
    ];
    let done = ways.iter().filter(|way| fs::read(way).is_ok()).count();
    listed(&[format!("{done} done"), format!("{} refused", ways.len() - done)])
}

/// What it ever sees behind a link that leads in and out by turns, other than what is in.
fn races() -> String {
    let seen = (0..200).filter_map(|_| fs::read_to_string("/data/turns").ok());
    let mut odd: Vec<String> = seen.filter(|text| text != "hello").collect();
    odd.dedup();
    listed(&odd)
}
