//! Requests against a real server of HTTP/1.1 on loopback.

use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;
use wflo_backends::http::{Http, HttpConfig};
use wflo_ports::{HttpClient, HttpError, HttpLimits, HttpRequest, HttpResponse, Resolver};

/// What the server does with a connection once it has read a request.
#[derive(Clone)]
enum Reply {
    /// Writes this and closes.
    Bytes(Vec<u8>),
    /// Says nothing until the client is gone.
    Wait,
    /// Writes the head of an answer, and one more byte of its body each time the client would read, without end.
    Endless,
}

/// A server that answers every connection the same way, and keeps what it was asked.
struct Peer {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    async fn start(reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut bytes = Vec::new();
                while !is_whole(&bytes) {
                    if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                        break;
                    }
                }
                seen.lock().unwrap().push(String::from_utf8_lossy(&bytes).into_owned());
                match &reply {
                    Reply::Bytes(bytes) => _ = stream.write_all(bytes).await,
                    Reply::Wait => _ = stream.read(&mut [0; 1]).await,
                    Reply::Endless => {
                        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
                        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
                    }
                }
            }
        });
        Self { port, asked }
    }

    async fn saying(answer: &str) -> Self {
        Self::start(Reply::Bytes(answer.as_bytes().to_vec())).await
    }

    fn url(&self, host: &str) -> String {
        format!("http://{host}:{}/path?q=1", self.port)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Whether a request is there in whole, by its length.
fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

/// Gives one list of addresses after another, the last for ever.
struct Listed {
    answers: Vec<Vec<&'static str>>,
    asked: AtomicUsize,
}

impl Listed {
    fn new(answers: &[&[&'static str]]) -> Arc<Self> {
        let answers = answers.iter().map(|answer| answer.to_vec()).collect();
        Arc::new(Self { answers, asked: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl Resolver for Listed {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let n = self.asked.fetch_add(1, Ordering::SeqCst).min(self.answers.len() - 1);
        Ok(self.answers[n].iter().map(|address| address.parse().unwrap()).collect())
    }
}

fn request(method: &str, url: &str) -> HttpRequest {
    HttpRequest::new(method.parse().unwrap(), url.parse().unwrap())
}

fn with(resolver: Arc<Listed>) -> Http {
    Http::new(HttpConfig { resolver, ..HttpConfig::default() })
}

async fn send(request: &HttpRequest) -> Result<HttpResponse, HttpError> {
    Http::new(HttpConfig::default()).send(request, HttpLimits::default()).await
}

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-One: 1\r\nConnection: close\r\n\r\nhello";

#[tokio::test]
async fn asks_and_is_answered() {
    let peer = Peer::saying(HELLO).await;
    let mut asked = request("POST", &peer.url("127.0.0.1"));
    asked.headers.push(("X-Two".parse().unwrap(), "é".into()));
    asked.headers.push(("X-Two".parse().unwrap(), vec![0xff].into()));
    asked.body = "body".into();
    let answer = send(&asked).await.unwrap();
    assert_eq!((answer.status, answer.body.as_text()), (200, Some("hello")));
    // Headers of the connection are not the guest's to see.
    let names: Vec<_> = answer.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["content-length", "x-one"]);
    let seen = peer.asked();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].starts_with("POST /path?q=1 HTTP/1.1\r\n"), "{}", seen[0]);
    assert!(seen[0].ends_with("\r\n\r\nbody"), "{}", seen[0]);
    assert_eq!(seen[0].matches("x-two: ").count(), 2, "{}", seen[0]);
    assert_eq!(seen[0].matches(&format!("host: 127.0.0.1:{}\r\n", peer.port)).count(), 1, "{}", seen[0]);
}

/// A server that closes it a moment later than that cannot cut a request off.
#[tokio::test]
async fn a_connection_that_nothing_is_asked_over_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !is_whole(&asked) {
            stream.read_buf(&mut asked).await.unwrap();
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await.unwrap();
        // Kept for a minute, which is what most servers do.
        timeout(Duration::from_secs(60), stream.read(&mut [0; 1])).await
    });
    let client = Http::new(HttpConfig::default());
    let answer = client.send(&request("GET", &url), HttpLimits::default()).await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(matches!(served.await.unwrap(), Ok(Ok(0))), "the client closes it");
}

#[tokio::test]
async fn every_status_is_an_answer_and_no_redirect_is_followed() {
    for status in [204, 301, 302, 307, 404, 500, 503] {
        let away = "HTTP/1.1 {} X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
        let peer = Peer::saying(&away.replace("{}", &status.to_string())).await;
        let answer = send(&request("GET", &peer.url("127.0.0.1"))).await.unwrap();
        assert_eq!(answer.status, status);
        assert_eq!(peer.asked().len(), 1, "{status} is asked for once");
    }
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_connected_to() {
    let peer = Peer::saying(HELLO).await;
    for found in [&["127.0.0.1"][..], &["1.1.1.1", "127.0.0.1"], &["::ffff:127.0.0.1"], &["10.0.0.1"]] {
        let error = with(Listed::new(&[found]))
            .send(&request("GET", &peer.url("papers.example")), HttpLimits::default())
            .await
            .unwrap_err();
        assert!(
            matches!(&error, HttpError::Prohibited { message } if message.contains("papers.example")),
            "{error}"
        );
    }
    assert!(peer.asked().is_empty());
}

#[tokio::test]
async fn a_name_is_looked_up_once_for_a_request_and_cannot_change_in_between() {
    let peer = Peer::saying(HELLO).await;
    let names = Listed::new(&[&["127.0.0.1"], &["1.1.1.1"]]);
    let client = with(Arc::clone(&names));
    // The check and the connection are about the same answer: a second one would be refused.
    let answer = client.send(&request("GET", &peer.url("localhost")), HttpLimits::default()).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(names.asked.load(Ordering::SeqCst), 1);
    // Rebound, the name is judged anew.
    let error =
        client.send(&request("GET", &peer.url("localhost")), HttpLimits::default()).await.unwrap_err();
    assert!(matches!(error, HttpError::Prohibited { .. }), "{error}");
    assert_eq!(peer.asked().len(), 1);
}

#[tokio::test]
async fn an_address_that_is_written_out_is_not_looked_up() {
    let peer = Peer::saying(HELLO).await;
    let names = Listed::new(&[&["1.1.1.1"]]);
    let answer =
        with(Arc::clone(&names)).send(&request("GET", &peer.url("127.0.0.1")), HttpLimits::default()).await;
    assert_eq!(answer.unwrap().status, 200);
    assert_eq!(names.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let limits = HttpLimits { response: 100_000, ..HttpLimits::default() };
    let client = Http::new(HttpConfig::default());
    let peer = Peer::start(Reply::Endless).await;
    let error = client.send(&request("GET", &peer.url("127.0.0.1")), limits).await.unwrap_err();
    assert_eq!(error, HttpError::TooLarge { limit: 100_000 });
    // One that says so before is not read at all.
    let peer = Peer::saying("HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n").await;
    let error = client.send(&request("GET", &peer.url("127.0.0.1")), limits).await.unwrap_err();
    assert_eq!(error, HttpError::TooLarge { limit: 100_000 });
    let answer = client.send(&request("HEAD", &peer.url("127.0.0.1")), limits).await.unwrap();
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn what_was_sent_and_not_answered_is_lost_and_never_sent_again() {
    let lost = |error: HttpError| assert!(matches!(error, HttpError::Lost { .. }), "{error:?}");
    let peer = Peer::start(Reply::Bytes(Vec::new())).await;
    lost(send(&request("POST", &peer.url("127.0.0.1"))).await.unwrap_err());
    assert_eq!(peer.asked().len(), 1);
    let peer = Peer::saying("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await;
    lost(send(&request("POST", &peer.url("127.0.0.1"))).await.unwrap_err());
    assert_eq!(peer.asked().len(), 1);

    let peer = Peer::start(Reply::Wait).await;
    let mut asked = request("GET", &peer.url("127.0.0.1"));
    let limits = HttpLimits { time: Duration::from_millis(50), ..HttpLimits::default() };
    lost(Http::new(HttpConfig::default()).send(&asked, limits).await.unwrap_err());
    asked.first_byte_ms = Some(50);
    lost(send(&asked).await.unwrap_err());
}

#[tokio::test]
async fn what_could_not_be_sent_is_told_apart() {
    // A port of loopback that nobody listens on any more.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let error = send(&request("POST", &format!("http://127.0.0.1:{port}/"))).await.unwrap_err();
    assert!(matches!(error, HttpError::NotSent { .. }), "{error:?}");

    let peer = Peer::saying(HELLO).await;
    let mut asked = request("GET", &peer.url("127.0.0.1"));
    asked.headers.push(("x".parse().unwrap(), "a\r\nHost: evil".into()));
    let error = send(&asked).await.unwrap_err();
    assert!(matches!(error, HttpError::Invalid { .. }), "{error:?}");
    assert!(peer.asked().is_empty());

    // Speaks no TLS: it hangs up on whatever is said to it.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 512]).await;
        }
    });
    let client = Http::new(HttpConfig { authorities: vec![nobody()], ..HttpConfig::default() });
    let error = client.send(&request("GET", &url), HttpLimits::default()).await.unwrap_err();
    assert!(matches!(error, HttpError::NotSent { .. }), "{error:?}");
}

/// No certificate at all: nobody is trusted, whatever the machine trusts.
fn nobody() -> Vec<u8> {
    Vec::new()
}
