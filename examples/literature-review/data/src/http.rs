//! Papers and publications over HTTP/1.1.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::atom;
use crate::papers::Paper;

/// More than anybody publishes.
const MOST_BYTES: u64 = 16 << 20;

pub(crate) struct Site {
    pub(crate) papers: Vec<Paper>,
    pub(crate) log: Log,
    pub(crate) publications: PathBuf,
    pub(crate) go_on: PathBuf,
    pub(crate) hold_after: Option<usize>,
    pub(crate) fail: usize,
    pub(crate) garbage: bool,
}

/// What was answered.
pub(crate) struct Log {
    file: Mutex<File>,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    requests: usize,
    /// Requests for a single paper, where some are held.
    papers: usize,
    /// Publications by the key that they were sent under.
    by_key: HashMap<String, usize>,
    publications: usize,
}

impl Log {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.with_context(|| format!("`{}`", path.display()))?;
        Ok(Self { file: Mutex::new(file), counts: Mutex::default() })
    }

    fn write(&self, request: &Request, status: u16) -> io::Result<()> {
        let line = format!("{status} {} {}\n", request.method, request.target);
        lock(&self.file).write_all(line.as_bytes())
    }
}

/// Serves in a thread of its own. Gives the address.
pub(crate) fn serve(port: u16, site: Arc<Site>) -> io::Result<(SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let address = listener.local_addr()?;
    let serving = std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let site = Arc::clone(&site);
            // A client that goes away ends its thread; nobody waits for either.
            std::thread::spawn(move || talk(stream, &site));
        }
    });
    Ok((address, serving))
}

fn talk(mut stream: TcpStream, site: &Site) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(request) = Request::read(&mut reader)? {
        if site.holds(&request) {
            // Another process makes the file, and tells nobody.
            while !site.go_on.exists() {
                std::thread::sleep(Duration::from_millis(20));
            }
            // Whoever was killed meanwhile is not answered.
            stream.set_nonblocking(true)?;
            let is_gone =
                !stream.peek(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
            stream.set_nonblocking(false)?;
            if is_gone {
                return Ok(());
            }
        }
        let Answer { status, body, location } = site.answer(&request)?;
        // It is answered once the log has it: a request that is held, or whose client has gone, is not in it.
        let location = location.map(|path| format!("Location: {path}\r\n")).unwrap_or_default();
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/atom+xml\r\n{location}Content-Length: {}\r\n\r\n",
            body.len()
        );
        site.log.write(&request, status)?;
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
    }
    Ok(())
}

struct Answer {
    status: u16,
    body: String,
    location: Option<String>,
}

impl Site {
    /// Whether a request waits before it is answered.
    fn holds(&self, request: &Request) -> bool {
        let Some(most) = self.hold_after.filter(|_| request.target.contains("id_list=")) else {
            return false;
        };
        let mut counts = lock(&self.log.counts);
        counts.papers += 1;
        counts.papers > most
    }

    fn answer(&self, request: &Request) -> io::Result<Answer> {
        let answer = |status, body: String| Answer { status, body, location: None };
        let is_first = {
            let mut counts = lock(&self.log.counts);
            counts.requests += 1;
            counts.requests <= self.fail
        };
        if is_first {
            return Ok(answer(503, "the library is closed".to_owned()));
        }
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        match (request.method.as_str(), path) {
            ("GET", "/api/query") if self.garbage => Ok(answer(200, "<feed><entry>".to_owned())),
            ("GET", "/api/query") => {
                let query = parameters(query);
                Ok(answer(
                    200,
                    if query.contains_key("id_list") { self.papers(&query) } else { self.search(&query) },
                ))
            }
            ("POST", "/publications") => self.publish(request),
            _ => Ok(answer(404, "there is no such thing here".to_owned())),
        }
    }

    /// Papers that have every word of the query in their title or summary.
    fn search(&self, query: &HashMap<String, String>) -> String {
        let asked = query.get("search_query").map(String::as_str).unwrap_or_default();
        let words = asked.trim_start_matches("all:").replace(['"', '+'], " ").to_lowercase();
        let is_found = |paper: &&Paper| {
            let text = format!("{} {}", paper.title, paper.summary).to_lowercase();
            words.split_whitespace().all(|word| text.contains(word))
        };
        let number =
            |name: &str, default| query.get(name).and_then(|text| text.parse().ok()).unwrap_or(default);
        let (start, most) = (number("start", 0), number("max_results", 10));
        let found: Vec<&Paper> = self.papers.iter().filter(is_found).collect();
        let shown: Vec<&Paper> = found.iter().skip(start).take(most).copied().collect();
        atom::feed(&shown, found.len(), start)
    }

    fn papers(&self, query: &HashMap<String, String>) -> String {
        let ids: Vec<&str> = query["id_list"].split(',').collect();
        let found: Vec<&Paper> =
            self.papers.iter().filter(|paper| ids.contains(&paper.id.as_str())).collect();
        atom::feed(&found, found.len(), 0)
    }

    /// Keeps a publication. One that comes again under its key is the same one.
    fn publish(&self, request: &Request) -> io::Result<Answer> {
        let mut counts = lock(&self.log.counts);
        let earlier = request.key.as_ref().and_then(|key| counts.by_key.get(key).copied());
        let n = match earlier {
            Some(n) => n,
            None => {
                counts.publications += 1;
                let n = counts.publications;
                fs::create_dir_all(&self.publications)?;
                fs::write(self.publications.join(format!("{n}.json")), &request.body)?;
                if let Some(key) = &request.key {
                    counts.by_key.insert(key.clone(), n);
                }
                n
            }
        };
        Ok(Answer { status: 201, body: String::new(), location: Some(format!("/publications/{n}")) })
    }
}

struct Request {
    method: String,
    target: String,
    key: Option<String>,
    body: Vec<u8>,
}

impl Request {
    /// Reads the next request; none when the client has closed.
    fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace().map(ToOwned::to_owned);
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Err(invalid("no request line"));
        };
        let (mut length, mut key) = (0, None);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().map_err(|_| invalid("no length"))?,
                "idempotency-key" => key = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        if length > MOST_BYTES {
            return Err(invalid("an absurd length"));
        }
        let mut body = Vec::new();
        reader.take(length).read_to_end(&mut body)?;
        Ok(Some(Self { method, target, key, body }))
    }
}

fn parameters(query: &str) -> HashMap<String, String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect()
}

/// Takes the encoding of forms off a text; what is none stays as it is.
fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, after @ ..] = rest {
        let hex = |bytes: &[u8]| u8::from_str_radix(std::str::from_utf8(bytes).ok()?, 16).ok();
        match (first, after.get(..2).and_then(hex)) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            (byte, _) => bytes.push(*byte),
        }
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What is behind these locks is whole after every statement.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::papers::generate;

    fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn papers_are_found_and_publications_kept_once() {
        let folder = tempfile::tempdir().unwrap();
        let site = Site {
            papers: generate(7, 20),
            log: Log::open(&folder.path().join("log")).unwrap(),
            publications: folder.path().join("publications"),
            go_on: folder.path().join("go-on"),
            hold_after: None,
            fail: 1,
            garbage: false,
        };
        let (address, _) = serve(0, Arc::new(site)).unwrap();
        let get = |target: &str| ask(address, &format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
        let search = "/api/query?search_query=all:%22coral%20bleaching%22&start=0&max_results=3";
        assert!(get(search).starts_with("HTTP/1.1 503"));
        let found = get(search);
        assert_eq!(found.matches("<entry>").count(), 3, "{found}");
        assert_eq!(get("/api/query?id_list=2601.00002v1").matches("<entry>").count(), 1);
        assert!(get("/elsewhere").starts_with("HTTP/1.1 404"));
        let post = "POST /publications HTTP/1.1\r\nIdempotency-Key: k\r\nContent-Length: 2\r\n\r\n{}";
        for _ in 0..2 {
            assert!(ask(address, post).contains("Location: /publications/1\r\n"));
        }
        assert_eq!(fs::read_dir(folder.path().join("publications")).unwrap().count(), 1);
        let log = fs::read_to_string(folder.path().join("log")).unwrap();
        assert_eq!(log.lines().count(), 6, "{log}");
    }

    #[test]
    fn forms_are_decoded() {
        assert_eq!(decoded("a%20b+c%2"), "a b c%2");
    }
}
