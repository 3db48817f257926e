//! More rows than anybody would hold in memory: from an artifact into a table, out of it a part at a time, and away again.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use wflo::{Outside, RunStatus};
use wflo_backends::db::postgres::{Postgres, PostgresOptions, Preparation};
use wflo_backends::db::sqlite::{Sqlite, SqliteOptions};
use wflo_model::{DbAccess, TableAccess};
use wflo_ports::Database;

use crate::args::Args;
use crate::guest::Guest;
use crate::meter::{forget_peak, peak, resident};
use crate::row::Row;
use crate::world::{World, in_folder};

const ROWS: u32 = 1_000_000;
/// Rows that are read at a time.
const PAGE: u32 = 10_000;
const TABLE: &str = "CREATE TABLE rows (id BIGINT PRIMARY KEY NOT NULL, name TEXT NOT NULL, amount NUMERIC)";

/// What each part of it is called, in the order in which a child tells of them.
const PARTS: [&str; 3] = ["inserted in bulk", "read in parts", "undone"];

pub(crate) async fn measure(args: &Args) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("rows.db");
    let mut rows = Vec::new();
    rusqlite::Connection::open(&file)?.execute_batch(TABLE)?;
    rows.extend(of("SQLite", args, &[file.to_string_lossy().into_owned()])?);
    let server = wflo_test_postgres::try_database().map_err(anyhow::Error::msg)?;
    server.sql(TABLE);
    let (read, write) = (server.url("read"), server.url("write"));
    let mut preparation =
        Preparation::new(&format!("{}_read", server.name()), Some(&format!("{}_write", server.name())));
    preparation.grant(&granted());
    preparation.run(&server.url("owner")).await?;
    rows.extend(of("PostgreSQL", args, &[read, write])?);
    Ok(rows)
}

/// Measures in a process of its own, whose memory is nobody else's.
fn of(name: &str, args: &Args, database: &[String]) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["child", "bulk"]).arg(&args.guest).arg(folder.path()).args(database);
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let mut words = text.split_whitespace();
    let mut word = || -> Result<f64> {
        let word = words.next().with_context(|| format!("`{text}` is not what a child says"))?;
        Ok(word.parse()?)
    };
    let mut rows = Vec::new();
    for part in PARTS {
        let (seconds, mib) = (word()?, word()?);
        let row = Row::new(format!("1,000,000 rows {part}, {name}"), f64::from(ROWS) / seconds, "rows/s");
        rows.push(row.note(format!("{mib:.0} MiB of memory at most above what the process has at rest")));
    }
    Ok(rows)
}

fn granted() -> DbAccess {
    let rows = || [("rows".to_owned(), TableAccess::All)].into();
    DbAccess { read: rows(), write: rows(), ..DbAccess::default() }
}

/// Inserts, reads and undoes; says of each the seconds and the memory above what there was before.
pub(crate) async fn child(rest: &[String]) -> Result<()> {
    let [guest, folder, database @ ..] = rest else { bail!("a guest and a folder are missing") };
    let database: Arc<dyn Database> = match database {
        [file] => Arc::new(Sqlite::open(file, SqliteOptions::default())?),
        [read, write] => Arc::new(Postgres::new(read, Some(write), PostgresOptions::default())?),
        _ => bail!("a database is missing"),
    };
    let outside = Outside::default().with_database("bank".parse()?, database);
    let journal = in_folder(&Path::new(folder).join("state")).await?;
    let world = World::new(journal, Guest::read(Path::new(guest))?, outside)?;
    let mut plan = world.guest.plan(&[&format!("makes-{ROWS}"), "loads"])?;
    for step in &mut plan.steps {
        step.grants.db.insert("bank".parse()?, granted());
        step.rollback = true;
        unlimited(&mut step.limits);
    }
    let mut said = Vec::new();
    let run = world.start(&plan).await?;
    let before = resident()?;
    forget_peak()?;
    let view = world.finish(run).await?;
    let loaded = view.steps.last().context("there are steps")?;
    ensure!(loaded.output == Some(ROWS.into()), "{:?} rows were inserted", loaded.output);
    said.push((loaded.ms as f64 / 1e3, peak()?.saturating_sub(before)));

    let mut reading = world.guest.plan(&[&format!("pages-{PAGE}")])?;
    for step in &mut reading.steps {
        step.grants.db.insert("bank".parse()?, granted());
        unlimited(&mut step.limits);
    }
    let before = resident()?;
    forget_peak()?;
    let reads = world.start(&reading).await?;
    let view = world.finish(reads).await?;
    let read = view.steps.last().context("there is a step")?;
    ensure!(read.output == Some(ROWS.into()), "{:?} rows were read", read.output);
    said.push((read.ms as f64 / 1e3, peak()?.saturating_sub(before)));

    let before = resident()?;
    forget_peak()?;
    let start = Instant::now();
    world.runtime.rollback(run, None, &"bench".parse()?).await?;
    let view = world.drive(run).await?;
    ensure!(view.status == RunStatus::RolledBack, "a run is {}", view.status);
    said.push((start.elapsed().as_secs_f64(), peak()?.saturating_sub(before)));
    for (seconds, bytes) in said {
        println!("{seconds} {}", bytes as f64 / f64::from(1 << 20));
    }
    Ok(())
}

fn unlimited(limits: &mut wflo_model::Limits) {
    limits.fuel = u64::MAX / 4;
    limits.timeout = Duration::from_secs(1200);
    limits.artifacts = 1 << 30;
    limits.traffic = 4 << 30;
    limits.call_bytes = 64 << 20;
    limits.memory = 256 << 20;
}
