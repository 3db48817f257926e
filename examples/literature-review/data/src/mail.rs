//! Mailboxes of the university: every message becomes a file.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use mailin::{Action, Handler, Response, SessionBuilder, response};

/// Takes mail in a thread of its own. Gives the address.
pub(crate) fn serve(port: u16, folder: PathBuf) -> io::Result<SocketAddr> {
    fs::create_dir_all(&folder)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that hangs up early is its own affair.
            let _ = talk(stream, &folder);
        }
    });
    Ok(address)
}

fn talk(mut stream: TcpStream, folder: &Path) -> io::Result<()> {
    let peer = stream.peer_addr()?.ip();
    let desk = Desk { folder: folder.to_owned(), message: Vec::new() };
    let mut session = SessionBuilder::new("university.edu").build(peer, desk);
    let mut reader = BufReader::new(stream.try_clone()?);
    stream.write_all(&session.greeting().buffer()?)?;
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let answer = session.process(&line);
        stream.write_all(&answer.buffer()?)?;
        if answer.action == Action::Close {
            return Ok(());
        }
    }
}

/// Files are numbered from 1.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

struct Desk {
    folder: PathBuf,
    message: Vec<u8>,
}

impl Handler for Desk {
    fn helo(&mut self, _: IpAddr, _: &str) -> Response {
        response::OK
    }

    fn mail(&mut self, _: IpAddr, _: &str, _: &str) -> Response {
        response::OK
    }

    fn rcpt(&mut self, _: &str) -> Response {
        response::OK
    }

    fn data_start(&mut self, _: &str, _: &str, _: bool, _: &[String]) -> Response {
        self.message.clear();
        response::OK
    }

    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.message.extend_from_slice(bytes);
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        let n = TAKEN.fetch_add(1, Ordering::SeqCst) + 1;
        // Whoever sees the file sees all of it.
        let (new, file) = (self.folder.join(".new"), self.folder.join(format!("{n}.eml")));
        match fs::write(&new, &self.message).and_then(|()| fs::rename(&new, &file)) {
            Ok(()) => response::OK,
            Err(_) => response::OUT_OF_SPACE,
        }
    }
}
