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

/// How many times as long as a view took to make and tell it may be out of date: so much of the time at most goes into
/// looking, however much there is to look at.
const WORTH: u32 = 20;

/// Tells an observer at once when the run or a step of it stands somewhere else, and soon when anything else changes.
pub(crate) struct Observing {
    observer: Option<Arc<dyn Observer>>,
    /// Where run and steps stood when it was told last.
    stood: Option<(RunStatus, Vec<StepStatus>)>,
    /// The newest event that it was told of.
    events: u64,
    /// When it is to be told of other changes.
    next: Instant,
}

impl Observing {
    pub(crate) fn new(observer: Option<Arc<dyn Observer>>) -> Self {
        Self { observer, stood: None, events: 0, next: Instant::now() + STALE }
    }

    /// Looks at the run, and tells what there is to tell by now. Gives the time to look again, if not all was told.
    pub(crate) fn look(&mut self, log: &RunLog, plan: &Plan) -> Option<Instant> {
        let observer = self.observer.as_ref()?;
        let (began, soon) = (Instant::now(), self.next);
        let told = log.read(|state| {
            if state.seq() == self.events {
                return Err(None);
            }
            let stands = stands(plan, state);
            if self.stood.as_ref() == Some(&stands) && began < soon {
                return Err(Some(soon));
            }
            Ok((stands, state.seq(), RunView::new(log.run(), plan, state)))
        });
        match told {
            Ok((stands, events, view)) => {
                observer.changed(&view);
                (self.stood, self.events) = (Some(stands), events);
                let now = Instant::now();
                self.next = now + STALE.max((now - began) * WORTH);
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
