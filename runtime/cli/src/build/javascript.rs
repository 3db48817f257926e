//! Steps in JavaScript and TypeScript: a package that esbuild makes one module of, and componentize-qjs a component.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::stamp::Ingredients;
use super::tool::{self, Tool};
use super::unresolved;
use super::wit::{self, WORLD};
use super::{Job, WORK};
use crate::failure::Failure;
use crate::terminal;

/// The tools, and the packages of npm that they come with.
const BUNDLER: &str = "esbuild";
const COMPONENTIZER: &str = "componentize-qjs";
const NODE: &str = "install Node.js from https://nodejs.org";

/// What a step may have, in the words of the bundler. The engine has no event loop: asynchronous functions become
/// generators, which go on with the promises of the SDK.
const BUNDLING: &[&str] = &[
    "--bundle",
    "--format=esm",
    "--platform=neutral",
    "--main-fields=module,main",
    "--target=es2022",
    "--supported:async-await=false",
    "--supported:async-generator=false",
    "--supported:for-await=false",
    "--external:wflo:*",
    "--external:wasi:*",
    "--log-level=warning",
];

/// What steps find as globals without importing it, and what the component has of the host only where they use it.
const GLOBALS: &str = "export { fetch } from \"@wflo/sdk\";\n";

/// What a bundle with `fetch` in it imports of the host, and how others ask for it without having it. That one also has it
/// where they look.
const CLIENT: &str = "wflo:http/client@";
const ASKING: &[&str] = &["globalThis.fetch", "globalThis?.fetch", "globalThis[\"fetch\"]"];

/// Bundles the package and makes a component of it, unless there is one of the same bundle.
pub(super) fn build(job: &Job<'_>) -> Result<bool, Failure> {
    if job.install {
        Tool::named("npm", NODE).command().run(&job.steps, &["install"])?;
    }
    let bundler = tool(job, BUNDLER)?;
    let componentizer = tool(job, COMPONENTIZER)?;
    let mut bundle = bundled(job, &bundler, false)?;
    if bundle.imports.iter().any(|import| import.starts_with(CLIENT))
        || ASKING.iter().any(|asking| bundle.code.contains(asking))
    {
        bundle = bundled(job, &bundler, true)?;
    }
    let Bundle { code, imports } = bundle;
    let (folder, wit) = wit::write(job, &imports)?;
    let mut ingredients = Ingredients::default();
    ingredients.add("wit", wit.as_bytes());
    ingredients.add(COMPONENTIZER, version(job, COMPONENTIZER).as_bytes());
    ingredients.add("bundle", code.as_bytes());
    let stamp = job.work.join("stamp.json");
    let built = job.work.join("component.wasm");
    if ingredients.made(&stamp, &built) {
        return job.put(&built).map(|()| true);
    }
    let folder = folder.to_string_lossy();
    let args =
        ["--wit", &folder, "--world", WORLD, "--js", "bundle.js", "--sync", "--output", "component.wasm"];
    componentizer.command().run(&job.work, &args)?;
    ingredients.seal(&stamp, &built)?;
    job.put(&built).map(|()| false)
}

/// One module of the package and the SDK, and the interfaces that it imports.
struct Bundle {
    code: String,
    imports: BTreeSet<String>,
}

/// Makes one module of the package, with or without `fetch` in the global object.
fn bundled(job: &Job<'_>, bundler: &Tool, fetches: bool) -> Result<Bundle, Failure> {
    job.write(&job.work.join("entry.js"), &entry(job, fetches)?)?;
    job.write(&job.work.join("globals.js"), GLOBALS)?;
    // From the folder of the steps, so that it names files as people do.
    let made = [
        format!("{WORK}/entry.js"),
        format!("--inject:{WORK}/globals.js"),
        format!("--metafile={WORK}/bundle.json"),
        format!("--outfile={WORK}/bundle.js"),
        // It is not asked on a terminal.
        format!("--color={}", terminal::stderr_colors()),
    ];
    // What there is to warn of was said the first time.
    let quiet = fetches.then_some("--log-level=error");
    let args: Vec<&str> =
        BUNDLING.iter().copied().chain(made.iter().map(String::as_str)).chain(quiet).collect();
    let (said, bundled) = bundler.command().listen(&job.steps, &args)?;
    tool::say(unresolved::without_advice(&said).as_bytes());
    bundled.map_err(|failure| match unresolved::hint(&said, &job.steps) {
        Some(hint) => failure.hint(hint),
        None => failure,
    })?;
    let code = String::from_utf8_lossy(&read(&job.work.join("bundle.js"))?).into_owned();
    Ok(Bundle { code, imports: imports(&job.work.join("bundle.json"))? })
}

/// A tool of the package, or of a workspace that it is part of.
fn tool(job: &Job<'_>, name: &str) -> Result<Tool, Failure> {
    let found = modules(job, ".bin").map(|bin| bin.join(name)).find(|tool| tool.is_file());
    if let Some(found) = found {
        return Ok(Tool::script(found, "node", NODE));
    }
    let package = std::fs::read_to_string(job.steps.join("package.json")).unwrap_or_default();
    let failure = Failure::usage(format!(
        "`{name}` is not there, which steps in {} are built with",
        language(&package)
    ));
    let steps = job.steps.display();
    Err(if package.contains(name) {
        failure.hint(format!("`wflo build --install` gets it: `npm install` in `{steps}`"))
    } else {
        failure.hint(format!("`npm install --save-dev {BUNDLER} {COMPONENTIZER}` in `{steps}` gets it"))
    })
}

/// What people call what a package is written in: its file of steps says so.
fn language(package: &str) -> &'static str {
    let package: Value = serde_json::from_str(package).unwrap_or_default();
    let main = Path::new(package["main"].as_str().unwrap_or_default());
    let is_typed =
        main.extension().is_some_and(|extension| ["ts", "mts", "tsx"].iter().any(|ts| extension == *ts));
    if is_typed { "TypeScript" } else { "JavaScript" }
}

/// Where Node.js looks for a module of this name, the nearest first.
fn modules(job: &Job<'_>, name: &str) -> impl Iterator<Item = PathBuf> {
    job.steps.ancestors().map(move |folder| folder.join("node_modules").join(name))
}

fn version(job: &Job<'_>, package: &str) -> String {
    let text =
        modules(job, package).find_map(|module| std::fs::read_to_string(module.join("package.json")).ok());
    let package: Option<Value> = text.and_then(|text| serde_json::from_str(&text).ok());
    package.and_then(|package| package["version"].as_str().map(ToOwned::to_owned)).unwrap_or_default()
}

/// The module that the component is made of: the globals of the SDK, the package, the exports.
fn entry(job: &Job<'_>, fetches: bool) -> Result<String, Failure> {
    let file = job.steps.join("package.json");
    let bad = |error: &dyn std::fmt::Display| Failure::usage(format!("`{}`: {error}", file.display()));
    let package: Value = serde_json::from_slice(&read(&file)?).map_err(|error| bad(&error))?;
    let main = package["main"].as_str().unwrap_or("index.js");
    if !job.steps.join(main).is_file() {
        return Err(
            bad(&format!("its `main`, `{main}`, is not there")).hint("`main` is the file with the steps")
        );
    }
    let main = serde_json::to_string(&relative(main)).expect("text is JSON");
    let fetch = if fetches { "import \"@wflo/sdk/fetch\";\n" } else { "" };
    Ok(format!(
        "import \"@wflo/sdk/install\";\n{fetch}import {main};\nexport {{ handler }} from \"@wflo/sdk/component\";\n"
    ))
}

/// A file of the package, seen from where the entry is.
fn relative(main: &str) -> String {
    let up = WORK.split('/').map(|_| "..").collect::<Vec<_>>().join("/");
    format!("{up}/{}", main.trim_start_matches("./"))
}

/// What the bundler writes about a bundle, as far as it is of interest.
#[derive(Deserialize)]
struct Metafile {
    outputs: std::collections::BTreeMap<String, Output>,
}

#[derive(Deserialize)]
struct Output {
    imports: Vec<Import>,
}

#[derive(Deserialize)]
struct Import {
    path: String,
}

/// The interfaces that are left in a bundle: those that its steps use.
fn imports(metafile: &Path) -> Result<BTreeSet<String>, Failure> {
    let metafile: Metafile = serde_json::from_slice(&read(metafile)?)
        .map_err(|error| Failure::bug(format!("what `{BUNDLER}` writes about a bundle: {error}")))?;
    let outputs = metafile.outputs.into_values();
    Ok(outputs.flat_map(|output| output.imports).map(|import| import.path).collect())
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| Failure::usage(format!("`{}`: {error}", file.display())))
}
