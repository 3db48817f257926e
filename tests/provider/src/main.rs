//! A server that speaks the OpenAI chat API on loopback.

use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use wflo_test_provider::{Answers, Options, Provider, Refusal};

/// Answers chat requests as OpenAI's API would, without a model. Prints its base URL and serves until it is killed.
#[derive(Parser)]
struct Args {
    /// The port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// `rules`, a tape, or a file with lines of JSON: {"when": "text of a message", "content": ...}.
    #[arg(long, default_value = "rules")]
    answers: String,
    /// Append each chat request to this file, as a line of JSON.
    #[arg(long)]
    log: Option<PathBuf>,
    /// Answer the first N requests with status 500.
    #[arg(long, value_name = "N", default_value_t = 0)]
    fail: u32,
    /// Refuse the next requests with this status.
    #[arg(long)]
    status: Option<u16>,
    /// With `--status`: the seconds of `Retry-After`.
    #[arg(long, value_name = "SECONDS", requires = "status")]
    retry_after: Option<u32>,
    /// With `--status`: how many requests are refused.
    #[arg(long, value_name = "N", requires = "status", default_value_t = 1)]
    times: u32,
    /// Answer the next N requests with prose, where JSON was asked for.
    #[arg(long, value_name = "N", default_value_t = 0)]
    garbage: u32,
    /// Take this long for each answer.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    delay_ms: u64,
    /// Do not say how many tokens were used.
    #[arg(long)]
    no_usage: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let answers = match args.answers.as_str() {
        "rules" => Answers::Rules,
        file => {
            Answers::read(Path::new(file)).with_context(|| format!("cannot read answers from `{file}`"))?
        }
    };
    let Args { retry_after, times, .. } = args;
    let provider = Provider::start(Options {
        port: args.port,
        answers,
        log: args.log,
        fail: args.fail,
        refuse: args.status.map(|status| Refusal { status, retry_after, times }),
        garbage: args.garbage,
        delay: Duration::from_millis(args.delay_ms),
        usage: !args.no_usage,
    })
    .context("cannot start the server")?;
    writeln!(stdout(), "{}", provider.base_url())?;
    provider.wait();
    Ok(())
}
