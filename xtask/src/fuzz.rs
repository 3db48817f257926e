//! `cargo xtask fuzz`: the fuzz targets, under libFuzzer and for a bounded time.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::tool::{Step, command, root};

/// How long a target is fuzzed if nothing is said.
const SECONDS: u32 = 60;

/// Fuzzes one target, or all of them one after the other.
pub(crate) fn fuzz(args: &[&str]) -> Result<()> {
    let known = targets()?;
    let (mut names, mut seconds) = (Vec::new(), SECONDS);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match *arg {
            "--seconds" => {
                let number = args.next().context("`--seconds` needs a number")?;
                seconds = number.parse().ok().filter(|seconds| *seconds > 0).with_context(|| {
                    format!("`{number}` is not a number of seconds; without one it would never end")
                })?;
            }
            name if known.iter().any(|target| target == name) => names.push(name.to_owned()),
            other => bail!("there is no target `{other}`; there are {}", known.join(", ")),
        }
    }
    ready()?;
    for target in if names.is_empty() { known } else { names } {
        let mut fuzz = command("cargo");
        fuzz.current_dir(root().join("tests"));
        // The seeds are read from the committed corpus; what is found beside them stays out of the checkout.
        let found = root().join("target/fuzz-corpus").join(&target);
        std::fs::create_dir_all(&found).with_context(|| format!("`{}`", found.display()))?;
        fuzz.args(["+nightly", "fuzz", "run", "--fuzz-dir", "fuzz", &target]).arg(found);
        fuzz.arg(root().join("tests/fuzz/corpus").join(&target)).arg("--");
        fuzz.args([&format!("-max_total_time={seconds}"), "-max_len=4096", "-timeout=10"]);
        eprintln!("-- `{target}`, for {seconds} seconds");
        Step::new("fuzzing").loud().run(&mut fuzz)?;
    }
    Ok(())
}

/// The targets there are: the files that cargo-fuzz builds.
fn targets() -> Result<Vec<String>> {
    let folder = root().join("tests/fuzz/fuzz_targets");
    let reading = || format!("`{}`", folder.display());
    let mut names = Vec::new();
    for entry in folder.read_dir().with_context(reading)? {
        let path = entry.with_context(reading)?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// libFuzzer needs a compiler of its own kind.
fn ready() -> Result<()> {
    let works = |args: &[&str]| {
        let output = Command::new("cargo").args(args).output();
        output.is_ok_and(|output| output.status.success())
    };
    if works(&["+nightly", "fuzz", "--version"]) {
        return Ok(());
    }
    bail!(
        "fuzzing needs a nightly compiler and cargo-fuzz:\n    \
         rustup toolchain install nightly && cargo +nightly install --locked cargo-fuzz\n\
         the same targets run on the stable one, with mutations that are the same each time: \
         `cargo test -p wflo-fuzz`"
    )
}
