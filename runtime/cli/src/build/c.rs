//! Steps in C: files that zig, or the compiler of a WASI SDK, makes a WebAssembly module of.

use std::path::PathBuf;

use super::Job;
use super::encode::encode;
use super::tool::Tool;
use super::venv::{self, ENVIRONMENT};
use crate::failure::Failure;
use crate::project;

/// The package of PyPI that has zig, under the first of these names.
const PACKAGE: &str = "ziglang==0.17.1";
const ZIG: [&str; 2] = ["python-zig", "zig"];
/// What names the folder of a WASI SDK: clang, with the C library for WebAssembly.
const WASI_SDK: &str = "WASI_SDK_PATH";

/// The file that makes a folder one of steps in C.
pub(super) const MARK: &str = "steps.c";
/// What else the compiler is told, a line each: editors read it as well.
const FLAGS: &str = "compile_flags.txt";

/// What is wrong where the linker does not find the steps.
const NO_STEPS: &str = "the steps are `const wflo_step wflo_steps[] = {{.name = \"hello\", .run = hello}, {0}};` in `steps.c`, \
                        and not `static`";

/// The SDK. It comes with this command, so that it is always of its version.
const SDK: &[(&str, &str)] = &[
    ("wflo.h", include_str!("../../../../guest-sdk/c/include/wflo.h")),
    ("internal.h", include_str!("../../../../guest-sdk/c/src/internal.h")),
    ("utf8.h", include_str!("../../../../guest-sdk/c/src/utf8.h")),
    ("utf8.c", include_str!("../../../../guest-sdk/c/src/utf8.c")),
    ("wflo.c", include_str!("../../../../guest-sdk/c/src/wflo.c")),
    ("json.c", include_str!("../../../../guest-sdk/c/src/json.c")),
    ("db.c", include_str!("../../../../guest-sdk/c/src/db.c")),
    ("llm.c", include_str!("../../../../guest-sdk/c/src/llm.c")),
    ("http.c", include_str!("../../../../guest-sdk/c/src/http.c")),
    ("people.c", include_str!("../../../../guest-sdk/c/src/people.c")),
    ("artifact.c", include_str!("../../../../guest-sdk/c/src/artifact.c")),
    ("infra.c", include_str!("../../../../guest-sdk/c/src/infra.c")),
    ("guest.h", include_str!("../../../../guest-sdk/c/bindings/guest.h")),
    ("guest.c", include_str!("../../../../guest-sdk/c/bindings/guest.c")),
];

/// What the compiler is told. Without the size of the stack, 16 MiB of memory would be kept for it.
const COMPILING: &[&str] = &["-Os", "-mexec-model=reactor", "-Wl,-z,stack-size=131072", "-Wl,--strip-all"];

/// What the files of the SDK begin with: they need not please the flags of the steps, and no flag is of some files only.
const QUIET: &str = "#pragma clang diagnostic ignored \"-Weverything\"\n";

/// Compiles the files, and makes a component of them.
pub(super) fn build(job: &Job<'_>) -> Result<bool, Failure> {
    if job.install && compiler(job)?.is_none() {
        venv::install(job, &[PACKAGE])?;
    }
    let sdk = job.work.join("sdk");
    std::fs::create_dir_all(&sdk).map_err(|error| job.unwritable(&sdk, &error))?;
    for (name, text) in SDK {
        let text = if name.ends_with(".c") { format!("{QUIET}{text}") } else { (*text).to_owned() };
        job.write(&sdk.join(name), &text)?;
    }
    let (tool, first) = compiler(job)?.ok_or_else(|| missing(job))?;
    let module = job.work.join("module.wasm");
    let mut command = tool.command().start(&job.steps);
    command.args(first).args(COMPILING).arg("-isystem").arg(&sdk);
    let flags = std::fs::read_to_string(job.steps.join(FLAGS)).unwrap_or_default();
    command.args(flags.lines().map(str::trim).filter(|line| !line.is_empty()));
    command.args(sources(job)?);
    let own = SDK.iter().filter(|(name, _)| name.ends_with(".c"));
    command.args(own.map(|(name, _)| sdk.join(name))).arg("-o").arg(&module);
    let output = command.output().map_err(|error| tool.missing(&error))?;
    let said = once(&String::from_utf8_lossy(&output.stderr));
    if !said.is_empty() {
        crate::say(&said);
    }
    if !output.status.success() {
        let failure = Failure::usage(format!("the C compiler in `{}` failed", job.steps.display()));
        return Err(match said.contains("undefined symbol: wflo_steps") {
            true => failure.hint(NO_STEPS),
            false => failure,
        });
    }
    encode(job, &module)
}

/// What a compiler said, without the lines that it says again: the linker has one for each use of a name.
fn once(said: &str) -> String {
    let mut lines: Vec<_> = said.trim_end().lines().collect();
    lines.dedup();
    lines.join("\n")
}

/// The compiler, and what it is told first: that of a WASI SDK, where one is named, else zig.
fn compiler(job: &Job<'_>) -> Result<Option<(Tool, Vec<&'static str>)>, Failure> {
    if let Some(folder) = project::variable(WASI_SDK) {
        let clang = PathBuf::from(&folder).join("bin/clang");
        if !clang.is_file() {
            return Err(Failure::usage(format!(
                "{WASI_SDK} is `{folder}`, and there is no `bin/clang` in it"
            ))
            .hint(format!("without {WASI_SDK} steps in C are built with zig")));
        }
        return Ok(Some((Tool::at(clang), vec!["--target=wasm32-wasip1"])));
    }
    let zig = ZIG.iter().find_map(|name| venv::tool(job, name));
    Ok(zig.map(|zig| (zig, vec!["cc", "-target", "wasm32-wasi"])))
}

/// The files of the steps: all but their tests.
fn sources(job: &Job<'_>) -> Result<Vec<PathBuf>, Failure> {
    let bad = |error: std::io::Error| Failure::usage(format!("`{}`: {error}", job.steps.display()));
    let mut files = Vec::new();
    for entry in job.steps.read_dir().map_err(bad)? {
        let path = entry.map_err(bad)?.path();
        let is_test = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("test_"));
        if path.extension().is_some_and(|end| end == "c") && !is_test {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn missing(job: &Job<'_>) -> Failure {
    let steps = job.steps.display();
    Failure::usage("there is no compiler of C for WebAssembly, which steps in C are built with").hint(format!(
        "`wflo build --install` gets it: `python3 -m venv {ENVIRONMENT} && {ENVIRONMENT}/bin/pip install {PACKAGE}` in \
         `{steps}`; or set {WASI_SDK} to a WASI SDK"
    ))
}

#[cfg(test)]
mod tests {
    use super::once;

    #[test]
    fn what_the_linker_says_again_is_said_once() {
        assert_eq!(once("a\na\na\nb\na\n\n"), "a\nb\na");
        assert_eq!(once("\n"), "");
    }
}
