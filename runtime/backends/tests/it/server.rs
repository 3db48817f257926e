//! A server of HTTP/1.1 on loopback that answers from a list and keeps what it was asked.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with one request.
pub(crate) enum Reply {
    /// Answers.
    Json(u16, &'static [(&'static str, &'static str)], Value),
    /// Answers with other bytes.
    Text(u16, String),
    /// Closes the connection without a word.
    Hang,
    /// Never answers.
    Wait,
    /// Announces more than it sends.
    Cut,
}

/// What came in.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

pub(crate) struct Server {
    pub(crate) base_url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Starts a server that gives these replies in order; to what comes after them it says 418.
    pub(crate) async fn start(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, mut replies) = (Arc::clone(&asked), replies.into_iter());
        tokio::spawn(async move {
            // One connection at a time: every reply closes its own.
            while let Ok((stream, _)) = listener.accept().await {
                let reply = replies.next().unwrap_or(Reply::Text(418, "no more replies".into()));
                serve(stream, reply, &seen).await;
            }
        });
        Self { base_url, asked }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, reply: Reply, asked: &Mutex<Vec<Asked>>) {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "a request ends");
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut one = Asked { head, body: Value::Null };
    let length: usize = one.header("content-length").unwrap().parse().unwrap();
    while bytes.len() < head_end + length {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "a body ends");
    }
    one.body = serde_json::from_slice(&bytes[head_end..]).unwrap();
    asked.lock().unwrap().push(one);
    let (status, headers, body) = match reply {
        Reply::Json(status, headers, body) => (status, headers, body.to_string()),
        Reply::Text(status, body) => (status, &[][..], body),
        Reply::Hang => return,
        Reply::Wait => {
            let mut rest = [0; 1];
            // Until the client gives up.
            let _ = stream.read(&mut rest).await;
            return;
        }
        Reply::Cut => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"choices\"").await;
            return;
        }
    };
    let mut answer =
        format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        answer += &format!("{name}: {value}\r\n");
    }
    // The client may have hung up on a long body.
    let _ = stream.write_all(format!("{answer}\r\n{body}").as_bytes()).await;
}
