//! A copy of an example's folder, and playing commands in it.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use serde_json::Value;
use tempfile::TempDir;
use wflo_model::PicoUsd;

use crate::background::Background;
use crate::page::{Block, Command, Page};
use crate::played::{Many, Played};
use crate::shown::{Names, compare, count, renamed};

/// What is not copied: what a run or a build has left, and what only builds need.
const LEFT: [&str; 7] = [".wflo", "tokens", "target", "steps", "data", "node_modules", "inbox"];

/// A copy of an example's folder.
pub(crate) struct Stage<'p> {
    page: &'p Page,
    folder: TempDir,
    bin: PathBuf,
    /// Ports of the page, and those that take their place.
    ports: BTreeMap<String, String>,
    names: Names,
    background: Vec<Background>,
}

impl<'p> Stage<'p> {
    pub(crate) fn new(example: &Path, bin: &Path, page: &'p Page) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let ports = free_ports(&page.ports)?;
        copy(example, folder.path(), &ports).with_context(|| format!("`{}`", example.display()))?;
        let (names, background) = (Names::new(), Vec::new());
        Ok(Self { page, folder, bin: bin.to_owned(), ports, names, background })
    }

    /// Plays what the README shows; what takes long only if that is wanted.
    pub(crate) fn play(&mut self, long: bool) -> Result<Played> {
        let (mut commands, mut time, mut many) = (0, Duration::ZERO, Vec::new());
        let (short, lengthy): (Vec<_>, Vec<_>) = self.page.blocks.iter().partition(|block| !block.long);
        for block in short {
            let began = Instant::now();
            commands += self.block(block)?;
            time += began.elapsed();
        }
        let (runs, cost) = self.outcome()?;
        for block in lengthy.into_iter().filter(|_| long) {
            let began = Instant::now();
            self.block(block)?;
            many.extend(self.many(&block.name, began.elapsed())?);
        }
        let Page { name, use_case, shows, .. } = self.page.clone();
        Ok(Played { name, use_case, shows, commands, runs, cost, time, many })
    }

    fn block(&mut self, block: &Block) -> Result<usize> {
        for command in &block.commands {
            let Command { line, shown } = command;
            self.command(line, shown).with_context(|| format!("`{}`: $ {line}", block.name))?;
        }
        Ok(block.commands.len())
    }

    fn command(&mut self, line: &str, shown: &str) -> Result<()> {
        // Components are built where their sources are, before anything is played.
        if line == "wflo build" {
            return Ok(());
        }
        let (line, shown) = (self.here(line), self.here(shown));
        let line = renamed(&line, &self.names);
        // Built already, and not from here.
        let line = match line.strip_prefix("cargo run --package ").and_then(|rest| rest.split_once(" -- ")) {
            Some((program, args)) => format!("{program} {args}"),
            None => line,
        };
        let printed = match line.strip_suffix(" &") {
            Some(line) => {
                let shell = self.shell(line);
                let (background, printed) = Background::start(shell, count(&shown), self.folder.path())?;
                self.background.push(background);
                printed
            }
            None => {
                let output =
                    self.shell(&line).stdin(Stdio::null()).output().context("`sh` does not start")?;
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                text(&output.stderr) + &text(&output.stdout)
            }
        };
        compare(&shown, &printed, &mut self.names)
    }

    /// A text of the example, as it is on this stage.
    fn here(&self, text: &str) -> String {
        moved(text, &self.ports)
    }

    fn shell(&self, line: &str) -> Process {
        let mut shell = self.process("sh");
        shell.arg("-c").arg(line);
        shell
    }

    /// A program, as somebody would start it who has everything installed.
    fn process(&self, program: &str) -> Process {
        let mut process = Process::new(program);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(self.bin.clone()).chain(std::env::split_paths(&path));
        let path = std::env::join_paths(paths).unwrap_or(path);
        process.current_dir(self.folder.path()).env("PATH", path).env("USER", "you").env("NO_COLOR", "1");
        // What this machine's terraform is told is no part of an example.
        process.env_remove("TF_CLI_CONFIG_FILE").env_remove("TF_DATA_DIR");
        process.env_remove("WFLO_TOKEN").env("WFLO", self.bin.join("wflo"));
        // `setup.sh` of an example asks for `BANK_DATA` where its program is called `bank-data`.
        for program in programs(&self.bin) {
            let name = program.file_name().unwrap_or_default().to_string_lossy();
            process.env(name.replace('-', "_").to_uppercase(), &program);
        }
        process
    }

    /// What became of the runs, and what they cost together.
    fn outcome(&self) -> Result<(BTreeMap<String, usize>, PicoUsd)> {
        let (mut by_status, mut sum) = (BTreeMap::new(), PicoUsd::ZERO);
        for run in self.wflo(&["runs", "--json"])?.as_array().into_iter().flatten() {
            *by_status.entry(run["status"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
            // The list has it of runs that were erased, too.
            let text = run["cost_usd"].as_str().unwrap_or("0");
            sum += text.parse::<PicoUsd>().map_err(|error| anyhow!("`{text}`: {error}"))?;
        }
        Ok((by_status, sum))
    }

    /// How fast the items of the newest run went, if it has fanned out.
    fn many(&self, block: &str, time: Duration) -> Result<Option<Many>> {
        let runs = self.wflo(&["runs", "--json", "--limit", "1"])?;
        let Some(run) = runs[0]["run"].as_str() else { return Ok(None) };
        let view = self.wflo(&["show", run, "--json"])?;
        let items = view["steps"].as_array().into_iter().flatten();
        let items = items.filter_map(|step| step["items"]["total"].as_u64()).max();
        Ok(items.map(|items| Many { block: block.to_owned(), items, time }))
    }

    fn wflo(&self, args: &[&str]) -> Result<Value> {
        let output = self.process("wflo").args(args).output().context("`wflo` does not start")?;
        serde_json::from_slice(&output.stdout).with_context(|| {
            format!("`wflo {}`: {}", args.join(" "), String::from_utf8_lossy(&output.stderr))
        })
    }
}

/// The programs in a folder.
fn programs(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.is_file() && path.extension().is_none()).collect()
}

/// A free port for each.
fn free_ports(ports: &[u16]) -> Result<BTreeMap<String, String>> {
    // All are held until all are found, so that no two are the same.
    let held: Vec<_> = ports
        .iter()
        .map(|port| Ok((port, TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?)))
        .collect::<Result<_>>()?;
    held.iter().map(|(port, held)| Ok((port.to_string(), held.local_addr()?.port().to_string()))).collect()
}

fn moved(text: &str, ports: &BTreeMap<String, String>) -> String {
    ports.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

fn copy(from: &Path, to: &Path, ports: &BTreeMap<String, String>) -> Result<()> {
    for entry in from.read_dir()? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let target = to.join(&name);
        if LEFT.contains(&name.as_str()) || name.contains(".db") {
            continue;
        }
        if path.is_dir() {
            fs::create_dir(&target)?;
            copy(&path, &target, ports)?;
        } else {
            fs::copy(&path, &target)?;
            if !ports.is_empty() && matches!(path.extension().and_then(|it| it.to_str()), Some("toml" | "sh"))
            {
                fs::write(&target, moved(&fs::read_to_string(&path)?, ports))?;
            }
        }
    }
    Ok(())
}
