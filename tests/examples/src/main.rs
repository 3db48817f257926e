//! Plays what the READMEs of the examples show, and holds it against what happens: `cargo xtask examples`.
//!
//! An example's README is its script: a block of a console under `<!-- output: NAME -->` is played command by command, in a
//! copy of the example's folder, and what is printed must be what the README shows, but for what differs from run to run.
//! So an example is added by writing its README, with `<!-- example: USE CASE | WHAT IT SHOWS -->` for the table.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its output is the table")]

mod background;
mod page;
mod played;
mod shown;
mod stage;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Parser;

use crate::page::Page;
use crate::played::Played;
use crate::stage::Stage;

/// Plays the READMEs of the examples and prints what came of it.
#[derive(Debug, Parser)]
struct Args {
    /// Only these.
    names: Vec<String>,
    /// The folder of the examples, with their components built.
    #[arg(long, default_value = "examples")]
    folder: PathBuf,
    /// Where `wflo` and the programs of the examples are; by default beside this one.
    #[arg(long)]
    bin: Option<PathBuf>,
    /// Play what takes long as well: blocks of a console that say so.
    #[arg(long)]
    long: bool,
    /// Write the table into `FOLDER/README.md`.
    #[arg(long)]
    doc: bool,
    /// Hold the table of `FOLDER/README.md` against what happened, but for the times.
    #[arg(long, conflicts_with = "doc")]
    check: bool,
}

fn main() -> ExitCode {
    match play(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn play(args: &Args) -> Result<()> {
    let bin = match &args.bin {
        Some(bin) => std::path::absolute(bin)?,
        None => std::env::current_exe()?.parent().context("a program is in a folder")?.to_owned(),
    };
    let mut played = Vec::new();
    let mut failed = 0;
    for page in pages(&args.folder, &args.names)? {
        if let Some(program) = page.needs.iter().find(|program| !is_there(program)) {
            eprintln!("-- {}: not played, since there is no `{program}` here", page.name);
            continue;
        }
        eprintln!("-- {}", page.name);
        match one(&page, &args.folder, &bin, args.long).with_context(|| page.name.clone()) {
            Ok(one) => played.push(one),
            Err(error) => {
                failed += 1;
                eprintln!("error: {error:#}\n");
            }
        }
    }
    print!("{}", table::plain(&played));
    let readme = args.folder.join("README.md");
    if args.doc {
        table::replace(&readme, &played)?;
    }
    if args.check {
        table::check(&readme, &played)?;
    }
    if failed > 0 {
        bail!("{failed} of the examples did not do what their README shows");
    }
    Ok(())
}

fn one(page: &Page, folder: &Path, bin: &Path, long: bool) -> Result<Played> {
    let mut stage = Stage::new(&folder.join(&page.name), bin, page)?;
    stage.play(long)
}

/// Whether a program can be started.
fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// The examples that have something to play, by name.
fn pages(folder: &Path, names: &[String]) -> Result<Vec<Page>> {
    let reading = || format!("`{}`", folder.display());
    let mut found = Vec::new();
    for entry in folder.read_dir().with_context(reading)? {
        let path = entry.with_context(reading)?.path();
        let readme = path.join("README.md");
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !readme.is_file() || !(names.is_empty() || names.contains(&name)) {
            continue;
        }
        let text = std::fs::read_to_string(&readme).with_context(|| format!("`{}`", readme.display()))?;
        let page = Page::read(&name, &text).with_context(|| format!("`{}`", readme.display()))?;
        if !page.blocks.is_empty() {
            found.push(page);
        }
    }
    let lacking = names.iter().find(|name| !found.iter().any(|page| page.name == **name));
    if let Some(name) = lacking {
        bail!("there is no example `{name}` whose README shows what commands print");
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}
