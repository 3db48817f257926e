//! Money of a run: what is spent, what is held, what may still be admitted.

mod account;
mod quote;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wflo_manifest::PlanStep;
use wflo_model::{ModelName, PicoUsd, StepName, Timestamp};

pub use account::{Account, Day, Sums};
pub use quote::{Quote, Refusal, Tokens};

use crate::{Forked, Place};

/// The accounts of one run, of its steps and their items: a fold over its events.
///
/// After every event of every history `settled - overrun + held <= limit` of each account, and no call is admitted that
/// would break `settled + held <= limit` of any account it is in. What is held is the sum of the open intents, so
/// nothing can leak. A call that costs more than was held for it freezes the accounts it is in that have a limit: they
/// admit nothing more until a person raises them, and no fork of the run does either.
///
/// What is kept of the run's money for what undoes steps is out of the reach of all else: a step that costs more than was
/// held for it, or says afterwards what it has cost, takes nothing of it.
///
/// ```
/// use wflo_engine::Ledger;
/// let ledger = Ledger::new(Some("1.00".parse().unwrap()));
/// assert!(ledger.admit("0.60".parse().unwrap()).is_ok());
/// assert!(ledger.admit("1.01".parse().unwrap()).is_err());
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    limit: Option<PicoUsd>,
    charged: BTreeMap<Account, Charged>,
    holds: BTreeMap<u64, Hold>,
    /// By how much people have raised the limits of steps and items.
    raised: BTreeMap<Account, PicoUsd>,
    frozen: BTreeSet<Account>,
    /// By the day of the intents.
    days: BTreeMap<Day, Charged>,
    by_step: BTreeMap<StepName, PicoUsd>,
    by_model: BTreeMap<ModelName, Totals>,
    compute: PicoUsd,
}

/// What an account was charged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Charged {
    settled: PicoUsd,
    overrun: PicoUsd,
}

/// What an open call holds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hold {
    amount: PicoUsd,
    place: Place,
    day: Day,
}

/// What one model was used for and cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Calls that returned.
    pub calls: u64,
    /// Tokens of requests.
    pub input_tokens: u64,
    /// Tokens of answers.
    pub output_tokens: u64,
    /// What they cost.
    pub cost_usd: PicoUsd,
}

/// What a call used and cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spend {
    /// The model.
    pub model: ModelName,
    /// Tokens of the request.
    pub input_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
    /// What it cost.
    pub cost_usd: PicoUsd,
    /// True when no usage was reported and the quote was charged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
}

impl Ledger {
    /// Opens an account; none: without a limit.
    #[must_use]
    pub fn new(limit: Option<PicoUsd>) -> Self {
        Self { limit, ..Self::default() }
    }

    /// The same accounts after what was spent and frozen in the parent of a fork.
    pub(crate) fn after(mut self, parent: &Forked) -> Self {
        let (settled, overrun) = (parent.spent, parent.overrun);
        self.charged.insert(Account::Run, Charged { settled, overrun });
        self.charged.insert(Account::Undoing, Charged { settled: parent.undoing, ..Charged::default() });
        self.frozen.clone_from(&parent.frozen);
        self
    }

    /// The limit of the run.
    #[must_use]
    pub const fn limit(&self) -> Option<PicoUsd> {
        self.limit
    }

    /// What was charged.
    #[must_use]
    pub fn settled(&self) -> PicoUsd {
        self.charged(&Account::Run).settled
    }

    /// How far single calls cost more than was held for them.
    #[must_use]
    pub fn overrun(&self) -> PicoUsd {
        self.charged(&Account::Run).overrun
    }

    /// What open calls hold.
    #[must_use]
    pub fn held(&self) -> PicoUsd {
        self.holds.values().map(|hold| hold.amount).sum()
    }

    /// What one open call holds.
    #[must_use]
    pub fn held_by(&self, intent: u64) -> PicoUsd {
        self.holds.get(&intent).map(|hold| hold.amount).unwrap_or_default()
    }

    /// What an account stands at.
    #[must_use]
    pub fn stands(&self, account: &Account) -> Sums {
        let Charged { settled, overrun } = self.charged(account);
        let holds =
            self.holds.values().filter(|hold| Account::of(&hold.place).any(|other| other == *account));
        Sums { settled, overrun, held: holds.map(|hold| hold.amount).sum() }
    }

    /// What the run has spent and holds, by the day of the calls.
    #[must_use]
    pub fn days(&self) -> BTreeMap<Day, Sums> {
        let mut days: BTreeMap<Day, Sums> = BTreeMap::new();
        for (day, Charged { settled, overrun }) in &self.days {
            days.insert(*day, Sums { settled: *settled, overrun: *overrun, held: PicoUsd::ZERO });
        }
        for hold in self.holds.values() {
            days.entry(hold.day).or_default().held += hold.amount;
        }
        days
    }

    /// The accounts in which a call cost more than was held for it, and that nobody has raised since.
    #[must_use]
    pub const fn frozen(&self) -> &BTreeSet<Account> {
        &self.frozen
    }

    /// Whether a call cost more than was held for it, and nobody has raised the account since.
    #[must_use]
    pub fn is_frozen(&self, account: &Account) -> bool {
        self.frozen.contains(account)
    }

    /// What the run may still hold; [`PicoUsd::MAX`] without a limit, never negative.
    #[must_use]
    pub fn left(&self) -> PicoUsd {
        self.left_in(&Account::Run, self.limit)
    }

    /// What an account may still hold under a limit, which people may have raised since.
    #[must_use]
    pub fn left_in(&self, account: &Account, limit: Option<PicoUsd>) -> PicoUsd {
        let Some(limit) = limit else { return PicoUsd::MAX };
        if self.is_frozen(account) {
            return PicoUsd::ZERO;
        }
        let limit = limit + self.raised.get(account).copied().unwrap_or_default();
        let Sums { settled, held, .. } = self.stands(account);
        (limit - settled - held).max(PicoUsd::ZERO)
    }

    /// What a call may hold there at most, and the account that leaves no more: of the run, the step and the item.
    ///
    /// `reserve` of the run's money is kept for what undoes steps: only a compensator may hold it, and may hold what is left
    /// of it whatever the steps have spent.
    #[must_use]
    pub fn tightest(&self, place: &Place, step: &PlanStep, reserve: PicoUsd) -> (PicoUsd, Account) {
        let compensates = place.step.as_ref().is_some_and(|step| step.compensates().is_some());
        let left = |account: &Account| match account {
            Account::Run if compensates => self.left().max(self.left_in(&Account::Undoing, Some(reserve))),
            Account::Run => self.left_in(account, self.limit.map(|limit| limit - reserve)),
            Account::Step(_) => self.left_in(account, step.budget),
            Account::Item(..) => self.left_in(account, step.item_budget),
            // It is the run's.
            Account::Undoing => PicoUsd::MAX,
        };
        let left = Account::of(place).map(|account| (left(&account), account));
        // Of those that leave the same the widest: what is raised there helps all.
        left.min_by_key(|(left, _)| *left).unwrap_or((PicoUsd::MAX, Account::Run))
    }

    /// What each step cost.
    #[must_use]
    pub const fn by_step(&self) -> &BTreeMap<StepName, PicoUsd> {
        &self.by_step
    }

    /// What each model was used for and cost.
    #[must_use]
    pub const fn by_model(&self) -> &BTreeMap<ModelName, Totals> {
        &self.by_model
    }

    /// What the fuel and the time of its attempts cost, where the deployment prices them.
    #[must_use]
    pub const fn compute(&self) -> PicoUsd {
        self.compute
    }

    /// Whether the run may hold so much.
    ///
    /// # Errors
    /// When it would take `settled + held` over the limit.
    pub fn admit(&self, hold: PicoUsd) -> Result<(), Refusal> {
        let left_usd = self.left();
        if hold > left_usd { Err(Refusal { needed_usd: hold, left_usd }) } else { Ok(()) }
    }

    fn charged(&self, account: &Account) -> Charged {
        self.charged.get(account).copied().unwrap_or_default()
    }

    /// Raises the limit of a run that has one, and those of the steps and items that wait there for money, and what is kept
    /// for undoing where that waits; what was frozen admits calls again.
    pub(crate) fn top_up(&mut self, amount: PicoUsd, waiting: &[Place]) {
        if let Some(limit) = &mut self.limit {
            *limit += amount;
        }
        let accounts: BTreeSet<_> = waiting.iter().flat_map(Account::of).collect();
        self.frozen.remove(&Account::Run);
        for account in accounts.into_iter().filter(|account| *account != Account::Run) {
            self.frozen.remove(&account);
            *self.raised.entry(account).or_default() += amount;
        }
    }

    /// Holds money for a call that is about to be made.
    pub(crate) fn hold(&mut self, intent: u64, amount: PicoUsd, place: &Place, at: Timestamp) {
        self.holds.insert(intent, Hold { amount, place: place.clone(), day: Day::of(at) });
    }

    /// Releases the hold of `intent` and charges `cost`, in the day of the intent.
    pub(crate) fn settle(
        &mut self,
        place: &Place,
        at: Timestamp,
        intent: Option<u64>,
        cost: PicoUsd,
        spend: Option<&Spend>,
    ) {
        let hold = intent.and_then(|intent| self.holds.remove(&intent));
        let held = hold.as_ref().map(|hold| hold.amount).unwrap_or_default();
        let day = hold.map_or(Day::of(at), |hold| hold.day);
        self.charge(place, day, cost, (cost - held).max(PicoUsd::ZERO));
        if let Some(spend) = spend {
            let totals = self.by_model.entry(spend.model.clone()).or_default();
            totals.calls += 1;
            totals.input_tokens += spend.input_tokens;
            totals.output_tokens += spend.output_tokens;
            totals.cost_usd += cost;
        }
    }

    /// Charges fuel and time that `hold` was held for.
    pub(crate) fn charge_compute(&mut self, place: &Place, at: Timestamp, hold: u64, cost: PicoUsd) {
        self.compute += cost;
        self.settle(place, at, Some(hold), cost, None);
    }

    /// Charges what nothing was held for, of which `overrun` was not there any more.
    pub(crate) fn report(&mut self, place: &Place, at: Timestamp, cost: PicoUsd, overrun: PicoUsd) {
        self.charge(place, Day::of(at), cost, overrun);
    }

    fn charge(&mut self, place: &Place, day: Day, cost: PicoUsd, overrun: PicoUsd) {
        if let Some(step) = &place.step {
            *self.by_step.entry(step.clone()).or_default() += cost;
        }
        if cost == PicoUsd::ZERO {
            return;
        }
        let by_account = Account::of(place).collect::<Vec<_>>();
        for account in by_account {
            let charged = self.charged.entry(account.clone()).or_default();
            charged.settled += cost;
            charged.overrun += overrun;
            if overrun > PicoUsd::ZERO {
                self.frozen.insert(account);
            }
        }
        let of_day = self.days.entry(day).or_default();
        of_day.settled += cost;
        of_day.overrun += overrun;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert, proptest};
    use wflo_manifest::PlanStep;
    use wflo_model::{Digest, PicoUsd, Timestamp};

    use super::{Account, Ledger, Sums};
    use crate::Place;

    fn usd(text: &str) -> PicoUsd {
        text.parse().unwrap()
    }

    const NOW: Timestamp = Timestamp::from_micros(1);

    #[test]
    fn holds_are_released_and_overruns_kept_apart() {
        let mut ledger = Ledger::new(Some(usd("10")));
        ledger.hold(5, usd("0.8"), &Place::RUN, NOW);
        assert_eq!(ledger.left(), usd("9.2"));
        assert!(ledger.admit(usd("9.3")).is_err());
        ledger.settle(&Place::RUN, NOW, Some(5), usd("1.1"), None);
        assert_eq!((ledger.held(), ledger.settled(), ledger.overrun()), (usd("0"), usd("1.1"), usd("0.3")));
        assert_eq!(ledger.left(), PicoUsd::ZERO, "it is frozen");
        ledger.top_up(usd("1"), &[]);
        assert_eq!(ledger.left(), usd("9.9"));
    }

    #[test]
    fn a_call_is_held_for_in_every_account_around_it() {
        let step = PlanStep {
            budget: Some(usd("2")),
            item_budget: Some(usd("1")),
            ..PlanStep::new("a".parse().unwrap(), Digest::ZERO)
        };
        let item = |item| Place { item: Some(item), ..Place::step(&step.name) };
        let mut ledger = Ledger::new(Some(usd("2.5")));
        let tightest = |ledger: &Ledger, at| {
            let (left, account) = ledger.tightest(&item(at), &step, PicoUsd::ZERO);
            (left.to_string(), account.to_string())
        };
        assert_eq!(tightest(&ledger, 0), ("1".into(), "item 0 of step `a`".into()));
        ledger.hold(1, usd("0.9"), &item(0), NOW);
        assert_eq!(tightest(&ledger, 0).0, "0.1");
        ledger.hold(2, usd("0.9"), &item(1), NOW);
        assert_eq!(tightest(&ledger, 2), ("0.2".into(), "step `a`".into()));
        ledger.settle(&item(1), NOW, Some(2), usd("0.5"), None);
        assert_eq!(tightest(&ledger, 2).0, "0.6");
        assert_eq!(ledger.stands(&Account::Step(step.name.clone())).settled, usd("0.5"));
        // Two that wait for money in one item raise it once.
        ledger.top_up(usd("3"), &[item(0), item(0)]);
        assert_eq!(tightest(&ledger, 0).0, "3.1");
        assert_eq!((ledger.left(), tightest(&ledger, 1).0.as_str()), (usd("4.1"), "0.5"));
    }

    #[test]
    fn what_is_kept_for_undoing_is_for_compensators_alone() {
        let step = PlanStep::new("a".parse().unwrap(), Digest::ZERO);
        let mut ledger = Ledger::new(Some(usd("2")));
        let forward = Place::step(&step.name);
        let undoing = Place::step(&step.name.compensator(None).unwrap());
        let left = |ledger: &Ledger, place: &Place| ledger.tightest(place, &step, usd("0.5")).0;
        assert_eq!((left(&ledger, &forward), left(&ledger, &undoing)), (usd("1.5"), usd("2")));
        ledger.hold(1, usd("1.5"), &forward, NOW);
        assert_eq!((left(&ledger, &forward), left(&ledger, &undoing)), (usd("0"), usd("0.5")));
        ledger.settle(&forward, NOW, Some(1), usd("1.5"), None);
        ledger.hold(2, usd("0.5"), &undoing, NOW);
        assert_eq!((ledger.left(), left(&ledger, &undoing)), (usd("0"), usd("0")));
    }

    #[test]
    fn what_steps_report_takes_nothing_of_what_is_kept_for_undoing() {
        let step = PlanStep::new("a".parse().unwrap(), Digest::ZERO);
        let mut ledger = Ledger::new(Some(usd("1")));
        let forward = Place::step(&step.name);
        let undoing = Place::step(&step.name.compensator(None).unwrap());
        let left = |ledger: &Ledger, place: &Place| ledger.tightest(place, &step, usd("0.4")).0;
        let report = |ledger: &mut Ledger, place: &Place, cost: &str| {
            let over = (usd(cost) - left(ledger, place)).max(PicoUsd::ZERO);
            ledger.report(place, NOW, usd(cost), over);
        };
        report(&mut ledger, &forward, "0.95");
        report(&mut ledger, &forward, "0.05");
        assert_eq!((ledger.settled(), ledger.overrun()), (usd("1"), usd("0.4")));
        assert!(ledger.is_frozen(&Account::Run));
        assert_eq!((left(&ledger, &forward), left(&ledger, &undoing)), (usd("0"), usd("0.4")));
        ledger.hold(1, usd("0.2"), &undoing, NOW);
        ledger.settle(&undoing, NOW, Some(1), usd("0.1"), None);
        assert_eq!(left(&ledger, &undoing), usd("0.3"));
        // A compensator that takes more than there is freezes that as well.
        report(&mut ledger, &undoing, "0.5");
        assert_eq!((left(&ledger, &undoing), ledger.overrun()), (usd("0"), usd("0.6")));
        ledger.top_up(usd("0.7"), std::slice::from_ref(&undoing));
        assert_eq!((left(&ledger, &forward), left(&ledger, &undoing)), (usd("0"), usd("0.5")));
    }

    proptest! {
        /// Whatever steps cost and say, there is what is kept for undoing, less what that has itself come to; and as long as
        /// nothing costs more than was held for it, the run keeps within its limit.
        #[test]
        fn what_is_kept_for_undoing_is_there(
            reserve in 0..1000_i128,
            moves in vec((any::<bool>(), 0..4_u8, 0..400_i128, 0..4_u64), 0..40),
        ) {
            let step = PlanStep::new("a".parse().unwrap(), Digest::ZERO);
            let (limit, reserve) = (PicoUsd::from_pico(1000), PicoUsd::from_pico(reserve));
            let mut ledger = Ledger::new(Some(limit));
            let undoing = Place::step(&step.name.compensator(None).unwrap());
            let mut open = BTreeMap::new();
            for (n, (undoes, how, amount, of)) in (10..).zip(moves) {
                let place = if undoes { undoing.clone() } else { Place::step(&step.name) };
                let amount = PicoUsd::from_pico(amount);
                let (left, _) = ledger.tightest(&place, &step, reserve);
                match how {
                    0 | 1 if amount <= left => {
                        ledger.hold(n, amount, &place, NOW);
                        open.insert(n, place);
                    }
                    2 => {
                        let Some(intent) = open.keys().nth(of as usize).copied() else { continue };
                        let place = open.remove(&intent).unwrap();
                        ledger.settle(&place, NOW, Some(intent), amount, None);
                    }
                    3 => ledger.report(&place, NOW, amount, (amount - left).max(PicoUsd::ZERO)),
                    _ => {}
                }
                let Sums { settled, held, overrun } = ledger.stands(&Account::Run);
                prop_assert!(settled - overrun + held <= limit);
                let Sums { settled, held, .. } = ledger.stands(&Account::Undoing);
                let left = ledger.tightest(&undoing, &step, reserve).0;
                prop_assert!(ledger.is_frozen(&Account::Undoing) || left >= reserve - settled - held);
                prop_assert!(!left.is_negative() && left <= limit);
            }
        }
    }

    #[test]
    fn what_nothing_was_held_for_is_charged_all_the_same() {
        let mut ledger = Ledger::new(Some(usd("1")));
        ledger.report(&Place::RUN, NOW, usd("0.4"), usd("0"));
        assert_eq!(ledger.left(), usd("0.6"));
        ledger.report(&Place::RUN, NOW, usd("0.8"), usd("0.2"));
        assert_eq!((ledger.settled(), ledger.overrun(), ledger.left()), (usd("1.2"), usd("0.2"), usd("0")));
    }
}
