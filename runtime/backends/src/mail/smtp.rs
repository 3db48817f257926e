//! Sends mail by SMTP.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls as LettreTls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use wflo_ports::{Mail, MailError, MailMessage};

use super::address::{BadServer, SmtpServer, Tls};

/// Longest time for one command to the server.
const COMMAND: Duration = Duration::from_secs(20);

/// Whom mail comes from where nothing else is said.
const SENDER: &str = "wflo@localhost";

/// How mail is sent.
#[derive(Clone)]
pub struct SmtpConfig {
    /// Where it is taken.
    pub server: SmtpServer,
    /// Whom it comes from.
    pub from: String,
    /// An account, and its password.
    pub account: Option<(String, String)>,
    /// Certificates, in PEM, of authorities to trust in place of the system's.
    pub authority: Option<Vec<u8>>,
}

impl SmtpConfig {
    /// Mail from `wflo@localhost` to the server at this address, without an account.
    ///
    /// # Errors
    /// [`BadServer`].
    pub fn new(server: &str) -> Result<Self, BadServer> {
        Ok(Self { server: server.parse()?, from: SENDER.to_owned(), account: None, authority: None })
    }
}

impl fmt::Debug for SmtpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let account = self.account.as_ref().map(|(name, _)| name);
        f.debug_struct("SmtpConfig")
            .field("server", &self.server)
            .field("from", &self.from)
            .field("account", &account)
            .finish_non_exhaustive()
    }
}

/// Sends mail by SMTP, a connection for each message.
///
/// TLS is by STARTTLS or from the first byte; to a server elsewhere nothing is sent without it, and a certificate that
/// does not fit is an error.
///
/// ```
/// use std::sync::Arc;
/// use wflo_backends::mail::{Smtp, SmtpConfig};
/// use wflo_ports::Mail;
/// let mail: Arc<dyn Mail> = Arc::new(Smtp::new(SmtpConfig::new("smtp://127.0.0.1:25").unwrap()).unwrap());
/// ```
pub struct Smtp {
    from: Mailbox,
    transport: AsyncSmtpTransport<Tokio1Executor>,
    config: SmtpConfig,
}

impl Smtp {
    /// Prepares to send; connects to nothing yet.
    ///
    /// # Errors
    /// When the sender is no mailbox, or the certificates cannot be read.
    pub fn new(config: SmtpConfig) -> Result<Self, MailError> {
        let invalid = |message: String| MailError::Invalid { message };
        let from = config.from.parse().map_err(|error| invalid(format!("`from` is no mailbox: {error}")))?;
        // Fails if the process has a provider already, which then serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let SmtpServer { host, port, tls } = &config.server;
        let mut parameters = TlsParameters::builder(host.clone());
        if let Some(pem) = &config.authority {
            let authority = Certificate::from_pem(pem).map_err(|error| invalid(causes(&error)))?;
            parameters = parameters.certificate_store(CertificateStore::None).add_root_certificate(authority);
        }
        let parameters = parameters.build_rustls().map_err(|error| invalid(causes(&error)))?;
        let tls = match tls {
            Tls::Always => LettreTls::Wrapper(parameters),
            Tls::StartTls => LettreTls::Required(parameters),
            Tls::IfOffered => LettreTls::Opportunistic(parameters),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host.as_str())
            .port(*port)
            .tls(tls)
            .timeout(Some(COMMAND));
        if let Some((user, password)) = &config.account {
            builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
        }
        Ok(Self { from, transport: builder.build(), config })
    }

    fn message(&self, message: &MailMessage) -> Result<Message, MailError> {
        let invalid = |message: String| MailError::Invalid { message };
        let mut mail = Message::builder()
            .message_id(Some(format!("<{}>", message.id)))
            .from(self.from.clone())
            .subject(&message.subject)
            .header(AutoSubmitted);
        for to in &message.to {
            let mailbox = to.parse().map_err(|error| invalid(format!("`{to}` is no mailbox: {error}")))?;
            mail = mail.to(mailbox);
        }
        if let Some(id) = &message.answers {
            mail = mail.in_reply_to(format!("<{id}>")).references(format!("<{id}>"));
        }
        let mail = mail.header(ContentType::TEXT_PLAIN).body(message.text.clone());
        mail.map_err(|error| invalid(error.to_string()))
    }
}

#[async_trait]
impl Mail for Smtp {
    async fn send(&self, message: &MailMessage) -> Result<(), MailError> {
        let mail = self.message(message)?;
        match self.transport.send(mail).await {
            Ok(_) => Ok(()),
            Err(error) => {
                let message = causes(&error);
                Err(if error.is_permanent() || error.is_client() {
                    MailError::Refused { message }
                } else if error.is_transient() || error.is_tls() {
                    MailError::Later { message }
                } else {
                    MailError::Lost { message }
                })
            }
        }
    }
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Smtp").field(&self.config).finish()
    }
}

/// `Auto-Submitted: auto-generated` (RFC 3834): nobody's absence is to be answered to a machine.
#[derive(Clone, Copy)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// An error with its causes.
fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
