//! The HTTP API and the pages of `wflo serve`.
//!
//! [`serve`] answers requests on one listener until it is told to stop. Beside it, it keeps things going: runs whose
//! timer is due are driven, and people are told what there is to be told.
//!
//! Whoever asks for anything but the login page has shown their token: with each request (`Authorization: Basic`, for
//! programs), or once, for a session in a cookie (for people). A session lasts as long as its token does: it is held
//! against today's principals at every request. What changes something needs the session's CSRF token as well. Pages are
//! HTML and one style sheet, with no script at all, and the content security policy allows no other.
//!
//! To open a page decides nothing. A decision names the digest of what was shown: when that has changed meanwhile, it is
//! refused.

mod api;
mod connections;
mod driver;
mod error;
mod guard;
mod limit;
mod pages;
mod person;
mod session;
mod site;

pub use error::NotStarted;
pub use site::{Site, WorkflowLine, Workflows, serve};
