//! A terraform folder in memory, and what becomes of what a fork has from its parent in it.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use serde_json::json;
use wflo::{RunStatus, StepStatus};
use wflo_manifest::PlanStep;
use wflo_model::{Digest, RunId};
use wflo_ports::{
    ConfigurationPath, ReplacedFile, RestoreRequest, Restored, Terraform, TerraformApplied, TerraformBase,
    TerraformError, TerraformFile, TerraformPlan, TerraformSnapshot, TerraformState, Verified,
};

use crate::fork::{end_of, forked};
use crate::rollback::{played, rolled_back};
use crate::support::{Process, World};
use crate::sweep::{plan, step};

/// What was applied last, and the plans that were made.
#[derive(Default)]
pub(crate) struct Folder(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    serial: u64,
    files: BTreeMap<ConfigurationPath, String>,
    plans: BTreeMap<Digest, Vec<TerraformFile>>,
}

impl Inner {
    fn base(&self) -> TerraformBase {
        TerraformBase { serial: self.serial, lineage: "here".to_owned() }
    }
}

impl Folder {
    /// What is in its one file, and how often that has changed.
    pub(crate) fn stands(&self) -> (Option<String>, u64) {
        let inner = self.0.lock().unwrap();
        (inner.files.values().next().cloned(), inner.serial)
    }

    /// Somebody else applies something.
    pub(crate) fn apply_by_hand(&self) {
        self.0.lock().unwrap().serial += 1;
    }
}

fn made(digest: Digest) -> TerraformPlan {
    let (adds, changes, destroys, text) = (1, 0, 0, "+ it".to_owned());
    let (resources, outputs, detail) = (Vec::new(), Vec::new(), json!({}));
    TerraformPlan { digest, adds, changes, destroys, resources, outputs, text, detail }
}

#[async_trait]
impl Terraform for Folder {
    async fn state(&self) -> Result<TerraformState, TerraformError> {
        Ok(TerraformState { serial: self.stands().1, ..TerraformState::default() })
    }

    async fn plan(&self, files: &[TerraformFile]) -> Result<TerraformPlan, TerraformError> {
        let mut inner = self.0.lock().unwrap();
        let digest = Digest::of(format!("{} {files:?}", inner.serial).as_bytes());
        inner.plans.insert(digest, files.to_vec());
        Ok(made(digest))
    }

    async fn prepare(&self, plan: &Digest) -> Result<TerraformSnapshot, TerraformError> {
        let inner = self.0.lock().unwrap();
        let files = inner.plans.get(plan).ok_or(TerraformError::Unknown { plan: *plan })?;
        let replaced = |file: &TerraformFile| ReplacedFile {
            before: inner.files.get(&file.path).cloned(),
            after: Digest::of(file.content.as_bytes()),
        };
        let files = files.iter().map(|file| (file.path.clone(), replaced(file))).collect();
        Ok(TerraformSnapshot { plan: made(*plan), base: inner.base(), files, state: Digest::ZERO })
    }

    async fn apply(&self, plan: &Digest, base: &TerraformBase) -> Result<TerraformApplied, TerraformError> {
        let mut inner = self.0.lock().unwrap();
        assert_eq!(inner.base(), *base);
        let files = inner.plans.get(plan).cloned().ok_or(TerraformError::Unknown { plan: *plan })?;
        inner.files.extend(files.into_iter().map(|file| (file.path, file.content)));
        inner.serial += 1;
        let (outputs, resources) = (BTreeMap::new(), Vec::new());
        Ok(TerraformApplied { serial: inner.serial, outputs, resources })
    }

    async fn verify(&self, _: &Digest) -> Result<Verified, TerraformError> {
        Ok(Verified::NotBegun)
    }

    async fn restore(&self, request: &RestoreRequest) -> Result<Restored, TerraformError> {
        let mut inner = self.0.lock().unwrap();
        if request.serial.is_some_and(|left| left != inner.serial) {
            return Ok(Restored::Left { message: "somebody else has applied something since".to_owned() });
        }
        for (path, file) in &request.files {
            match &file.before {
                Some(before) => _ = inner.files.insert(path.clone(), before.clone()),
                None => _ = inner.files.remove(path),
            }
        }
        inner.serial += 1;
        Ok(Restored::Done { serial: inner.serial })
    }
}

/// A run that has applied twice, forked behind the first time, so that the fork has applied as often itself.
async fn applied(world: &World) -> (Process, RunId) {
    let again = PlanStep { name: "again".parse().unwrap(), ..step("apply", &["apply"]) };
    let (process, run, _) = played(world, &plan(vec![step("apply", &[]), again], None)).await;
    let at = end_of(&process, run, "apply").await;
    rolled_back(&process, run, Some("apply")).await;
    let (child, view) = forked(&process, run, at).await;
    assert_eq!(view.status, RunStatus::Succeeded);
    (process, child)
}

#[tokio::test]
async fn a_fork_takes_back_what_its_parent_has_applied() {
    let world = World::new();
    let (process, child) = applied(&world).await;
    assert_eq!(world.infra.stands(), (Some("again".to_owned()), 4), "the third was the way back");
    let planned = process.runtime.rollback_plan(child, None).await.unwrap();
    let planned: Vec<_> = planned.reapply.iter().map(|it| (it.step.as_str(), it.run.is_some())).collect();
    assert_eq!(planned, [("again", false), ("apply", true)]);

    let (view, rollback) = rolled_back(&process, child, None).await;
    assert_eq!((view.status, rollback.reapplied.len()), (RunStatus::RolledBack, 2));
    assert_eq!(world.infra.stands(), (None, 5), "both at once");
    assert!(view.steps.iter().all(|step| step.status == StepStatus::RolledBack));

    // There is nothing left to take back, or to refuse another fork for.
    assert!(process.runtime.rollback_plan(child, None).await.is_err());
    let at = process.runtime.show(child).await.unwrap().events;
    let (last, _) = forked(&process, child, at).await;
    let planned = process.runtime.rollback_plan(last, None).await.unwrap();
    assert!(planned.reapply.iter().all(|it| it.run.is_none()), "what it takes back is its own");
    assert_eq!(world.infra.stands(), (Some("again".to_owned()), 7));
}

#[tokio::test]
async fn a_rollback_goes_on_from_where_another_has_left_the_state() {
    let world = World::new();
    let again = PlanStep { name: "again".parse().unwrap(), ..step("apply", &["apply"]) };
    let (process, run, _) = played(&world, &plan(vec![step("apply", &[]), again], None)).await;
    rolled_back(&process, run, Some("apply")).await;
    assert_eq!(world.infra.stands(), (Some("apply".to_owned()), 3));
    let (view, rollback) = rolled_back(&process, run, None).await;
    assert_eq!(view.status, RunStatus::RolledBack, "{rollback:?}");
    assert_eq!(world.infra.stands(), (None, 4));
}

#[tokio::test]
async fn what_others_have_applied_since_is_left_by_a_fork_as_well() {
    let world = World::new();
    let (process, child) = applied(&world).await;
    world.infra.apply_by_hand();
    let before = world.infra.stands();
    let (view, rollback) = rolled_back(&process, child, None).await;
    assert_eq!((view.status, rollback.left.len()), (RunStatus::PartiallyRolledBack, 0));
    assert_eq!(world.infra.stands(), before);
}
