//! Steps in Python: a module that componentize-py makes a component of, with the interpreter in it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Job;
use super::granted::Granted;
use super::stamp::Ingredients;
use super::tool;
use super::venv::{self, ENVIRONMENT};
use super::wit::{self, WORLD};
use crate::failure::Failure;

const COMPONENTIZER: &str = "componentize-py";
/// The file that says what is needed.
const REQUIREMENTS: &str = "requirements.txt";
/// The module with the steps.
const MODULE: &str = "steps";
/// What the SDK's event loop waits with.
const LOOP: [&str; 2] = ["wasi:clocks/monotonic-clock@0.2.12", "wasi:io/poll@0.2.12"];

/// Makes a component of the module, unless there is one of the same files.
pub(super) fn build(job: &Job<'_>) -> Result<bool, Failure> {
    if job.install {
        venv::install(job, &["--requirement", REQUIREMENTS])?;
    }
    let environment = venv::environment(job);
    let tool = venv::tool(job, COMPONENTIZER).ok_or_else(|| missing(job))?;
    let packages = environment.as_deref().map(packages).transpose()?.flatten();
    let module = job.steps.join(MODULE);
    if !module.with_extension("py").is_file() && !module.is_dir() {
        let failure = Failure::usage(format!("there is no `{MODULE}.py` in `{}`", job.steps.display()));
        return Err(failure.hint("it is the module with the steps"));
    }
    let granted = Granted::of(job.manifest);
    let app = job.work.join("app");
    std::fs::create_dir_all(&app).map_err(|error| job.unwritable(&app, &error))?;
    let entry = entry(&granted);
    job.write(&app.join("wflo_built.py"), &entry)?;
    let mut imports: BTreeSet<_> = granted.interfaces();
    imports.extend(LOOP.map(ToOwned::to_owned));
    let (folder, wit) = wit::write(job, &imports)?;

    let mut ingredients = Ingredients::default();
    ingredients.add("wit", wit.as_bytes());
    ingredients.add("entry", entry.as_bytes());
    let version = tool.command().start(&job.work).arg("--version").output();
    ingredients.add(COMPONENTIZER, &version.map_err(|error| tool.missing(&error))?.stdout);
    add_read(&mut ingredients, job, packages.as_deref())?;
    let stamp = job.work.join("stamp.json");
    let built = job.work.join("component.wasm");
    if ingredients.made(&stamp, &built) {
        return job.put(&built).map(|()| true);
    }
    crate::say("making a component of Python takes about ten seconds");
    let mut command = tool.command().start(&job.work);
    // A backtrace of the tool itself helps nobody here.
    command.env("RUST_BACKTRACE", "0");
    command.arg("--wit-path").arg(&folder).args(["--world", WORLD, "componentize", "wflo_built"]);
    for path in [Some(&app), Some(&job.steps), packages.as_ref()].into_iter().flatten() {
        command.arg("--python-path").arg(path);
    }
    command.arg("--output").arg(&built);
    let output = command.output().map_err(|error| tool.missing(&error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let said = traceback(&said, &job.steps);
        crate::say(&said);
        let failure = Failure::usage(format!("`{COMPONENTIZER}` in `{}` failed", job.steps.display()));
        return Err(match hint(&said) {
            Some(hint) => failure.hint(hint),
            None => failure,
        });
    }
    // On its standard output it says that it is done.
    tool::say(&output.stderr);
    ingredients.seal(&stamp, &built)?;
    job.put(&built).map(|()| false)
}

/// What the module raised when it was imported, as Python itself would have it. The tool prints it within an error of its
/// own, and names the folders of the path by their number.
fn traceback(said: &str, steps: &Path) -> String {
    const BEGIN: &str = "Traceback (most recent call last):";
    let Some((_, raised)) = said.rsplit_once(BEGIN) else { return said.trim_end().to_owned() };
    let raised = raised.split_once("\n\nCaused by:").map_or(raised, |(raised, _)| raised);
    let named = raised.replace("File \"/1/", &format!("File \"{}/", steps.display()));
    format!("{BEGIN}{}", named.trim_end())
}

/// What could be done about what the module raised.
fn hint(said: &str) -> Option<String> {
    let raised = said.trim_end().rsplit('\n').next().unwrap_or_default();
    let missing = raised
        .strip_prefix("ModuleNotFoundError: No module named '")
        .and_then(|rest| rest.split(['\'', '.']).next());
    match missing {
        Some(module) => Some(format!(
            "a package that has `{module}` is added by its line in `{REQUIREMENTS}` and `wflo build --install`; packages of \
             pure Python work, those with code in C do not"
        )),
        None if said.contains("SyntaxError: ") => None,
        None => Some(
            "the module is imported while the component is made: what it does at its top must need no host, and packages \
             with code in C do not work"
                .to_owned(),
        ),
    }
}

fn missing(job: &Job<'_>) -> Failure {
    let steps = job.steps.display();
    Failure::usage(format!("`{COMPONENTIZER}` is not there, which steps in Python are built with")).hint(format!(
        "`wflo build --install` gets it: `python3 -m venv {ENVIRONMENT} && {ENVIRONMENT}/bin/pip install -r {REQUIREMENTS}` \
         in `{steps}`"
    ))
}

/// Where an environment has its packages.
fn packages(environment: &Path) -> Result<Option<PathBuf>, Failure> {
    let lib = environment.join("lib");
    let entries = lib.read_dir().map_err(|error| {
        Failure::usage(format!("`{}` is no environment of Python: {error}", environment.display()))
    })?;
    let folders = entries.filter_map(Result::ok).map(|entry| entry.path().join("site-packages"));
    Ok(folders.into_iter().find(|folder| folder.is_dir()))
}

/// The module that the component is made of: what the workflow grants, the steps, and the exports.
fn entry(granted: &Granted) -> String {
    let databases = serde_json::to_string(&granted.databases).expect("labels are text");
    let statements = serde_json::to_string(&granted.statements).expect("names are text");
    format!(
        "from wflo import log\nfrom wflo.component import Handler\nfrom wflo.context import Context\n\n\
         Context.databases = {databases}\nContext.statements = {statements}\nlog.install()\n\n\
         import {MODULE}\n\n__all__ = [\"Handler\", \"{MODULE}\"]\n"
    )
}

/// Adds every file that the module may read.
fn add_read(to: &mut Ingredients, job: &Job<'_>, packages: Option<&Path>) -> Result<(), Failure> {
    let made = [job.work.as_path(), &job.component];
    to.add_folder(&job.steps, &|path| is_read(path) && !made.contains(&path))?;
    let Some(packages) = packages else { return Ok(()) };
    // They come with every environment; which version it is stands in the `METADATA` beside.
    let tools = ["pip", "setuptools", "pkg_resources"].map(|name| packages.join(name));
    to.add_folder(packages, &|path| is_read(path) && !tools.iter().any(|tool| tool == path))
}

/// Whether the module may read a file, or files in a folder, when it is imported: as code or as anything else. What begins
/// with a point is of tools, as is what Python compiles on its own.
fn is_read(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name != "__pycache__" && !(name.starts_with('.') && path.is_dir())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Granted, Ingredients, Job, add_read, entry, hint, traceback};

    #[test]
    fn only_what_the_module_raised_is_shown() {
        let said = "Traceback (most recent call last):\n  File \"/x/bin/componentize-py\", line 8, in <module>\n\
                    AssertionError: Traceback (most recent call last):\n  File \"/0/wflo_built.py\", line 9, in <module>\n    \
                    import steps\n  File \"/1/steps.py\", line 49\n    fn let\n       ^^^\nSyntaxError: invalid syntax\n\n\n\
                    Caused by:\n    SyntaxError: invalid syntax (steps.py, line 49)\n";
        let raised = "Traceback (most recent call last):\n  File \"/0/wflo_built.py\", line 9, in <module>\n    \
                      import steps\n  File \"/p/steps/steps.py\", line 49\n    fn let\n       ^^^\nSyntaxError: invalid syntax";
        assert_eq!(traceback(said, Path::new("/p/steps")), raised);
        assert_eq!(traceback("error: no such world\n", Path::new("/p")), "error: no such world");
    }

    #[test]
    fn what_is_not_there_is_said_how_to_add() {
        let hint = |said: &str| hint(said).unwrap_or_default();
        let missing = hint(
            "Traceback:\n  File ..\n    import numpy.linalg\nModuleNotFoundError: No module named 'numpy.linalg'\n",
        );
        assert!(
            missing.starts_with("a package that has `numpy` is added by its line in `requirements.txt`"),
            "{missing}"
        );
        assert!(hint("Traceback:\n  File ..\nOSError: 44").contains("must need no host"));
        assert_eq!(hint("Traceback:\n  File ..\nSyntaxError: invalid syntax"), "");
    }

    #[test]
    fn it_is_made_again_when_anything_changes_that_the_module_may_read() {
        let folder = tempfile::tempdir().unwrap();
        let steps = folder.path().join("steps");
        let job = Job {
            work: steps.join("target/wflo"),
            component: steps.join("x.wasm"),
            steps,
            manifest: "",
            install: false,
        };
        let packages = job.steps.join(".venv/lib/python3.14/site-packages");
        let (stamp, component) = (folder.path().join("stamp"), folder.path().join("component"));
        std::fs::write(&component, "wasm").unwrap();
        let changes = |file: &Path| {
            let ingredients = || {
                let mut all = Ingredients::default();
                add_read(&mut all, &job, Some(&packages)).unwrap();
                all
            };
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::create_dir_all(&packages).unwrap();
            std::fs::write(file, "1").unwrap();
            ingredients().seal(&stamp, &component).unwrap();
            std::fs::write(file, "2").unwrap();
            !ingredients().made(&stamp, &component)
        };
        for file in ["steps.py", "rates.json", "tests/__init__.py", "pip/x.py", "target/x.py", ".hidden"] {
            assert!(changes(&job.steps.join(file)), "{file}");
        }
        for file in ["a/data.bin", "pip-1.dist-info/METADATA", "a/pip/x.py"] {
            assert!(changes(&packages.join(file)), "{file}");
        }
        for file in ["__pycache__/a.pyc", ".venv/bin/python", "target/wflo/app/wflo_built.py", "x.wasm"] {
            assert!(!changes(&job.steps.join(file)), "{file}");
        }
        assert!(!changes(&packages.join("pip/x.py")));
    }

    #[test]
    fn the_entry_knows_what_is_granted() {
        let granted = Granted::of(
            "[[step]]\nname = \"a\"\ngrants.db.shop = { call = [\"refund\"] }\n\
             [db.shop.statement.refund]\nsql = \"...\"\nparams = { order_id = \"integer\", amount = \"decimal\" }\n",
        );
        let entry = entry(&granted);
        assert!(entry.contains(r#"Context.databases = {"a":["shop"]}"#), "{entry}");
        assert!(
            entry.contains(r#"Context.statements = {"shop":{"refund":["order_id","amount"]}}"#),
            "{entry}"
        );
    }
}
