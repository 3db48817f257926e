//! The rounds: what is done in each, and when it is cut off.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::check::{self, Reference};
use crate::random::Random;
use crate::stage::{Ended, Running, Stage};

/// How many items the workflow fans out over; what `workflow.toml` has as the default of `count`.
pub(crate) const ITEMS: u32 = 6;
/// A run is brought to its end after at most so many kills.
const MOST_KILLS: u64 = 8;
/// How long a run may take to come to its end when nobody disturbs it.
const PATIENCE: Duration = Duration::from_secs(120);

/// What has happened so far, and what it is held against.
pub(crate) struct Torture {
    stage: Stage,
    seed: u64,
    reference: Reference,
    /// How long an undisturbed `wflo run` takes: kills come within it.
    usual: Duration,
    current: Option<Current>,
    started: u32,
    /// The calls whose answers are in a journal, and how many requests there have been for each.
    answered: BTreeMap<String, usize>,
    counts: Counts,
}

/// The run that is tortured.
struct Current {
    key: String,
    /// None while nobody knows whether it was accepted.
    run: Option<String>,
    kills: usize,
    most: usize,
}

#[derive(Default)]
struct Counts {
    runs: usize,
    kills: usize,
    ended_before: usize,
    clients: usize,
    events: u64,
    again: usize,
}

/// When a command is killed: so long after its start, or before that so long after the model server has got its next
/// request.
struct Moment {
    after: Duration,
    request: Option<Duration>,
}

impl Torture {
    /// Runs the workflow undisturbed, for comparison.
    pub(crate) fn begin(stage: Stage, seed: u64) -> Result<Self> {
        let began = Instant::now();
        let first = stage.wflo(&["run", "--json"])?.expect(&[10, 11])?;
        let usual = began.elapsed();
        let run = id(&first.json()?)?;
        to_its_end(&stage, &run)?;
        let reference = Reference::of(&stage, &run)?;
        let checked = reference.check(&stage, &run, 0).context("the run that nobody has disturbed")?;
        ensure!(checked.again == 0, "undisturbed, a model was asked twice");
        let (answered, counts) = (BTreeMap::new(), Counts::default());
        Ok(Self { stage, seed, reference, usual, current: None, started: 0, answered, counts })
    }

    /// One kill, and what must hold after it.
    pub(crate) fn round(&mut self, round: u32) -> Result<()> {
        let mut random = Random::of_round(self.seed, round);
        if self.current.is_none() {
            self.started += 1;
            let most = 1 + usize::try_from(random.below(MOST_KILLS))?;
            let key = format!("torture-{}", self.started);
            self.current = Some(Current { key, run: None, kills: 0, most });
        }
        let commands = self.commands(&mut random)?;
        let what = commands.iter().map(|words| words.join(" ")).collect::<Vec<_>>().join(" | ");
        let was_cut_off = self.cut_off(&mut random, &commands).with_context(|| format!("`wflo {what}`"))?;
        let is_over = self.look_back().with_context(|| format!("after `wflo {what}` was killed"))?;
        let current = self.current.as_mut().expect("it was set above");
        if was_cut_off {
            current.kills += 1;
            self.counts.kills += 1;
        } else {
            self.counts.ended_before += 1;
        }
        if is_over || current.kills >= current.most {
            self.end_current().with_context(|| format!("brought to its end after `wflo {what}`"))?;
        }
        if round.is_multiple_of(10) {
            eprintln!("round {round}: {}", self.summary());
        }
        Ok(())
    }

    /// Brings what is left to its end.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.end_current()
    }

    pub(crate) fn summary(&self) -> String {
        let Counts { runs, kills, ended_before, clients, events, again } = self.counts;
        format!(
            "{kills} kills ({ended_before} came too late, {clients} while another waited), {runs} runs checked, \
             {events} events, {again} model calls made again"
        )
    }

    /// What this round does: one command, or the one that will hold the store and another beside it.
    fn commands(&self, random: &mut Random) -> Result<Vec<Vec<String>>> {
        let current = self.current.as_ref().expect("a round has a run");
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let start = words(&["run", "--json", "--key", &current.key]);
        let Some(run) = &current.run else {
            let waiting = words(&["runs", "--json"]);
            return Ok(if random.once_in(4) { vec![start, waiting] } else { vec![start] });
        };
        let mut commands = Vec::new();
        let open = open(&self.stage, run)?;
        commands.push(match open.first() {
            Some(id) if !random.once_in(4) => match random.once_in(2) {
                true => words(&["approve", id, "--as", "olga", "--json"]),
                false => words(&["approve", id, "--as", "olga", "--no-resume", "--json"]),
            },
            _ if random.once_in(6) => words(&["gc", "--older-than", "0", "--json"]),
            _ if random.once_in(4) => start,
            _ => words(&["resume", run, "--json"]),
        });
        if random.once_in(3) {
            commands.push(match random.below(4) {
                0 => words(&["resume", run, "--json"]),
                1 => words(&["show", run, "--json"]),
                2 => words(&["runs", "--json"]),
                _ => words(&["logs", run]),
            });
        }
        Ok(commands)
    }

    /// Starts the commands and kills the first. The other must come to its end as if nothing had been.
    fn cut_off(&mut self, random: &mut Random, commands: &[Vec<String>]) -> Result<bool> {
        // Short times are likelier: most commands take less than a whole run.
        let longest = random.within(self.usual);
        let request = random.once_in(2).then(|| random.within(Duration::from_millis(80)));
        let after = if request.is_some() { longest } else { random.within(longest) };
        let moment = Moment { after, request };
        let seen = self.stage.requests().len();
        let start = |words: &Vec<String>| -> Result<Running> {
            self.stage.start(&words.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let holder = start(&commands[0])?;
        let client = match commands.get(1) {
            None => None,
            Some(words) => {
                std::thread::sleep(random.within(moment.after));
                self.counts.clients += 1;
                Some(start(words)?)
            }
        };
        let mut since: Option<Instant> = None;
        let (ended, was_cut_off) = holder.kill_when(|took| {
            if since.is_none() && moment.request.is_some() && self.stage.requests().len() > seen {
                since = Some(Instant::now());
            }
            let asked = since.zip(moment.request).is_some_and(|(since, after)| since.elapsed() >= after);
            asked || took >= moment.after
        })?;
        if !was_cut_off {
            ended.expect(&[0, 10, 11])?;
        }
        if let Some(client) = client {
            client.end()?.expect(&[0, 10, 11]).context("while the first command was killed")?;
        }
        Ok(was_cut_off)
    }

    /// After a kill: the store opens at once, nobody is left over, and no question that has its answer in a journal
    /// has been asked again. Says whether the run has ended.
    fn look_back(&mut self) -> Result<bool> {
        let runs = self.stage.wflo(&["runs", "--json"])?.expect(&[0])?;
        ensure!(!runs.stderr.contains("waiting:"), "the lock is stale: {}", runs.stderr);
        let left = self.stage.processes()?;
        ensure!(left.is_empty(), "processes are left over: {left:?}");
        let current = self.current.as_mut().expect("a round has a run");
        let runs = runs.json()?;
        let runs = || runs.as_array().into_iter().flatten();
        if current.run.is_none() {
            // What has not ended is this one: every earlier one was brought to its end.
            current.run = runs().find(|run| !is_final(run)).map(id).transpose()?;
        }
        let requests = self.stage.requests();
        let made = |key: &String| requests.iter().filter(|it| *it == key).count();
        for (key, times) in &self.answered {
            let now = made(key);
            ensure!(now == *times, "the model was asked again for what it had answered: call {key}");
        }
        let Some(run) = &current.run else { return Ok(false) };
        // One that has ended is looked at as a whole; `wflo gc` may have dropped it, but not before it had ended.
        let Some(line) = runs().find(|line| line["run"] == **run) else {
            bail!("run {run} is not listed any more");
        };
        for key in check::export(&self.stage, run)?.answered() {
            self.answered.entry(key.clone()).or_insert_with(|| made(key));
        }
        Ok(is_final(line))
    }

    /// Brings the run to its end, undisturbed, and checks everything about it.
    fn end_current(&mut self) -> Result<()> {
        let Some(Current { key, run, kills, .. }) = self.current.take() else { return Ok(()) };
        let run = match run {
            Some(run) => run,
            // It was never accepted: the same key is a new run now.
            None => id(&self.stage.wflo(&["run", "--json", "--key", &key])?.expect(&[10, 11])?.json()?)?,
        };
        to_its_end(&self.stage, &run)?;
        let again = self.stage.wflo(&["run", "--json", "--key", &key])?.expect(&[0])?;
        ensure!(id(&again.json()?)? == run, "the key {key} has become another run");
        let checked = self.reference.check(&self.stage, &run, kills).with_context(|| format!("run {run}"))?;
        ensure!(self.stage.processes()?.is_empty(), "a process is left over");
        let generations = self.stage.state().read_dir()?.flatten();
        let generations =
            generations.filter(|it| it.file_name().to_string_lossy().starts_with("gen-")).count();
        ensure!(generations == 1, "{generations} generations of the store are left");
        self.counts.runs += 1;
        self.counts.events += checked.journal.events;
        self.counts.again += checked.again;
        Ok(())
    }
}

/// Has a run come to its end: goes on with it, approves what it waits for, waits for its timers.
fn to_its_end(stage: &Stage, run: &str) -> Result<()> {
    let began = Instant::now();
    loop {
        let ended: Ended = stage.wflo(&["resume", run, "--json"])?.expect(&[0, 10, 11])?;
        let view = ended.json()?;
        match ended.code {
            Some(0) if is_final(&view) => return Ok(()),
            Some(11) => {
                let kinds = view["waiting_for"].as_array().into_iter().flatten().map(|it| &it["kind"]);
                let kinds: Vec<_> = kinds.collect();
                ensure!(kinds.iter().all(|kind| **kind == "timer"), "the run waits for {kinds:?}");
            }
            _ => {}
        }
        for id in open(stage, run)? {
            stage.wflo(&["approve", &id, "--as", "olga", "--json"])?.expect(&[0, 10, 11])?;
        }
        if began.elapsed() > PATIENCE {
            bail!("the run does not come to its end: {}", view["waiting_for"]);
        }
    }
}

/// The approvals a run waits for.
fn open(stage: &Stage, run: &str) -> Result<Vec<String>> {
    let open = stage.json(&["approvals", "--json"])?;
    let of_run = open.as_array().into_iter().flatten().filter(|it| it["run"] == run);
    Ok(of_run.filter_map(|it| it["id"].as_str()).map(ToOwned::to_owned).collect())
}

fn id(run: &Value) -> Result<String> {
    run["run"].as_str().map(ToOwned::to_owned).with_context(|| format!("a run without an id: {run}"))
}

fn is_final(view: &Value) -> bool {
    !matches!(view["status"].as_str(), Some("running" | "waiting" | "parked"))
}
