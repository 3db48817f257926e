//! What comes after an apply: what became of it, and how what was there before comes back.

use wflo_model::Digest;
use wflo_ports::{RestoreRequest, Restored, TerraformError, Verified};

use super::copy::{Contents, read, write};
use super::folder::{Folder, Session};
use super::kept::{KeptPlan, remove, write_private};

impl Session<'_> {
    /// Applies the configuration of the working copy again, with some files in the place of its own; says whether there
    /// was anything to apply.
    async fn reapply(&self, contents: Contents) -> Result<bool, TerraformError> {
        let tree = self.prepare_copy(contents).await?;
        let file = tree.with_file_name("plan");
        self.plan_in(&tree, &file).await?;
        if self.show(&tree, &file, Digest::ZERO).await?.is_empty() {
            return Ok(false);
        }
        match self.apply_in(&tree, &file).await? {
            Ok(()) => Ok(true),
            Err(message) => Err(TerraformError::Unavailable { message }),
        }
    }

    /// Puts back what was there before a plan that could not be applied. The working copy has the previous configuration
    /// still: its files are replaced only after an apply.
    pub(super) async fn after_failure(&self, plan: &KeptPlan, words: &str) -> TerraformError {
        if let Err(error) = plan.mark("failed", words) {
            tracing::warn!(%error, "that an apply failed is not kept");
        }
        match self.reapply(Contents::new()).await {
            Ok(true) => TerraformError::Failed {
                message: format!(
                    "it could not be applied, and the previous configuration is applied again: {words}"
                ),
            },
            Ok(false) => TerraformError::Failed {
                message: format!("it could not be applied, and changed nothing: {words}"),
            },
            Err(error) => TerraformError::Unrestored {
                message: format!(
                    "it could not be applied, and neither could the previous configuration: {words}; then: {error}; \
                     the state before is kept in `{}`",
                    plan.path("state.json").display()
                ),
            },
        }
    }
}

impl Folder {
    pub(super) async fn verify(&self, digest: &Digest) -> Result<Verified, TerraformError> {
        // Whatever was begun holds the lock until it has ended, whoever began it.
        let session = self.session().await?;
        let plan = session.kept.find(digest)?;
        let made = plan.made()?;
        if plan.is("applied") {
            let (pulled, _) = session.pull(&plan.tree()).await?;
            return Ok(Verified::Done(pulled.applied()));
        }
        if plan.is("failed") {
            return Ok(match session.after_failure(&plan, &plan.words("failed")).await {
                TerraformError::Failed { message } => Verified::Restored { message },
                other => Verified::Unknown { message: other.to_string() },
            });
        }
        if !plan.is("begun") {
            return Ok(Verified::NotBegun);
        }
        let file = plan.path("fresh");
        session.plan_in(&plan.tree(), &file).await?;
        let fresh = session.show(&plan.tree(), &file, Digest::ZERO).await?;
        if fresh.is_empty() {
            return session.settle(&plan, &made).await.map(Verified::Done);
        }
        let (now, before) = (session.pull(&plan.tree()).await?.0.base(), made.base);
        let moved = if now == before {
            format!("the state is as it was before, at serial {}", now.serial)
        } else {
            format!("the state has moved from serial {} to {}", before.serial, now.serial)
        };
        let outputs = fresh.outputs.len();
        Ok(Verified::Unknown {
            message: format!(
                "{moved}, and a fresh plan still has {} to add, {} to change, {} to destroy and {outputs} outputs to \
                 change",
                fresh.adds, fresh.changes, fresh.destroys
            ),
        })
    }

    pub(super) async fn restore(&self, request: &RestoreRequest) -> Result<Restored, TerraformError> {
        let session = self.session().await?;
        let RestoreRequest { plan, files, serial } = request;
        let contents: Contents =
            files.iter().map(|(path, file)| (path.clone(), file.before.clone())).collect();
        let begun = session.kept.restoring(plan);
        if !begun.exists() {
            let here = read(&session.dir, files.keys())?;
            let changed = files.iter().find(|(path, file)| {
                let now = here.get(*path).and_then(Option::as_ref);
                now.map(|now| Digest::of(now.as_bytes())) != Some(file.after)
            });
            if let Some((path, _)) = changed {
                let message = format!("`{path}` of the working copy was changed since");
                return Ok(Restored::Left { message });
            }
            let tree = session.prepare_copy(Contents::new()).await?;
            let now = session.pull(&tree).await?.0.base().serial;
            if let Some(left) = serial.filter(|left| *left != now) {
                let message = format!(
                    "somebody else has applied something since: the state is at serial {now}, the step left it at {left}"
                );
                return Ok(Restored::Left { message });
            }
            write_private(&begun, b"")?;
        }
        session.reapply(contents.clone()).await?;
        write(&session.dir, &contents)?;
        let tree = session.prepare_copy(Contents::new()).await?;
        let serial = session.pull(&tree).await?.0.base().serial;
        remove(&begun)?;
        Ok(Restored::Done { serial })
    }
}
