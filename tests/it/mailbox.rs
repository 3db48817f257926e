//! A server that takes mail on loopback; the protocol is `mailin`'s.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use mailin::{Action, Handler, Response, Session, SessionBuilder, response};

/// A mail that was taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mail {
    /// The addresses of the envelope.
    pub(crate) to: Vec<String>,
    pub(crate) from: String,
    /// Headers and text, as they came.
    pub(crate) data: String,
}

impl Mail {
    /// The value of a header, in one line.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let (head, _) = self.data.split_once("\r\n\r\n")?;
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let mut lines = unfolded.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    }

    /// The text, if it came without an encoding, or in quoted-printable.
    pub(crate) fn text(&self) -> String {
        let (_, body) = self.data.split_once("\r\n\r\n").expect("a mail has headers and a text");
        match self.header("Content-Transfer-Encoding").as_deref() {
            Some("quoted-printable") => unquoted(body),
            _ => body.to_owned(),
        }
    }
}

fn unquoted(text: &str) -> String {
    let text = text.replace("=\r\n", "");
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        rest = others;
        if *first == b'='
            && let Some((hex, others)) = rest.split_at_checked(2)
        {
            let hex = std::str::from_utf8(hex).expect("hex digits");
            bytes.push(u8::from_str_radix(hex, 16).expect("hex digits"));
            rest = others;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).expect("the text is UTF-8")
}

/// The server.
pub(crate) struct Mailbox {
    /// `smtp://127.0.0.1:PORT`
    pub(crate) url: String,
    taken: Arc<Mutex<Vec<Mail>>>,
    /// An address of which the server says that it is nobody's here.
    nobody: Arc<Mutex<Option<String>>>,
}

impl Mailbox {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("smtp://127.0.0.1:{}", listener.local_addr().expect("its address").port());
        let (taken, nobody) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(None)));
        let (kept, unknown) = (Arc::clone(&taken), Arc::clone(&nobody));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a connection");
                let peer = stream.peer_addr().expect("its address").ip();
                let desk =
                    Desk { kept: Arc::clone(&kept), unknown: Arc::clone(&unknown), now: Mail::default() };
                let session = SessionBuilder::new("mail.test").build(peer, desk);
                // A client that hangs up early is its own affair.
                std::thread::spawn(move || drop(talk(stream, session)));
            }
        });
        Self { url, taken, nobody }
    }

    pub(crate) fn taken(&self) -> Vec<Mail> {
        self.taken.lock().expect("nobody panics").clone()
    }

    /// Has the server refuse an address from now on, or none.
    pub(crate) fn refuses(&self, address: Option<&str>) {
        *self.nobody.lock().expect("nobody panics") = address.map(ToOwned::to_owned);
    }
}

fn talk(stream: TcpStream, mut session: Session<Desk>) -> std::io::Result<()> {
    let mut out = stream.try_clone()?;
    out.write_all(&session.greeting().buffer()?)?;
    let mut lines = BufReader::new(stream);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        let answer = session.process(&line);
        line.clear();
        out.write_all(&answer.buffer()?)?;
        if matches!(answer.action, Action::Close) {
            break;
        }
    }
    Ok(())
}

struct Desk {
    kept: Arc<Mutex<Vec<Mail>>>,
    unknown: Arc<Mutex<Option<String>>>,
    now: Mail,
}

impl Handler for Desk {
    fn helo(&mut self, _: IpAddr, _: &str) -> Response {
        response::OK
    }

    fn mail(&mut self, _: IpAddr, _: &str, from: &str) -> Response {
        self.now = Mail { from: from.to_owned(), ..Mail::default() };
        response::OK
    }

    fn rcpt(&mut self, to: &str) -> Response {
        let unknown = self.unknown.lock().expect("nobody panics");
        if unknown.as_deref() == Some(to) { response::NO_MAILBOX } else { response::OK }
    }

    fn data_start(&mut self, _: &str, _: &str, _: bool, to: &[String]) -> Response {
        self.now.to = to.to_vec();
        response::OK
    }

    fn data(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.now.data.push_str(&String::from_utf8_lossy(bytes));
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        self.kept.lock().expect("nobody panics").push(std::mem::take(&mut self.now));
        response::OK
    }
}
