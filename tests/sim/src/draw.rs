//! Scenarios from seeds.

use crate::Rng;
use crate::scenario::{
    Action, Asking, Asks, Crash, Does, End, Fault, Hears, Op, Rule, Scenario, Step, Timed, Wrong,
};

const PEOPLE: [&str; 5] = ["alice", "bob", "carol", "dave", "rita"];
const GROUPS: [&str; 3] = ["red", "blue", "green"];
const DBS: [&str; 2] = ["left", "right"];

impl Scenario {
    /// The scenario of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut this = Self::alone(seed);
        let rng = &mut Rng::new(seed).fork(4);
        if rng.percent(50) {
            return this;
        }
        for step in &mut this.steps {
            for _ in 0..rng.pick(&[0, 1, 1, 2]) {
                let at = usize::try_from(rng.below(step.ops.len() as u64 + 1)).unwrap_or_default();
                step.ops.insert(at, together(rng));
            }
        }
        for _ in 0..rng.pick(&[0, 0, 0, 1, 2]) {
            let what = rng.pick(&[Wrong::HttpNotSent, Wrong::HttpLost, Wrong::HttpIsSlow]);
            this.faults.push(Fault { nth: u32::try_from(rng.below(6)).unwrap_or_default(), what });
        }
        this
    }

    /// What [`of`](Self::of) begins with: without requests under way beside a script.
    #[must_use]
    pub fn alone(seed: u64) -> Self {
        let mut this = Self::plain(seed);
        let rng = &mut Rng::new(seed).fork(3);
        if rng.percent(25) {
            return this;
        }
        this.policies = (0..rng.below(4)).map(|_| rule(rng)).collect();
        this.undoes = rng.percent(40);
        this.tells = rng.percent(60);
        this.day = rng.percent(25).then(|| rng.between(50, 1500));
        for step in &mut this.steps {
            step.rollback = rng.percent(60);
            step.at_commit = rng.percent(40);
            for _ in 0..rng.below(3) {
                let at = usize::try_from(rng.below(step.ops.len() as u64 + 1)).unwrap_or_default();
                step.ops.insert(at, Op::Fact { risk: rng.below(10) });
            }
        }
        for _ in 0..rng.pick(&[0, 0, 1, 1, 2]) {
            let action = Action::RollBack { run: u32::try_from(rng.below(2)).unwrap_or_default() };
            this.actions.push(Timed { after: rng.pick(&[0, 50, 25_000, 4_000_000]), action });
        }
        for _ in 0..rng.pick(&[0, 0, 1, 2]) {
            let what = rng.pick(&[Wrong::ChannelAway, Wrong::ChannelRefuses]);
            this.faults.push(Fault { nth: u32::try_from(rng.below(4)).unwrap_or_default(), what });
        }
        // Last, so that the seeds that once failed are what they were in all else.
        this.meters = rng.percent(30);
        this
    }

    /// What [`alone`](Self::alone) begins with: without policies, rollbacks and channels. Many of the seeds that once failed did
    /// so as this.
    #[must_use]
    pub fn plain(seed: u64) -> Self {
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
            policies: Vec::new(),
            undoes: false,
            tells: false,
            day: None,
            meters: false,
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
        at_commit: false,
        rollback: false,
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

fn rule(rng: &mut Rng) -> Rule {
    let on = rng.pick(&[Hears::Fact, Hears::Fact, Hears::Output]);
    let does = match rng.below(6) {
        0 => Does::Deny,
        1 => Does::Approve,
        2 => Does::Tell,
        _ => Does::Ask(asking(rng)),
    };
    Rule { on, over: rng.below(10), does }
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

fn together(rng: &mut Rng) -> Op {
    let requests = (0..rng.between(1, 4)).map(|_| asks(rng)).collect();
    let nap = rng.percent(40).then(|| rng.pick(&[0, 1, 20, 500, 2000, 600_000]));
    let more = rng.percent(40).then(|| asks(rng));
    Op::Together { asks: requests, nap, more, waits: rng.percent(75) }
}

fn asks(rng: &mut Rng) -> Asks {
    let n = rng.pick(&[0, 1, 1, 2]);
    match rng.below(10) {
        0..=3 => Asks::Read(n),
        4..=6 => Asks::Keyed(n),
        7 | 8 => Asks::Unsafe(n),
        _ => Asks::Denied,
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
