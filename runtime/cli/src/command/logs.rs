//! `wflo logs`: what the steps of a run said.

use std::time::Duration;

use wflo_model::RunId;

use super::output_line;
use crate::args::Global;
use crate::failure::Failure;
use crate::session::{self, Session};
use crate::terminal::{self, tame};

/// How often a run that goes on is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Prints the log lines of a run; with `follow`, until the run has ended.
pub(crate) async fn logs(
    global: &Global,
    session: &mut Session,
    run: RunId,
    follow: bool,
) -> Result<(), Failure> {
    let colors = terminal::stdout_colors();
    let mut after = 0;
    loop {
        // Asked before the lines are: what was logged before the end is seen in the same round.
        let is_over = !follow || session.ask(session::Show { run }).await?.status.is_final();
        let (lines, upto) = session.ask(session::Logs { run, after }).await?;
        after = upto;
        for line in lines {
            let step = line.step.as_ref().map(ToString::to_string).unwrap_or_default();
            let text = || {
                let level = terminal::level(&line.level, 5, colors);
                format!("{}  {level}  {step}  {}", line.at, tame(&line.message))
            };
            output_line(global, &line, text);
        }
        if is_over {
            return Ok(());
        }
        session.pause(LOOK).await?;
    }
}
