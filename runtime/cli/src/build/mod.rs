//! `wflo build`: the steps, compiled to a component by their language's own tools.

mod c;
mod component;
mod encode;
mod go;
mod granted;
mod javascript;
mod language;
mod python;
mod rust;
mod stamp;
mod tool;
mod unresolved;
mod venv;
mod wit;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use serde::Serialize;
use wflo_manifest::{ComponentRef, Workflow};

use self::language::Language;
use crate::failure::{Code, Failure};
use crate::say;

/// Where a language's tools leave what they make on the way, below the folder of the steps.
const WORK: &str = "target/wflo";
/// The folder of the steps, where nobody says otherwise.
const STEPS: &str = "steps";

/// What to build, and how.
#[derive(Clone, Debug)]
pub(crate) struct Order<'a> {
    /// The workflow's folder.
    pub(crate) folder: &'a Path,
    /// The folder of the steps, seen from it.
    pub(crate) steps: Option<&'a Path>,
    /// Whether to get the tools and libraries that the steps name, by their language's package manager.
    pub(crate) install: bool,
}

/// The steps of one component, on their way to it.
struct Job<'a> {
    /// The folder of the steps.
    steps: PathBuf,
    /// Where tools leave what they make on the way.
    work: PathBuf,
    /// Where the component goes.
    component: PathBuf,
    /// The text of `workflow.toml`.
    manifest: &'a str,
    /// Whether to get what is missing.
    install: bool,
}

/// What was built.
#[derive(Debug, Serialize)]
pub(crate) struct Built {
    pub(crate) component: PathBuf,
    pub(crate) language: &'static str,
    /// Whether it was as it had to be already.
    pub(crate) fresh: bool,
    pub(crate) bytes: u64,
    /// Every interface it imports, but those of the virtual layer, which all have.
    pub(crate) imports: Vec<String>,
}

/// Builds the component of a workflow, and puts it where the manifest names it.
pub(crate) fn build(order: &Order<'_>) -> Result<Built, Failure> {
    let manifest = std::fs::read_to_string(order.folder.join("workflow.toml"))
        .map_err(|error| Failure::usage(format!("`workflow.toml`: {error}")))?;
    let workflow = Workflow::parse("workflow.toml", &manifest)
        .map_err(|wrong| Failure::rendered(Code::Usage, wrong.render(false)))?;
    let (steps, language) = find(order)?;
    let components = workflow.components();
    let [ComponentRef::Path(component)] = components.iter().copied().collect::<Vec<_>>()[..] else {
        return Err(Failure::usage("`wflo build` needs a workflow with one component given by its path"));
    };
    let job = Job {
        work: steps.join(WORK),
        steps,
        component: order.folder.join(component),
        manifest: &manifest,
        install: order.install,
    };
    // Tools leave what they make on the way in one place.
    let _alone = job.alone()?;
    let fresh = match language {
        Language::Rust => rust::build(&job),
        Language::JavaScript | Language::TypeScript => javascript::build(&job),
        Language::Python => python::build(&job),
        Language::Go => go::build(&job),
        Language::C => c::build(&job),
    }?;
    let component::Looked { bytes, imports } = component::look(&job.component)?;
    Ok(Built { component: job.component, language: language.name(), fresh, bytes, imports })
}

/// The folder of the steps, and what they are written in.
fn find(order: &Order<'_>) -> Result<(PathBuf, Language), Failure> {
    let named = order.steps.unwrap_or(Path::new(STEPS));
    let steps = order.folder.join(named);
    // Steps may also lie beside `workflow.toml`.
    let beside = order.steps.is_none().then(|| order.folder.to_owned());
    for folder in [Some(steps.clone()), beside].into_iter().flatten() {
        if let Some(language) = Language::of(&folder) {
            let folder = std::path::absolute(&folder).map_err(Failure::usage)?;
            return Ok((folder, language));
        }
    }
    Err(Failure::usage(format!("there are no steps in `{}`", steps.display())).hint(
        "steps are a folder with a `Cargo.toml`, a `package.json`, a `requirements.txt`, a `go.mod` or a `steps.c`; `wflo new` \
         makes one",
    ))
}

impl Job<'_> {
    /// Waits until nobody else builds these steps; others wait until this is dropped.
    fn alone(&self) -> Result<File, Failure> {
        self.make_work()?;
        let path = self.work.join("lock");
        let failed = |error: std::io::Error| self.unwritable(&path, &error);
        let lock = File::create(&path).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) => say("these steps are being built elsewhere; waiting for that"),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        lock.lock().map_err(failed)?;
        Ok(lock)
    }

    /// Makes the folder for what is made on the way, and says to version control that it is of no interest.
    fn make_work(&self) -> Result<(), Failure> {
        std::fs::create_dir_all(&self.work)
            .and_then(|()| std::fs::write(self.work.join(".gitignore"), "*\n"))
            .map_err(|error| self.unwritable(&self.work, &error))
    }

    /// Writes a file, unless it is there as it has to be.
    fn write(&self, file: &Path, text: &str) -> Result<(), Failure> {
        if std::fs::read_to_string(file).is_ok_and(|there| there == text) {
            return Ok(());
        }
        std::fs::write(file, text).map_err(|error| self.unwritable(file, &error))
    }

    /// Puts a component where the manifest names it, whole or not at all, unless it is there.
    fn put(&self, built: &Path) -> Result<(), Failure> {
        let is_there = std::fs::read(&self.component).ok().zip(std::fs::read(built).ok());
        if is_there.is_some_and(|(there, built)| there == built) {
            return Ok(());
        }
        let temporary = self.component.with_extension("wasm.new");
        std::fs::copy(built, &temporary)
            .and_then(|_| std::fs::rename(&temporary, &self.component))
            .map_err(|error| self.unwritable(&self.component, &error))
    }

    fn unwritable(&self, path: &Path, error: &std::io::Error) -> Failure {
        Failure::usage(format!("`{}`: {error}", path.display()))
    }
}

impl Built {
    /// As people read it.
    pub(crate) fn words(&self) -> String {
        let Self { component, language, fresh, .. } = self;
        let done = if *fresh { "is as it has to be" } else { "built" };
        let size = component::size(self.bytes);
        let line = match fresh {
            true => format!("{} {done} ({language}, {size})", component.display()),
            false => format!("{done} {} ({language}, {size})", component.display()),
        };
        match self.imports.as_slice() {
            [] => format!("{line}\nimports nothing"),
            imports => format!("{line}\nimports {}", imports.join(", ")),
        }
    }
}
