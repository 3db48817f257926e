//! llama.cpp's server with a small model, which `cargo xtask test --real-model` has got.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::harness::eventually;

/// A server of this test alone, on loopback.
pub(crate) struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// A server that answers.
    pub(crate) fn start(args: &[&str]) -> Self {
        let server = Self::starting(args);
        eventually("the model is loaded", || server.get("/health").is_some_and(|it| it.contains("\"ok\"")));
        server
    }

    /// A server that has just been started, and loads its model.
    pub(crate) fn starting(args: &[&str]) -> Self {
        let free = TcpListener::bind(("127.0.0.1", 0)).expect("a port of loopback");
        let port = free.local_addr().expect("it has an address").port();
        drop(free);
        let child = Command::new(program())
            // One conversation at a time, in a context that can be filled in a moment, and counts of what it does.
            .args(["--port", &port.to_string(), "--parallel", "1", "--ctx-size", "2048", "--metrics"])
            // The file has no template of its own.
            .args(["--no-jinja", "--chat-template", "gemma"])
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        Self { child, port }
    }

    /// What a deployment writes as `base_url`.
    pub(crate) fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// How much of something it has done, by its own count.
    #[track_caller]
    pub(crate) fn count(&self, what: &str) -> u64 {
        let metrics = self.get("/metrics").expect("it counts");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("llamacpp:{what} ")));
        let count = line.unwrap_or_else(|| panic!("it does not count `{what}`:\n{metrics}"));
        count.trim().parse().expect("a number")
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Ending a child that has ended is no error worth a test's failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> PathBuf {
    let here = std::env::current_exe().expect("a test knows its path");
    let target = here.ancestors().nth(3).expect("tests are built into `target/PROFILE/deps`");
    let path = target.join("real-model/llama-server");
    assert!(path.is_file(), "`{}` is not there: run `cargo xtask test --real-model`", path.display());
    path
}
