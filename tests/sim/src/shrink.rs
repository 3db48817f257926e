//! Makes a failing scenario smaller, as long as the same property fails.

use crate::scenario::Scenario;
use crate::{Violation, play};

/// Most scenarios that are tried to make one smaller.
const TRIES: u32 = 3000;

/// Plays a scenario, twice if `twice`; the first thing that must not be, if there is any.
#[must_use]
pub fn judge(scenario: &Scenario, twice: bool) -> Option<Violation> {
    let played = play(scenario);
    if let Some(violation) = played.violations.first() {
        return Some(violation.clone());
    }
    (twice && play(scenario).journal != played.journal).then(|| Violation {
        property: "same seed, same bytes",
        what: "the scenario left another journal when it was played again".to_owned(),
    })
}

/// The smallest scenario it finds in which the property of `violation` fails as well, and how it fails there.
#[must_use]
pub fn shrink(scenario: Scenario, violation: Violation) -> (Scenario, Violation) {
    let twice = violation.property == "same seed, same bytes";
    let (mut best, mut seen) = (scenario, violation);
    let mut tries = 0;
    loop {
        let mut is_smaller = false;
        for smaller in smaller(&best) {
            tries += 1;
            if tries > TRIES {
                return (best, seen);
            }
            if let Some(violation) = judge(&smaller, twice).filter(|it| it.property == seen.property) {
                (best, seen, is_smaller) = (smaller, violation, true);
                break;
            }
        }
        if !is_smaller {
            return (best, seen);
        }
    }
}

/// Scenarios that lack one thing of this one, the largest things first.
fn smaller(from: &Scenario) -> Vec<Scenario> {
    let mut all = Vec::new();
    let mut with = |change: &dyn Fn(&mut Scenario)| {
        let mut scenario = from.clone();
        change(&mut scenario);
        if scenario != *from && !scenario.steps.is_empty() {
            all.push(scenario);
        }
    };
    with(&|it| it.runs = 1);
    for (index, step) in from.steps.iter().enumerate() {
        let (id, name) = (step.id, format!("s{}.", step.id));
        with(&|it| {
            it.steps.remove(index);
            for step in &mut it.steps {
                step.needs.retain(|need| *need != id);
                step.when = step.when.take().filter(|when| !when.contains(&name));
                step.for_each = step.for_each.take().filter(|list| !list.contains(&name));
            }
        });
    }
    with(&|it| it.policies.clear());
    (0..from.policies.len()).for_each(|at| with(&|it| _ = it.policies.remove(at)));
    with(&|it| it.undoes = false);
    with(&|it| it.tells = false);
    with(&|it| it.day = None);
    with(&|it| it.meters = false);
    with(&|it| it.actions.clear());
    with(&|it| it.faults.clear());
    with(&|it| it.crashes.clear());
    (0..from.actions.len()).for_each(|at| with(&|it| _ = it.actions.remove(at)));
    (0..from.faults.len()).for_each(|at| with(&|it| _ = it.faults.remove(at)));
    (0..from.crashes.len()).for_each(|at| with(&|it| _ = it.crashes.remove(at)));
    for (index, step) in from.steps.iter().enumerate() {
        (0..step.ops.len()).for_each(|op| with(&|it| _ = it.steps[index].ops.remove(op)));
        with(&|it| it.steps[index].approval = None);
        with(&|it| it.steps[index].at_commit = false);
        with(&|it| it.steps[index].rollback = false);
        with(&|it| it.steps[index].when = None);
        with(&|it| it.steps[index].for_each = None);
        with(&|it| it.steps[index].max_parallel = None);
        with(&|it| it.steps[index].attempts = 1);
        with(&|it| it.steps[index].needs.clear());
        with(&|it| it.steps[index].end = crate::End::Output);
    }
    with(&|it| it.budget = None);
    with(&|it| it.max_parallel = None);
    for index in 0..from.crashes.len() {
        with(&|it| it.crashes[index].down = 0);
        with(&|it| it.crashes[index].after = it.crashes[index].after.div_ceil(2));
    }
    all
}
