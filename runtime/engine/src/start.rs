//! Policies at the start of a run: before any step, and once.

use wflo_manifest::{Plan, PolicyEvent};
use wflo_model::{PolicyName, RunId};

use crate::permit::run_scope;
use crate::policy::{Decision, Judgement, Occurrence, judge};
use crate::{Event, Place, RunState, RunStatus};

/// What policies say to a run that is about to start: the events to append before anything else; none if no policy
/// fires, or the run has begun.
pub(crate) fn judged(run: &RunId, plan: &Plan, state: &RunState) -> Option<Vec<(Place, Event)>> {
    let listens = plan.policies.iter().any(|policy| policy.on.contains(&PolicyEvent::RunStart));
    let created = state.created().filter(|_| listens && !state.has_begun())?;
    let occurrence = Occurrence::run_start(&created.inputs);
    let Judgement { decision, firings, .. } = judge(&plan.policies, &occurrence, &run_scope(run, state));
    let refused = |by: &std::collections::BTreeSet<PolicyName>, what: &str| {
        let names: Vec<_> = by.iter().map(|name| format!("`{name}`")).collect();
        let error = Some(format!("{what} by policy {}", names.join(", ")));
        Event::RunEnded { status: RunStatus::Failed, error }
    };
    let ended = match &decision {
        Decision::Deny { by } => Some(refused(by, "the run was refused")),
        // `wflo check` accepts no such plan; one that came here all the same does not start.
        Decision::RequireApproval { by, .. } => {
            Some(refused(by, "the run needs an approval that cannot be asked for, demanded"))
        }
        Decision::AutoApprove { .. } | Decision::None => None,
    };
    let fired = firings.into_iter().map(Box::new).map(Event::PolicyFired);
    let events: Vec<_> = fired.chain(ended).map(|event| (Place::RUN, event)).collect();
    (!events.is_empty()).then_some(events)
}
