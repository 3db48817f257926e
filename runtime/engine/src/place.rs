//! Where in a run something happened.

use std::fmt;

use wflo_model::{StepName, Timestamp};

use crate::Event;

/// An event with its place in the log of its run.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Its number in the run, from 1.
    pub seq: u64,
    /// When; never before the event it follows.
    pub time: Timestamp,
    /// What it is about.
    pub place: Place,
    /// What happened.
    pub event: Event,
}

/// What attempts are of: a step, or one item of a step that fans out.
///
/// ```
/// use wflo_engine::UnitId;
/// let step = UnitId::step(&"analyze".parse().unwrap());
/// assert_eq!(step.to_string(), "analyze");
/// assert_eq!(step.with_item(3).to_string(), "analyze[3]");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct UnitId {
    /// The step.
    pub step: StepName,
    /// The item, counted from 0; none where the step does not fan out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
}

impl UnitId {
    /// A step that does not fan out, or the whole of one that does.
    #[must_use]
    pub fn step(step: &StepName) -> Self {
        Self { step: step.clone(), item: None }
    }

    /// One item of the step.
    #[must_use]
    pub fn with_item(&self, item: u32) -> Self {
        Self { step: self.step.clone(), item: Some(item) }
    }
}

impl fmt::Display for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.item {
            Some(item) => write!(f, "{}[{item}]", self.step),
            None => self.step.fmt(f),
        }
    }
}

/// What an event is about: the run (all empty), a step, an item, one attempt, one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The step.
    pub step: Option<StepName>,
    /// The item of a step that fans out.
    pub item: Option<u32>,
    /// The attempt, from 1; 0 where there is none.
    pub attempt: u32,
    /// The call within the attempt, from 1; 0 where there is none.
    pub ordinal: u32,
}

impl Place {
    /// The run as a whole.
    pub const RUN: Self = Self { step: None, item: None, attempt: 0, ordinal: 0 };

    /// A step, outside of any attempt.
    #[must_use]
    pub fn step(step: &StepName) -> Self {
        Self { step: Some(step.clone()), ..Self::RUN }
    }

    /// A step or an item, outside of any attempt.
    #[must_use]
    pub fn unit(unit: &UnitId) -> Self {
        Self { step: Some(unit.step.clone()), item: unit.item, ..Self::RUN }
    }

    /// An attempt.
    #[must_use]
    pub fn attempt(unit: &UnitId, attempt: u32) -> Self {
        Self { attempt, ..Self::unit(unit) }
    }

    /// A call of this attempt.
    #[must_use]
    pub fn call(&self, ordinal: u32) -> Self {
        Self { ordinal, ..self.clone() }
    }

    /// The step or item; none for the run as a whole.
    #[must_use]
    pub fn unit_id(&self) -> Option<UnitId> {
        Some(UnitId { step: self.step.clone()?, item: self.item })
    }
}
