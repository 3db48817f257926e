//! Turning a store of version 1 into one of this version.
//!
//! A generation of version 1 is sled's files, with every event an entry of its own. It is copied into a generation of
//! this version, as pruning copies; the commit point is the switch to that one. After it `FORMAT` is written anew: a
//! store that says version 1 and has a log is of this version, and says so when it is opened the next time.

use std::io;
use std::path::{Path, PathBuf};

use wflo_model::StoreId;

use super::build::Builder;
use super::index::{failed, open_sled, remove_dir};
use super::log::Salt;
use super::sizes::Sizes;
use super::sled_store::MARKER;
use super::state_dir::{StateDir, Switch};
use super::sync::SyncHook;
use crate::error::{OpenError, ReadError};
use crate::key::{Key, KeyKind};
use crate::record::unframe;

/// The name under which version 1 kept how many groups it had written.
const WRITES: &str = "wflo/writes";

/// Copies a store, switches to the copy, and gives its folder.
pub(super) fn from_version_1(
    state: &StateDir,
    id: StoreId,
    generation: &Path,
    salt: Salt,
    sizes: Sizes,
    hook: &dyn SyncHook,
) -> Result<PathBuf, OpenError> {
    tracing::info!(path = %generation.display(), "turning a store of version 1 into one of version 2");
    let db = open_sled(generation)?;
    check_marker(&db, id, state.path())?;
    let written = check_writes(&db, state.marked()?.writes, generation)?;
    let path = state.next_generation(hook).map_err(at(state.path()))?;
    // Records are numbered on from the groups, so that what was marked stays true.
    let copied = Builder::begin(&path, id, salt, written + 1, sizes, hook)
        .and_then(|builder| copy(&db, builder))
        .map_err(at(&path));
    drop(db);
    let switched = copied.and_then(|()| match state.switch(&path, hook) {
        Ok(()) => Ok(()),
        Err(Switch::Not(source) | Switch::Unknown(source)) => Err(at(state.path())(source)),
    });
    switched.and_then(|()| state.write_format(id).map_err(at(state.path())))?;
    if let Err(error) = remove_dir(generation).and_then(|()| state.sync(hook)) {
        // It is removed when the store is opened the next time.
        tracing::warn!(%error, "what version 1 left cannot be removed");
    }
    Ok(path)
}

fn copy(db: &sled::Db, mut builder: Builder<'_>) -> io::Result<()> {
    let writes = Key::Meta(WRITES).encode();
    let event = [KeyKind::Event as u8];
    for pair in db.iter() {
        let (key, value) = pair.map_err(io::Error::other)?;
        if !key.starts_with(&event) && *key != writes[..] {
            builder.pair(key.to_vec(), value.to_vec())?;
        }
    }
    for pair in db.scan_prefix(event) {
        let (key, value) = pair.map_err(io::Error::other)?;
        // What is no key of an event nobody could read.
        if let Some(Key::Event(run, seq)) = Key::decode(&key) {
            builder.event(run, seq, &value)?;
        }
    }
    builder.finish(1).map(drop)
}

fn check_marker(db: &sled::Db, id: StoreId, path: &Path) -> Result<(), OpenError> {
    let key = Key::Meta(MARKER).encode();
    let wiped = |what: &str| OpenError::Wiped { path: path.to_owned(), what: what.to_owned() };
    let value = db.get(&key).map_err(failed(path))?;
    let value = value.ok_or_else(|| wiped("the database is empty, and `FORMAT` says that it was not"))?;
    let found = unframe(&key, value.to_vec())?;
    if found == id.as_bytes() { Ok(()) } else { Err(wiped("the database is that of another store")) }
}

/// Checks that nothing which was there is gone, and says how many groups were written.
fn check_writes(db: &sled::Db, marked: u64, generation: &Path) -> Result<u64, OpenError> {
    let key = Key::Meta(WRITES).encode();
    let written = match db.get(&key).map_err(failed(generation))? {
        Some(value) => {
            let bytes = <[u8; 8]>::try_from(unframe(&key, value.to_vec())?);
            let bytes = bytes.map_err(|_| ReadError::corrupt(Key::Meta(WRITES), "it is no number"))?;
            u64::from_be_bytes(bytes)
        }
        // None was written yet, or by a version that did not count.
        None => 0,
    };
    if written < marked {
        let what =
            format!("it ends after write {written} of at least {marked}: what came then is damaged or lost");
        return Err(OpenError::Corrupt { path: generation.to_owned(), what });
    }
    Ok(written)
}

fn at(path: &Path) -> impl Fn(io::Error) -> OpenError + use<> {
    let path = path.to_owned();
    move |source| OpenError::Io { path: path.clone(), source }
}
