//! What a simulation does, as data: made from a seed, made smaller by the shrinker, told in words.

use std::fmt;

use crate::Rng;

/// A workflow, what people and the outside do meanwhile, and when the process is killed.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// What everything random follows from: timing, keys, answers of models.
    pub seed: u64,
    /// The steps, each depending on earlier ones only.
    pub steps: Vec<Step>,
    /// Thousandths of a USD.
    pub budget: Option<u64>,
    /// Whether a run out of money parks.
    pub parks: bool,
    /// Most steps that run at the same time.
    pub max_parallel: Option<u32>,
    /// Runs of the workflow, side by side.
    pub runs: u32,
    /// What happens meanwhile, one after another.
    pub actions: Vec<Timed>,
    /// What goes wrong outside.
    pub faults: Vec<Fault>,
    /// The process is killed at that many moments after each start, as long as there are numbers left.
    pub crashes: Vec<Crash>,
    /// In the end, what can still be voted on is approved; else it is rejected.
    pub approves: bool,
}

/// One step of the workflow.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its number; its name is `s` and this.
    pub id: u32,
    /// The numbers of the steps it depends on.
    pub needs: Vec<u32>,
    /// The condition under which it runs.
    pub when: Option<String>,
    /// The list it fans out over.
    pub for_each: Option<String>,
    /// Whether failed items are collected.
    pub collects: bool,
    /// Most items at the same time.
    pub max_parallel: Option<u32>,
    /// Attempts in all.
    pub attempts: u32,
    /// Seconds before the second.
    pub backoff: u64,
    /// Seconds an attempt may take.
    pub timeout: u64,
    /// Who has to approve it first.
    pub approval: Option<Asking>,
    /// What the script does.
    pub ops: Vec<Op>,
    /// How it ends.
    pub end: End,
}

/// Who is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Asking {
    /// Groups and persons.
    pub approvers: Vec<&'static str>,
    /// Any so many, instead of one of each.
    pub quorum: Option<u32>,
    /// Seconds they have.
    pub timeout: Option<u64>,
    /// Seconds it is good for once given, for one at the start.
    pub valid: u64,
    /// Whether a rejection leaves the step out, for one at the start.
    pub skips: bool,
}

/// One thing a script does.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "each is told in words by its Display")]
pub enum Op {
    Model { prompt: u8, max_tokens: Option<u32> },
    Task,
    Read { db: &'static str, row: i64 },
    Add { db: &'static str, row: i64, by: i64 },
    Insert { db: &'static str, id: i64 },
    Sleep { ms: u64 },
    Ask(Asking),
    Log,
    Clock,
    Denied,
    Invalid,
}

/// How a script ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is told in words by its Display")]
pub enum End {
    Output,
    Permanent,
    /// These fail up to and with this attempt, and succeed afterwards.
    Retryable(u32),
    Redo(u32),
    Trap(u32),
    /// Fails for odd items, or where the sum of what it saw is odd.
    Odd,
}

/// An action, and how long after the one before.
#[derive(Clone, Debug, PartialEq)]
pub struct Timed {
    /// Milliseconds.
    pub after: u64,
    /// What is done.
    pub action: Action,
}

/// What somebody does.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "each is told in words by its Display")]
pub enum Action {
    Vote { who: &'static str, approves: bool, which: u64, closed: bool },
    Cancel { run: u32 },
    Resume { run: u32 },
    Restart,
    Abandon { run: u32 },
    Join { who: &'static str, group: &'static str },
    Leave { who: &'static str, group: &'static str },
    Clock { ms: i64 },
    External { db: &'static str, row: i64, by: i64 },
}

/// The n-th operation of a kind goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which of its kind, from 0.
    pub nth: u32,
    /// What happens.
    pub what: Wrong,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is told in words by its Display")]
pub enum Wrong {
    ModelRateLimited,
    ModelBreaksOff,
    ModelNotSent,
    ModelSaysNoUsage,
    ModelOverruns,
    ModelIsSlow,
    BeginUnavailable,
    CommitAnswerLost,
    CommitRefused,
    SyncFails { landed: bool },
}

/// The kinds of operation that faults count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Model,
    Begin,
    Commit,
    Sync,
}

/// A kill of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    /// Moments after the start.
    pub after: u32,
    /// Whether the sync that was under way, if any, had made its group durable.
    pub landed: bool,
    /// Seconds until the next start.
    pub down: u64,
}

impl Wrong {
    pub(crate) const fn kind(self) -> Kind {
        match self {
            Self::ModelRateLimited
            | Self::ModelBreaksOff
            | Self::ModelNotSent
            | Self::ModelSaysNoUsage
            | Self::ModelOverruns
            | Self::ModelIsSlow => Kind::Model,
            Self::BeginUnavailable => Kind::Begin,
            Self::CommitAnswerLost | Self::CommitRefused => Kind::Commit,
            Self::SyncFails { .. } => Kind::Sync,
        }
    }
}

const PEOPLE: [&str; 5] = ["alice", "bob", "carol", "dave", "rita"];
const GROUPS: [&str; 3] = ["red", "blue", "green"];
const DBS: [&str; 2] = ["left", "right"];

impl Scenario {
    /// The scenario of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let rng = &mut Rng::new(seed).fork(1);
        let steps = rng.pick(&[1, 1, 2, 2, 2, 3, 3, 4, 5]);
        let steps = (0..steps).map(|id| step(rng, id)).collect();
        let actions = (0..rng.below(9)).map(|_| timed(rng)).collect();
        let faults = (0..rng.pick(&[0, 0, 1, 1, 2, 4])).map(|_| fault(rng)).collect();
        let crashes = (0..rng.pick(&[0, 0, 1, 1, 2, 3, 5])).map(|_| crash(rng)).collect();
        Self {
            seed,
            steps,
            budget: rng.percent(40).then(|| rng.between(50, 2500)),
            parks: rng.percent(60),
            max_parallel: rng.percent(30).then(|| rng.pick(&[1, 2])),
            runs: rng.pick(&[1, 1, 1, 2]),
            actions,
            faults,
            crashes,
            approves: rng.percent(75),
        }
    }
}

fn step(rng: &mut Rng, id: u32) -> Step {
    let needs: Vec<u32> = (0..id).filter(|_| rng.percent(40)).collect();
    let parent = needs.first().copied();
    let when = rng.percent(20).then(|| match parent {
        Some(parent) if rng.percent(60) => format!("steps.s{parent}.output.sum > {}", rng.below(10)),
        _ => rng.pick(&["inputs.yes", "!inputs.yes", "inputs.n > 1"]).to_owned(),
    });
    let for_each = rng.percent(25).then(|| match parent {
        Some(parent) if rng.percent(50) => format!("steps.s{parent}.output.list"),
        _ => rng.pick(&["inputs.items", "inputs.items", "[1, 2]", "[]", "inputs.n"]).to_owned(),
    });
    Step {
        id,
        needs,
        when,
        for_each,
        collects: rng.percent(50),
        max_parallel: rng.percent(50).then(|| rng.pick(&[1, 2])),
        attempts: rng.pick(&[1, 1, 2, 3, 4]),
        backoff: rng.pick(&[0, 1, 30]),
        timeout: rng.pick(&[5, 300, 300, 300]),
        approval: rng.percent(25).then(|| asking(rng)),
        ops: (0..rng.below(6)).map(|_| op(rng)).collect(),
        end: match rng.below(14) {
            0 => End::Permanent,
            1 | 2 => End::Retryable(rng.pick(&[1, 2])),
            3 => End::Redo(rng.pick(&[1, 2])),
            4 => End::Trap(1),
            5 => End::Odd,
            _ => End::Output,
        },
    }
}

fn asking(rng: &mut Rng) -> Asking {
    let mut approvers = vec![rng.pick(&GROUPS)];
    if rng.percent(40) {
        approvers.push(rng.pick(&["red", "blue", "green", "alice", "dave"]));
        approvers.dedup();
    }
    Asking {
        approvers,
        quorum: rng.percent(30).then(|| rng.pick(&[1, 2])),
        timeout: rng.percent(60).then(|| rng.pick(&[1, 20, 3600])),
        valid: rng.pick(&[10, 600, 86_400]),
        skips: rng.percent(40),
    }
}

fn op(rng: &mut Rng) -> Op {
    let db = rng.pick(&DBS);
    let row = i64::try_from(rng.below(3)).unwrap_or_default();
    match rng.below(20) {
        0..=3 => Op::Model {
            prompt: rng.pick(&[0, 0, 1, 2]),
            max_tokens: rng.percent(40).then(|| rng.pick(&[5, 40])),
        },
        4 => Op::Task,
        5 | 6 => Op::Read { db, row },
        7..=10 => Op::Add { db, row, by: 1 },
        11 => Op::Insert { db, id: row },
        12 | 13 => Op::Sleep { ms: rng.pick(&[0, 1, 400, 999, 1000, 1001, 30_000, 7_200_000]) },
        14 | 15 => Op::Ask(asking(rng)),
        16 => Op::Log,
        17 => Op::Clock,
        18 => Op::Denied,
        _ => Op::Invalid,
    }
}

fn timed(rng: &mut Rng) -> Timed {
    let who = rng.pick(&PEOPLE);
    let run = u32::try_from(rng.below(2)).unwrap_or_default();
    let action = match rng.below(20) {
        0..=9 => {
            Action::Vote { who, approves: rng.percent(80), which: rng.below(4), closed: rng.percent(15) }
        }
        10 => Action::Cancel { run },
        11 => Action::Resume { run },
        12 => Action::Restart,
        13 => Action::Abandon { run },
        14 => Action::Join { who, group: rng.pick(&GROUPS) },
        15 | 16 => Action::Leave { who, group: rng.pick(&GROUPS) },
        17 => Action::Clock { ms: rng.pick(&[-3_600_000, -2000, -1, 2000, 40_000]) },
        _ => Action::External {
            db: rng.pick(&DBS),
            row: i64::try_from(rng.below(3)).unwrap_or_default(),
            by: 10,
        },
    };
    Timed { after: rng.pick(&[0, 1, 2, 5, 50, 1500, 25_000, 4_000_000]), action }
}

fn fault(rng: &mut Rng) -> Fault {
    let what = rng.pick(&[
        Wrong::ModelRateLimited,
        Wrong::ModelBreaksOff,
        Wrong::ModelNotSent,
        Wrong::ModelSaysNoUsage,
        Wrong::ModelOverruns,
        Wrong::ModelIsSlow,
        Wrong::BeginUnavailable,
        Wrong::CommitAnswerLost,
        Wrong::CommitAnswerLost,
        Wrong::CommitRefused,
        Wrong::CommitRefused,
        Wrong::SyncFails { landed: true },
        Wrong::SyncFails { landed: false },
    ]);
    Fault { nth: u32::try_from(rng.below(5)).unwrap_or_default(), what }
}

fn crash(rng: &mut Rng) -> Crash {
    let most = rng.pick(&[8, 30, 80, 200]);
    let after = u32::try_from(rng.between(1, most)).unwrap_or_default();
    Crash { after, landed: rng.percent(50), down: rng.pick(&[0, 0, 1, 60, 90_000]) }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} run(s) of a workflow", self.runs)?;
        if let Some(budget) = self.budget {
            let then = if self.parks { "parks" } else { "fails" };
            write!(f, " with a budget of 0.{budget:03} USD (a call over it {then})")?;
        }
        if let Some(most) = self.max_parallel {
            write!(f, ", at most {most} step(s) at a time")?;
        }
        writeln!(f)?;
        for step in &self.steps {
            step.fmt(f)?;
        }
        for Timed { after, action } in &self.actions {
            writeln!(f, "  {after} ms later: {action}")?;
        }
        for Fault { nth, what } in &self.faults {
            writeln!(f, "  fault: {what} (number {nth} of its kind)")?;
        }
        for Crash { after, landed, down } in &self.crashes {
            let group = if *landed { "the sync under way done" } else { "the sync under way lost" };
            writeln!(f, "  killed {after} moments after its start, {group}, down for {down} s")?;
        }
        let end = if self.approves { "approves" } else { "rejects" };
        writeln!(f, "  in the end everybody {end} what is open")
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  step s{}", self.id)?;
        if !self.needs.is_empty() {
            write!(f, " after {:?}", self.needs)?;
        }
        if let Some(when) = &self.when {
            write!(f, " when `{when}`")?;
        }
        if let Some(list) = &self.for_each {
            let most = self.max_parallel.map_or_else(|| "all".to_owned(), |most| most.to_string());
            let then = if self.collects { "collected" } else { "fatal" };
            write!(f, " for each of `{list}` ({most} at a time, failures {then})")?;
        }
        if let Some(asking) = &self.approval {
            let skip = if asking.skips { ", skipped if rejected" } else { "" };
            write!(f, " approved by {asking}, good for {} s{skip}", asking.valid)?;
        }
        let Self { attempts, backoff, timeout, .. } = self;
        writeln!(f, ", {attempts} attempt(s) {backoff} s apart, {timeout} s each")?;
        for op in &self.ops {
            writeln!(f, "    {op:?}")?;
        }
        writeln!(f, "    end: {:?}", self.end)
    }
}

impl fmt::Display for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.quorum {
            Some(quorum) => write!(f, "any {quorum} of {:?}", self.approvers)?,
            None => write!(f, "each of {:?}", self.approvers)?,
        }
        self.timeout.map_or(Ok(()), |seconds| write!(f, " within {seconds} s"))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vote { who, approves, which, closed } => {
                let verdict = if *approves { "for" } else { "against" };
                let of = if *closed { "any" } else { "an open" };
                write!(f, "`{who}` votes {verdict} {of} approval, number {which}")
            }
            Self::Cancel { run } => write!(f, "run {run} is cancelled"),
            Self::Resume { run } => write!(f, "run {run} is resumed"),
            Self::Restart => write!(f, "the process is stopped in order and started again"),
            Self::Abandon { run } => write!(f, "whoever drives run {run} lets go of it"),
            Self::Join { who, group } => write!(f, "`{who}` joins `{group}`"),
            Self::Leave { who, group } => write!(f, "`{who}` leaves `{group}`"),
            Self::Clock { ms } => write!(f, "the clock is set by {ms} ms"),
            Self::External { db, row, by } => write!(f, "somebody else adds {by} to row {row} of `{db}`"),
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ModelRateLimited => "a model limits the rate",
            Self::ModelBreaksOff => "a model breaks off",
            Self::ModelNotSent => "a request does not reach its model",
            Self::ModelSaysNoUsage => "a model does not say what was used",
            Self::ModelOverruns => "a model uses more than it was asked to",
            Self::ModelIsSlow => "a model takes a minute",
            Self::BeginUnavailable => "a database cannot begin a transaction",
            Self::CommitAnswerLost => "a commit happens and its answer is lost",
            Self::CommitRefused => "a commit is refused",
            Self::SyncFails { landed: true } => "a sync fails and had done its work",
            Self::SyncFails { landed: false } => "a sync fails and had not done its work",
        })
    }
}
