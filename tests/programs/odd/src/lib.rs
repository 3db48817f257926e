//! Does one odd thing a step.

use std::hash::{BuildHasher, RandomState};
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant, SystemTime};

wit_bindgen::generate!({
    inline: r#"
        package test:odd;
        world odd {
            import wflo:step/context@0.1.0;
            import wasi:logging/logging@0.1.0-draft;
            import wflo:db/sql@0.1.0;
            import wflo:approval/gate@0.1.0;
            export wflo:step/handler@0.1.0;
        }
    "#,
    path: ["../../../wit/deps/logging", "../../../wit/step", "../../../wit/db", "../../../wit/approval"],
    world: "test:odd/odd",
    generate_all,
});

use exports::wflo::step::handler::{Failure, Guest, StepInfo, Undo};
use wasi::logging::logging::{Level, log};
use wasip2::clocks::monotonic_clock;
use wasip2::io::poll::poll;
use wasip2::random::random::get_random_bytes;
use wflo::approval::gate;
use wflo::db::sql::{self, Value};
use wflo::step::context;

struct Odd;
export!(Odd);

impl Guest for Odd {
    fn describe() -> Vec<StepInfo> {
        vec![StepInfo {
            name: "ok".into(),
            summary: "Does nothing.".into(),
            compensates: true,
            output_schema: Some("{\"type\":\"object\"}".into()),
            facts: vec![("risk".into(), "{\"type\":\"number\"}".into())],
        }]
    }

    fn run(step: String) -> Result<String, Failure> {
        match step.as_str() {
            "ok" => Ok("{\"ok\":true}".into()),
            "echo_input" => Ok(context::inputs()),
            "context" => Ok(all_context()),
            "permanent" => Err(Failure::Permanent("no".into())),
            "retryable" => Err(Failure::Retryable("later".into())),
            "redo" => Err(Failure::Redo("ask again".into())),
            "loop_forever" => loop {
                std::hint::black_box(());
            },
            "memory_bomb" => {
                let mut held = Vec::new();
                loop {
                    held.push(std::hint::black_box(vec![1_u8; 1 << 20]));
                }
            }
            "memory_once" => Ok(format!("{}", std::hint::black_box(vec![1_u8; 8 << 20]).len())),
            "leavings" => {
                let (count, looked) = leavings();
                Ok(format!("[{count},{looked}]"))
            }
            "stack_bomb" => Ok(format!("{}", deep(1))),
            "panic" => {
                eprintln!("about to give up");
                panic!("boom {}", 7)
            }
            "exit" => std::process::exit(3),
            "bad_output" => Ok("this is no JSON".into()),
            "big_output" => Ok(format!("{:?}", "x".repeat(2 << 20))),
            "sleep" => Ok(sleep(1500)),
            "sleep_long" => Ok(sleep(3_600_000)),
            "timers" => Ok(timers()),
            "busy_wait" => {
                let started = Instant::now();
                while started.elapsed() < Duration::from_millis(5) {}
                Ok("true".into())
            }
            "random_and_time" => Ok(random_and_time()),
            "log_flood" => {
                for n in 0..100_000 {
                    log(Level::Debug, "flood", "");
                    println!("line {n}");
                }
                Ok("null".into())
            }
            "prints" => {
                print!("par");
                std::io::stdout().flush().expect("stdout takes everything");
                eprintln!("on stderr");
                println!("tial");
                let _ = sql::query("bank", "SELECT 1", &[]);
                log(Level::Warn, "odd", "{\"after\":\"the call\"}");
                print!("unfinished");
                std::io::stdout().flush().expect("stdout takes everything");
                Ok("null".into())
            }
            "many_calls" => {
                for _ in 0..50 {
                    let _ = sql::query("bank", "SELECT 1", &[]);
                }
                Ok("null".into())
            }
            "big_argument" => {
                let _ = sql::query("bank", "SELECT ?1", &[Value::Text("x".repeat(9 << 20))]);
                Ok("null".into())
            }
            "query" => Ok(format!("{:?}", format!("{:?}", sql::query("bank", "SELECT 1", &[])))),
            "outside" => Ok(outside()),
            "many_handles" => {
                let held: Vec<_> = (0..20_000).map(monotonic_clock::subscribe_instant).collect();
                Ok(format!("{}", held.len()))
            }
            "empty_poll" => {
                poll(&[]);
                Ok("null".into())
            }
            other => Err(Failure::Permanent(format!("no step `{other}`"))),
        }
    }

    fn compensate(what: Undo) -> Result<(), Failure> {
        match what.step.as_str() {
            "ok" if what.certain && what.output.as_deref() == Some("{\"ok\":true}") => Ok(()),
            other => Err(Failure::Permanent(format!("cannot undo `{other}`"))),
        }
    }
}

fn all_context() -> String {
    let text = |text: String| format!("{text:?}");
    let json = |json: Option<String>| json.unwrap_or_else(|| "null".into());
    let decision = gate::decision().map(|decision| {
        let votes: Vec<String> = decision
            .votes
            .into_iter()
            .map(|vote| format!("{} {} {}", vote.by, vote.approved, vote.comment.unwrap_or_default()))
            .collect();
        format!("{:?}", format!("{:?}: {}", decision.status, votes.join(", ")))
    });
    format!(
        "[{},{},{},{},{},{},{},{}]",
        text(context::run_id()),
        text(context::step()),
        context::attempt(),
        json(context::input("amount")),
        json(context::input("absent")),
        json(context::output_of("before")),
        json(context::item()),
        json(decision),
    )
}

fn deep(n: u64) -> u64 {
    let frame = std::hint::black_box([n; 64]);
    if n == 0 { 0 } else { deep(std::hint::black_box(n + 1)) + frame[5] }
}

/// How far each clock moved, in microseconds, in a sleep.
fn sleep(millis: u64) -> String {
    let (wall, monotonic) = (SystemTime::now(), Instant::now());
    std::thread::sleep(Duration::from_millis(millis));
    let monotonic = monotonic.elapsed().as_micros();
    let wall = wall.elapsed().expect("time does not go back").as_micros();
    format!("[{wall},{monotonic}]")
}

/// The order in which timers become ready: two at once, then the last.
fn timers() -> String {
    let started = monotonic_clock::now();
    let at = |millis: u64| monotonic_clock::subscribe_instant(started + millis * 1_000_000);
    let (late, soon, also_soon) = (at(300), at(100), at(100));
    let first = poll(&[&late, &soon, &also_soon]);
    let before = late.ready();
    late.block();
    let then = poll(&[&late, &soon]);
    let took = (monotonic_clock::now() - started) / 1_000_000;
    format!("[{first:?},{before},{then:?},{took}]")
}

fn random_and_time() -> String {
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is past 1970");
    let hash = RandomState::new().hash_one("key");
    let bytes = get_random_bytes(16);
    let nan = (std::hint::black_box(0.0_f64) / std::hint::black_box(0.0)).to_bits();
    format!("[{},\"{hash}\",{bytes:?},\"{nan:x}\"]", wall.as_micros())
}

/// What a step can find outside, each as text; everything should be refused or empty.
fn outside() -> String {
    let mut input = String::new();
    let found = [
        format!("{:?}", TcpStream::connect("127.0.0.1:80").map(drop).map_err(|error| error.kind())),
        format!("{:?}", UdpSocket::bind("127.0.0.1:0").map(drop).map_err(|error| error.kind())),
        format!("{:?}", "localhost:80".to_socket_addrs().map(|found| found.count()).is_err()),
        format!("{:?}", std::fs::read_to_string("/etc/passwd").map_err(|_| "error")),
        format!("{:?}", std::fs::write("/tmp/x", "x").map_err(|_| "error")),
        format!("{:?}", std::fs::read_dir("/").map(|found| found.count()).map_err(|_| "error")),
        format!("{}", std::env::vars().count()),
        format!("{}", std::env::args().count()),
        format!("{:?}", std::io::stdin().read_to_string(&mut input).map_err(|error| error.kind())),
    ];
    let found: Vec<String> = found.iter().map(|text| format!("{text:?}")).collect();
    format!("[{}]", found.join(","))
}

/// How many bytes of memory that nobody has written yet are not zero, in what the guest starts with and in what it
/// asks for; and how often that was looked for. All of it is then written.
fn leavings() -> (usize, u32) {
    static LOOKED: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let looked = LOOKED.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let mut count = 0;
    for pages in [1, 64] {
        let page = core::arch::wasm32::memory_grow(0, pages);
        assert_ne!(page, usize::MAX, "memory can be had");
        // Safety: these pages were just made, and nobody else knows of them.
        let fresh = unsafe { std::slice::from_raw_parts_mut((page << 16) as *mut u8, pages << 16) };
        count += fresh.iter().filter(|byte| **byte != 0).count();
        fresh.fill(0xa5);
        std::hint::black_box(fresh);
    }
    (count, looked)
}
