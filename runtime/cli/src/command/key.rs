//! `wflo key rotate`.

use std::sync::Arc;

use serde::Serialize;
use wflo_backends::SystemEntropy;
use wflo_journal::{Journal, MasterKey, MasterSource, OpenError, RekeyError};

use super::output;
use super::run::who;
use crate::args::{Global, WhichKey};
use crate::failure::{Code, Failure};
use crate::project::{Project, variable};
use crate::session::{self, Session};
use crate::{print, say};

/// What was rotated, as `--json` has it.
#[derive(Debug, Serialize)]
struct Rotated {
    /// The key that signs checkpoints from now on, where it is another.
    signing_key: Option<String>,
    /// Whether there is another master key.
    master_key: bool,
}

/// Rotates the signing key, the master key, or both.
pub(crate) async fn rotate(
    global: &Global,
    project: &Project,
    only: Option<WhichKey>,
    new_key: Option<String>,
) -> Result<Code, Failure> {
    let place = project.place()?;
    let (state, master) = (place.state.clone(), place.master.clone());
    let rotates_master = only != Some(WhichKey::Signing);
    let next = new_master(&master, new_key, rotates_master)?;
    let ask = |ask_only| {
        Ok::<_, Failure>(session::NoteMasterKey { ask_only, who: who(global)?, deploy: project.deploy()? })
    };

    let mut session = Session::open(place).await?;
    let mut signing_key = None;
    let done = async {
        if only != Some(WhichKey::Master) {
            let rotate = session::RotateKey { who: who(global)?, deploy: project.deploy()? };
            let key = session.ask(rotate).await?;
            say("checkpoints are signed by another key from now on:");
            if !global.json {
                print(&key);
            }
            signing_key = Some(key);
        }
        if rotates_master {
            session.ask(ask(true)?).await?;
            if !session.holds() {
                return Err(Failure::usage("the master key is rotated while nobody else has the store")
                    .hint("wait until the other command has ended, and rotate it with `--only master`"));
            }
        }
        Ok(())
    };
    let done = done.await;
    session.close().await;
    done?;
    if !rotates_master {
        output(global, &Rotated { signing_key, master_key: false }, String::new);
        return Ok(Code::Succeeded);
    }

    let from_file = !matches!(master, Some(MasterSource::Key(_)));
    let rotated = Journal::rotate_master(&state, master, next.clone(), Arc::new(SystemEntropy)).await;
    rotated.map_err(|error| failed(&state, &error))?;
    // From here on the store has another key; a deployment that takes it from the environment is to be told.
    let mut place = project.place()?;
    if let Some(next) = next.filter(|_| !from_file) {
        place.master = Some(MasterSource::Key(next));
        say("the store is sealed with the new key: put it where `seal_key` of `[store]` takes it from, now");
    } else {
        say("the store is sealed with a new master key, which is in its file");
    }
    let mut session = Session::open(place).await?;
    let noted = session.ask(ask(false)?).await;
    session.close().await;
    noted?;
    output(global, &Rotated { signing_key, master_key: true }, String::new);
    Ok(Code::Succeeded)
}

/// The new master key, where one is given.
fn new_master(
    master: &Option<MasterSource>,
    new_key: Option<String>,
    rotates_master: bool,
) -> Result<Option<MasterKey>, Failure> {
    match new_key {
        Some(name) => {
            let text = variable(&name).ok_or_else(|| {
                Failure::usage(format!("the variable `{name}` of the environment is not set"))
            })?;
            Ok(Some(MasterKey::from_hex(&text).map_err(Failure::usage)?))
        }
        None if rotates_master && matches!(master, Some(MasterSource::Key(_))) => Err(Failure::usage(
            "the master key is not in a file, and nobody said what the new one is",
        )
        .hint(
            "put 64 random hex digits into a variable and name it with `--new-key`, or give `--only signing`",
        )),
        None => Ok(None),
    }
}

fn failed(state: &std::path::Path, error: &RekeyError) -> Failure {
    match error {
        RekeyError::Open(OpenError::Locked { .. }) => {
            Failure::usage(error).hint("wait until it has ended, and rotate it with `--only master`")
        }
        RekeyError::Open(error) => session::unopened(state, error),
        _ => Failure::bug(error).hint("the store opens as it did; rotate again"),
    }
}
