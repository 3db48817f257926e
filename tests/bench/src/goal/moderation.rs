//! The example of content moderation with 10,000 items in one run, as somebody at a terminal starts it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::args::Args;
use crate::meter::peak_of;
use crate::row::Row;

const ITEMS: usize = 10_000;

pub(crate) async fn measure(args: &Args) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    for file in ["workflow.toml", "live.toml", "moderation.wasm"] {
        let from = args.moderation.join(file);
        fs::copy(&from, folder.join(file)).with_context(|| format!("`{}`", from.display()))?;
    }
    let mut data = Command::new(args.wflo.with_file_name("moderation-data"));
    output(data.arg(folder).args(["--items", &ITEMS.to_string()]))?;
    let provider = Provider::start(&args.wflo.with_file_name("wflo-test-provider"))?;
    let live = fs::read_to_string(folder.join("live.toml"))?;
    let live = live.replace("http://127.0.0.1:8095/v1", &provider.address);
    fs::write(folder.join("wflo.toml"), live)?;
    let wflo = |args_of: &[&str]| {
        let mut wflo = Command::new(&args.wflo);
        wflo.args(args_of).arg("--dir").arg(folder).stdin(Stdio::null());
        wflo
    };
    output(&mut wflo(&["identity", "add", "marta", "--group", "moderation-team"]))?;

    let start = Instant::now();
    let printed = fs::File::create(folder.join("printed"))?;
    let mut run = wflo(&["run", "--json"]).stdout(printed).stderr(Stdio::null()).spawn()?;
    let mut peak = 0;
    let status = loop {
        if let Some(status) = run.try_wait()? {
            break status;
        }
        // The system has it no longer when the process has ended.
        peak = peak_of(run.id()).unwrap_or(peak);
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let seconds = start.elapsed().as_secs_f64();
    // People are asked about some, and nobody is here.
    ensure!(status.code() == Some(10), "it ended with {status}");

    let run: Value = serde_json::from_slice(&fs::read(folder.join("printed"))?)?;
    let items = &run["steps"][2]["items"];
    let (done, asked) = (items["succeeded"].as_u64(), items["waiting"].as_u64());
    let (Some(done), Some(asked)) = (done, asked) else { anyhow::bail!("there are no items: {items}") };
    ensure!(done + asked == ITEMS as u64, "not all items have come to something: {items}");
    let cost = run["cost_usd"].as_str().context("it has a cost")?;
    let thousand = cost.parse::<f64>()? / ITEMS as f64 * 1000.0;
    Ok(vec![
        Row::new("10,000 items moderated in one run", ITEMS as f64 / seconds, "items/s").note(format!(
            "`wflo run` from start to end, each item judged by a server on loopback and acted on in a database of its own \
             transaction; {done} are done, people are asked about {asked}"
        )),
        Row::new("the same: memory, at most", peak as f64 / f64::from(1 << 20), "MiB"),
        Row::new("the same: cost of 1,000 items", thousand, "USD")
            .at_most(100.0)
            .note(format!("{cost} USD in all, as the prices of `gpt-4` have it; no item may cost more than 0.10")),
    ])
}

/// The stand-in for a model.
struct Provider {
    child: Child,
    address: String,
}

impl Provider {
    fn start(program: &Path) -> Result<Self> {
        let mut child = Command::new(program)
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("`{}`", program.display()))?;
        let mut address = String::new();
        BufReader::new(child.stdout.take().context("its output is piped")?).read_line(&mut address)?;
        Ok(Self { child, address: address.trim().to_owned() })
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // One that has ended need not be ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn output(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
