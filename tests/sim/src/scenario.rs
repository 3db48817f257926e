//! What a simulation does, as data: drawn from a seed (`draw.rs`), made smaller (`shrink.rs`), told in words (`words.rs`).

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
    /// The policies.
    pub policies: Vec<Rule>,
    /// Whether a run that fails or is cancelled is rolled back.
    pub undoes: bool,
    /// Whether people are told on a channel when they are asked.
    pub tells: bool,
    /// What all runs together may spend in a day, in thousandths of a USD.
    pub day: Option<u64>,
    /// Whether fuel and time cost something.
    pub meters: bool,
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
    /// Whether they approve it where it commits, and not before it begins.
    pub at_commit: bool,
    /// Whether its writes can be undone.
    pub rollback: bool,
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

/// A policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What it listens to.
    pub on: Hears,
    /// It fires above this.
    pub over: u64,
    /// What follows.
    pub does: Does,
}

/// What a policy listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is told in words by its Display")]
pub enum Hears {
    Fact,
    Output,
}

/// What a policy does.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "each is told in words by its Display")]
pub enum Does {
    Deny,
    Approve,
    Ask(Asking),
    Tell,
}

/// One thing a script does.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "each is told in words by its Display")]
pub enum Op {
    Model {
        prompt: u8,
        max_tokens: Option<u32>,
    },
    Task,
    Read {
        db: &'static str,
        row: i64,
    },
    Add {
        db: &'static str,
        row: i64,
        by: i64,
    },
    Insert {
        db: &'static str,
        id: i64,
    },
    Sleep {
        ms: u64,
    },
    Ask(Asking),
    Fact {
        risk: u64,
    },
    Log,
    Clock,
    Denied,
    Invalid,
    /// Has requests under way beside itself. It waits for them, no longer than `nap` for the first time, and has one
    /// `more` under way once the first has come; or goes on and leaves them to what it does next.
    Together {
        asks: Vec<Asks>,
        nap: Option<u64>,
        more: Option<Asks>,
        waits: bool,
    },
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    Read(u8),
    Keyed(u8),
    Unsafe(u8),
    Denied,
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
    RollBack { run: u32 },
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
    ChannelAway,
    ChannelRefuses,
    HttpNotSent,
    HttpLost,
    HttpIsSlow,
}

/// The kinds of operation that faults count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Model,
    Begin,
    Commit,
    Sync,
    Tell,
    Http,
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
            Self::ChannelAway | Self::ChannelRefuses => Kind::Tell,
            Self::HttpNotSent | Self::HttpLost | Self::HttpIsSlow => Kind::Http,
        }
    }
}
