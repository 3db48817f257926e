//! `wflo identity`: the people kept in the store.

use std::fmt::Write as _;

use serde_json::json;
use wflo_backends::SystemEntropy;
use wflo_model::PrincipalName;

use super::output;
use super::run::who;
use crate::args::{Global, Identity};
use crate::failure::Failure;
use crate::project::Project;
use crate::session::{self, IdentityView, Session};
use crate::{print_once, say, terminal};

/// Adds, changes and lists people.
pub(crate) async fn identity(
    global: &Global,
    project: &Project,
    session: &mut Session,
    command: Identity,
) -> Result<(), Failure> {
    let deploy = project.deploy()?;
    match command {
        Identity::Add { name, groups, role, expires } => {
            let (token, hash) = token().await?;
            let groups = groups.into_iter().collect();
            let token_hash = Some(hash);
            let principal =
                wflo::Principal { groups, role, token_hash, expires_at: expires, ..Default::default() };
            let keep = session::Keep { name: name.clone(), principal, who: who(global)?, deploy };
            session.ask(keep).await?;
            give(global, &name, &token)?;
        }
        Identity::Rotate { name } => {
            let (token, token_hash) = token().await?;
            let rotate = session::Rotate { name: name.clone(), token_hash, who: who(global)?, deploy };
            session.ask(rotate).await?;
            give(global, &name, &token)?;
        }
        Identity::Expire { name, at } => {
            let asked = session::Expire { name: name.clone(), at, who: who(global)?, deploy };
            let at = session.ask(asked).await?;
            say(&format!("{name} is nobody from {at} on"));
            output(global, &json!({ "name": name, "expires_at": at.to_string() }), String::new);
        }
        Identity::Revoke { name } => {
            session.ask(session::Revoke { name: name.clone(), who: who(global)?, deploy }).await?;
            say(&format!("{name} is nobody any more"));
            output(global, &json!({ "name": name, "status": "revoked" }), String::new);
        }
        Identity::List => {
            let people = session.ask(session::Identities { deploy }).await?;
            output(global, &people, || lines(&people));
            super::say_if_none(global, &people, "nobody is known");
        }
    }
    Ok(())
}

/// Prints a token, which is kept nowhere: whoever does not get it here needs another.
fn give(global: &Global, name: &PrincipalName, token: &str) -> Result<(), Failure> {
    let text = match global.json {
        true => terminal::json(&json!({ "name": name, "token": token })),
        false => token.to_owned(),
    };
    print_once(&text).map_err(|failure| {
        failure.hint(format!("nobody has the token of `{name}`: `wflo identity rotate {name}` gives another"))
    })
}

/// A token and its hash. Only the hash travels.
async fn token() -> Result<(String, String), Failure> {
    let drawn = tokio::task::spawn_blocking(|| wflo::new_token(&SystemEntropy)).await;
    drawn.map_err(Failure::bug)?.map_err(Failure::bug)
}

fn lines(people: &[IdentityView]) -> String {
    let width = people.iter().map(|it| it.name.to_string().chars().count()).max().unwrap_or_default();
    people.iter().fold(String::new(), |mut text, it| {
        let groups: Vec<_> = it.groups.iter().map(ToString::to_string).collect();
        let name = it.name.to_string();
        let _ = write!(text, "{name:width$}  {:8}  {:7}  {}", it.role, it.status, groups.join(", "));
        if let Some(at) = &it.expires_at {
            let _ = write!(text, "  until {at}");
        }
        text.push('\n');
        text
    })
}
