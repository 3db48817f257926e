//! Money above the runs: what all runs of a workflow, and of the deployment, have spent and hold by the day.
//!
//! An account is the sum of what the runs' own ledgers say; nothing else is counted anywhere. The store keeps a row for
//! each account and day, which changes by the same atomic write as the events do. Here the rows that matter stand in
//! memory, so that of many calls of many runs none is admitted that the others have left no money for: one process
//! holds the store, and all its runs look here.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use wflo_engine::{Account, Day, ParkReason, Place, Refusal, RunState, Sums};
use wflo_journal::{AccountRow, Debit, Journal, ReadError};
use wflo_manifest::{Plan, PlanStep, Spending, WindowLimits};
use wflo_model::{PicoUsd, WorkflowName};

/// The account of all runs together.
const DEPLOYMENT: &str = "deployment";

/// The accounts above the runs, as far as the runs of this process have a part in them.
#[derive(Default)]
pub(crate) struct Accounts(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    rows: HashMap<(String, Day), AccountRow>,
    /// The accounts and months, by their first day, whose rows are those of the store and what was added since.
    known: HashSet<(String, Day)>,
}

/// The accounts, while nobody else changes them.
pub(crate) struct Books<'a>(MutexGuard<'a, Inner>);

/// What may still be held, and in which account no more is left.
pub(crate) struct Room {
    pub(crate) left: PicoUsd,
    pub(crate) account: String,
}

/// An account above the runs and what it stands at, for people.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct AccountView {
    /// `deployment`, or the name of a workflow behind `workflow/`.
    pub account: String,
    /// `day` or `month`.
    pub window: String,
    /// The day, or the first day of the month: UTC, as `2026-01-31`.
    pub since: String,
    /// What is spent.
    pub settled_usd: PicoUsd,
    /// What open calls hold.
    pub held_usd: PicoUsd,
    /// The limit, where the deployment has one.
    pub limit_usd: Option<PicoUsd>,
    /// What is left of it.
    pub left_usd: Option<PicoUsd>,
}

/// Why an attempt parks that this was refused to; `compute` where it is for its fuel and time. The account of the run
/// goes without saying.
pub(crate) fn out_of_money(refusal: Refusal, account: String, compute: bool) -> ParkReason {
    let Refusal { needed_usd, left_usd } = refusal;
    let account = Some(account).filter(|account| *account != Account::Run.to_string());
    ParkReason::Budget { needed_usd, left_usd, account, compute }
}

fn of_workflow(workflow: &str) -> String {
    format!("workflow/{workflow}")
}

fn first(day: Day) -> Day {
    day.month().next().expect("a month has a first day")
}

impl Accounts {
    /// Reads what the store has of the accounts that a run is in, for the months that it may still change, before
    /// the run changes anything. What this process knows by then is newer, and stays.
    pub(crate) async fn load(&self, journal: &Journal, state: &RunState, now: Day) -> Result<(), ReadError> {
        let Some(created) = state.created() else { return Ok(()) };
        let days = state.ledger().days().into_keys().chain([now, Day::of(state.time())]);
        let months: BTreeSet<Day> = days.map(first).collect();
        for account in [DEPLOYMENT.to_owned(), of_workflow(&created.workflow)] {
            for month in &months {
                if self.lock().0.known.contains(&(account.clone(), *month)) {
                    continue;
                }
                let mut rows = Vec::new();
                for day in month.month() {
                    rows.push((day, journal.account(&account, &day.to_string()).await?));
                }
                let mut books = self.lock();
                // Somebody may have been faster.
                if books.0.known.insert((account.clone(), *month)) {
                    books.0.rows.extend(rows.into_iter().map(|(day, row)| ((account.clone(), day), row)));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn lock(&self) -> Books<'_> {
        // Each change is of one row at a time, and whole.
        Books(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Books<'_> {
    /// What a call made there may hold now at most: of the run, its step and item, the workflow and the deployment.
    pub(crate) fn room_for(
        &self,
        state: &RunState,
        place: &Place,
        plan: &Plan,
        step: &PlanStep,
        limits: &Spending,
        today: Day,
    ) -> Room {
        let (left, account) = state.ledger().tightest(place, step, plan.rollback_reserve.unwrap_or_default());
        let inside = Room { left, account: account.to_string() };
        match self.room(&plan.workflow, today, limits) {
            Some(above) if above.left < left => above,
            _ => inside,
        }
    }

    /// What a call of a run of this workflow may hold today at most, by today's limits; none where there are none.
    pub(crate) fn room(&self, workflow: &WorkflowName, today: Day, limits: &Spending) -> Option<Room> {
        let of = of_workflow(workflow.as_str());
        let all = self.rooms(DEPLOYMENT, "the deployment", today, limits.all);
        let own = format!("workflow `{workflow}`");
        let mut rooms: Vec<_> =
            all.into_iter().chain(self.rooms(&of, &own, today, limits.of(workflow))).collect();
        rooms.sort_by_key(|room| room.left);
        rooms.into_iter().next()
    }

    fn rooms(&self, account: &str, what: &str, today: Day, limits: WindowLimits) -> Vec<Room> {
        let room = |limit: Option<PicoUsd>, sums: Sums, window: &str| {
            let left = (limit? - sums.settled - sums.held).max(PicoUsd::ZERO);
            Some(Room { left, account: format!("the {window} of {what}") })
        };
        let day = || self.sums(account, [today]);
        let month = || self.sums(account, today.month());
        let day = limits.day.and_then(|limit| room(Some(limit), day(), "day"));
        let month = limits.month.and_then(|limit| room(Some(limit), month(), "month"));
        day.into_iter().chain(month).collect()
    }

    fn sums(&self, account: &str, days: impl IntoIterator<Item = Day>) -> Sums {
        let mut sums = Sums::default();
        for day in days {
            if let Some(row) = self.0.rows.get(&(account.to_owned(), day)) {
                sums.settled += PicoUsd::from_pico(row.settled);
                sums.held += PicoUsd::from_pico(row.held);
                sums.overrun += PicoUsd::from_pico(row.overrun);
            }
        }
        sums
    }

    /// Takes in what a run's ledger has come to, and gives what its append has to say of it.
    pub(crate) fn moved(
        &mut self,
        workflow: &str,
        before: &std::collections::BTreeMap<Day, Sums>,
        after: &std::collections::BTreeMap<Day, Sums>,
    ) -> Vec<Debit> {
        let mut debits = Vec::new();
        for (day, now) in after {
            let then = before.get(day).copied().unwrap_or_default();
            let change = AccountRow {
                settled: (now.settled - then.settled).pico(),
                held: (now.held - then.held).pico(),
                overrun: (now.overrun - then.overrun).pico(),
            };
            if change == AccountRow::default() {
                continue;
            }
            for account in [DEPLOYMENT.to_owned(), of_workflow(workflow)] {
                // A month that has begun since the process did: nobody else can have spent anything in it.
                self.0.known.insert((account.clone(), first(*day)));
                let row = self.0.rows.entry((account.clone(), *day)).or_default();
                *row = row.after(&change);
                debits.push(Debit { account, window: day.to_string(), change });
            }
        }
        debits
    }
}

/// What the accounts of the deployment and of these workflows stand at today, from the store.
pub(crate) async fn views(
    journal: &Journal,
    workflows: &BTreeSet<WorkflowName>,
    limits: &Spending,
    today: Day,
) -> Result<Vec<AccountView>, ReadError> {
    let of = workflows.iter().map(|name| (of_workflow(name.as_str()), limits.of(name)));
    let mut views = Vec::new();
    for (account, limits) in std::iter::once((DEPLOYMENT.to_owned(), limits.all)).chain(of) {
        let mut month = AccountRow::default();
        let mut day = AccountRow::default();
        for one in today.month() {
            let row = journal.account(&account, &one.to_string()).await?;
            month = month.after(&row);
            if one == today {
                day = row;
            }
        }
        for (window, since, row, limit) in
            [("day", today, day, limits.day), ("month", first(today), month, limits.month)]
        {
            let (settled_usd, held_usd) = (PicoUsd::from_pico(row.settled), PicoUsd::from_pico(row.held));
            views.push(AccountView {
                account: account.clone(),
                window: window.to_owned(),
                since: since.to_string(),
                settled_usd,
                held_usd,
                limit_usd: limit,
                left_usd: limit.map(|limit| (limit - settled_usd - held_usd).max(PicoUsd::ZERO)),
            });
        }
    }
    Ok(views)
}
