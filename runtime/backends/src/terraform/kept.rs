//! What is kept for a working copy, in its folder `.wflo`: plans by their digests, and where each of them stands.
//!
//! ```text
//! .wflo/.gitignore            nothing in here belongs to the configuration
//! .wflo/lock                  held by whoever runs terraform
//! .wflo/none/                 an empty folder: no providers, no home
//! .wflo/work/                 the copy that the command under way works in
//! .wflo/plans/HEX/plan        the plan; HEX is the SHA-256 of its bytes
//! .wflo/plans/HEX/tree/       the configuration it was made from
//! .wflo/plans/HEX/made.json   what it brings, and what it started from
//! .wflo/plans/HEX/snapshot.json, state.json   what was there when it was prepared to be applied
//! .wflo/plans/HEX/begun       terraform was told to apply it
//! .wflo/plans/HEX/failed      and failed, with its words
//! .wflo/plans/HEX/applied     and did
//! ```

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wflo_model::Digest;
use wflo_ports::{TerraformBase, TerraformError, TerraformFile};

use super::copy::unavailable;

/// How many plans are kept; the oldest go first.
const MOST_PLANS: usize = 64;

/// The folder `.wflo` of a working copy.
#[derive(Clone, Debug)]
pub(super) struct Kept(PathBuf);

/// A plan that is kept.
#[derive(Clone, Debug)]
pub(super) struct KeptPlan {
    folder: PathBuf,
}

/// What a plan brings, and what it started from.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Made {
    pub(super) files: Vec<TerraformFile>,
    /// The digest of the working copy's configuration then.
    pub(super) configuration: Digest,
    pub(super) base: TerraformBase,
}

impl Kept {
    /// The folder of a working copy, made if it is not there.
    pub(super) fn of(dir: &Path) -> Result<Self, TerraformError> {
        let kept = Self(dir.join(".wflo"));
        let failed = |error: io::Error| unavailable(dir, &error);
        for folder in [kept.0.clone(), kept.0.join("plans"), kept.0.join("none")] {
            match DirBuilder::new().mode(0o700).create(&folder) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(error)),
                _ => {}
            }
        }
        let ignore = kept.0.join(".gitignore");
        if !ignore.exists() {
            fs::write(ignore, "*\n").map_err(failed)?;
        }
        Ok(kept)
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    pub(super) fn nothing(&self) -> PathBuf {
        self.0.join("none")
    }

    /// The folder for the command under way, with nothing in it.
    pub(super) fn work(&self) -> Result<PathBuf, TerraformError> {
        let work = self.0.join("work");
        remove(&work)?;
        DirBuilder::new().mode(0o700).create(&work).map_err(|error| unavailable(&work, &error))?;
        Ok(work)
    }

    /// Keeps what lies in the folder for the command under way: the plan, and the copy it was made from.
    pub(super) fn keep(&self, work: &Path, made: &Made) -> Result<(Digest, KeptPlan), TerraformError> {
        let failed = |error: io::Error| unavailable(work, &error);
        let digest = Digest::of(&fs::read(work.join("plan")).map_err(failed)?);
        write_json(&work.join("made.json"), made)?;
        let folder = self.0.join("plans").join(digest.hex().as_str());
        remove(&folder)?;
        fs::rename(work, &folder).map_err(failed)?;
        self.prune();
        Ok((digest, KeptPlan { folder }))
    }

    /// The plan of that digest, if its bytes still have it.
    pub(super) fn find(&self, digest: &Digest) -> Result<KeptPlan, TerraformError> {
        let plan = KeptPlan { folder: self.0.join("plans").join(digest.hex().as_str()) };
        match fs::read(plan.file()) {
            Ok(bytes) if Digest::of(&bytes) == *digest => Ok(plan),
            Ok(_) => Err(TerraformError::Stale {
                message: format!("the file of plan `{digest}` is not the one that was planned"),
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(TerraformError::Unknown { plan: *digest })
            }
            Err(error) => Err(unavailable(&plan.folder, &error)),
        }
    }

    /// That a restore of what this plan replaced was begun: what it finds then is its own doing.
    pub(super) fn restoring(&self, digest: &Digest) -> PathBuf {
        self.0.join(format!("restoring-{}", digest.hex().as_str()))
    }

    fn prune(&self) {
        let Ok(entries) = self.0.join("plans").read_dir() else { return };
        let mut plans: Vec<(SystemTime, PathBuf)> = entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
            })
            .collect();
        plans.sort();
        let many = plans.len().saturating_sub(MOST_PLANS);
        for (_, plan) in plans.into_iter().take(many) {
            if let Err(error) = fs::remove_dir_all(&plan) {
                tracing::warn!(%error, plan = %plan.display(), "an old plan cannot be removed");
            }
        }
    }
}

impl KeptPlan {
    pub(super) fn file(&self) -> PathBuf {
        self.folder.join("plan")
    }

    pub(super) fn tree(&self) -> PathBuf {
        self.folder.join("tree")
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn made(&self) -> Result<Made, TerraformError> {
        self.read("made.json")
    }

    /// Whether there is a mark of that name.
    pub(super) fn is(&self, mark: &str) -> bool {
        self.path(mark).exists()
    }

    /// Leaves a mark, durably: it is there before what it announces.
    pub(super) fn mark(&self, mark: &str, words: &str) -> Result<(), TerraformError> {
        write_private(&self.path(mark), words.as_bytes())
    }

    pub(super) fn words(&self, mark: &str) -> String {
        fs::read_to_string(self.path(mark)).unwrap_or_default()
    }

    pub(super) fn read<T: DeserializeOwned>(&self, name: &str) -> Result<T, TerraformError> {
        let path = self.path(name);
        let bytes = fs::read(&path).map_err(|error| unavailable(&path, &error))?;
        serde_json::from_slice(&bytes).map_err(|error| TerraformError::Unavailable {
            message: format!("`{}`: {error}", path.display()),
        })
    }

    pub(super) fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<(), TerraformError> {
        write_json(&self.path(name), value)
    }
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), TerraformError> {
    let bytes = serde_json::to_vec(value)
        .map_err(|error| TerraformError::Unavailable { message: error.to_string() })?;
    write_private(path, &bytes)
}

/// Writes a file that only this user can read, and has it on the disk when it returns.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), TerraformError> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        // The name is durable with its folder.
        path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
    };
    write().map_err(|error| unavailable(path, &error))
}

pub(super) fn remove(path: &Path) -> Result<(), TerraformError> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(unavailable(path, &error)),
        _ => Ok(()),
    }
}
