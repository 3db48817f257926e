//! A gate before a model server: requests wait at it until the test opens it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use crate::harness::{Provider, eventually};

/// Connections come in at once and go on when it is open.
pub(crate) struct Gate {
    pub(crate) address: String,
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    arrived: usize,
    is_open: bool,
}

impl Gate {
    /// Stands before `provider`, closed.
    pub(crate) fn before(provider: &Provider) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of loopback");
        let port = listener.local_addr().expect("it has an address").port();
        let host = provider.address.trim_start_matches("http://");
        let (upstream, path) = host.split_once('/').unwrap_or((host, ""));
        let address = format!("http://127.0.0.1:{port}/{path}");
        let state = Arc::new((Mutex::new(State::default()), Condvar::new()));
        let (upstream, shared) = (upstream.to_owned(), Arc::clone(&state));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (upstream, shared) = (upstream.clone(), Arc::clone(&shared));
                std::thread::spawn(move || pass(client, &upstream, &shared));
            }
        });
        Self { address, state }
    }

    /// Waits until so many requests have arrived in all.
    #[track_caller]
    pub(crate) fn arrived(&self, requests: usize) {
        eventually("a request arrives", || {
            self.state.0.lock().expect("no test panics here").arrived >= requests
        });
    }

    /// Lets everybody through from now on.
    pub(crate) fn open(&self) {
        self.state.0.lock().expect("no test panics here").is_open = true;
        self.state.1.notify_all();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}

fn pass(mut client: TcpStream, upstream: &str, state: &(Mutex<State>, Condvar)) {
    let mut first = [0; 16 * 1024];
    // A connection is a request once it has said something.
    let Ok(length @ 1..) = client.read(&mut first) else { return };
    let mut at = state.0.lock().expect("no test panics here");
    at.arrived += 1;
    drop(state.1.wait_while(at, |state| !state.is_open));
    let Ok(mut server) = TcpStream::connect(upstream) else { return };
    let (Ok(mut from), Ok(mut to)) = (client.try_clone(), server.try_clone()) else { return };
    if server.write_all(&first[..length]).is_err() {
        return;
    }
    std::thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let _ = io::copy(&mut server, &mut client);
    let _ = client.shutdown(Shutdown::Both);
}
