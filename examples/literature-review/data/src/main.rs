//! The university of the literature-review example, on loopback: papers to search, publications to make, mail.

mod atom;
mod http;
mod mail;
mod papers;
mod random;

use std::io::{Write as _, stdout};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Parser;

use crate::http::Site;

/// Serves made-up papers as the arXiv's API does, takes publications, and takes mail. Prints where, and goes on until it
/// is stopped. All that it answers is in `FOLDER/requests.log`, publications and mail beside it.
#[derive(Parser)]
struct Args {
    /// Where publications, mail and the log of requests go.
    #[arg(default_value = "university")]
    folder: PathBuf,
    /// The port of papers and publications on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 8093)]
    port: u16,
    /// The port of mail on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 8094)]
    mail_port: u16,
    /// How many papers there are.
    #[arg(long, default_value_t = 160)]
    papers: usize,
    /// Another seed makes other papers.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Answer so many requests for a single paper, and none after them before the file `FOLDER/go-on` is there.
    #[arg(long, value_name = "N")]
    hold_after: Option<usize>,
    /// Answer the first N requests with status 503.
    #[arg(long, value_name = "N", default_value_t = 0)]
    fail: usize,
    /// Answer with a feed that is none.
    #[arg(long)]
    garbage: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let folder = &args.folder;
    std::fs::create_dir_all(folder).with_context(|| format!("`{}`", folder.display()))?;
    let site = Arc::new(Site {
        papers: papers::generate(args.seed, args.papers),
        log: http::Log::open(&folder.join("requests.log"))?,
        publications: folder.join("publications"),
        go_on: folder.join("go-on"),
        hold_after: args.hold_after,
        fail: args.fail,
        garbage: args.garbage,
    });
    let mail = mail::serve(args.mail_port, folder.join("mail")).context("the mail server")?;
    let (address, serving) = http::serve(args.port, site).context("the web server")?;
    let mut out = stdout().lock();
    writeln!(out, "papers        http://{address}/api/query")?;
    writeln!(out, "publications  http://{address}/publications")?;
    writeln!(out, "mail          smtp://{mail}")?;
    out.flush()?;
    drop(out);
    // It serves until it is stopped.
    let _ = serving.join();
    Ok(())
}
