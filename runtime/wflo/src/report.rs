//! Who saw what, who decided what, who was refused: the journal read for an auditor.
//!
//! A report is a fold over the events of runs and over the store's own log, and keeps nothing. Of runs that were erased
//! it has what the log of the store has of them: who saw what through which filter.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wflo_engine::{AttemptEnd, Event, Filter, Recorded, Resolution, Returned, UnitId, Verdict};
use wflo_journal::{AuditKey, ReadError};
use wflo_model::{ApprovalId, Call, PrincipalName, RunId, StepName, Timestamp};

use crate::seen::{Seen, filters_of, plain, subject};
use crate::system_event::{SystemEvent, SystemRecorded};
use crate::{Runtime, RuntimeError};

/// What a report is to be of. Everything that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportQuery {
    /// This run.
    pub run: Option<RunId>,
    /// From then on.
    pub since: Option<Timestamp>,
    /// Before then.
    pub until: Option<Timestamp>,
    /// By this person, or on their behalf.
    pub person: Option<PrincipalName>,
    /// Of this patient, or whatever else runs are about.
    pub about: Option<About>,
}

/// What runs are about: `patient_id=17`, or `17` in any column.
///
/// ```
/// use wflo::About;
/// let about: About = "patient_id=17".parse().unwrap();
/// assert_eq!((about.column.as_deref(), &*about.value), (Some("patient_id"), "17"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The column, parameter or input; none for any.
    pub column: Option<String>,
    /// Its value.
    pub value: String,
}

impl std::str::FromStr for About {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (column, value) = match text.split_once('=') {
            Some((column, value)) => (Some(column.to_owned()), value),
            None => (None, text),
        };
        Ok(Self { column, value: value.to_owned() })
    }
}

impl About {
    fn is(&self, column: &str, value: &str) -> bool {
        self.value == value && self.names(column)
    }

    fn names(&self, column: &str) -> bool {
        self.column.as_ref().is_none_or(|name| name.eq_ignore_ascii_case(column))
    }

    /// The column of a filter that this is.
    fn in_filters<'a>(&self, filters: &'a [Filter], key: &AuditKey) -> Option<&'a str> {
        let is_it = |it: &&Filter| self.names(&it.column) && key.filter(&it.column, &self.value) == it.digest;
        filters.iter().find(is_it).map(|it| it.column.as_str())
    }
}

/// What somebody did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReportAction {
    /// Asked for a run.
    Started,
    /// Saw data.
    Read,
    /// Changed data, or sent something out.
    Changed,
    /// Had a model see it.
    Asked,
    /// Wrote to somebody.
    Wrote,
    /// Voted for.
    Approved,
    /// Voted against.
    Rejected,
    /// Changed what others are asked to approve.
    Edited,
    /// Gave a run more money.
    ToppedUp,
    /// Had undone what a run did.
    RolledBack,
    /// Said what became of a call, or let a run go on, over what wflo would do by itself.
    Overrode,
    /// Was refused something.
    Denied,
    /// Cancelled a run.
    Cancelled,
    /// Took an audit file or a report.
    Exported,
    /// Had a run forgotten, or runs dropped.
    Erased,
    /// Proved who they are.
    LoggedIn,
    /// Did not prove who they said they were.
    LoginFailed,
    /// Changed people, keys, workflows or the deployment.
    Managed,
}

impl fmt::Display for ReportAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Started => "started",
            Self::Read => "read",
            Self::Changed => "changed",
            Self::Asked => "asked",
            Self::Wrote => "wrote",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Edited => "edited",
            Self::ToppedUp => "topped up",
            Self::RolledBack => "rolled back",
            Self::Overrode => "overrode",
            Self::Denied => "denied",
            Self::Cancelled => "cancelled",
            Self::Exported => "exported",
            Self::Erased => "erased",
            Self::LoggedIn => "logged in",
            Self::LoginFailed => "login failed",
            Self::Managed => "managed",
        })
    }
}

/// One thing that somebody did.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReportLine {
    /// When.
    pub at: Timestamp,
    /// Who, or on whose behalf; none where nobody is known to have.
    pub person: Option<PrincipalName>,
    /// What.
    pub action: ReportAction,
    /// In which run.
    pub run: Option<RunId>,
    /// Of which workflow.
    pub workflow: Option<String>,
    /// In which step.
    pub step: Option<StepName>,
    /// On what, in words.
    pub what: String,
    /// Why, or in whose words.
    pub note: Option<String>,
    /// The column, parameter or input by which it is about what was asked for.
    pub by: Option<String>,
}

impl Runtime {
    /// Who did what, oldest first: what was read, changed and sent on whose behalf, who approved and rejected what, what
    /// was overridden and denied, who took what out. That it was made, and of what, is in the store's own log.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn report(
        &self,
        query: &ReportQuery,
        by: &PrincipalName,
    ) -> Result<Vec<ReportLine>, RuntimeError> {
        let key = self.journal().audit_key().await?;
        self.system().append(SystemEvent::Reported { by: by.clone(), asked: asked(query, &key) }).await?;
        let mut lines = Vec::new();
        let runs = match query.run {
            Some(run) => vec![run],
            None => self.journal().runs().await?.into_iter().map(|head| head.run).collect(),
        };
        for run in runs {
            match self.events(run).await {
                Ok(events) => lines.extend(of_run(run, &events, query, &key)),
                // What there still is of it is in the log of the store.
                Err(RuntimeError::Journal(ReadError::Erased { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        for recorded in self.system_events().await? {
            lines.extend(of_store(&recorded, query, &key));
        }
        let in_time = |line: &ReportLine| {
            query.since.is_none_or(|since| since <= line.at)
                && query.until.is_none_or(|until| line.at < until)
        };
        lines.retain(|line| {
            in_time(line) && query.person.as_ref().is_none_or(|it| line.person.as_ref() == Some(it))
        });
        lines.sort();
        lines.dedup();
        Ok(lines)
    }
}

/// What a report is of, without the patient's name.
fn asked(query: &ReportQuery, key: &AuditKey) -> BTreeMap<String, String> {
    let about = query.about.as_ref().map(|about| {
        let column = about.column.as_deref().unwrap_or_default();
        key.filter(column, &about.value).to_string()
    });
    let asked = [
        ("run", query.run.map(|run| run.to_string())),
        ("since", query.since.map(|at| at.to_string())),
        ("until", query.until.map(|at| at.to_string())),
        ("person", query.person.as_ref().map(ToString::to_string)),
        ("about", about),
    ];
    asked.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// What a run says.
fn of_run(run: RunId, events: &[Recorded], query: &ReportQuery, key: &AuditKey) -> Vec<ReportLine> {
    let mut scribe = Scribe::new(run, query.about.as_ref(), key);
    events.iter().for_each(|recorded| scribe.take(recorded));
    let Scribe { lines, inputs, .. } = scribe;
    let Some(_) = &query.about else { return lines };
    // A run whose inputs name it is about it as a whole; of others, only what names it.
    match inputs {
        Some(input) => lines
            .into_iter()
            .map(|line| ReportLine { by: line.by.or_else(|| Some(input.clone())), ..line })
            .collect(),
        None => lines.into_iter().filter(|line| line.by.is_some()).collect(),
    }
}

struct Scribe<'a> {
    run: RunId,
    key: &'a AuditKey,
    about: Option<&'a About>,
    workflow: Option<String>,
    requester: Option<PrincipalName>,
    /// The input that names what was asked for.
    inputs: Option<String>,
    asked: HashMap<u64, Call>,
    approvals: HashMap<ApprovalId, Option<StepName>>,
    /// What attempts under way have to say: it leaves when they succeed.
    queued: HashMap<UnitId, Vec<ReportLine>>,
    lines: Vec<ReportLine>,
}

impl<'a> Scribe<'a> {
    fn new(run: RunId, about: Option<&'a About>, key: &'a AuditKey) -> Self {
        let (asked, approvals, queued) = Default::default();
        let (workflow, requester, inputs, lines) = (None, None, None, Vec::new());
        Self { run, key, about, workflow, requester, inputs, asked, approvals, queued, lines }
    }

    fn line(
        &mut self,
        recorded: &Recorded,
        person: Option<PrincipalName>,
        action: ReportAction,
        what: String,
        note: Option<String>,
    ) -> &mut ReportLine {
        let (run, workflow) = (Some(self.run), self.workflow.clone());
        let (at, step) = (recorded.time, recorded.place.step.clone());
        self.lines.push(ReportLine { at, person, action, run, workflow, step, what, note, by: None });
        self.lines.last_mut().expect("it was just pushed")
    }

    fn take(&mut self, recorded: &Recorded) {
        let requester = self.requester.clone();
        match &recorded.event {
            Event::RunCreated { workflow, version, requester, inputs, .. } => {
                (self.workflow, self.requester) = (Some(workflow.clone()), Some(requester.clone()));
                self.inputs = self.about.and_then(|about| {
                    let names = |(name, value): &(&String, &Value)| {
                        plain(value).is_some_and(|value| about.is(name, &value))
                    };
                    inputs.iter().find(names).map(|(name, _)| format!("input {name}"))
                });
                let what = format!("{workflow} {version}");
                self.line(recorded, Some(requester.clone()), ReportAction::Started, what, None);
            }
            Event::Intent { asked, .. } => drop(self.asked.insert(recorded.seq, asked.clone())),
            Event::Returned(Returned { queued: Some(_), call: Some(call), performed, .. }) => {
                let call = performed.as_ref().unwrap_or(call);
                let action = ReportAction::Wrote;
                self.line(recorded, requester, action, described(call), None);
                let (line, unit) = (self.lines.pop(), recorded.place.unit_id());
                if let (Some(line), Some(unit)) = (line, unit) {
                    self.queued.entry(unit).or_default().push(line);
                }
            }
            Event::AttemptEnded { end, .. } => {
                let queued = recorded.place.unit_id().and_then(|unit| self.queued.remove(&unit));
                if matches!(end, AttemptEnd::Succeeded { .. }) {
                    let left = queued.into_iter().flatten();
                    self.lines.extend(left.map(|line| ReportLine { at: recorded.time, ..line }));
                }
            }
            Event::Returned(returned) => {
                let intent = returned.intent.and_then(|intent| self.asked.get(&intent).cloned());
                let Some(call) = returned.call.clone().or(intent) else { return };
                let Some(action) = action_of(&call, returned.intent.is_some()) else { return };
                let mut filters = filters_of(&call, self.key);
                filters.extend(returned.filters.iter().cloned());
                let by = self.about.and_then(|about| {
                    about
                        .in_filters(&filters, self.key)
                        .map(ToOwned::to_owned)
                        .or_else(|| parameter(about, &call))
                });
                let note = match &returned.result {
                    Ok(value) => value["rows"].as_array().map(|rows| format!("{} rows", rows.len())),
                    Err(error) => Some(format!("failed: {error}")),
                };
                self.line(recorded, requester, action, described(&call), note).by = by;
            }
            Event::Denied { call, error, .. } => {
                let what = described(call);
                let by = self.about.and_then(|about| parameter(about, call));
                if call.interface == "wflo:step/handler" {
                    // People are against what the step would commit, and so against what it has to say.
                    recorded.place.unit_id().map(|unit| self.queued.remove(&unit));
                }
                self.line(recorded, requester, ReportAction::Denied, what, Some(error.to_string())).by = by;
            }
            Event::ApprovalOpened { id, .. } => {
                self.approvals.insert(*id, recorded.place.step.clone());
            }
            Event::Voted { approval, by, verdict, comment, late, .. } => {
                let action = match verdict {
                    Verdict::Approve => ReportAction::Approved,
                    Verdict::Reject => ReportAction::Rejected,
                };
                let late = if *late { ", too late" } else { "" };
                let step = self.approvals.get(approval).cloned().flatten();
                let what = format!("{approval}{late}");
                let line = self.line(recorded, Some(by.clone()), action, what, comment.clone());
                line.step = line.step.take().or(step);
            }
            Event::Resolved { intent, resolution, by } => {
                let call = self.asked.get(intent).map_or_else(|| format!("call {intent}"), described);
                let said = match resolution {
                    Resolution::Done { .. } => "was done",
                    Resolution::NotDone => "was not done",
                    _ => "may have been done, and is to be undone",
                };
                let what = format!("says that {call} {said}");
                self.line(recorded, Some(by.clone()), ReportAction::Overrode, what, None);
            }
            Event::Edited { approval, by, comment, .. } => {
                let step = self.approvals.get(approval).cloned().flatten();
                let what = approval.to_string();
                let line = self.line(recorded, Some(by.clone()), ReportAction::Edited, what, comment.clone());
                line.step = line.step.take().or(step);
            }
            Event::ToppedUp { amount, consumes } => {
                // Those who approved it have lines of their own.
                let what = format!("{amount} USD more, by {consumes}");
                self.line(recorded, None, ReportAction::ToppedUp, what, None);
            }
            Event::RollbackStarted { by, to, only } => {
                let of: Vec<_> = only.iter().map(ToString::to_string).collect();
                let what = match to {
                    Some(to) => format!("what came after {to}"),
                    None if of.is_empty() => "the run".to_owned(),
                    None => format!("what {} did", of.join(", ")),
                };
                let note = by.is_none().then(|| "as the workflow says".to_owned());
                self.line(recorded, by.clone(), ReportAction::RolledBack, what, note);
            }
            Event::Unparked { by } => {
                let what = "lets the run go on".to_owned();
                self.line(recorded, Some(by.clone()), ReportAction::Overrode, what, None);
            }
            Event::CancelRequested { by, reason } => {
                let what = "the run".to_owned();
                self.line(recorded, Some(by.clone()), ReportAction::Cancelled, what, reason.clone());
            }
            _ => {}
        }
    }
}

/// What a call that returned was, for an auditor; none for what reaches nothing.
fn action_of(call: &Call, has_intent: bool) -> Option<ReportAction> {
    match call.interface.as_str() {
        "wflo:db/sql" if !has_intent || call.function == "query" => Some(ReportAction::Read),
        "wflo:db/sql" => Some(ReportAction::Changed),
        interface if interface.starts_with("wflo:llm/") => Some(ReportAction::Asked),
        // Questions to people have lines of their own, and claims of the guest reach nobody.
        "wflo:approval/policy" | "wflo:approval/approval" | "wflo:step/handler" => None,
        _ if has_intent => Some(ReportAction::Changed),
        _ => Some(ReportAction::Read),
    }
}

/// A call in a few words, as text without values.
fn described(call: &Call) -> String {
    match call.args["sql"].as_str() {
        Some(sql) => format!("{}: {}", subject(call), sql.split_whitespace().collect::<Vec<_>>().join(" ")),
        None if call.interface == "wflo:notify/mail" => {
            let to = call.args["to"].as_array().map(Vec::as_slice).unwrap_or_default();
            let to: Vec<_> = to.iter().filter_map(Value::as_str).collect();
            format!("mail to {}", to.join(", "))
        }
        None if call.interface == "wflo:notify/channel" => {
            format!("a message to {}", call.args["address"].as_str().unwrap_or_default())
        }
        None => match call.args["url"].as_str() {
            Some(url) => format!("{} {url}", call.args["method"].as_str().unwrap_or("GET")),
            None => subject(call),
        },
    }
}

/// The parameter of a statement that is what was asked for: where nobody says which column, any.
fn parameter(about: &About, call: &Call) -> Option<String> {
    match &call.args["params"] {
        Value::Array(values) if about.column.is_none() => {
            let is_it = |value: &Value| plain(value).is_some_and(|value| value == about.value);
            values.iter().position(is_it).map(|at| format!("parameter {}", at + 1))
        }
        Value::Object(named) => {
            let is_it =
                |(name, value): &(&String, &Value)| plain(value).is_some_and(|value| about.is(name, &value));
            named.iter().find(is_it).map(|(name, _)| name.clone())
        }
        _ => None,
    }
}

/// What the log of the store says.
fn of_store(recorded: &SystemRecorded, query: &ReportQuery, key: &AuditKey) -> Vec<ReportLine> {
    let line = |action, run: Option<RunId>| ReportLine {
        at: recorded.time,
        person: recorded.event.by().cloned(),
        action,
        run,
        workflow: None,
        step: None,
        what: recorded.event.to_string(),
        note: None,
        by: None,
    };
    let (action, run) = match &recorded.event {
        SystemEvent::RunErased { run, seen, .. } => {
            let mut lines: Vec<_> = seen.iter().filter_map(|it| of_seen(*run, it, query, key)).collect();
            if query.about.is_none() {
                lines.push(line(ReportAction::Erased, Some(*run)));
            }
            lines.retain(|line| query.run.is_none() || line.run == query.run);
            return lines;
        }
        SystemEvent::Exported { run, .. } | SystemEvent::ArtifactTaken { run, .. } => {
            (ReportAction::Exported, Some(*run))
        }
        SystemEvent::Reported { .. } => (ReportAction::Exported, None),
        SystemEvent::RunsDropped { runs, .. } => {
            (ReportAction::Erased, query.run.filter(|run| runs.contains(run)))
        }
        SystemEvent::LoggedIn { .. } => (ReportAction::LoggedIn, None),
        SystemEvent::LoginFailed { .. } => (ReportAction::LoginFailed, None),
        _ => (ReportAction::Managed, None),
    };
    // What is asked of one run or one patient is not about the store as a whole.
    let is_wanted = query.about.is_none() && (query.run.is_none() || query.run == run);
    if is_wanted { vec![line(action, run)] } else { Vec::new() }
}

/// What outlives an erased run.
fn of_seen(run: RunId, seen: &Seen, query: &ReportQuery, key: &AuditKey) -> Option<ReportLine> {
    let by = match &query.about {
        Some(about) => Some(about.in_filters(&seen.filters, key)?.to_owned()),
        None => None,
    };
    Some(ReportLine {
        at: seen.at,
        person: Some(seen.by.clone()),
        action: if seen.changed { ReportAction::Changed } else { ReportAction::Read },
        run: Some(run),
        workflow: None,
        step: Some(seen.step.clone()),
        what: seen.what.clone(),
        note: Some("the run was erased".to_owned()),
        by,
    })
}
