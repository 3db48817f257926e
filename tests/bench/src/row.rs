//! One figure, and what it is held against.

use serde::Serialize;

/// A figure. In JSON: `{name, value, unit, floor, goal, ok}`, with the sense of the goal and a note where there is
/// something to say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) name: String,
    /// The figure.
    pub(crate) value: f64,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// What cannot be gone below, measured beside it, in the same unit.
    pub(crate) floor: Option<f64>,
    /// What it is to reach, in the same unit.
    pub(crate) goal: Option<f64>,
    /// Whether it does. None where there is no goal.
    pub(crate) ok: Option<bool>,
    /// Whether the goal is the least or the most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sense: Option<Sense>,
    /// How it was come by, where that is not plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

/// Which side of its goal a figure is to be on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sense {
    AtMost,
    AtLeast,
}

impl Row {
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        let (floor, goal, ok, sense, note) = Default::default();
        Self { name: name.into(), value, unit, floor, goal, ok, sense, note }
    }

    pub(crate) fn floor(self, floor: f64) -> Self {
        Self { floor: Some(floor), ..self }
    }

    pub(crate) fn at_most(self, goal: f64) -> Self {
        Self { goal: Some(goal), ok: Some(self.value <= goal), sense: Some(Sense::AtMost), ..self }
    }

    pub(crate) fn at_least(self, goal: f64) -> Self {
        Self { goal: Some(goal), ok: Some(self.value >= goal), sense: Some(Sense::AtLeast), ..self }
    }

    pub(crate) fn note(self, note: impl Into<String>) -> Self {
        Self { note: Some(note.into()), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_a_goal_is_met_is_computed() {
        assert_eq!(Row::new("a", 2.0, "us").at_most(2.0).ok, Some(true));
        assert_eq!(Row::new("a", 2.1, "us").at_most(2.0).ok, Some(false));
        assert_eq!(Row::new("a", 1.9, "steps/s").at_least(2.0).ok, Some(false));
        assert_eq!(Row::new("a", 2.0, "steps/s").ok, None);
    }

    #[test]
    fn the_json_has_what_the_goals_page_names() {
        let row = serde_json::to_value(Row::new("a", 2.0, "us").floor(1.0).at_most(2.0)).unwrap();
        let expect = serde_json::json!({
            "name": "a", "value": 2.0, "unit": "us", "floor": 1.0, "goal": 2.0, "ok": true, "sense": "at_most"
        });
        assert_eq!(row, expect);
    }
}
