//! A server that speaks the OpenAI chat API, and Anthropic's, on loopback: what tests ask in place of a model, and what
//! tapes of the examples are recorded from.
//!
//! It is honest about being no model. For the examples it applies written rules to the data in the request; for anything else it answers from a file, or makes up the simplest answer that satisfies the schema.

mod answer;
mod fraud;
mod http;
mod messages;
mod moderation;
mod papers;
mod passages;
mod sample;

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

pub use answer::{Answers, BadAnswers};

use crate::http::{Request, Response};

/// How the server behaves. The default answers every request by the rules.
#[derive(Clone, Debug)]
pub struct Options {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Where answers come from.
    pub answers: Answers,
    /// A file to which each chat request is appended as a line of JSON, before it is answered.
    pub log: Option<PathBuf>,
    /// The first so many chat requests get status 500.
    pub fail: u32,
    /// What the next requests are refused with.
    pub refuse: Option<Refusal>,
    /// The next so many answers are text where JSON was asked for.
    pub garbage: u32,
    /// How long each answer takes.
    pub delay: Duration,
    /// Whether answers say how many tokens were used.
    pub usage: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            answers: Answers::Rules,
            log: None,
            fail: 0,
            refuse: None,
            garbage: 0,
            delay: Duration::ZERO,
            usage: true,
        }
    }
}

/// A refusal with a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The header `Retry-After`, in seconds.
    pub retry_after: Option<u32>,
    /// How many requests are refused.
    pub times: u32,
}

/// A running server. Dropping it stops it.
///
/// ```
/// use wflo_test_provider::{Options, Provider};
/// let provider = Provider::start(Options::default()).unwrap();
/// assert!(provider.base_url().starts_with("http://127.0.0.1:"));
/// assert_eq!(provider.requests().len(), 0);
/// ```
#[derive(Debug)]
pub struct Provider {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    options: Options,
    log: Option<Mutex<File>>,
    requests: Mutex<Vec<Value>>,
    stopped: AtomicBool,
}

impl Provider {
    /// Starts a server.
    ///
    /// # Errors
    /// When the port is taken or the log cannot be opened.
    pub fn start(options: Options) -> io::Result<Self> {
        let log = options.log.as_ref().map(|path| OpenOptions::new().create(true).append(true).open(path));
        let log = log.transpose()?.map(Mutex::new);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
        let address = listener.local_addr()?;
        let shared =
            Arc::new(Shared { options, log, requests: Mutex::default(), stopped: AtomicBool::new(false) });
        let acceptor = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Ok(Self { address, shared, acceptor: Some(acceptor) })
    }

    /// What a deployment writes as `base_url`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The chat requests so far, as the log has them.
    #[must_use]
    pub fn requests(&self) -> Vec<Value> {
        lock(&self.shared.requests).clone()
    }

    /// Waits until the server ends, which it does by itself only when it can no longer accept.
    pub fn wait(mut self) {
        if let Some(acceptor) = self.acceptor.take() {
            // A panic of the acceptor has been shown already, and there is nothing left to stop.
            let _ = acceptor.join();
        }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let Some(acceptor) = self.acceptor.take() else { return };
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the acceptor; if that fails, it has ended already.
        let _ = TcpStream::connect(self.address);
        let _ = acceptor.join();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        // A client that goes away ends its thread; nobody waits for either.
        thread::spawn(move || serve(stream, &shared));
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    while let Some(request) = Request::read(&mut reader)? {
        if shared.stopped.load(Ordering::SeqCst) {
            break;
        }
        shared.respond(&request)?.write(&mut writer)?;
        if request.closes() {
            break;
        }
    }
    Ok(())
}

impl Shared {
    fn respond(&self, request: &Request) -> io::Result<Response> {
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/v1/chat/completions") => self.chat(request),
            ("POST", "/v1/messages") => self.messages(request),
            ("GET", "/v1/models") => Ok(Response::json(200, &json!({ "object": "list", "data": [] }))),
            (method, path) => Ok(Response::error(404, &format!("there is no {method} {path}"))),
        }
    }

    fn chat(&self, request: &Request) -> io::Result<Response> {
        let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
            return Ok(Response::error(400, "the body is not JSON"));
        };
        if body["messages"].as_array().is_none_or(Vec::is_empty) {
            return Ok(Response::error(400, "there are no messages"));
        }
        let n = self.record(request, &body)?;
        thread::sleep(self.options.delay);
        Ok(self.answer(n, &body))
    }

    /// The same by another protocol.
    fn messages(&self, request: &Request) -> io::Result<Response> {
        let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
            return Ok(Response::error(400, "the body is not JSON"));
        };
        let n = self.record(request, &body)?;
        thread::sleep(self.options.delay);
        Ok(self.answer(n, &messages::chat(&body)).map(|answer| messages::message(&body, answer)))
    }

    /// Keeps a request, and gives its number, from 1.
    fn record(&self, request: &Request, body: &Value) -> io::Result<u32> {
        let mut requests = lock(&self.requests);
        let n = u32::try_from(requests.len()).unwrap_or(u32::MAX).saturating_add(1);
        let line = json!({
            "n": n,
            "authorized": request.header("authorization").or(request.header("x-api-key")).is_some(),
            "idempotency_key": request.header("idempotency-key"),
            "body": body,
        });
        if let Some(log) = &self.log {
            let mut text = line.to_string();
            text.push('\n');
            lock(log).write_all(text.as_bytes())?;
        }
        requests.push(line);
        Ok(n)
    }

    /// Failures first, then refusals, then garbage, then answers.
    fn answer(&self, n: u32, body: &Value) -> Response {
        let Options { fail, refuse, garbage, usage, .. } = &self.options;
        let Some(n) = n.checked_sub(*fail).filter(|n| *n > 0) else {
            return Response::error(500, "made to fail");
        };
        let times = refuse.map_or(0, |refusal| refusal.times);
        let Some(n) = n.checked_sub(times).filter(|n| *n > 0) else {
            let refusal = refuse.expect("without a refusal none is left to make");
            let mut response = Response::error(refusal.status, "made to refuse");
            response.retry_after = refusal.retry_after;
            return response;
        };
        if n <= *garbage {
            return answer::completion(n, body, "I would rather talk about the weather.", *usage);
        }
        match self.options.answers.to(body) {
            Some(content) => answer::completion(n, body, &content, *usage),
            None => Response::error(404, "the file of answers has none to this request"),
        }
    }
}

/// What is behind these locks is whole after every statement, also after a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn post(provider: &Provider, body: &Value) -> (u16, String) {
        let mut stream = TcpStream::connect(provider.address).unwrap();
        let body = body.to_string();
        write!(
            stream,
            "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), format!("{head}\n\n{body}"))
    }

    fn content(response: &str) -> String {
        let (_, body) = response.split_once("\n\n").unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        body["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
    }

    fn hello() -> Value {
        json!({ "model": "gpt-4", "messages": [{ "role": "user", "content": "hello" }] })
    }

    #[test]
    fn fails_refuses_talks_and_then_answers() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("requests.jsonl");
        let provider = Provider::start(Options {
            log: Some(log.clone()),
            fail: 1,
            refuse: Some(Refusal { status: 429, retry_after: Some(0), times: 2 }),
            garbage: 1,
            ..Options::default()
        })
        .unwrap();
        let answers: Vec<(u16, String)> = (0..5).map(|_| post(&provider, &hello())).collect();
        let statuses: Vec<u16> = answers.iter().map(|(status, _)| *status).collect();
        assert_eq!(statuses, [500, 429, 429, 200, 200]);
        assert!(answers[1].1.contains("Retry-After: 0\r\n"));
        assert_eq!(content(&answers[3].1), "I would rather talk about the weather.");
        assert_eq!(content(&answers[4].1), "You said: hello");

        let lines = std::fs::read_to_string(log).unwrap();
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines, provider.requests());
        assert_eq!((lines.len(), &lines[4]["n"], &lines[4]["idempotency_key"]), (5, &json!(5), &json!("k")));
        assert_eq!((&lines[4]["body"], &lines[4]["authorized"]), (&hello(), &json!(false)));
    }

    #[test]
    fn serves_several_requests_on_one_connection() {
        let provider = Provider::start(Options::default()).unwrap();
        let mut stream = TcpStream::connect(provider.address).unwrap();
        let request = b"GET /v1/models HTTP/1.1\r\n\r\nGET /nothing HTTP/1.1\r\nConnection: close\r\n\r\n";
        stream.write_all(request).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(
            text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains("HTTP/1.1 404 Not Found\r\n"),
            "{text}"
        );
    }

    #[test]
    fn what_is_no_chat_is_refused_and_not_counted() {
        let provider = Provider::start(Options::default()).unwrap();
        assert_eq!(post(&provider, &json!({ "model": "gpt-4", "messages": [] })).0, 400);
        assert!(provider.requests().is_empty());
    }
}
