//! Components are compiled in a process of their own, within limits.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use crate::harness::{Project, binary};

/// Has the hidden subcommand compile a component, with so many MiB of address space and so much processor time.
fn compile(component: &[u8], mebibytes: u64, seconds: u64) -> Output {
    let order = serde_json::json!({
        "settings": {"max_memory": 512 << 20}, "memory": mebibytes << 20, "cpu": seconds,
    });
    let mut child = Command::new(binary("wflo"))
        .args(["compile-component", &order.to_string()])
        .env_clear()
        .env("RAYON_NUM_THREADS", "2")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("wflo runs");
    let mut stdin = child.stdin.take().expect("it is piped");
    std::thread::scope(|scope| {
        // Who has refused reads no further.
        scope.spawn(move || drop(stdin.write_all(component)));
        child.wait_with_output().expect("wflo ends")
    })
}

fn hello() -> Vec<u8> {
    let project = Project::new("hello");
    std::fs::read(project.path("hello.wasm")).expect("the example is built")
}

#[test]
fn the_compiler_keeps_to_its_limits() {
    let component = hello();
    let compiled = compile(&component, 4096, 120);
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    // The name of the engine, and an ELF file.
    assert_eq!(&compiled.stdout[16..20], b"\x7fELF");

    let starved = compile(&component, 64, 120);
    assert!(!starved.status.success() && !starved.stderr.is_empty());
    assert!(starved.stdout.is_empty());

    let refused = compile(b"no component", 4096, 120);
    assert_eq!(refused.status.code(), Some(3), "{}", String::from_utf8_lossy(&refused.stderr));
}

#[test]
fn the_command_compiles_elsewhere_and_keeps_the_code() {
    let project = Project::new("hello");
    project.wflo(&["run"]).expect_code(0);
    let kept = || {
        let files = project.path(".wflo/compiled").read_dir().expect("the folder of compiled code");
        let names = files.map(|file| file.expect("a file").file_name().into_string().expect("hex digits"));
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    };
    let names = kept();
    assert!(names.len() == 2 && names[0].ends_with(".cwasm") && names[1].ends_with(".sha256"), "{names:?}");
    project.wflo(&["run"]).expect_code(0);
    assert_eq!(kept(), names);
    // A component that is none is refused in words, by whoever looked at it.
    project.write("hello.wasm", "no component");
    let said = project.wflo(&["check"]).expect_code(2);
    assert!(said.stderr.contains("not a component that can run here"), "{}", said.stderr);
}
