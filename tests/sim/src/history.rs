//! A whole simulation: process after process until everything is done, looked at between any two of them.

use std::sync::Arc;
use std::time::Duration;

use wflo_journal::{Blobs, Journal, MasterKey};
use wflo_model::Digest;
use wflo_ports::Entropy;

use crate::Scenario;
use crate::check::check;
use crate::process::{Ended, Process};
use crate::script::Scripts;
use crate::store::SimStore;
use crate::world::World;

/// Longer than anything a scenario waits for: what is not done by then is stuck.
const FOREVER: Duration = Duration::from_secs(400 * 86_400);

/// More processes than any scenario needs.
const PROCESSES: u32 = 40;

/// Something that must not be, and was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The property, by its name.
    pub property: &'static str,
    /// What was seen.
    pub what: String,
}

/// What a simulation came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Played {
    /// Of every byte that was durable in the end.
    pub journal: Digest,
    /// Events of all runs together.
    pub events: u64,
    /// Processes that it took.
    pub processes: u32,
    /// What must not be, in the order in which it was seen.
    pub violations: Vec<Violation>,
}

/// Plays a scenario to its end, in virtual time on this thread.
///
/// ```
/// use wflo_sim::{Scenario, play};
/// let scenario = Scenario::of(1);
/// let (once, twice) = (play(&scenario), play(&scenario));
/// assert_eq!(once, twice);
/// assert_eq!(once.violations, []);
/// ```
#[must_use]
pub fn play(scenario: &Scenario) -> Played {
    let world = World::new(scenario);
    let blobs = Blobs::in_memory();
    let mut processes = 0;
    loop {
        processes += 1;
        let ended = process(&world, scenario, &blobs);
        block_on(look(&world, scenario, &blobs, ended == Some(Ended::Over)));
        let is_violated = !world.lock().violations.is_empty();
        if ended == Some(Ended::Over) || is_violated {
            break;
        }
        if processes == PROCESSES {
            world.violated("nothing is stuck", "it is started again and again");
            break;
        }
    }
    let inner = world.lock();
    Played {
        journal: inner.image.digest(),
        events: inner.image.heads().values().sum(),
        processes,
        violations: inner.violations.clone(),
    }
}

/// One process; none if it was killed.
fn process(world: &Arc<World>, scenario: &Scenario, blobs: &Blobs) -> Option<Ended> {
    let ended = block_on(async {
        world.start();
        let lives = tokio::time::timeout(FOREVER, Box::pin(Process::live(world, scenario, blobs.clone())));
        let ended = tokio::select! {
            biased;
            () = world.killed.notified() => None,
            ended = lives => Some(match ended {
                Ok(Ok(ended)) => ended,
                Ok(Err(error)) => {
                    world.violated("people are served", error.to_string());
                    Ended::Over
                }
                Err(_) => {
                    world.violated("nothing is stuck", "something is waited for that never comes");
                    Ended::Over
                }
            }),
        };
        world.keep_time();
        ended
    });
    world.end();
    ended
}

/// Looks at everything that is durable, as the next process will find it.
async fn look(world: &Arc<World>, scenario: &Scenario, blobs: &Blobs, is_over: bool) {
    let store = SimStore::look(world);
    let entropy = Arc::new(NoEntropy) as Arc<dyn Entropy>;
    let Ok(journal) = Journal::open(store, blobs.clone(), MasterKey::new([9; 32]), entropy).await else {
        // Killed before the journal was made.
        return;
    };
    check(world, scenario, &journal, is_over).await;
    if is_over && world.lock().violations.is_empty() {
        let scripts = Arc::new(Scripts::quiet(world, &scenario.steps));
        let runtime = wflo::Runtime::new(journal, scripts, Arc::clone(world) as _, Arc::new(NoEntropy));
        let runs: Vec<_> = world.lock().runs.values().copied().collect();
        for run in runs {
            match runtime.replay(run).await {
                Ok(replay) => {
                    let differs = replay.attempts.into_iter().find_map(|it| Some((it.difference?, it.step)));
                    if let Some((difference, step)) = differs {
                        world
                            .violated("replay is identical", format!("step `{step}` of {run}: {difference}"));
                    }
                }
                Err(error) => world.violated("replay is identical", format!("{run}: {error}")),
            }
        }
    }
}

/// Runs a future on a runtime of its own, whose clock stands still unless everything waits.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime of one thread needs nothing of the system");
    runtime.block_on(future)
}

/// Whoever only looks draws nothing.
struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&self, _: &mut [u8]) -> Result<(), wflo_ports::SystemEntropyError> {
        Err(wflo_ports::SystemEntropyError { message: "whoever looks draws nothing".to_owned() })
    }
}
