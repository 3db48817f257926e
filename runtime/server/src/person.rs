//! Who asks.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::time::Instant;
use wflo::{Act, NotPermitted, Role, RuntimeError, Standing, Voter};
use wflo_model::PrincipalName;

use crate::error::ApiError;
use crate::session;
use crate::site::App;

/// Somebody who has shown their token, in the groups they are in now.
pub(crate) struct Person {
    pub(crate) voter: Voter,
    /// What they may do at most.
    pub(crate) role: Role,
    /// What a request of theirs that changes something has to name as well; none where every request shows the token.
    pub(crate) csrf: Option<String>,
}

/// Why nobody is known.
pub(crate) enum Unknown {
    /// They have shown nothing that counts.
    Nobody,
    /// Too many attempts came from there.
    Closed(Duration),
    /// It cannot be told now.
    Failed(RuntimeError),
}

impl Person {
    /// Whether a request may change something: it shows the token itself, or names what only our pages know.
    pub(crate) fn may_change(&self, named: Option<&str>) -> bool {
        self.csrf.as_deref().is_none_or(|csrf| named == Some(csrf))
    }

    /// Checks that their role lets them do more than look.
    pub(crate) fn may_work(&self) -> Result<(), NotPermitted> {
        let (name, role) = (self.voter.name.clone(), self.role);
        if role.may(Act::Work) { Ok(()) } else { Err(NotPermitted { name, role }) }
    }

    /// Finds out who asks.
    pub(crate) async fn of(parts: &Parts, app: &App) -> Result<Self, Unknown> {
        if let Some((name, token)) = basic(parts) {
            let Standing { name, groups, role, .. } =
                check(app, address(parts), &name, &token, false).await?;
            return Ok(Self { voter: Voter { name, groups }, role, csrf: None });
        }
        let session = secret(parts).and_then(|secret| app.sessions.find(&secret)).ok_or(Unknown::Nobody)?;
        let known = app.site.runtime.principals(&app.site.host).await.map_err(Unknown::Failed)?;
        let principal = known.0.get(&session.name).filter(|principal| session.is_of(principal));
        let principal = principal.ok_or(Unknown::Nobody)?;
        let voter = Voter { name: session.name, groups: principal.groups.clone() };
        Ok(Self { voter, role: principal.role, csrf: Some(session.csrf) })
    }
}

/// Checks a token, for a session or for one request. Whoever fails too often is not listened to for a while: who asks
/// from one address in many names by this process, and who asks in one name from anywhere by the store.
pub(crate) async fn check(
    app: &App,
    from: IpAddr,
    name: &PrincipalName,
    token: &str,
    is_session: bool,
) -> Result<Standing, Unknown> {
    if let Some(wait) = app.attempts.closed(from, Instant::now()) {
        return Err(Unknown::Closed(wait));
    }
    let _turn = app.attempts.turn().await;
    let (runtime, host) = (&app.site.runtime, &app.site.host);
    let checked = if is_session {
        runtime.login(host, name, token).await
    } else {
        runtime.authenticate(host, name, token).await
    };
    match checked {
        Ok(standing) => Ok(standing),
        Err(RuntimeError::Throttled { wait, .. }) => Err(Unknown::Closed(wait)),
        Err(RuntimeError::NotAuthenticated(_)) => {
            app.attempts.failed(from, Instant::now());
            tracing::warn!(%from, %name, "a token was refused");
            Err(Unknown::Nobody)
        }
        Err(error) => Err(Unknown::Failed(error)),
    }
}

/// Where a request comes from.
pub(crate) fn address(parts: &Parts) -> IpAddr {
    let from = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    from.map_or(IpAddr::from([0, 0, 0, 0]), |ConnectInfo(address)| address.ip())
}

/// What the cookie of a session holds.
pub(crate) fn secret(parts: &Parts) -> Option<String> {
    let cookies = parts.headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == session::COOKIE).map(|(_, value)| value.to_owned())
}

fn basic(parts: &Parts) -> Option<(PrincipalName, String)> {
    let value = parts.headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
    let (name, token) = text.split_once(':')?;
    Some((name.parse().ok()?, token.to_owned()))
}

impl FromRequestParts<Arc<App>> for Person {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        Self::of(parts, app).await.map_err(ApiError::from)
    }
}
