//! Tests of steps: one attempt of one step in the real sandbox, with what is outside answered from a tape.
//!
//! Nothing here is a second engine. A test is a run of its own in a journal in memory, of a plan that has the step alone:
//! the executor starts it, THE gate authorises its calls, judges policies and asks people, and an approval is given by
//! votes, as ever. Two things are put in: what the steps before it have come to, as a fork puts it in, and a [`Tape`]
//! where the gate would perform a call. What [`record`](crate::Runtime::record) writes down is what `wflo replay` plays.

mod answer;
mod compare;
mod nothing;
mod people;
mod record;
mod run;
mod sql;
mod tape;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wflo_engine::GateAt;
use wflo_host_api::{Decision, DecisionStatus};
use wflo_model::{
    Call, CallError, CallResult, Digest, Failure, FailureKind, Fault, FaultKind, GroupName, Octets,
    PrincipalName, RunId, StepName, Timestamp,
};

pub(crate) use self::record::Heard;
pub use self::record::Record;
pub use self::run::TestBench;
pub(crate) use self::tape::Tape;
use crate::{ApprovalView, Difference, LogView};

/// A test of a step: what it is given, what its calls are answered, and what it is to come to.
///
/// ```
/// use serde_json::json;
/// use wflo::{StepTest, TapeEntry, TestExpects};
/// let mut test = StepTest::new("greet".parse().unwrap());
/// test.inputs.insert("name".into(), json!("Ada"));
/// test.tape.push(TapeEntry::any("wflo:knowledge/search", "search", json!([])));
/// test.expect.end = TestExpects::Output(json!({ "text": "Hello, Ada!" }));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StepTest {
    /// The step.
    pub step: StepName,
    /// Inputs of the run; those with a default may be left out.
    pub inputs: Map<String, Value>,
    /// Outputs of the steps it depends on, directly or through others. One that is not there was left out.
    pub outputs: BTreeMap<StepName, Value>,
    /// Artifacts that those steps have made.
    pub artifacts: Vec<GivenArtifact>,
    /// The element it works on, where it fans out.
    pub item: Option<Value>,
    /// The attempt, from 1.
    pub attempt: u32,
    /// What was decided about it, or about what it depends on, before it begins.
    pub decision: Option<Decision>,
    /// What its calls are answered.
    pub tape: Vec<TapeEntry>,
    /// What people are asked, in order, and what they say.
    pub approvals: Vec<TestApproval>,
    /// What it is to come to.
    pub expect: TestExpectation,
    /// When and where it was recorded; a test that was written by hand has none of it.
    pub recorded: Option<RecordedSetting>,
}

/// What a step can know of when and where it runs. With it, a test of a recorded attempt has the same clock and the same
/// randomness as that had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RecordedSetting {
    /// The run.
    pub run: RunId,
    /// When the attempt began.
    pub started: Timestamp,
    /// The seed of its randomness; nothing can be told from it of any other attempt.
    pub seed: Digest,
    /// Who asked for the run.
    pub requester: PrincipalName,
    /// What the step's clock showed after each of its calls, in order; empty where it never looked.
    pub clock: Vec<Timestamp>,
    /// When the timers fired that it waited for.
    pub timers: Vec<Timestamp>,
}

/// An artifact of a step before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenArtifact {
    /// The step that made it.
    pub step: StepName,
    /// The item, where that fans out.
    pub item: Option<u32>,
    /// Its name.
    pub artifact: wflo_model::ArtifactName,
    /// What is in it.
    pub bytes: Octets,
}

/// A call that reaches outside, and what it is answered. It answers one call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TapeEntry {
    /// Package and interface, without version: `wflo:db/sql`.
    pub interface: String,
    /// The function: `query`.
    pub function: String,
    /// Which arguments it is for.
    pub args: TapeArgs,
    /// What the call comes to. The body of an answer to `wflo:artifact/http.save` is the artifact.
    pub answer: TapeAnswer,
}

/// Which arguments an entry of a tape is for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TapeArgs {
    /// Whatever they are.
    #[default]
    Any,
    /// Those in which all of this is found: the fields of objects, and all else in whole.
    Like(Value),
    /// Exactly these.
    Exactly(Value),
}

/// What a call comes to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TapeAnswer {
    /// A value, as its interface has it in JSON.
    Value(Value),
    /// An error.
    Error(CallError),
}

/// Something that people are asked, and what they say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TestApproval {
    /// Where, if the test is about that.
    pub at: Option<GateAt>,
    /// Why, if the test is about that: what a step asked in its own words, or the policies that asked.
    pub reason: Option<String>,
    /// Who, if the test is about that.
    pub approvers: Option<BTreeSet<String>>,
    /// What comes of it.
    pub decision: DecisionStatus,
    /// Who votes; where nobody is named, somebody for each who is asked.
    pub votes: Vec<TestVote>,
    /// What they write, where nobody is named.
    pub comment: Option<String>,
}

/// A vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestVote {
    /// Whose.
    pub by: PrincipalName,
    /// The groups they are in.
    pub groups: BTreeSet<GroupName>,
    /// In favour.
    pub approved: bool,
    /// What they write.
    pub comment: Option<String>,
}

/// What a step is to come to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TestExpectation {
    /// How it ends.
    pub end: TestExpects,
    /// The calls it makes, as `wflo:db/sql.query`, in order; nothing where the test is not about that.
    pub calls: Option<Vec<String>>,
}

/// How a step is to end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TestExpects {
    /// With an output, whatever it is.
    #[default]
    Success,
    /// With this output.
    Output(Value),
    /// It says that it failed.
    Failure {
        /// Whether another attempt can help, if the test is about that.
        kind: Option<FailureKind>,
        /// Its words, if the test is about those.
        message: Option<String>,
    },
    /// It is stopped for this.
    Fault(FaultKind),
    /// It is left out.
    Skipped,
}

/// How a tested step ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TestEnd {
    /// With this output.
    Output(Value),
    /// It said that it failed.
    Failure(Failure),
    /// It was stopped.
    Fault(Fault),
    /// It was left out, and why.
    Skipped(String),
    /// It did not come to an end, and why.
    Stopped(String),
}

/// What a test came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Tested {
    /// How the step ended.
    pub end: TestEnd,
    /// The calls it made, in order.
    pub calls: Vec<Call>,
    /// What people were asked.
    pub approvals: Vec<ApprovalView>,
    /// What it logged.
    pub logs: Vec<LogView>,
    /// The fuel it used.
    pub fuel: u64,
    /// Where it differs from what was expected; the test has passed if it does not.
    pub differences: Vec<Difference>,
}

impl Tested {
    /// Whether all was as expected.
    #[must_use]
    pub const fn passed(&self) -> bool {
        self.differences.is_empty()
    }
}

impl StepTest {
    /// A test of a step that is given nothing, reaches nothing, and succeeds.
    #[must_use]
    pub fn new(step: StepName) -> Self {
        Self {
            step,
            inputs: Map::new(),
            outputs: BTreeMap::new(),
            artifacts: Vec::new(),
            item: None,
            attempt: 1,
            decision: None,
            tape: Vec::new(),
            approvals: Vec::new(),
            expect: TestExpectation::default(),
            recorded: None,
        }
    }
}

impl TapeEntry {
    /// An entry that answers a call of a function whatever its arguments are.
    #[must_use]
    pub fn any(interface: &str, function: &str, value: Value) -> Self {
        Self::new(interface, function, TapeArgs::Any, TapeAnswer::Value(value))
    }

    /// An entry.
    #[must_use]
    pub fn new(interface: &str, function: &str, args: TapeArgs, answer: TapeAnswer) -> Self {
        Self { interface: interface.to_owned(), function: function.to_owned(), args, answer }
    }

    pub(crate) fn name(&self) -> String {
        format!("{}.{}", self.interface, self.function)
    }
}

impl TestApproval {
    /// Something that people are asked, whatever it is, with what comes of it.
    #[must_use]
    pub const fn new(decision: DecisionStatus) -> Self {
        Self { at: None, reason: None, approvers: None, decision, votes: Vec::new(), comment: None }
    }
}

impl From<TapeAnswer> for CallResult {
    fn from(answer: TapeAnswer) -> Self {
        match answer {
            TapeAnswer::Value(value) => Ok(value),
            TapeAnswer::Error(error) => Err(error),
        }
    }
}

impl From<CallResult> for TapeAnswer {
    fn from(result: CallResult) -> Self {
        result.map_or_else(Self::Error, Self::Value)
    }
}
