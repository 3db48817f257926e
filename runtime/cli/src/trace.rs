//! What the libraries trace, on stderr: warnings and worse, unless `WFLO_LOG` says otherwise.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::failure::Failure;
use crate::project::variable;
use crate::terminal;

/// The variable that says what is traced: a level, or `TARGET=LEVEL` with commas in between.
const VARIABLE: &str = "WFLO_LOG";

/// Begins to print. Lines go to stderr, so that stdout stays data.
pub(crate) fn begin() -> Result<(), Failure> {
    let filter = match variable(VARIABLE) {
        Some(text) => text.parse::<Targets>().map_err(|error| {
            Failure::usage(format!("`{VARIABLE}={text}`: {error}"))
                .hint("for example `WFLO_LOG=debug`, or `WFLO_LOG=warn,wflo=trace`")
        })?,
        None => Targets::new().with_default(LevelFilter::WARN),
    };
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(terminal::stderr_colors());
    let _ = tracing_subscriber::registry().with(lines).with(filter).try_init();
    Ok(())
}
