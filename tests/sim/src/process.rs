//! One process: from opening what is durable to its end, by its own will or killed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, RwLock};
use tokio::task::JoinSet;
use wflo::{Host, Outside, Resolution, RunView, Runtime, RuntimeError, Start, Verdict, Voter};
use wflo_engine::{ParkReason, RunState, decide};
use wflo_journal::{Blobs, Journal, MasterKey};
use wflo_model::{ApprovalId, RunId};
use wflo_ports::{Clock, Entropy};

use crate::channel::{CHANNEL, SimChannel};
use crate::database::SimDatabase;
use crate::language_model::SimModel;
use crate::plan::{inputs, plan, spending};
use crate::scenario::{Action, Scenario, Timed};
use crate::script::{Scripts, component};
use crate::site::{SimSite, looked_up};
use crate::store::SimStore;
use crate::world::{Promise, World, name_of};

/// How often a run is looked at in the end before it counts as stuck.
const ROUNDS: u32 = 60;

/// How a process ended by its own will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Everything is done.
    Over,
    /// It has to be started again.
    Restarts,
}

/// What a process is made of.
pub(crate) struct Process<'a> {
    world: &'a Arc<World>,
    scenario: &'a Scenario,
    runtime: Arc<Runtime>,
    outside: Arc<Outside>,
    /// Held by whoever drives a run with what the host lends now.
    lent: Arc<RwLock<()>>,
    /// Told when a run may have something to do; by its number.
    nudges: BTreeMap<u32, Arc<Nudge>>,
}

#[derive(Default)]
struct Nudge {
    goes_on: Notify,
    lets_go: Notify,
    leaves: AtomicBool,
}

impl<'a> Process<'a> {
    /// Lives until there is nothing left to do, or until it has to start again. Being killed is dropping this.
    pub(crate) async fn live(
        world: &'a Arc<World>,
        scenario: &'a Scenario,
        blobs: Blobs,
    ) -> Result<Ended, RuntimeError> {
        let store = SimStore::open(world);
        let entropy = Arc::clone(world) as Arc<dyn Entropy>;
        let opened = Journal::open(store, blobs, MasterKey::new([9; 32]), Arc::clone(&entropy)).await;
        // A disk that fails while it is opened is opened again.
        let Ok(journal) = opened else { return Ok(Ended::Restarts) };
        let scripts = Arc::new(Scripts::new(world, &scenario.steps));
        let clock = Arc::clone(world) as Arc<dyn Clock>;
        let runtime = Arc::new(Runtime::new(journal, scripts, clock, entropy));
        let outside = Outside::default()
            .with_models(Arc::new(SimModel::new(world)))
            .with_database(name_of("left"), Arc::new(SimDatabase::new(world, "left")))
            .with_database(name_of("right"), Arc::new(SimDatabase::new(world, "right")))
            .with_http(Arc::new(SimSite::new(world)), None)
            .with_spending(spending(scenario))
            .with_channel(CHANNEL.to_owned(), Ok(Arc::new(SimChannel::new(world))));
        let nudges = (0..scenario.runs).map(|run| (run, Arc::default())).collect();
        let (outside, lent) = (Arc::new(outside), Arc::default());
        let process = Self { world, scenario, runtime, outside, lent, nudges };
        process.go().await
    }

    async fn go(&self) -> Result<Ended, RuntimeError> {
        for number in 0..self.scenario.runs {
            match self.start(number).await {
                Ok(run) => _ = self.world.lock().runs.insert(number, run),
                Err(_) if self.is_broken() => return Ok(Ended::Restarts),
                Err(error) => return Err(error),
            }
        }
        let mut tellers = JoinSet::new();
        let (runtime, host) = (Arc::clone(&self.runtime), self.host());
        tellers.spawn(async move { runtime.keep_telling(&host).await });
        let mut drivers = JoinSet::new();
        if !self.world.is_calm() {
            for (number, nudge) in &self.nudges {
                let run = self.run(*number);
                let driver = Driver {
                    world: Arc::clone(self.world),
                    runtime: Arc::clone(&self.runtime),
                    outside: Arc::clone(&self.outside),
                    lent: Arc::clone(&self.lent),
                    nudge: Arc::clone(nudge),
                    run,
                };
                drivers.spawn(driver.go());
            }
            while let Some(timed) = self.next_action() {
                tokio::time::sleep(Duration::from_millis(timed.after)).await;
                // Whoever was killed in the middle of something does not come back to it.
                self.world.lock().acted += 1;
                self.world.live_on().await;
                if timed.action == Action::Restart {
                    self.runtime.stop();
                    self.leave(&mut drivers).await;
                    return Ok(Ended::Restarts);
                }
                match self.act(&timed.action).await {
                    _ if self.is_broken() => return Ok(Ended::Restarts),
                    Ok(()) => {}
                    Err(error) => {
                        self.world.violated("people are served", format!("{}: {error}", timed.action))
                    }
                }
                self.nudges.values().for_each(|nudge| nudge.goes_on.notify_one());
            }
            // Time for whatever can go on by itself.
            tokio::time::sleep(Duration::from_secs(5)).await;
            self.world.calm_down();
            self.leave(&mut drivers).await;
            if self.is_broken() {
                return Ok(Ended::Restarts);
            }
        }
        for number in 0..self.scenario.runs {
            self.settle(self.run(number)).await?;
        }
        tellers.shutdown().await;
        // A channel that has refused is tried again after an hour, and takes everything now.
        let left = self.runtime.tell_for(&self.host(), Duration::from_secs(2 * 86_400)).await?;
        if let Some(line) = left.first() {
            self.world.violated("people are told", format!("{line:?} is left"));
        }
        Ok(Ended::Over)
    }

    fn next_action(&self) -> Option<&'a Timed> {
        let acted = self.world.lock().acted;
        self.scenario.actions.get(acted)
    }

    /// Has nobody drive any more, each from where its run next waits.
    async fn leave(&self, drivers: &mut JoinSet<()>) {
        for nudge in self.nudges.values() {
            nudge.leaves.store(true, Ordering::Relaxed);
            nudge.goes_on.notify_one();
        }
        while drivers.join_next().await.is_some() {}
    }

    fn run(&self, number: u32) -> RunId {
        self.world.lock().runs[&number]
    }

    fn is_broken(&self) -> bool {
        self.runtime.journal().poisoned().is_some()
    }

    fn host(&self) -> Host {
        host(self.world, &self.outside)
    }

    async fn start(&self, number: u32) -> Result<RunId, RuntimeError> {
        let components = self.scenario.steps.iter().map(|step| component(step).into());
        let start = Start {
            plan: plan(self.scenario),
            components: components.collect(),
            inputs: inputs(self.scenario),
            requester: name_of("rita"),
            key: Some(format!("run {number}")),
        };
        self.runtime.start(start).await
    }

    /// Does what somebody does. That a person is refused is no error.
    async fn act(&self, action: &Action) -> Result<(), RuntimeError> {
        let number = |run: &u32| self.run(*run % self.scenario.runs);
        match action {
            Action::Vote { who, approves, which, closed } => {
                let all = self.runtime.approvals(*closed).await?;
                let Some(index) = usize::try_from(*which).ok().and_then(|which| which.checked_rem(all.len()))
                else {
                    return Ok(());
                };
                self.vote(all[index].run, all[index].id, who, *approves).await.map(|_| ())
            }
            Action::Cancel { run } => {
                let run = number(run);
                match self.runtime.cancel(run, &name_of("rita"), None).await {
                    // It comes too late, and is told so.
                    Err(RuntimeError::Ended { .. } | RuntimeError::RollingBack { .. }) => Ok(()),
                    done => done.map(|()| self.world.promise(Promise::Cancelled { run })),
                }
            }
            Action::Resume { run } => {
                // As a person does it from a command of their own, beside whoever drives the run.
                let run = number(run);
                let _lent = self.lent.read().await;
                match self.runtime.resume(run, &name_of("rita"), &self.host(), None).await {
                    Err(RuntimeError::Attempt(_)) => Ok(()),
                    other => other.map(|_| ()),
                }
            }
            Action::RollBack { run } => {
                let run = number(run);
                match self.runtime.rollback(run, None, &name_of("rita")).await {
                    Err(RuntimeError::NotRollable { .. }) => Ok(()),
                    done => done.map(|()| self.world.promise(Promise::RolledBack { run })),
                }
            }
            Action::Abandon { run } => {
                let number = *run % self.scenario.runs;
                self.nudges[&number].lets_go.notify_one();
                tokio::task::yield_now().await;
                Ok(())
            }
            Action::Join { who, group } => {
                self.deploy(|world| world.change_groups(who, group, true)).await;
                Ok(())
            }
            Action::Leave { who, group } => {
                self.deploy(|world| world.change_groups(who, group, false)).await;
                Ok(())
            }
            Action::Clock { ms } => {
                self.world.set_clock(*ms);
                Ok(())
            }
            Action::External { db, row, by } => {
                self.world.lock().databases.get_mut(db).expect("it is one of the two").add(*row, *by);
                Ok(())
            }
            Action::Restart => Ok(()),
        }
    }

    /// Changes what the host lends: whoever drives a run lets go of it, and goes on with what is lent then.
    async fn deploy(&self, change: impl FnOnce(&World)) {
        self.nudges.values().for_each(|nudge| nudge.lets_go.notify_one());
        let _nobody_drives = self.lent.write().await;
        change(self.world);
    }

    /// Casts a vote; whether it counted.
    async fn vote(
        &self,
        run: RunId,
        id: ApprovalId,
        who: &str,
        approves: bool,
    ) -> Result<bool, RuntimeError> {
        let name = name_of(who);
        let voter = Voter { groups: self.world.groups_of(&name), name };
        let verdict = if approves { Verdict::Approve } else { Verdict::Reject };
        match self.runtime.vote(id, &voter, verdict, None).await {
            Ok(_) => {
                self.world.promise(Promise::Voted { approval: id, run, by: voter.name });
                Ok(true)
            }
            Err(RuntimeError::Vote(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Brings a run to its end, or to where nothing but somebody who is not there can move it.
    async fn settle(&self, run: RunId) -> Result<(), RuntimeError> {
        let mut asked_again = false;
        let mut failed = None;
        for _ in 0..ROUNDS {
            let view = match self.runtime.drive(run, &self.host(), None).await {
                Ok(view) => view,
                Err(error) => {
                    failed = Some(error.to_string());
                    tokio::time::sleep(Duration::from_secs(60)).await;
                    continue;
                }
            };
            failed = None;
            self.world.promise(Promise::Stands { run, events: view.events });
            if view.status.is_final() {
                return Ok(());
            }
            if view.waiting_for.is_empty() {
                let what = format!("run {run} is {} and waits for nothing", view.status);
                self.world.violated("nothing is stuck", what);
                return Ok(());
            }
            if !self.help(run, &view, &mut asked_again).await? {
                return self.stands(run, &view).await;
            }
        }
        let why = failed.unwrap_or_else(|| "it never comes to rest".to_owned());
        self.world.violated("nothing is stuck", format!("run {run}: {why}"));
        Ok(())
    }

    /// Does one thing about what a run waits for; false if there is nothing to be done.
    async fn help(&self, run: RunId, view: &RunView, asked_again: &mut bool) -> Result<bool, RuntimeError> {
        for wait in &view.waiting_for {
            if let Some(id) = wait.id {
                for who in ["alice", "bob", "carol", "dave"] {
                    if self.vote(run, id, who, self.scenario.approves).await? {
                        return Ok(true);
                    }
                }
            }
        }
        if let Some(due) = self.runtime.journal().head(run).await?.due {
            tokio::time::sleep(due.since(self.world.now()) + Duration::from_millis(1)).await;
            return Ok(true);
        }
        for wait in &view.waiting_for {
            if wait.kind == "budget" && !*asked_again {
                *asked_again = true;
                self.runtime.resume(run, &name_of("rita"), &self.host(), None).await?;
                return Ok(true);
            }
            if wait.kind == "unknown" && self.settle_unknown(run).await? {
                return Ok(true);
            }
            if wait.kind == "unknown" || wait.kind == "diverged" {
                let message = wait.message.clone().unwrap_or_default();
                self.world.violated("scripts do the same again", format!("run {run}: {message}"));
            }
        }
        Ok(false)
    }

    /// Says, as a person who has looked, that what was to commit is done, and of a request that it is, or is not; false
    /// where nothing is unknown.
    async fn settle_unknown(&self, run: RunId) -> Result<bool, RuntimeError> {
        let events = self.runtime.events(run).await?;
        let Ok(state) = RunState::replay(&events) else { return Ok(false) };
        let unknown = state.active().find_map(|(_, unit)| match &unit.parked {
            Some(ParkReason::Unknown { intent, call }) => {
                Some((*intent, unit.committing, call.contains("http")))
            }
            Some(ParkReason::HalfCommitted { intent, .. }) => Some((*intent, true, false)),
            _ => None,
        });
        let resolution = match unknown {
            Some((_, true, _)) => Resolution::Done { value: serde_json::Value::Null },
            Some((intent, _, true)) if intent.is_multiple_of(2) => Resolution::Done { value: looked_up() },
            Some((_, _, true)) => Resolution::NotDone,
            _ => return Ok(false),
        };
        let intent = unknown.map(|(intent, ..)| intent).unwrap_or_default();
        self.runtime.resolve(run, intent, resolution, &name_of("rita")).await.map(|()| true)
    }

    /// A run that waits stands still: driving it changes nothing, and nothing is decided.
    async fn stands(&self, run: RunId, view: &RunView) -> Result<(), RuntimeError> {
        let again = self.runtime.drive(run, &self.host(), None).await?;
        if again.events != view.events {
            self.world.violated("nothing is stuck", format!("run {run} moves each time it is looked at"));
        }
        let events = self.runtime.events(run).await?;
        if let Ok(state) = RunState::replay(&events) {
            let commands = decide(&run, &plan(self.scenario), &state, self.world.now().max(state.time()));
            if !commands.is_empty() {
                let what = format!("run {run} is {} and yet {commands:?}", view.status);
                self.world.violated("nothing is stuck", what);
            }
        }
        // Nothing of what is shown about unknown outcomes can be settled where there is none.
        let refused = self.runtime.resolve(run, 1, Resolution::NotDone, &name_of("rita")).await;
        if !matches!(refused, Err(RuntimeError::NotUnknown { .. })) {
            self.world.violated("nothing is stuck", format!("run {run}: its creation was resolved"));
        }
        Ok(())
    }
}

fn host(world: &World, outside: &Arc<Outside>) -> Host {
    Host { outside: Arc::clone(outside), principals: (*world.lock().people).clone() }
}

/// Whoever drives a run, as a server does: at once, when it is due, and when somebody has done something.
struct Driver {
    world: Arc<World>,
    runtime: Arc<Runtime>,
    outside: Arc<Outside>,
    lent: Arc<RwLock<()>>,
    nudge: Arc<Nudge>,
    run: RunId,
}

impl Driver {
    async fn go(self) {
        let run = self.run;
        while !self.nudge.leaves.load(Ordering::Relaxed) && self.runtime.journal().poisoned().is_none() {
            let lent = self.lent.read().await;
            let host = host(&self.world, &self.outside);
            let driven = tokio::select! {
                biased;
                () = self.nudge.lets_go.notified() => continue,
                driven = self.runtime.drive(run, &host, None) => driven,
            };
            drop(lent);
            match driven {
                Ok(view) => {
                    self.world.promise(Promise::Stands { run, events: view.events });
                }
                Err(RuntimeError::Attempt(_) | RuntimeError::Log(_)) => {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
                Err(error) => {
                    if self.runtime.journal().poisoned().is_none() {
                        self.world.violated("people are served", format!("driving {run}: {error}"));
                    }
                    return;
                }
            }
            let Ok(head) = self.runtime.journal().head(run).await else { return };
            let wait = head.due.map(|due| due.since(self.world.now()) + Duration::from_millis(1));
            tokio::select! {
                biased;
                () = self.nudge.goes_on.notified() => {}
                () = self.nudge.lets_go.notified() => {}
                () = async {
                    match wait {
                        Some(wait) => tokio::time::sleep(wait).await,
                        None => std::future::pending().await,
                    }
                } => {}
            }
        }
    }
}
