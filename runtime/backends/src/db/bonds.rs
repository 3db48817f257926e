//! What binds the rows of a change set to one another while they are put back.
//!
//! A row *waits* for another one where
//!
//! - it takes a value that must be unique, and the other has it;
//! - it loses a value that the other refers to;
//! - it refers to a value that the other brings.
//!
//! Put back in this order, every row finds its place free. Rows that wait for one another in a circle are a *group*: each
//! of them needs all the others, so that all of a group are put back together or none is. Groups are the strongly
//! connected components of the graph (R. Tarjan, "Depth-first search and linear graph algorithms", 1972), which come out
//! of the algorithm with each after those it waits for, in time and space linear in the rows.

use std::collections::{BTreeSet, HashMap};

use wflo_model::{RowChange, SqlValue};

/// When a database looks whether what binds two rows is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bond {
    /// A value that must be unique: with each row.
    Unique,
    /// A reference: when a statement ends.
    Reference,
    /// Either, where it can wait for the end of the group.
    Deferrable,
}

/// Columns of a table of which no two rows may have the same values.
#[derive(Clone, Debug)]
pub(super) struct Unique {
    /// The table, by its place in the change set.
    pub(super) table: usize,
    /// Places of the columns in the table's change, each with what makes values of it alike. Empty where they are not
    /// known.
    pub(super) columns: Vec<(usize, Alike)>,
    /// Whether alike values exclude one another, always: not if only some rows are looked at, or if what is compared is
    /// computed from the columns.
    pub(super) is_exact: bool,
    /// When it is looked at.
    pub(super) bond: Bond,
    /// Columns of which one has to have another value for the row to be out of the way.
    pub(super) parks: Vec<usize>,
}

/// What values are taken for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alike {
    /// Equal ones.
    Equal,
    /// Those that differ in the case of ASCII letters.
    NoCase,
    /// Those that differ in spaces at their end.
    TrimEnd,
}

/// A foreign key between two tables of the change set.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    /// The table that refers, and its columns.
    pub(super) from: (usize, Vec<usize>),
    /// The table that is referred to, and the columns there.
    pub(super) to: (usize, Vec<usize>),
    /// When it is looked at.
    pub(super) bond: Bond,
}

/// What binds rows of the tables of a change set.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    pub(super) uniques: Vec<Unique>,
    pub(super) references: Vec<Reference>,
}

/// A row of a change set, with the place of its table.
pub(super) type Placed<'c> = (usize, &'c RowChange);

/// How much is taken for a bond. Each is tried with what the one before has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// What binds for certain.
    Exact,
    /// Also columns of partial indexes and of indexes on expressions, where their values look alike.
    Alike,
    /// Also whatever such an index has been changed by.
    Any,
}

/// The bonds between rows.
#[derive(Debug)]
pub(super) struct Bonds {
    rows: Vec<Ends>,
    level: Level,
}

/// What a row waits for, and what it gives to those who wait for it, by the number of what passes between them.
#[derive(Debug, Default)]
struct Ends {
    needs: Vec<(Bond, usize)>,
    gives: Vec<(Bond, usize)>,
}

impl Bonds {
    /// Those between rows at a level.
    pub(super) fn new(rules: &Rules, rows: &[Placed<'_>], level: Level) -> Self {
        let mut numbers: HashMap<String, usize> = HashMap::new();
        let mut number = |name: String| {
            let next = numbers.len();
            *numbers.entry(name).or_insert(next)
        };
        let ends = rows.iter().map(|&(table, row)| {
            let mut ends = Ends::default();
            for (at, unique) in rules.uniques.iter().enumerate().filter(|(_, it)| it.table == table) {
                if !unique.changes(row) {
                    continue;
                }
                let name = |values: &[SqlValue]| Some(format!("u{at} {}", unique.name(values, level)?));
                let [has, takes] = [row.after(), row.before()].map(|values| values.and_then(name));
                if has != takes || level == Level::Any {
                    ends.gives.extend(has.map(|name| (unique.bond, number(name))));
                    ends.needs.extend(takes.map(|name| (unique.bond, number(name))));
                }
            }
            for (at, key) in rules.references.iter().enumerate() {
                let pair = |columns: &[usize]| {
                    let [now, then] = [row.after(), row.before()]
                        .map(|values| values.and_then(|values| no_null(columns, values)));
                    if now == then { [None, None] } else { [now, then] }
                };
                if key.from.0 == table {
                    let [refers, will] = pair(&key.from.1);
                    ends.gives.extend(refers.map(|name| (key.bond, number(format!("f{at} {name}")))));
                    ends.needs.extend(will.map(|name| (key.bond, number(format!("t{at} {name}")))));
                }
                if key.to.0 == table {
                    let [loses, brings] = pair(&key.to.1);
                    ends.needs.extend(loses.map(|name| (key.bond, number(format!("f{at} {name}")))));
                    ends.gives.extend(brings.map(|name| (key.bond, number(format!("t{at} {name}")))));
                }
            }
            ends
        });
        Self { rows: ends.collect(), level }
    }

    /// How much is taken for a bond.
    pub(super) fn level(&self) -> Level {
        self.level
    }

    /// The groups among some rows, each after those it waits for; most are of one row.
    ///
    /// Only `bonds` count, and `parked` rows have nothing unique that another waits for.
    pub(super) fn groups(
        &self,
        among: &[usize],
        bonds: &[Bond],
        parked: &BTreeSet<usize>,
    ) -> Vec<Vec<usize>> {
        // The nodes are the rows, and behind them what passes between them: a row that hundreds wait for has one edge.
        let mut nodes: HashMap<usize, usize> = HashMap::new();
        let mut after: Vec<Vec<usize>> = vec![Vec::new(); among.len()];
        let counts = |bond: Bond| bonds.contains(&bond);
        for (node, &row) in among.iter().enumerate() {
            let gives = self.rows[row].gives.iter().filter(|(bond, _)| counts(*bond));
            for (_, what) in gives.filter(|(bond, _)| *bond != Bond::Unique || !parked.contains(&row)) {
                let middle = *nodes.entry(*what).or_insert_with(|| {
                    after.push(Vec::new());
                    after.len() - 1
                });
                after[middle].push(node);
            }
        }
        for (node, &row) in among.iter().enumerate() {
            let needs = self.rows[row].needs.iter().filter(|(bond, _)| counts(*bond));
            after[node].extend(needs.filter_map(|(_, what)| nodes.get(what)));
        }
        let rows_of = |component: Vec<usize>| -> Vec<usize> {
            let mut rows: Vec<usize> = component.into_iter().filter(|&node| node < among.len()).collect();
            rows.sort_unstable();
            rows.into_iter().map(|node| among[node]).collect()
        };
        components(&after).into_iter().map(rows_of).filter(|rows| !rows.is_empty()).collect()
    }
}

/// Finds values for rows that are in the way of one another: which are to be parked, and which could not be.
#[derive(Debug, Default)]
pub(super) struct Parking {
    parked: BTreeSet<usize>,
    stuck: BTreeSet<usize>,
}

impl Parking {
    /// The rows of a group that are parked.
    pub(super) fn parked(&self) -> &BTreeSet<usize> {
        &self.parked
    }

    /// The rows to be parked next: one for each circle of rows that have each other's place, since no more are needed to
    /// open it. None where no circle is left, or nothing more can be done about one.
    pub(super) fn next(&self, bonds: &Bonds, group: &[usize]) -> Vec<usize> {
        let circles = bonds.groups(group, &[Bond::Unique], &self.parked);
        let circles = circles.iter().filter(|circle| circle.len() > 1);
        // Where it is not known who is in whose way, everybody is.
        let most = if bonds.level == Level::Any { usize::MAX } else { 1 };
        let open = |circle: &Vec<usize>| -> Vec<usize> {
            circle.iter().copied().filter(|row| !self.stuck.contains(row)).take(most).collect()
        };
        circles.flat_map(open).collect()
    }

    /// Tells what became of one.
    pub(super) fn tell(&mut self, row: usize, is_parked: bool) {
        let into = if is_parked { &mut self.parked } else { &mut self.stuck };
        into.insert(row);
    }
}

impl Unique {
    /// Whether the row that is put back has other values here.
    pub(super) fn changes(&self, row: &RowChange) -> bool {
        match (row.after(), row.before()) {
            (Some(has), Some(takes)) => self.parks.iter().any(|&at| has[at] != takes[at]),
            _ => true,
        }
    }

    /// What names the place that a row with these values has; none where it is in nobody's way.
    fn name(&self, values: &[SqlValue], level: Level) -> Option<String> {
        if self.is_exact {
            let values: Vec<_> =
                self.columns.iter().map(|&(at, alike)| plain(short(&values[at]), alike)).collect();
            return (!values.contains(&SqlValue::Null)).then(|| text(&values));
        }
        match level {
            Level::Exact => None,
            Level::Alike if self.columns.is_empty() => None,
            Level::Alike => {
                let loose = |at: usize| match plain(short(&values[at]), Alike::Equal) {
                    SqlValue::Text(text) => SqlValue::Text(text.trim().to_lowercase()),
                    other => other,
                };
                Some(text(&self.columns.iter().map(|&(at, _)| loose(at)).collect::<Vec<_>>()))
            }
            Level::Any => Some(String::new()),
        }
    }
}

/// The values of columns that refer, or are referred to; none with a null among them, which refer to nothing.
fn no_null(columns: &[usize], values: &[SqlValue]) -> Option<String> {
    let values: Vec<_> = columns.iter().map(|&at| plain(values[at].clone(), Alike::Equal)).collect();
    (!values.contains(&SqlValue::Null)).then(|| text(&values))
}

/// One form of a number: 1.0 and 1.00 are equal.
fn short(value: &SqlValue) -> SqlValue {
    match value {
        SqlValue::Decimal(text) if text.contains('.') => {
            SqlValue::Decimal(text.trim_end_matches('0').trim_end_matches('.').to_owned())
        }
        other => other.clone(),
    }
}

/// One form of what is the same in another type.
fn plain(value: SqlValue, alike: Alike) -> SqlValue {
    match value {
        SqlValue::Decimal(text)
        | SqlValue::Text(text)
        | SqlValue::Timestamp(text)
        | SqlValue::Json(text)
        | SqlValue::Uuid(text) => SqlValue::Text(match alike {
            Alike::Equal => text,
            Alike::NoCase => text.to_ascii_lowercase(),
            Alike::TrimEnd => text.trim_end_matches(' ').to_owned(),
        }),
        #[expect(clippy::cast_possible_truncation, reason = "it is an integer, and far from their end")]
        SqlValue::Real(n) if n.fract() == 0.0 && n.abs() < 1e15 => SqlValue::Integer(n as i64),
        SqlValue::Boolean(value) => SqlValue::Integer(value.into()),
        other => other,
    }
}

/// What tells values apart: equality is not enough, since no NaN is one.
pub(super) fn text(values: &[SqlValue]) -> String {
    serde_json::to_string(values).expect("values of a database have text keys")
}

/// The strongly connected components of a graph, each after those that can be reached from it.
///
/// Tarjan's algorithm, with a stack of its own in place of recursion.
fn components(after: &[Vec<usize>]) -> Vec<Vec<usize>> {
    const NEW: usize = usize::MAX;
    let (mut index, mut low) = (vec![NEW; after.len()], vec![NEW; after.len()]);
    let mut is_open = vec![false; after.len()];
    let (mut open, mut found, mut next) = (Vec::new(), Vec::new(), 0);
    for root in 0..after.len() {
        let mut walk = Vec::new();
        if index[root] == NEW {
            walk.push((root, 0));
        }
        while let Some((node, edge)) = walk.last_mut() {
            let node = *node;
            if *edge == 0 {
                (index[node], low[node]) = (next, next);
                next += 1;
                open.push(node);
                is_open[node] = true;
            }
            let to = after[node].get(*edge).copied();
            *edge += 1;
            match to {
                Some(to) if index[to] == NEW => walk.push((to, 0)),
                Some(to) if is_open[to] => low[node] = low[node].min(index[to]),
                Some(_) => {}
                None => {
                    walk.pop();
                    if let Some((above, _)) = walk.last() {
                        low[*above] = low[*above].min(low[node]);
                    }
                    if low[node] == index[node] {
                        let first = open.iter().rposition(|&it| it == node).expect("it is open");
                        let component = open.split_off(first);
                        component.iter().for_each(|&node| is_open[node] = false);
                        found.push(component);
                    }
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use wflo_model::{RowChange, SqlValue};

    use super::{Alike, Bond, Bonds, Level, Reference, Rules, Unique, components};

    const ALL: &[Bond] = &[Bond::Unique, Bond::Reference, Bond::Deferrable];

    fn values(texts: &[&str]) -> Vec<SqlValue> {
        texts
            .iter()
            .map(|text| match *text {
                "" => SqlValue::Null,
                text => text.parse().map_or_else(|_| SqlValue::Text(text.into()), SqlValue::Integer),
            })
            .collect()
    }

    /// A row that was `before` and is `after`; neither, where it is empty. The key is the first value.
    fn row(before: &[&str], after: &[&str]) -> RowChange {
        let key = values(&[before.first().or(after.first()).unwrap()]);
        match (before.is_empty(), after.is_empty()) {
            (false, false) => RowChange::Update { key, before: values(before), after: values(after) },
            (false, true) => RowChange::Delete { key, before: values(before) },
            (true, _) => RowChange::Insert { key, after: values(after) },
        }
    }

    fn unique(columns: &[usize], is_exact: bool) -> Unique {
        let alike = columns.iter().map(|&at| (at, Alike::Equal)).collect();
        Unique { table: 0, columns: alike, is_exact, bond: Bond::Unique, parks: columns.to_vec() }
    }

    fn groups(rules: &Rules, rows: &[RowChange], level: Level) -> Vec<Vec<usize>> {
        let placed: Vec<_> = rows.iter().map(|row| (0, row)).collect();
        let all: Vec<usize> = (0..rows.len()).collect();
        Bonds::new(rules, &placed, level).groups(&all, ALL, &BTreeSet::new())
    }

    #[test]
    fn a_row_comes_after_whoever_has_its_place() {
        let rules = Rules { uniques: vec![unique(&[1], true)], ..Rules::default() };
        // Positions moved down by one: the last has to move first.
        let moved =
            [row(&["1", "2"], &["1", "1"]), row(&["2", "3"], &["2", "2"]), row(&["3", "4"], &["3", "3"])];
        assert_eq!(groups(&rules, &moved, Level::Exact), [[2], [1], [0]]);
        // Two that have exchanged, and one that waits for one of them.
        let exchanged =
            [row(&["3", "c"], &["3", ""]), row(&["1", "a"], &["1", "b"]), row(&["2", "b"], &["2", "a"])];
        assert_eq!(groups(&rules, &exchanged, Level::Exact), [vec![0], vec![1, 2]]);
        // One that is parked is in nobody's way.
        let placed: Vec<_> = exchanged.iter().map(|row| (0, row)).collect();
        let bonds = Bonds::new(&rules, &placed, Level::Exact);
        assert_eq!(bonds.groups(&[1, 2], &[Bond::Unique], &[1].into()), [[2], [1]]);
    }

    #[test]
    fn every_column_of_a_composite_key_counts() {
        let rules = Rules { uniques: vec![unique(&[1, 2], true)], ..Rules::default() };
        let other_lists = [row(&["1", "x", "1"], &["1", "x", "2"]), row(&["2", "y", "2"], &["2", "y", "1"])];
        assert_eq!(groups(&rules, &other_lists, Level::Exact).len(), 2);
        let same_list = [row(&["1", "x", "1"], &["1", "x", "2"]), row(&["2", "x", "2"], &["2", "x", "1"])];
        assert_eq!(groups(&rules, &same_list, Level::Exact), [[0, 1]]);
    }

    #[test]
    fn what_may_bind_does_so_at_a_later_level() {
        let rules = Rules { uniques: vec![unique(&[1], false)], ..Rules::default() };
        let exchanged = [row(&["1", "A"], &["1", "b "]), row(&["2", "B"], &["2", "a"])];
        assert_eq!(groups(&rules, &exchanged, Level::Exact).len(), 2);
        assert_eq!(groups(&rules, &exchanged, Level::Alike), [[0, 1]]);
        let ranges = [row(&["1", "[1,5)"], &["1", "[5,9)"]), row(&["2", "[6,9)"], &["2", "[2,5)"])];
        assert_eq!(groups(&rules, &ranges, Level::Alike).len(), 2);
        assert_eq!(groups(&rules, &ranges, Level::Any), [[0, 1]]);
        let collated = |alike| Unique { columns: vec![(1, alike)], is_exact: true, ..unique(&[1], true) };
        let rules = Rules { uniques: vec![collated(Alike::NoCase)], ..Rules::default() };
        let cased = [row(&["1", "A"], &["1", "b"]), row(&["2", "B"], &["2", "a"])];
        assert_eq!(groups(&rules, &cased, Level::Exact), [[0, 1]]);
    }

    #[test]
    fn parents_go_after_their_children_and_come_before_them() {
        let boss = Reference { from: (0, vec![1]), to: (0, vec![0]), bond: Bond::Reference };
        let rules = Rules { references: vec![boss], ..Rules::default() };
        let tree =
            [row(&[], &["1", "1"]), row(&[], &["2", "1"]), row(&[], &["3", "2"]), row(&[], &["4", ""])];
        assert_eq!(groups(&rules, &tree, Level::Exact), [[2], [1], [0], [3]]);
        let tree = [row(&["3", "2"], &[]), row(&["2", "1"], &[]), row(&["1", ""], &[])];
        assert_eq!(groups(&rules, &tree, Level::Exact), [[2], [1], [0]]);
        let ring =
            [row(&[], &["1", "2"]), row(&[], &["2", "3"]), row(&[], &["3", "1"]), row(&[], &["4", "1"])];
        assert_eq!(groups(&rules, &ring, Level::Exact), [vec![3], vec![0, 1, 2]]);
    }

    proptest! {
        #[test]
        fn components_are_those_that_reach_one_another(edges in vec((0..9_usize, 0..9_usize), 0..25)) {
            let mut after = vec![Vec::new(); 9];
            edges.iter().for_each(|&(from, to)| after[from].push(to));
            let mut reaches = [[false; 9]; 9];
            (0..9).for_each(|at| reaches[at][at] = true);
            edges.iter().for_each(|&(from, to)| reaches[from][to] = true);
            for middle in 0..9 {
                let on = reaches[middle];
                for from in reaches.iter_mut().filter(|from| from[middle]) {
                    from.iter_mut().zip(on).for_each(|(reaches, on)| *reaches |= on);
                }
            }
            let found = components(&after);
            let is_reached = |from: usize, to: usize| reaches[from][to];
            let place = |node: usize| found.iter().position(|them| them.contains(&node)).unwrap();
            prop_assert_eq!(found.iter().map(Vec::len).sum::<usize>(), 9);
            for from in 0..9 {
                for to in 0..9 {
                    let together = is_reached(from, to) && is_reached(to, from);
                    prop_assert_eq!(place(from) == place(to), together);
                    prop_assert!(!is_reached(from, to) || place(to) <= place(from));
                }
            }
        }
    }
}
