//! Runs a test: one attempt of one step, by the runtime itself, in a journal in memory.

use std::sync::Arc;

use wflo_engine::{AttemptEnd, Day, Event, InheritedArtifact, Place, Recorded, RunState, UnitId, next_due};
use wflo_host_api::Artifacts as _;
use wflo_journal::{Created, Journal};
use wflo_manifest::{OnCancel, OnFailure, Plan, PlanStep, PolicyEvent, Retry};
use wflo_model::{Artifact, Call, Content, Failure, FailureKind, Limits, PrincipalName, Timestamp};
use wflo_ports::{Entropy, SystemEntropyError};

use super::compare::{compare, outlives_start, reason};
use super::people::decide;
use super::tape::{HandClock, Tape};
use super::{GivenArtifact, StepTest, TestEnd, Tested};
use crate::artifact::{Desk, Shelf};
use crate::attempt::AttemptFailed;
use crate::describe::given;
use crate::output_gate::is_output;
use crate::placeholder::Placeholders;
use crate::run_log::{RunLog, draft, encoded_summary};
use crate::{
    ApprovalView, Components, Difference, Host, LogFailed, LogView, Outside, Principals, Runtime,
    RuntimeError,
};

/// When a test is that was not recorded: 2026-01-01, in microseconds since 1970.
const NEW_YEAR: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

/// How often a step may wait for people and timers before a test gives it up.
const MOST_WAITS: usize = 1000;

/// What tests of steps are run with: the workflow they are of, and the host's side of it.
///
/// ```no_run
/// # async fn doc(
/// #     plan: wflo_manifest::Plan,
/// #     code: Vec<wflo_model::Content>,
/// #     sandbox: std::sync::Arc<wflo_sandbox::Sandbox>,
/// #     entropy: std::sync::Arc<dyn wflo_ports::Entropy>,
/// # ) -> Result<(), wflo::RuntimeError> {
/// use wflo::{StepTest, TestBench};
/// let bench = TestBench::new(plan, code, sandbox, entropy);
/// let tested = bench.run(&StepTest::new("greet".parse().unwrap())).await?;
/// assert!(tested.passed(), "{:?}", tested.differences);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TestBench {
    plan: Plan,
    code: Vec<Content>,
    components: Arc<dyn Components>,
    entropy: Arc<dyn Entropy>,
    outside: Outside,
}

impl std::fmt::Debug for TestBench {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestBench")
            .field("plan", &self.plan.workflow)
            .field("outside", &self.outside)
            .finish()
    }
}

impl TestBench {
    /// A bench for the steps of a plan, with the code of its components, and a [`Sandbox`](wflo_sandbox::Sandbox) to run
    /// them in. Nothing is lent to them: see [`with_outside`](Self::with_outside).
    #[must_use]
    pub fn new(
        plan: Plan,
        code: Vec<Content>,
        components: Arc<dyn Components>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { plan, code, components, entropy, outside: Outside::default() }
    }

    /// Sets what the deployment lends, such as [`Outside::of_nothing`]: a call is denied where it binds nothing. That it
    /// is there is all that is looked at; nothing of it is ever asked.
    #[must_use]
    pub fn with_outside(mut self, outside: Outside) -> Self {
        self.outside = outside;
        self
    }

    /// Runs a test. Nothing is performed, and nothing is written anywhere.
    ///
    /// # Errors
    /// [`RuntimeError::BadTest`] for a test that does not fit the plan, [`RuntimeError::Denied`] and
    /// [`RuntimeError::Load`] for a component that would not run either.
    pub async fn run(&self, test: &StepTest) -> Result<Tested, RuntimeError> {
        let step =
            self.plan.step(&test.step).ok_or_else(|| bad(format!("there is no step `{}`", test.step)))?;
        let unit = self.unit(test, step)?;
        let inputs = self.plan.inputs(test.inputs.clone()).map_err(|wrong| bad(wrong.join("; ")))?;
        let recorded = test.recorded.as_ref();
        let started = recorded.map_or(NEW_YEAR, |recorded| recorded.started);
        let clock = Arc::new(HandClock::new(started));
        let journal = Journal::in_memory(Arc::clone(&self.entropy)).await.map_err(in_memory)?;
        let (components, entropy) = (Arc::clone(&self.components), Arc::clone(&self.entropy));
        let runtime = Runtime::new(journal, components, Arc::clone(&clock) as _, entropy);
        self.check_imports(&runtime, step).await?;

        let plan = self.alone(test, step);
        let digest = runtime.journal().put_public(&plan.bytes().into()).await?;
        runtime.journal().put_public(self.code(step)?).await?;
        let run = match recorded {
            Some(recorded) => recorded.run,
            None => runtime.new_run_id()?,
        };
        let somebody: PrincipalName = "test".parse().expect("it is a name");
        let event = Event::RunCreated {
            workflow: plan.workflow.to_string(),
            version: plan.version.clone(),
            plan: digest,
            component: Some(step.component),
            inputs,
            requester: recorded.map_or(somebody, |recorded| recorded.requester.clone()),
            budget: plan.budget,
            forked: None,
        };
        let first = Recorded { seq: 1, time: started, place: Place::RUN, event };
        let state = RunState::replay([&first]).map_err(LogFailed::from)?;
        let drafts = vec![draft(started, &first.place, &first.event)];
        let Created::New(writer) =
            runtime.journal().create_run(run, None, drafts, encoded_summary(&state)).await?
        else {
            return Err(RuntimeError::Bug { message: "a new journal has a run".into() });
        };
        let shared = runtime.plan(&state).await?;
        runtime.accounts.load(runtime.journal(), &state, Day::of(started)).await?;
        let log = runtime.log(run, writer, &shared, state);
        self.put_in(&runtime, &log, test, step, &unit).await?;
        // Held to the end, so that the log that is looked at stays the one that is written.
        let writing = (Arc::clone(&log), shared);
        runtime.open_runs().made(run, writing.clone());

        let tape = Arc::new(Tape::new(
            test.tape.clone(),
            Arc::clone(&clock),
            recorded.map(|recorded| recorded.clock.clone()).unwrap_or_default(),
            recorded.map(|recorded| *recorded.seed.as_bytes()),
            test.decision.clone(),
        ));
        let outside = Arc::new(self.outside.clone().with_tape(Arc::clone(&tape)));
        let host = Host { outside, principals: Principals::default() };
        let driven = drive(&runtime, &log, host, test, &clock).await;
        let Driven { approvals, undecided, refusals } = driven.map_err(|error| match error {
            RuntimeError::Attempt(AttemptFailed::Host { message, .. }) => bad(misanswered(&tape, &message)),
            other => other,
        })?;

        let events = runtime.events(run).await?;
        let keys = runtime.journal().keys(run).await?;
        let placeholders = Placeholders::new(&keys, &step.grants);
        let (end, fuel) = ended(&events, &unit, &writing.0, &placeholders);
        let calls = calls(&events, &unit, test.attempt);
        let names: Vec<_> = calls.iter().map(ToString::to_string).collect();
        let compared = compare(test, &tape, &end, &names, &approvals, undecided);
        let differences = refusals.into_iter().chain(compared).collect();
        Ok(Tested { end, calls, approvals, logs: LogView::of(events), fuel, differences })
    }

    /// The step or item that is run.
    fn unit(&self, test: &StepTest, step: &PlanStep) -> Result<UnitId, RuntimeError> {
        let name = &step.name;
        if test.attempt == 0 {
            return Err(bad("attempts are counted from 1".into()));
        }
        let before = self.plan.transitive(name);
        let given = test.outputs.keys().chain(test.artifacts.iter().map(|artifact| &artifact.step));
        for other in given {
            if !before.contains(other) {
                return Err(bad(format!("step `{name}` does not depend on `{other}`")));
            }
        }
        match (&step.for_each, &test.item) {
            (None, None) => Ok(UnitId::step(name)),
            (Some(_), Some(_)) => Ok(UnitId::step(name).with_item(0)),
            (Some(_), None) => Err(bad(format!("step `{name}` fans out: `item` is the element it works on"))),
            (None, Some(_)) => Err(bad(format!("step `{name}` does not fan out, and works on no `item`"))),
        }
    }

    fn code(&self, step: &PlanStep) -> Result<&Content, RuntimeError> {
        given(&self.code, &step.component)
    }

    async fn check_imports(&self, runtime: &Runtime, step: &PlanStep) -> Result<(), RuntimeError> {
        let of_it = self.plan.steps.iter().filter(|other| other.component == step.component);
        let plan = Plan { steps: of_it.cloned().collect(), ..self.plan.clone() };
        let code = [self.code(step)?.clone()];
        match runtime.missing(&plan, &code).await? {
            missing if missing.is_empty() => Ok(()),
            missing => Err(RuntimeError::Denied { missing }),
        }
    }

    /// The plan as far as one attempt of the step is concerned: it, and what it depends on.
    fn alone(&self, test: &StepTest, step: &PlanStep) -> Plan {
        let mut plan = self.plan.clone();
        let before = plan.transitive(&step.name);
        plan.steps.retain(|other| before.contains(&other.name) || other.name == step.name);
        for one in plan.steps.iter_mut().filter(|one| one.name == step.name) {
            one.retry = Retry { max_attempts: test.attempt, ..one.retry };
        }
        plan.policies.retain(|policy| outlives_start(&policy.on));
        plan.policies.iter_mut().for_each(|policy| _ = policy.on.remove(&PolicyEvent::RunStart));
        (plan.on_failure, plan.on_cancel) = (OnFailure::Keep, OnCancel::Keep);
        plan
    }

    /// Writes what has come before the attempt.
    async fn put_in(
        &self,
        runtime: &Runtime,
        log: &RunLog,
        test: &StepTest,
        step: &PlanStep,
        unit: &UnitId,
    ) -> Result<(), RuntimeError> {
        let shelf = Shelf::new(runtime.journal().clone(), *log.run(), log.keys());
        let mut events = Vec::new();
        for name in self.plan.transitive(&step.name) {
            let mut artifacts = Vec::new();
            for given in test.artifacts.iter().filter(|given| given.step == name) {
                let artifact = put(&shelf, given).await?;
                artifacts.push(InheritedArtifact { item: given.item, artifact });
            }
            let output = test.outputs.get(&name).cloned();
            events.push((Place::step(&name), Event::Inherited { output, artifacts }));
        }
        if let Some(item) = &test.item {
            let event = Event::FannedOut { items: vec![item.clone()], consumes: None };
            events.push((Place::step(&step.name), event));
        }
        for attempt in 1..test.attempt {
            let place = Place::attempt(unit, attempt);
            let started = Event::AttemptStarted { component: None, consumes: None };
            let message = "an attempt before that which is tested".to_owned();
            let end = AttemptEnd::Failed(Failure { kind: FailureKind::Retryable, message });
            let retry_at = Some(log.now());
            let ended = Event::AttemptEnded { end, fuel: 0, memory_peak: 0, ms: 0, retry_at };
            events.extend([(place.clone(), started), (place, ended)]);
        }
        if !events.is_empty() {
            log.append(events)?.durable().await?;
        }
        Ok(())
    }
}

fn bad(why: String) -> RuntimeError {
    RuntimeError::BadTest { why }
}

/// What the host has failed with: all that it has here is the tape, whose last answer is none of its call.
fn misanswered(tape: &Tape, message: &str) -> String {
    let Some((number, entry)) = tape.last() else { return message.to_owned() };
    let place = entry.misfit().map(|place| format!(", {place}")).unwrap_or_default();
    format!("entry {} of the tape{place}: {message}", number + 1)
}

fn in_memory(error: impl std::fmt::Display) -> RuntimeError {
    RuntimeError::Entropy(SystemEntropyError { message: error.to_string() })
}

/// Keeps an artifact that the test gives.
async fn put(shelf: &Shelf, given: &GivenArtifact) -> Result<Artifact, RuntimeError> {
    let unkept = |error: &dyn std::fmt::Display| RuntimeError::Bug { message: error.to_string() };
    let limits = Limits { artifacts: u64::MAX, ..Limits::default() };
    let mut desk = Desk::new(shelf.clone(), &limits, true);
    let writer = desk.create(given.artifact.clone()).map_err(|error| unkept(&error))?;
    desk.write(writer, given.bytes.as_bytes()).await.map_err(|stop| unkept(&stop))?;
    desk.seal(writer).await.map_err(|stop| unkept(&stop))
}

/// What driving came to.
struct Driven {
    /// What people were asked, as it stands now.
    approvals: Vec<ApprovalView>,
    /// What keeps the step from its end, where the test does not say what comes of it.
    undecided: Option<Difference>,
    /// Votes that do not count.
    refusals: Vec<Difference>,
}

/// Drives the run to its end: people decide as the test says, and no timer is waited for.
async fn drive(
    runtime: &Runtime,
    log: &RunLog,
    mut host: Host,
    test: &StepTest,
    clock: &HandClock,
) -> Result<Driven, RuntimeError> {
    let run = *log.run();
    let mut asked = Vec::new();
    let mut undecided = None;
    let mut refusals = Vec::new();
    let timers = test.recorded.as_ref().map(|recorded| recorded.timers.clone()).unwrap_or_default();
    let mut timers = timers.into_iter();
    for _ in 0..MOST_WAITS {
        let view = Box::pin(runtime.drive(run, &host, None)).await?;
        if view.status.is_final() {
            break;
        }
        let Some(wait) = view.waiting_for.first() else { break };
        if let Some(id) = wait.id {
            let approval = runtime.approval(id).await?;
            let Some(says) = test.approvals.get(asked.len()) else {
                undecided = Some(not_expected(asked.len(), &approval));
                asked.push(id);
                break;
            };
            asked.push(id);
            let expires = log.read(|state| state.approval(&id).and_then(|approval| approval.expires_at));
            let refused = decide(runtime, &mut host, &approval, says).await?;
            refusals.extend(refused.into_iter().map(|(by, why)| Difference {
                at: format!("approval {}, vote of `{by}`", asked.len()),
                expected: "it counts".into(),
                got: why.to_string(),
            }));
            if says.decision == wflo_host_api::DecisionStatus::Expired {
                let Some(expires) = expires else {
                    undecided = Some(Difference {
                        at: format!("approval {}, decision", asked.len()),
                        expected: "expired".into(),
                        got: "it never expires: it has no `timeout_seconds`".into(),
                    });
                    break;
                };
                clock.forward(expires);
            } else if runtime.approval(id).await?.status == "open" {
                break;
            }
        } else if wait.kind == "timer"
            && let Some(due) = log.read(next_due)
        {
            clock.forward(timers.next().map_or(due, |fired| fired.max(due)));
        } else {
            break;
        }
    }
    let mut approvals = Vec::new();
    for id in asked {
        approvals.push(runtime.approval(id).await?);
    }
    Ok(Driven { approvals, undecided, refusals })
}

fn not_expected(number: usize, approval: &ApprovalView) -> Difference {
    let who: Vec<_> = approval.approvers.iter().map(|approver| format!("`{approver}`")).collect();
    Difference {
        at: format!("approval {}", number + 1),
        expected: "nobody is asked".into(),
        got: format!("{} are asked: {}", who.join(" and "), reason(approval)),
    }
}

/// How the attempt ended, and the fuel it used.
fn ended(events: &[Recorded], unit: &UnitId, log: &RunLog, placeholders: &Placeholders) -> (TestEnd, u64) {
    let is_whole = |place: &Place| place.step.as_ref() == Some(&unit.step);
    let end = events.iter().rev().find_map(|recorded| match &recorded.event {
        Event::AttemptEnded { end, fuel, .. } if recorded.place.unit_id().as_ref() == Some(unit) => {
            Some((attempt_end(end, placeholders), *fuel))
        }
        Event::StepEnded { skipped: true, reason } if is_whole(&recorded.place) => {
            Some((TestEnd::Skipped(reason.clone()), 0))
        }
        Event::StepEnded { reason: message, .. } if is_whole(&recorded.place) && unit.item.is_none() => {
            let (kind, message) = (FailureKind::Permanent, placeholders.masked_text(message));
            Some((TestEnd::Failure(Failure { kind, message }), 0))
        }
        _ => None,
    });
    end.unwrap_or_else(|| {
        let parked = log.read(|state| {
            let unit = state.unit(unit);
            unit.parked.as_ref().map(ToString::to_string)
        });
        (TestEnd::Stopped(parked.unwrap_or_else(|| "it waits for people".to_owned())), 0)
    })
}

fn attempt_end(end: &AttemptEnd, placeholders: &Placeholders) -> TestEnd {
    match end {
        AttemptEnd::Succeeded { output } => TestEnd::Output(placeholders.masked_value(output)),
        AttemptEnd::Failed(Failure { kind, message }) => {
            TestEnd::Failure(Failure { kind: *kind, message: placeholders.masked_text(message) })
        }
        AttemptEnd::Fault(fault) => TestEnd::Fault(fault.clone()),
        AttemptEnd::Skipped { reason } => TestEnd::Skipped(reason.clone()),
        AttemptEnd::Interrupted { message } => TestEnd::Stopped(format!("it was interrupted: {message}")),
        other => TestEnd::Stopped(format!("it ended otherwise: {other:?}")),
    }
}

/// The calls that the tested attempt made, in order.
fn calls(events: &[Recorded], unit: &UnitId, attempt: u32) -> Vec<Call> {
    let of_it = events.iter().filter(|recorded| {
        recorded.place.unit_id().as_ref() == Some(unit) && recorded.place.attempt == attempt
    });
    let calls = of_it.filter_map(|recorded| match &recorded.event {
        Event::Returned(returned) => returned.call.clone(),
        Event::Denied { call, .. } => Some(call.clone()),
        _ => None,
    });
    calls.filter(|call| !is_output(call)).collect()
}
