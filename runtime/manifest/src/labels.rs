//! Labels of data: where a step gets them from.
//!
//! A step has the labels it names itself, those of the run's inputs, those of the data it was granted to read, and those
//! of every step it depends on: its output carries them on. They are coarse: they belong to the step as a whole, from
//! its first instruction, and to whatever it might have read, whether it did or not. So what a step may tell a model or
//! a server is known before it runs, and does not depend on the order in which it does things.

use std::collections::{BTreeMap, BTreeSet};

use wflo_model::{DbAccess, Label, TableAccess};

use crate::plan::PlanStep;

/// The labels of what a database holds.
///
/// ```
/// use wflo_manifest::{DataLabels, Deployment};
/// let text = "[db.clinic]\nurl = \"sqlite:c.db\"\ncolumns = { \"patients.name\" = [\"phi\"] }\n";
/// let deployment = Deployment::parse("wflo.toml", text).unwrap();
/// let labels: &DataLabels = &deployment.data["clinic"];
/// assert!(labels.columns.contains_key(&("patients".to_owned(), "name".to_owned())));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataLabels {
    /// Those of everything in it.
    pub all: BTreeSet<Label>,
    /// Those of single columns, by table and column in lower case. A table may have its schema before it.
    pub columns: BTreeMap<(String, String), BTreeSet<Label>>,
}

impl DataLabels {
    /// The labels of what may be read. A named statement may read anything.
    #[must_use]
    pub fn of(&self, access: &DbAccess) -> BTreeSet<Label> {
        let mut labels = BTreeSet::new();
        if access.read.is_empty() && access.call.is_empty() && !access.whole {
            return labels;
        }
        labels.extend(self.all.iter().cloned());
        for ((table, column), own) in &self.columns {
            let mut granted = access.read.iter().filter(|(name, _)| may_be(name, table));
            if granted.any(|(_, granted)| may_have(granted, column))
                || !access.call.is_empty()
                || access.whole
            {
                labels.extend(own.iter().cloned());
            }
        }
        labels
    }
}

/// Whether two names may be those of one table, however each is written: with its schema or without, which is then one of
/// those that a database looks in, and in whatever case.
pub(crate) fn may_be(one: &str, other: &str) -> bool {
    match (one.rsplit_once('.'), other.rsplit_once('.')) {
        (Some((_, one)), None) => one.eq_ignore_ascii_case(other),
        (None, Some((_, other))) => one.eq_ignore_ascii_case(other),
        _ => one.eq_ignore_ascii_case(other),
    }
}

fn may_have(granted: &TableAccess, column: &str) -> bool {
    granted.columns().is_none_or(|all| all.iter().any(|it| it.eq_ignore_ascii_case(column)))
}

/// Has labels flow from each step to those that depend on it.
pub(crate) fn flow(steps: &mut [PlanStep]) {
    // Steps form no cycle, so that as many rounds as there are steps reach the end of every way.
    for _ in 0..steps.len() {
        let known: BTreeMap<_, _> =
            steps.iter().map(|step| (step.name.clone(), step.labels.clone())).collect();
        for step in &mut *steps {
            for parent in &step.depends_on {
                step.labels.extend(known.get(parent).into_iter().flatten().cloned());
            }
        }
        if steps.iter().all(|step| known.get(&step.name) == Some(&step.labels)) {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use wflo_model::{DbAccess, Digest, Label, TableAccess};

    use super::{DataLabels, flow};
    use crate::plan::PlanStep;

    fn labels(names: &[&str]) -> BTreeSet<Label> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn what_may_be_read_counts_and_nothing_else() {
        let column = |name: &str| ("patients".to_owned(), name.to_owned());
        let data = DataLabels {
            all: labels(&["internal"]),
            columns: [(column("name"), labels(&["phi"])), (column("ward"), labels(&["ops"]))].into(),
        };
        let read = |access: TableAccess| DbAccess {
            read: [("patients".to_owned(), access)].into(),
            ..DbAccess::default()
        };
        assert_eq!(data.of(&read(TableAccess::All)), labels(&["internal", "phi", "ops"]));
        let ward = TableAccess::Columns(["ward".to_owned()].into());
        assert_eq!(data.of(&read(ward)), labels(&["internal", "ops"]));
        let write =
            DbAccess { write: [("patients".to_owned(), TableAccess::All)].into(), ..DbAccess::default() };
        assert_eq!(data.of(&write), labels(&[]));
        let call = DbAccess { call: ["find".parse().unwrap()].into(), ..DbAccess::default() };
        assert_eq!(data.of(&call), labels(&["internal", "phi", "ops"]));
    }

    #[test]
    fn no_other_way_to_write_a_table_takes_its_labels_away() {
        let labelled = |table: &str| DataLabels {
            columns: [((table.to_owned(), "name".to_owned()), labels(&["phi"]))].into(),
            ..DataLabels::default()
        };
        let read = |table: &str, access: TableAccess| DbAccess {
            read: [(table.to_owned(), access)].into(),
            ..DbAccess::default()
        };
        let has = |table, grant| labelled(table).of(&read(grant, TableAccess::All)) == labels(&["phi"]);
        for grant in ["patients", "public.patients", "Patients", "other.patients"] {
            assert!(has("patients", grant), "{grant}");
        }
        assert!(has("clinic.patients", "patients") && has("clinic.patients", "Clinic.Patients"));
        assert!(!has("clinic.patients", "public.patients") && !has("patients", "public.people"));
        let name = TableAccess::Columns(["Name".to_owned()].into());
        assert_eq!(labelled("patients").of(&read("public.patients", name)), labels(&["phi"]));
    }

    #[test]
    fn labels_flow_along_every_way() {
        let step = |name: &str, parents: &[&str], own: &[&str]| PlanStep {
            depends_on: parents.iter().map(|parent| parent.parse().unwrap()).collect(),
            labels: labels(own),
            ..PlanStep::new(name.parse().unwrap(), Digest::of(b""))
        };
        // The last comes first, as a file may have it.
        let mut steps = [
            step("d", &["c", "b"], &[]),
            step("c", &["a"], &["x"]),
            step("b", &[], &["y"]),
            step("a", &[], &["z"]),
            step("alone", &[], &[]),
        ];
        flow(&mut steps);
        let found = steps.map(|step| step.labels);
        let expect = [&["x", "y", "z"][..], &["x", "z"], &["y"], &["z"], &[]];
        assert_eq!(found, expect.map(labels));
    }
}
