//! Scenarios in words.

use std::fmt;

use crate::scenario::{Action, Asking, Crash, Does, Fault, Hears, Rule, Scenario, Step, Timed, Wrong};

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} run(s) of a workflow", self.runs)?;
        if let Some(budget) = self.budget {
            let then = if self.parks { "parks" } else { "fails" };
            write!(f, " with a budget of 0.{budget:03} USD (a call over it {then})")?;
        }
        if let Some(most) = self.max_parallel {
            write!(f, ", at most {most} step(s) at a time")?;
        }
        if let Some(day) = self.day {
            write!(f, ", 0.{day:03} USD a day")?;
        }
        if self.meters {
            write!(f, ", fuel and time priced")?;
        }
        if self.undoes {
            write!(f, ", rolled back when it fails or is cancelled")?;
        }
        if self.tells {
            write!(f, ", with a channel")?;
        }
        writeln!(f)?;
        for rule in &self.policies {
            writeln!(f, "  policy: {rule}")?;
        }
        for step in &self.steps {
            step.fmt(f)?;
        }
        for Timed { after, action } in &self.actions {
            writeln!(f, "  {after} ms later: {action}")?;
        }
        for Fault { nth, what } in &self.faults {
            writeln!(f, "  fault: {what} (number {nth} of its kind)")?;
        }
        for Crash { after, landed, down } in &self.crashes {
            let group = if *landed { "the sync under way done" } else { "the sync under way lost" };
            writeln!(f, "  killed {after} moments after its start, {group}, down for {down} s")?;
        }
        let end = if self.approves { "approves" } else { "rejects" };
        writeln!(f, "  in the end everybody {end} what is open")
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  step s{}", self.id)?;
        if !self.needs.is_empty() {
            write!(f, " after {:?}", self.needs)?;
        }
        if let Some(when) = &self.when {
            write!(f, " when `{when}`")?;
        }
        if let Some(list) = &self.for_each {
            let most = self.max_parallel.map_or_else(|| "all".to_owned(), |most| most.to_string());
            let then = if self.collects { "collected" } else { "fatal" };
            write!(f, " for each of `{list}` ({most} at a time, failures {then})")?;
        }
        if let Some(asking) = &self.approval {
            let skip = if asking.skips { ", skipped if rejected" } else { "" };
            let at = if self.at_commit { " where it commits" } else { "" };
            write!(f, " approved{at} by {asking}, good for {} s{skip}", asking.valid)?;
        }
        if self.rollback {
            write!(f, " undoable")?;
        }
        let Self { attempts, backoff, timeout, .. } = self;
        writeln!(f, ", {attempts} attempt(s) {backoff} s apart, {timeout} s each")?;
        for op in &self.ops {
            writeln!(f, "    {op:?}")?;
        }
        writeln!(f, "    end: {:?}", self.end)
    }
}

impl fmt::Display for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.quorum {
            Some(quorum) => write!(f, "any {quorum} of {:?}", self.approvers)?,
            None => write!(f, "each of {:?}", self.approvers)?,
        }
        self.timeout.map_or(Ok(()), |seconds| write!(f, " within {seconds} s"))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vote { who, approves, which, closed } => {
                let verdict = if *approves { "for" } else { "against" };
                let of = if *closed { "any" } else { "an open" };
                write!(f, "`{who}` votes {verdict} {of} approval, number {which}")
            }
            Self::Cancel { run } => write!(f, "run {run} is cancelled"),
            Self::Resume { run } => write!(f, "run {run} is resumed"),
            Self::Restart => write!(f, "the process is stopped in order and started again"),
            Self::Abandon { run } => write!(f, "whoever drives run {run} lets go of it"),
            Self::Join { who, group } => write!(f, "`{who}` joins `{group}`"),
            Self::Leave { who, group } => write!(f, "`{who}` leaves `{group}`"),
            Self::RollBack { run } => write!(f, "run {run} is rolled back"),
            Self::Clock { ms } => write!(f, "the clock is set by {ms} ms"),
            Self::External { db, row, by } => write!(f, "somebody else adds {by} to row {row} of `{db}`"),
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ModelRateLimited => "a model limits the rate",
            Self::ModelBreaksOff => "a model breaks off",
            Self::ModelNotSent => "a request does not reach its model",
            Self::ModelSaysNoUsage => "a model does not say what was used",
            Self::ModelOverruns => "a model uses more than it was asked to",
            Self::ModelIsSlow => "a model takes a minute",
            Self::BeginUnavailable => "a database cannot begin a transaction",
            Self::CommitAnswerLost => "a commit happens and its answer is lost",
            Self::CommitRefused => "a commit is refused",
            Self::SyncFails { landed: true } => "a sync fails and had done its work",
            Self::SyncFails { landed: false } => "a sync fails and had not done its work",
            Self::ChannelAway => "the channel does not answer",
            Self::ChannelRefuses => "the channel refuses",
            Self::HttpNotSent => "a request does not reach its server",
            Self::HttpLost => "an answer of a server is lost",
            Self::HttpIsSlow => "a server takes most of a minute",
        })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heard = match self.on {
            Hears::Fact => "a claimed risk",
            Hears::Output => "a sum in an output",
        };
        write!(f, "{heard} over {} ", self.over)?;
        match &self.does {
            Does::Deny => f.write_str("is refused"),
            Does::Approve => f.write_str("is approved"),
            Does::Ask(asking) => write!(f, "is asked about: {asking}"),
            Does::Tell => f.write_str("is told"),
        }
    }
}
