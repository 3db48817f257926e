//! Mail by SMTP.

mod address;
mod smtp;

pub use address::{BadServer, SmtpServer, Tls};
pub use smtp::{Smtp, SmtpConfig};
