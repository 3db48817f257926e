//! What whoever holds a store does for it by the way: checkpoints of the audit, and their publication.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::service::Service;

/// How often checkpoints are made, and where they go.
#[derive(Clone, Debug)]
pub(crate) struct Keeping {
    pub(crate) every: Duration,
    /// A folder.
    pub(crate) publish: Option<PathBuf>,
}

impl Keeping {
    /// Makes checkpoints until it is dropped.
    pub(crate) async fn keep(self, service: Arc<Service>) {
        let mut ticks = tokio::time::interval(self.every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // The first tick comes at once: most commands are over before there is anything to say.
        ticks.tick().await;
        loop {
            ticks.tick().await;
            self.once(&service).await;
        }
    }

    /// Makes a checkpoint if anything has moved, and publishes the newest if that is to be done. A failure stops nothing:
    /// what is not in this one is in the next.
    pub(crate) async fn once(&self, service: &Service) {
        if let Err(error) = service.runtime().checkpoint().await {
            tracing::warn!(%error, "no checkpoint of the audit could be made");
            return;
        }
        let Some(folder) = self.publish.clone() else { return };
        let newest = match service.runtime().journal().newest_checkpoint().await {
            Ok(Some(newest)) => newest,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "the newest checkpoint of the audit cannot be read");
                return;
            }
        };
        let published = tokio::task::spawn_blocking(move || publish(&folder, &newest)).await;
        match published {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "a checkpoint of the audit could not be published"),
            Err(error) => tracing::warn!(%error, "a checkpoint of the audit could not be published"),
        }
    }
}

/// Writes a checkpoint to a folder, in a file named after store and size: whole or not at all, and never over another.
fn publish(folder: &Path, note: &str) -> io::Result<()> {
    let mut lines = note.lines();
    let (origin, size) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let store = origin.rsplit('/').next().unwrap_or_default();
    let path = folder.join(format!("{store}-{size:0>12}.checkpoint"));
    match std::fs::read_to_string(&path) {
        Ok(there) if there == note => return Ok(()),
        Ok(_) => {
            let message =
                format!("`{}` is another checkpoint of the same size: the log was rewritten", path.display());
            return Err(io::Error::other(message));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    std::fs::create_dir_all(folder)?;
    let unready = path.with_extension("new");
    let mut file: File = OpenOptions::new().write(true).create(true).truncate(true).open(&unready)?;
    file.write_all(note.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&unready, &path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::publish;

    #[test]
    fn a_checkpoint_is_published_once_and_never_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("deep").join("checkpoints");
        let note = |root: &str| format!("wflo-store/07\n12\n{root}\n\nsigned\n");
        publish(&folder, &note("a")).unwrap();
        publish(&folder, &note("a")).unwrap();
        let error = publish(&folder, &note("b")).unwrap_err();
        assert!(error.to_string().contains("the log was rewritten"), "{error}");
        let files: Vec<_> = folder.read_dir().unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(files, ["07-000000000012.checkpoint"]);
    }
}
