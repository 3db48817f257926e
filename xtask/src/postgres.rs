//! The PostgreSQL server that the tests use.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use wflo_test_postgres::{Cluster, Programs};

use crate::tool::{Step, command};

/// Debian's package with the server.
const PACKAGE: &str = "postgresql";

/// Starts a server for the tests, in a folder of its own, and brings its programs where the machine has none. It stops
/// when it is dropped.
#[expect(clippy::print_stderr, reason = "a tool for a terminal")]
pub(crate) fn start() -> Result<Cluster> {
    let programs = match Programs::find() {
        Ok(programs) => programs,
        Err(_) => {
            fetch().context("the tests need a PostgreSQL, and it cannot be had from Debian's packages")?
        }
    };
    eprintln!("-- starting PostgreSQL for the tests");
    Cluster::start(programs).map_err(|why| anyhow!("the tests need a PostgreSQL: {why}"))
}

/// Installs the server, or, where that is not allowed, unpacks it and what it needs below `target/`.
fn fetch() -> Result<Programs> {
    // The lists may be as old as the machine; only root can renew them.
    let _ = Step::new("looking for PostgreSQL").run(command("apt-get").args(["update", "-qq"]));
    let mut install = command("apt-get");
    install.args(["install", "-y", "-qq", "--no-install-recommends", PACKAGE]);
    if Step::new("installing PostgreSQL").run(&mut install).is_ok()
        && let Some(programs) = Programs::of_machine()
    {
        return Ok(programs);
    }
    let root = Programs::cache();
    let packages = root.join("packages");
    fs::create_dir_all(&packages)?;
    let mut simulate = command("apt-get");
    simulate.args(["install", "--simulate", "--no-install-recommends", PACKAGE]);
    let simulated = simulate.output().context("`apt-get` is not there")?;
    let text = String::from_utf8_lossy(&simulated.stdout);
    let lacking: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("Inst ")?.split_whitespace().next()).collect();
    if lacking.is_empty() {
        return Err(anyhow!("`apt-get` knows no package `{PACKAGE}`"));
    }
    let mut download = command("apt-get");
    download.args(["download", "-qq"]).args(&lacking).current_dir(&packages);
    Step::new("downloading PostgreSQL").run(&mut download)?;
    for package in packages.read_dir()?.flatten() {
        unpack(&package.path(), &root)?;
    }
    fs::remove_dir_all(&packages)?;
    Programs::unpacked(&root).ok_or_else(|| anyhow!("the packages hold no server"))
}

fn unpack(package: &Path, root: &Path) -> Result<()> {
    Step::new("unpacking PostgreSQL").run(command("dpkg-deb").arg("--extract").arg(package).arg(root))
}
