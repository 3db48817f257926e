//! In which order the rows of a change set are tried to be put back, whatever the database.
//!
//! First each after those it waits for, and those that wait for one another together: see [`Bonds`]. What memory cannot
//! tell, such as what an index on an expression makes of a row, is left to trying: rows that could not be put back are
//! tried again for as long as others could be, from the other end each time, and then, at the next [`Level`], together
//! with those they may be bound to.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::bonds::{Bond, Bonds, Level, Placed, Rules, Unique};

/// How often rows are tried one by one, at each level. Their order is known but for what memory cannot tell, so they are
/// few that a pass more would put back; and each pass may be as long as the change set.
const PASSES: usize = 8;

/// What is to be tried next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// One row.
    One(usize),
    /// Rows of which all are put back, or none.
    Together(Vec<usize>),
}

/// What is still to be tried.
#[derive(Debug)]
pub(super) struct Agenda<'c> {
    rules: Rules,
    rows: Vec<Placed<'c>>,
    /// For each row that is not put back, how many were when it was last tried by itself.
    waiting: Vec<Option<usize>>,
    is_done: Vec<bool>,
    done: usize,
    bonds: Bonds,
    /// For each group that was tried in vain, how many rows were put back then.
    failed: HashMap<Vec<usize>, usize>,
    /// How many rows were put back when groups were looked for last.
    looked: usize,
    stage: Stage,
    tasks: VecDeque<Task>,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// In order, for the so manieth time.
    Groups(Level, usize),
    /// One by one, and so often before.
    Pass(Level, usize, usize),
    End,
}

impl<'c> Agenda<'c> {
    /// Begins with rows of which none is put back.
    pub(super) fn new(rules: Rules, rows: Vec<Placed<'c>>) -> Self {
        let bonds = Bonds::new(&rules, &rows, Level::Exact);
        Self {
            waiting: vec![None; rows.len()],
            is_done: vec![false; rows.len()],
            done: 0,
            bonds,
            failed: HashMap::new(),
            looked: 0,
            stage: Stage::Groups(Level::Exact, 1),
            tasks: VecDeque::new(),
            rules,
            rows,
        }
    }

    /// What binds the rows of a group that is tried.
    pub(super) fn bonds(&self) -> &Bonds {
        &self.bonds
    }

    /// What must be unique in the table of a row.
    pub(super) fn uniques_of(&self, row: usize) -> impl Iterator<Item = &Unique> {
        let (table, _) = self.rows[row];
        self.rules.uniques.iter().filter(move |unique| unique.table == table)
    }

    /// What is to be tried now; the one before has been told of.
    pub(super) fn next(&mut self) -> Option<Task> {
        loop {
            match (self.tasks.pop_front(), self.stage) {
                (Some(Task::One(row)), _) if self.was_tried(row) => {}
                (Some(task), _) => return Some(task),
                (None, Stage::End) => return None,
                (None, Stage::Groups(level, round)) => {
                    self.looked = self.done;
                    self.tasks = self.groups(level);
                    self.stage = Stage::Pass(level, round, 0);
                }
                (None, Stage::Pass(level, round, n)) => {
                    let mut rows: Vec<usize> =
                        (0..self.rows.len()).filter(|&row| !self.was_tried(row)).collect();
                    // They have been gone through forwards.
                    if n % 2 == 0 {
                        rows.reverse();
                    }
                    self.stage = match level {
                        _ if !rows.is_empty() && n < PASSES => Stage::Pass(level, round, n + 1),
                        // What a group waited for may be there now.
                        _ if self.done > self.looked && round < PASSES => Stage::Groups(level, round + 1),
                        Level::Exact => Stage::Groups(Level::Alike, 1),
                        Level::Alike => Stage::Groups(Level::Any, 1),
                        Level::Any => Stage::End,
                    };
                    if matches!(self.stage, Stage::Pass(..)) {
                        self.tasks = rows.into_iter().map(Task::One).collect();
                    }
                }
            }
        }
    }

    /// The rows that are tried right after it one by one, whatever becomes of it and of one another.
    pub(super) fn more(&mut self, most: usize) -> Vec<usize> {
        let mut rows = Vec::new();
        while let Some(Task::One(row)) = self.tasks.front()
            && rows.len() < most
            && !self.was_tried(*row)
        {
            rows.push(*row);
            self.tasks.pop_front();
        }
        rows
    }

    /// Tells what became of it.
    pub(super) fn tell(&mut self, task: &Task, is_done: bool) {
        match (task, is_done) {
            (Task::One(row), true) => self.put_back(*row),
            (Task::One(row), false) => self.waiting[*row] = Some(self.done),
            (Task::Together(rows), true) => rows.iter().for_each(|&row| self.put_back(row)),
            (Task::Together(rows), false) => _ = self.failed.insert(rows.clone(), self.done),
        }
    }

    fn put_back(&mut self, row: usize) {
        self.is_done[row] = true;
        self.done += 1;
    }

    /// Whether another try of a row would come to the same.
    fn was_tried(&self, row: usize) -> bool {
        self.is_done[row] || self.waiting[row] == Some(self.done)
    }

    fn groups(&mut self, level: Level) -> VecDeque<Task> {
        let left: Vec<usize> = (0..self.rows.len()).filter(|&row| !self.is_done[row]).collect();
        if left.is_empty() || (level > Level::Exact && self.rules.uniques.iter().all(|it| it.is_exact)) {
            return VecDeque::new();
        }
        if level != self.bonds.level() {
            self.bonds = Bonds::new(&self.rules, &self.rows, level);
        }
        let all = [Bond::Unique, Bond::Reference, Bond::Deferrable];
        let groups = self.bonds.groups(&left, &all, &BTreeSet::new());
        let task = |group: Vec<usize>| match group[..] {
            [row] => Some(Task::One(row)),
            _ => (self.failed.get(&group) != Some(&self.done)).then_some(Task::Together(group)),
        };
        groups.into_iter().filter_map(task).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet, VecDeque};

    use proptest::collection::vec;
    use proptest::prelude::*;
    use wflo_model::{RowChange, SqlValue};

    use super::{Agenda, PASSES, Task};
    use crate::db::bonds::{Alike, Bond, Rules, Unique};

    fn update((id, (before, after)): (usize, (i64, i64))) -> RowChange {
        let row = |n: i64| vec![SqlValue::Integer(id as i64), SqlValue::Integer(n)];
        RowChange::Update { key: row(0)[..1].to_vec(), before: row(before), after: row(after) }
    }

    fn rules(is_exact: bool) -> Rules {
        let columns = vec![(1, Alike::Equal)];
        let unique = Unique { table: 0, columns, is_exact, bond: Bond::Unique, parks: vec![1] };
        Rules { uniques: vec![unique], ..Rules::default() }
    }

    /// Plays rows that hold numbers, each of which one row can have; `others` have some. Gives what became of each row, and
    /// how many were tried; so many more are taken at once.
    fn play(rows: &[RowChange], others: &[i64], is_exact: bool, most: usize) -> (Vec<bool>, usize) {
        let number = |values: &[SqlValue]| match values[1] {
            SqlValue::Integer(n) => n,
            _ => panic!("it is none"),
        };
        let mut holder: BTreeMap<i64, usize> = others.iter().map(|&n| (n, usize::MAX)).collect();
        for (at, row) in rows.iter().enumerate() {
            holder.insert(number(row.after().unwrap()), at);
        }
        let mut agenda = Agenda::new(rules(is_exact), rows.iter().map(|row| (0, row)).collect());
        let (mut is_done, mut tries) = (vec![false; rows.len()], 0);
        let mut taken = VecDeque::new();
        while let Some(task) = taken.pop_front().or_else(|| agenda.next()) {
            let members = match &task {
                Task::One(row) => vec![*row],
                Task::Together(rows) => rows.clone(),
            };
            // Several are taken at once, whatever becomes of them.
            if taken.is_empty() && members.len() == 1 {
                taken.extend(agenda.more(most).into_iter().map(Task::One));
            }
            tries += members.len();
            let wanted = |at: &usize| number(rows[*at].before().unwrap());
            let own: BTreeSet<usize> = members.iter().copied().collect();
            let fits =
                members.iter().all(|at| holder.get(&wanted(at)).is_none_or(|holder| own.contains(holder)));
            if fits {
                for &at in &members {
                    holder.remove(&number(rows[at].after().unwrap()));
                }
                holder.extend(members.iter().map(|at| (wanted(at), *at)));
                members.iter().for_each(|&at| assert!(!std::mem::replace(&mut is_done[at], true)));
            }
            agenda.tell(&task, fits);
        }
        (is_done, tries)
    }

    #[test]
    fn ten_thousand_rows_are_tried_once_each() {
        let n = 10_000;
        let down: Vec<_> = (0..n).map(|id| update((id, (id as i64 + 1, id as i64)))).collect();
        let up: Vec<_> = (0..n).map(|id| update((id, (id as i64, id as i64 + 1)))).collect();
        let around: Vec<_> =
            (0..n).map(|id| update((id, (id as i64, (id as i64 * 7 + 1) % n as i64)))).collect();
        for rows in [down, up, around] {
            let (is_done, tries) = play(&rows, &[], true, 0);
            assert!(is_done.iter().all(|done| *done));
            assert_eq!(tries, n);
        }
        // Where it cannot be told who is in whose way, a pass in the right direction is enough.
        let down: Vec<_> = (0..n).map(|id| update((id, (id as i64 + 1, id as i64)))).collect();
        let (is_done, tries) = play(&down, &[], false, 7);
        assert!(is_done.iter().all(|done| *done) && tries < 3 * n);
    }

    #[test]
    fn what_nobody_can_put_back_is_not_tried_for_ever() {
        let n = 1_000;
        let down: Vec<_> = (0..n).map(|id| update((id, (id as i64 + 1, id as i64)))).collect();
        let (is_done, tries) = play(&down, &[n as i64], true, 0);
        assert!(is_done.iter().all(|done| !done) && tries <= n);
        let (_, tries) = play(&down, &[n as i64], false, 7);
        assert!(tries <= 3 * (PASSES + 2) * n);
    }

    proptest! {
        /// All that can be put back is: whatever wants a number that stays with somebody is left, and nothing else.
        #[test]
        fn the_greatest_set_is_put_back(
            before in Just((0..12_i64).collect::<Vec<_>>()).prop_shuffle(),
            after in Just((0..12_i64).collect::<Vec<_>>()).prop_shuffle(),
            width in 1..10_usize,
            taken in vec(0..12_i64, 0..3),
            is_exact in any::<bool>(),
            most in 0..5_usize,
        ) {
            let pairs = before.into_iter().zip(after).take(width);
            let rows: Vec<RowChange> = pairs.enumerate().map(update).collect();
            let number = |values: Option<&[SqlValue]>| match values.unwrap()[1] { SqlValue::Integer(n) => n, _ => 0 };
            let others: Vec<i64> =
                taken.into_iter().filter(|n| rows.iter().all(|row| number(row.after()) != *n)).collect();
            let mut kept: Vec<usize> = (0..rows.len()).collect();
            loop {
                let stays = |n: i64| others.contains(&n)
                    || (0..rows.len()).any(|at| !kept.contains(&at) && number(rows[at].after()) == n);
                let next: Vec<usize> =
                    kept.iter().copied().filter(|&at| !stays(number(rows[at].before()))).collect();
                if next == kept { break }
                kept = next;
            }
            let (is_done, _) = play(&rows, &others, is_exact, most);
            let done: Vec<usize> = (0..rows.len()).filter(|&at| is_done[at]).collect();
            prop_assert_eq!(done, kept);
        }
    }
}
