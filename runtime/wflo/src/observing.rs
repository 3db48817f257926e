//! Telling an observer how a run comes along, without looking at all of it after every event.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wflo_engine::{RunState, RunStatus, StepStatus};
use wflo_manifest::Plan;

use crate::RunView;
use crate::executor::Observer;
use crate::run_log::RunLog;

/// How long a view may be out of date of which only numbers have changed. A view has the outputs of all steps, so one
/// for each event of a step that fans out over thousands of items would cost more than the items do.
const STALE: Duration = Duration::from_millis(100);

/// Tells an observer at once when the run or a step of it stands somewhere else, and soon when anything else changes.
pub(crate) struct Observing {
    observer: Option<Arc<dyn Observer>>,
    /// Where run and steps stood when it was told last.
    stood: Option<(RunStatus, Vec<StepStatus>)>,
    /// The newest event that it was told of.
    events: u64,
    told_at: Instant,
}

impl Observing {
    pub(crate) fn new(observer: Option<Arc<dyn Observer>>) -> Self {
        Self { observer, stood: None, events: 0, told_at: Instant::now() }
    }

    /// Looks at the run, and tells what there is to tell by now. Gives the time to look again, if not all was told.
    pub(crate) fn look(&mut self, log: &RunLog, plan: &Plan) -> Option<Instant> {
        let observer = self.observer.as_ref()?;
        let soon = self.told_at + STALE;
        let told = log.read(|state| {
            if state.seq() == self.events {
                return Err(None);
            }
            let stands = stands(plan, state);
            if self.stood.as_ref() == Some(&stands) && Instant::now() < soon {
                return Err(Some(soon));
            }
            Ok((stands, state.seq(), RunView::new(log.run(), plan, state)))
        });
        match told {
            Ok((stands, events, view)) => {
                (self.stood, self.events, self.told_at) = (Some(stands), events, Instant::now());
                observer.changed(&view);
                None
            }
            Err(again) => again,
        }
    }

    /// Tells how the run stands in the end.
    pub(crate) fn end(&self, log: &RunLog, plan: &Plan) {
        if let Some(observer) = &self.observer {
            observer.changed(&log.read(|state| RunView::new(log.run(), plan, state)));
        }
    }
}

fn stands(plan: &Plan, state: &RunState) -> (RunStatus, Vec<StepStatus>) {
    (state.status(), plan.steps.iter().map(|step| state.step(&step.name).status()).collect())
}
