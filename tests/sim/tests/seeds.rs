//! Seeds that once failed, and some that never have.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use wflo_sim::{Scenario, judge};

/// Fresh seeds that are always played.
const FRESH: u64 = 100;

/// Plays seeds on two threads; each is played twice, so that another journal the second time is seen.
fn all_hold(seeds: &[u64]) {
    let next = AtomicU64::new(0);
    let play = || {
        while let Some(seed) =
            usize::try_from(next.fetch_add(1, Ordering::Relaxed)).ok().and_then(|at| seeds.get(at))
        {
            for (scenario, plain) in [
                (Scenario::of(*seed), ""),
                (Scenario::alone(*seed), " --alone"),
                (Scenario::plain(*seed), " --plain"),
            ] {
                let violation = judge(&scenario, true);
                assert_eq!(
                    violation, None,
                    "seed {seed}; to see it smaller: cargo xtask sim --seed {seed}{plain}"
                );
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(play);
        scope.spawn(play);
    });
}

#[test]
fn seeds_that_once_failed() {
    let seeds: Vec<u64> = include_str!("../seeds.txt")
        .lines()
        .filter_map(|line| line.split('#').next()?.split_whitespace().next())
        .map(|seed| seed.parse().expect("each line begins with a seed"))
        .collect();
    all_hold(&seeds);
}

#[test]
fn fresh_seeds() {
    all_hold(&(1_000_000..1_000_000 + FRESH).collect::<Vec<_>>());
}
