//! A working copy, as [`Terraform`] wants it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use wflo_model::Digest;
use wflo_ports::{
    ReplacedFile, RestoreRequest, Restored, Terraform, TerraformApplied, TerraformBase, TerraformError,
    TerraformFile, TerraformPlan, TerraformSnapshot, TerraformState, Verified,
};

use super::command::{Abandoned, Ran, Runner};
use super::copy::{Contents, configuration, copy, read, write};
use super::kept::{Kept, KeptPlan, Made, write_private};
use super::lock::{Held, Lock};
use super::plan_json;
use super::state_json::Pulled;
use super::vet::vet;

/// A working copy, and how terraform is run in it.
#[derive(Clone, Debug)]
pub struct TerraformConfig {
    /// The root module.
    pub dir: PathBuf,
    /// The program. One without a path is looked for in the usual folders.
    pub binary: PathBuf,
    /// The environment of the program. Nothing of this process's own is added.
    pub env: BTreeMap<String, String>,
    /// Values in it that are never told: not in an error, not in a plan.
    pub secrets: Vec<String>,
    /// The folder that providers are in; those that are installed in the working copy if absent.
    pub plugins: Option<PathBuf>,
    /// How long one command may take. It is asked to come to an end then, and ended if it does not.
    pub timeout: Duration,
}

/// A working copy with the terraform that is installed, or OpenTofu.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use wflo_backends::terraform::{TerraformConfig, TerraformFolder};
/// use wflo_ports::Terraform;
/// let config = TerraformConfig {
///     dir: "/srv/infra".into(),
///     binary: "tofu".into(),
///     env: [("AWS_REGION".to_owned(), "eu-central-1".to_owned())].into(),
///     secrets: Vec::new(),
///     plugins: None,
///     timeout: Duration::from_secs(600),
/// };
/// let prod: Arc<dyn Terraform> = Arc::new(TerraformFolder::new(config));
/// ```
#[derive(Clone, Debug)]
pub struct TerraformFolder(Arc<Folder>);

/// A working copy.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) dir: PathBuf,
    config: TerraformConfig,
    lock: Lock,
}

impl TerraformFolder {
    /// Runs nothing and looks at nothing yet.
    #[must_use]
    pub fn new(config: TerraformConfig) -> Self {
        Self(Arc::new(Folder { dir: config.dir.clone(), config, lock: Lock::default() }))
    }
}

/// A working copy whose lock is held.
pub(super) struct Session<'a> {
    pub(super) dir: PathBuf,
    pub(super) kept: Kept,
    runner: Runner,
    plugins: PathBuf,
    held: Held<'a>,
}

impl Folder {
    /// Waits for whoever is at the working copy.
    pub(super) async fn session(&self) -> Result<Session<'_>, TerraformError> {
        let dir = self.dir.canonicalize().map_err(|error| super::copy::unavailable(&self.dir, &error))?;
        let kept = Kept::of(&dir)?;
        let TerraformConfig { binary, env, secrets, plugins, timeout, .. } = self.config.clone();
        let runner = Runner::new(binary, env, secrets, timeout, &kept.nothing());
        let installed = dir.join(".terraform/providers");
        let plugins = plugins.unwrap_or(if installed.is_dir() { installed } else { kept.nothing() });
        let held = self.lock.hold(&kept.lock(), runner.timeout()).await?;
        Ok(Session { dir, kept, runner, plugins, held })
    }
}

/// The arguments that every command has.
const QUIET: [&str; 2] = ["-input=false", "-no-color"];

impl Session<'_> {
    async fn run(&self, folder: &Path, args: &[&str], abandoned: Abandoned) -> Result<Ran, TerraformError> {
        self.runner.run(folder, args, &self.held, abandoned).await
    }

    /// A copy of the working copy that terraform can work in, with some files in the place of its own.
    pub(super) async fn prepare_copy(&self, contents: Contents) -> Result<PathBuf, TerraformError> {
        let (dir, kept) = (self.dir.clone(), self.kept.clone());
        let copied = tokio::task::spawn_blocking(move || {
            let tree = kept.work()?.join("tree");
            copy(&dir, &tree, &contents)?;
            Ok(tree)
        });
        let tree =
            copied.await.map_err(|error| TerraformError::Unavailable { message: error.to_string() })??;
        let plugins = format!("-plugin-dir={}", self.plugins.display());
        let ran = self.run(&tree, &["init", QUIET[0], QUIET[1], &plugins], Abandoned::Ends).await?;
        if ran.succeeded { Ok(tree) } else { Err(TerraformError::Invalid { message: ran.words }) }
    }

    /// The state as it is now, with its secrets, and its bytes.
    pub(super) async fn pull(&self, tree: &Path) -> Result<(Pulled, String), TerraformError> {
        let ran = self.run(tree, &["state", "pull"], Abandoned::Ends).await?;
        if !ran.succeeded {
            return Err(TerraformError::Unavailable { message: ran.words });
        }
        Ok((Pulled::read(&ran.output)?, ran.output))
    }

    /// Plans in a copy, and leaves the plan in `file`.
    pub(super) async fn plan_in(&self, tree: &Path, file: &Path) -> Result<(), TerraformError> {
        let out = format!("-out={}", file.display());
        let ran =
            self.run(tree, &["plan", QUIET[0], QUIET[1], "-lock-timeout=60s", &out], Abandoned::Ends).await?;
        if ran.succeeded { Ok(()) } else { Err(TerraformError::Invalid { message: ran.words }) }
    }

    /// What a plan says, read from its bytes.
    pub(super) async fn show(
        &self,
        tree: &Path,
        file: &Path,
        digest: Digest,
    ) -> Result<TerraformPlan, TerraformError> {
        let path = file.display().to_string();
        let json = self.run(tree, &["show", "-json", &path], Abandoned::Ends).await?;
        let text = self.run(tree, &["show", "-no-color", &path], Abandoned::Ends).await?;
        if let Some(failed) = [&json, &text].into_iter().find(|ran| !ran.succeeded) {
            return Err(TerraformError::Unavailable { message: failed.words.clone() });
        }
        plan_json::read(digest, &json.output, text.output)
    }

    /// Applies a plan; says what went wrong where something did.
    pub(super) async fn apply_in(
        &self,
        tree: &Path,
        file: &Path,
    ) -> Result<Result<(), String>, TerraformError> {
        let path = file.display().to_string();
        let args = ["apply", QUIET[0], QUIET[1], "-lock-timeout=60s", &path];
        let ran = self.run(tree, &args, Abandoned::GoesOn).await?;
        Ok(if ran.succeeded { Ok(()) } else { Err(ran.words) })
    }

    /// Whether what a plan starts from is as it was when it was made.
    async fn check_fresh(&self, plan: &KeptPlan, made: &Made) -> Result<(Pulled, String), TerraformError> {
        let stale = |message: &str| Err(TerraformError::Stale { message: message.to_owned() });
        if configuration(&self.dir)? != made.configuration {
            return stale("the configuration of the working copy has changed since the plan was made");
        }
        let (pulled, bytes) = self.pull(&plan.tree()).await?;
        let TerraformBase { serial, lineage } = pulled.base();
        if serial != made.base.serial || lineage != made.base.lineage {
            return stale(&format!(
                "the state has moved on since the plan was made: it was at serial {} and is at {serial}",
                made.base.serial
            ));
        }
        Ok((pulled, bytes))
    }

    /// What the plan brings takes its place in the working copy, and the plan is marked as applied.
    pub(super) async fn settle(
        &self,
        plan: &KeptPlan,
        made: &Made,
    ) -> Result<TerraformApplied, TerraformError> {
        // From here on it is done, whatever else fails.
        let lost = |error: TerraformError| TerraformError::Lost { message: error.to_string() };
        let contents: Contents =
            made.files.iter().map(|file| (file.path.clone(), Some(file.content.clone()))).collect();
        write(&self.dir, &contents).map_err(lost)?;
        plan.mark("applied", "").map_err(lost)?;
        let (pulled, _) = self.pull(&plan.tree()).await.map_err(lost)?;
        Ok(pulled.applied())
    }
}

impl Folder {
    async fn state(&self) -> Result<TerraformState, TerraformError> {
        let session = self.session().await?;
        let tree = session.prepare_copy(Contents::new()).await?;
        let (pulled, _) = session.pull(&tree).await?;
        Ok(pulled.view())
    }

    async fn plan(&self, files: &[TerraformFile]) -> Result<TerraformPlan, TerraformError> {
        vet(files)?;
        let session = self.session().await?;
        let contents = files.iter().map(|file| (file.path.clone(), Some(file.content.clone()))).collect();
        let tree = session.prepare_copy(contents).await?;
        let (pulled, _) = session.pull(&tree).await?;
        let work = tree.parent().expect("the copy lies in the folder for it").to_owned();
        session.plan_in(&tree, &work.join("plan")).await?;
        let made =
            Made { files: files.to_vec(), configuration: configuration(&session.dir)?, base: pulled.base() };
        let (digest, plan) = session.kept.keep(&work, &made)?;
        session.show(&plan.tree(), &plan.file(), digest).await
    }

    async fn prepare(&self, digest: &Digest) -> Result<TerraformSnapshot, TerraformError> {
        let session = self.session().await?;
        let plan = session.kept.find(digest)?;
        if plan.is("applied") {
            return plan.read("snapshot.json");
        }
        let made = plan.made()?;
        let (_, state) = session.check_fresh(&plan, &made).await?;
        write_private(&plan.path("state.json"), state.as_bytes())?;
        let mut before = read(&session.dir, made.files.iter().map(|file| &file.path))?;
        let files = made.files.iter().map(|file| {
            let before = before.remove(&file.path).flatten();
            (file.path.clone(), ReplacedFile { before, after: Digest::of(file.content.as_bytes()) })
        });
        let snapshot = TerraformSnapshot {
            files: files.collect(),
            plan: session.show(&plan.tree(), &plan.file(), *digest).await?,
            base: made.base,
            state: Digest::of(state.as_bytes()),
        };
        plan.write("snapshot.json", &snapshot)?;
        Ok(snapshot)
    }

    async fn apply(&self, digest: &Digest, base: &TerraformBase) -> Result<TerraformApplied, TerraformError> {
        let session = self.session().await?;
        let plan = session.kept.find(digest)?;
        let stale = |message: &str| Err(TerraformError::Stale { message: message.to_owned() });
        if plan.is("applied") {
            return stale("the plan has been applied");
        }
        let made = plan.made()?;
        if made.base != *base || !plan.is("snapshot.json") {
            return stale("the plan was not prepared to be applied to what there is");
        }
        session.check_fresh(&plan, &made).await?;
        plan.mark("begun", "")?;
        match session.apply_in(&plan.tree(), &plan.file()).await {
            Ok(Ok(())) => session.settle(&plan, &made).await,
            Ok(Err(words)) => Err(session.after_failure(&plan, &words).await),
            // It was not started, or nobody knows what it printed.
            Err(error @ TerraformError::Limit { .. }) => {
                Err(session.after_failure(&plan, &error.to_string()).await)
            }
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Terraform for TerraformFolder {
    async fn state(&self) -> Result<TerraformState, TerraformError> {
        self.0.state().await
    }

    async fn plan(&self, files: &[TerraformFile]) -> Result<TerraformPlan, TerraformError> {
        self.0.plan(files).await
    }

    async fn prepare(&self, plan: &Digest) -> Result<TerraformSnapshot, TerraformError> {
        self.0.prepare(plan).await
    }

    async fn apply(&self, plan: &Digest, base: &TerraformBase) -> Result<TerraformApplied, TerraformError> {
        let (folder, plan, base) = (Arc::clone(&self.0), *plan, base.clone());
        // Whoever waits may be stopped; what is half done is not.
        let applying = tokio::spawn(async move { folder.apply(&plan, &base).await });
        applying.await.unwrap_or_else(|error| Err(TerraformError::Lost { message: error.to_string() }))
    }

    async fn verify(&self, plan: &Digest) -> Result<Verified, TerraformError> {
        self.0.verify(plan).await
    }

    async fn restore(&self, request: &RestoreRequest) -> Result<Restored, TerraformError> {
        let (folder, request) = (Arc::clone(&self.0), request.clone());
        let restoring = tokio::spawn(async move { folder.restore(&request).await });
        restoring.await.unwrap_or_else(|error| Err(TerraformError::Lost { message: error.to_string() }))
    }
}
