//! `cargo xtask bench`: builds what is measured and what measures, and has it measure.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::guests;
use crate::tool::{Step, cargo, command, root};

/// Measures everything, or what has NAME in its name; with `--json FILE` the figures go there too, with `--doc` into
/// the table of `docs/performance.md`.
pub(crate) fn bench(args: &[&str]) -> Result<()> {
    let (mut passed, mut rest) = (Vec::new(), args.iter());
    while let Some(arg) = rest.next() {
        match *arg {
            "--json" => {
                let file = rest.next().context("`--json` needs a file")?;
                // The measuring program is started in the root of the checkout, and this may not have been.
                passed.extend(["--json".into(), std::path::absolute(file)?.into_os_string()]);
            }
            "--doc" => {
                passed.extend(["--table".into(), root().join("docs/performance.md").into_os_string()]);
            }
            name if !name.starts_with('-') => passed.push(name.into()),
            other => bail!("`cargo xtask bench` knows no `{other}`"),
        }
    }
    guests::target()?;
    // The profile `bench`: optimised as a release is, without the minutes that its linking takes.
    Step::new("building what is measured (the first time takes some minutes)").loud().run(cargo().args([
        "build",
        "--quiet",
        "--profile",
        "bench",
        "--package",
        "wflo-cli",
        "--package",
        "wflo-bench",
        "--package",
        "moderation-data",
        "--package",
        "wflo-test-provider",
    ]))?;
    let built = |name: &str| -> Result<PathBuf> {
        let here = std::env::current_exe().context("where xtask itself is")?;
        let target = here.ancestors().nth(2).context("xtask lies two folders deep")?;
        Ok(target.join("release").join(format!("{name}{}", std::env::consts::EXE_SUFFIX)))
    };
    let wflo = built("wflo")?;
    let (hello, moderation) = (root().join("examples/hello"), root().join("examples/content-moderation"));
    Step::new("building the guests").run(&mut guests::program("pacer"))?;
    for workflow in [&hello, &moderation] {
        Step::new("building the steps of a workflow").run(command(&wflo).arg("build").arg(workflow))?;
    }
    let python = python(&wflo)?;
    let mut bench = command(built("wflo-bench")?);
    if let Some(python) = python {
        bench.arg("--python").arg(python);
    }
    bench.arg("--guest").arg(guests::program_file("pacer"));
    bench.arg("--wflo").arg(&wflo).arg("--hello").arg(&hello);
    bench.arg("--moderation").arg(&moderation).args(passed);
    Step::new("measuring (some minutes; leave the machine alone)").loud().run(&mut bench)
}

/// A project with one step in Python, as `wflo new` makes it; none where its tools cannot be had, which is said.
fn python(wflo: &Path) -> Result<Option<PathBuf>> {
    let project = root().join("target/bench/python");
    if !project.is_dir() {
        let made = project.parent().context("it lies in a folder")?;
        std::fs::create_dir_all(made)?;
        let mut new = command(wflo);
        new.args(["new", "python", "--lang", "python"]).current_dir(made);
        Step::new("making a project in Python").run(&mut new)?;
    }
    let mut build = command(wflo);
    let built = Step::new("building a step in Python").run(build.args(["build", "--install"]).arg(&project));
    Ok(built.is_ok().then_some(project))
}
