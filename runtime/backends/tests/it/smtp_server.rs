//! A server of SMTP on loopback: the protocol is `mailin`'s, the TLS rustls', with a certificate made for the test.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use mailin::{Action, AuthMechanism, Handler, Response, Session, SessionBuilder, response};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// How the server treats those who come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Plain, without an account.
    Plain,
    /// By STARTTLS, and only `wflo` with the password `secret`.
    Secure,
    /// By STARTTLS, and nobody's mailbox is here.
    Nobody,
    /// It has no room now.
    Full,
}

/// A message that was taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) text: String,
    /// Who had logged in.
    pub(crate) user: Option<String>,
    pub(crate) by_tls: bool,
}

pub(crate) struct SmtpServer {
    pub(crate) url: String,
    /// The certificate that it has, in PEM.
    pub(crate) authority: Vec<u8>,
    taken: Arc<Mutex<Vec<Taken>>>,
}

impl SmtpServer {
    pub(crate) async fn start(manner: Manner) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://localhost:{}", listener.local_addr().unwrap().port());
        let taken = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&taken);
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let desk = Desk { manner, kept: Arc::clone(&kept), now: Taken::default() };
                let mut builder = SessionBuilder::new("mail.test");
                if manner != Manner::Plain {
                    builder.enable_start_tls();
                }
                if manner == Manner::Secure {
                    builder.enable_auth(AuthMechanism::Plain);
                }
                // A client that hangs up early is its own affair.
                let _ = talk(stream, builder.build(peer.ip(), desk), acceptor.clone()).await;
            }
        });
        Self { url, authority: cert.pem().into_bytes(), taken }
    }

    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap().clone()
    }
}

async fn talk(
    mut stream: TcpStream,
    mut session: Session<Desk>,
    acceptor: TlsAcceptor,
) -> std::io::Result<()> {
    stream.write_all(&session.greeting().buffer()?).await?;
    let upgrade = converse(&mut BufReader::new(&mut stream), &mut session).await?;
    if upgrade {
        let tls = acceptor.accept(stream).await?;
        session.tls_active();
        converse(&mut BufReader::new(tls), &mut session).await?;
    }
    Ok(())
}

/// Answers line by line; true where it goes on with TLS.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufReader<S>,
    session: &mut Session<Desk>,
) -> std::io::Result<bool> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Ok(false);
        }
        let answer = session.process(&line);
        stream.write_all(&answer.buffer()?).await?;
        stream.flush().await?;
        match answer.action {
            Action::UpgradeTls => return Ok(true),
            Action::Close => return Ok(false),
            _ => {}
        }
    }
}

struct Desk {
    manner: Manner,
    kept: Arc<Mutex<Vec<Taken>>>,
    now: Taken,
}

impl Handler for Desk {
    fn helo(&mut self, _: IpAddr, _: &str) -> Response {
        response::OK
    }

    fn mail(&mut self, _: IpAddr, _: &str, from: &str) -> Response {
        if self.manner == Manner::Secure && self.now.user.is_none() {
            return response::AUTHENTICATION_REQUIRED;
        }
        self.now.from = from.to_owned();
        if self.manner == Manner::Full { response::OUT_OF_SPACE } else { response::OK }
    }

    fn rcpt(&mut self, _: &str) -> Response {
        if self.manner == Manner::Nobody { response::NO_MAILBOX } else { response::OK }
    }

    fn data_start(&mut self, _: &str, _: &str, _: bool, to: &[String]) -> Response {
        self.now.to = to.to_vec();
        response::OK
    }

    fn data(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.now.text.push_str(&String::from_utf8_lossy(bytes));
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        self.kept.lock().unwrap().push(std::mem::take(&mut self.now));
        response::OK
    }

    fn auth_plain(&mut self, _: &str, user: &str, password: &str) -> Response {
        if (user, password) != ("wflo", "secret") {
            return response::INVALID_CREDENTIALS;
        }
        // The server offers it after STARTTLS only.
        (self.now.user, self.now.by_tls) = (Some(user.to_owned()), true);
        response::AUTH_OK
    }
}
