//! What can be seen of runs; nothing here writes.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use wflo_engine::{ApprovalState, Day, Event, Recorded, Returned, RunState, RunStatus};
use wflo_journal::RunHead;
use wflo_manifest::{Plan, Spending};
use wflo_model::{ApprovalId, RunId, WorkflowName};

use crate::accounts::{self, AccountView};
use crate::run_log::recorded;
use crate::system_event::SystemRecorded;
use crate::view::{ApprovalView, CostView, LogView, RunLine, RunView};
use crate::{Runtime, RuntimeError};

/// Runs listed at a time.
const PAGE: usize = 1024;

impl Runtime {
    /// The runs that have not ended, oldest first: what a crash or a wait has left. Costs what it gives, however many
    /// runs have ended.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn unfinished(&self) -> Result<Vec<RunId>, RuntimeError> {
        let mut runs: Vec<RunId> = Vec::new();
        loop {
            let page = self.journal().unfinished(runs.last().copied(), PAGE).await?;
            let is_last = page.len() < PAGE;
            runs.extend(page);
            if is_last {
                return Ok(runs);
            }
        }
    }

    /// All runs, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn runs(&self) -> Result<Vec<RunLine>, RuntimeError> {
        self.lines(self.journal().runs().await?).await
    }

    /// The runs made before `before`, newest first, at most `limit`; fewer only at the end.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn runs_before(
        &self,
        before: Option<RunId>,
        limit: usize,
    ) -> Result<Vec<RunLine>, RuntimeError> {
        self.lines(self.journal().runs_before(before, limit).await?).await
    }

    async fn lines(&self, heads: Vec<RunHead>) -> Result<Vec<RunLine>, RuntimeError> {
        let mut lines = Vec::with_capacity(heads.len());
        for head in heads {
            let summary = self.summary(&head.summary)?;
            let mut cost_usd = summary.cost_usd;
            if matches!(summary.status, RunStatus::Running | RunStatus::RollingBack) {
                // Its summary is of when it began to move. A run that cannot be read is listed all the same.
                let settled = self.with_state(head.run, |state| state.ledger().settled()).await;
                cost_usd = settled.unwrap_or(cost_usd);
            }
            lines.push(RunLine {
                run: head.run,
                workflow: summary.workflow,
                version: summary.version,
                status: summary.status,
                requester: summary.requester,
                created_at: summary.created_at.to_string(),
                cost_usd,
            });
        }
        Ok(lines)
    }

    /// One run.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchRun`].
    pub async fn show(&self, run: RunId) -> Result<RunView, RuntimeError> {
        let (state, plan) = self.look(run).await?;
        Ok(RunView::new(&run, &plan, &state))
    }

    /// The plan that a run is pinned to: what it needs of whoever drives it.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchRun`].
    pub async fn plan_of(&self, run: RunId) -> Result<Arc<Plan>, RuntimeError> {
        Ok(self.look(run).await?.1)
    }

    /// What one run cost.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchRun`].
    pub async fn cost(&self, run: RunId) -> Result<CostView, RuntimeError> {
        let (state, _plan) = self.look(run).await?;
        Ok(CostView::new(&run, &state))
    }

    /// What the accounts above the runs stand at today: that of the deployment, and those of the workflows that have had
    /// runs or have a limit.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn accounts(&self, limits: &Spending) -> Result<Vec<AccountView>, RuntimeError> {
        let mut workflows: BTreeSet<WorkflowName> = limits.workflows.keys().cloned().collect();
        for line in self.runs().await? {
            workflows.extend(line.workflow.parse::<WorkflowName>());
        }
        Ok(accounts::views(self.journal(), &workflows, limits, Day::of(self.now())).await?)
    }

    /// The events of one run, durable ones only.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchRun`].
    pub async fn events(&self, run: RunId) -> Result<Vec<Recorded>, RuntimeError> {
        self.events_after(run, 0).await
    }

    /// The events of one run after event `after`, durable ones only; none when it is the newest.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchRun`].
    pub async fn events_after(&self, run: RunId, after: u64) -> Result<Vec<Recorded>, RuntimeError> {
        let entries = self.journal().read(run, after + 1).await?;
        if entries.is_empty() && after == 0 {
            return Err(RuntimeError::NoSuchRun { run });
        }
        Ok(entries.iter().map(recorded).collect::<Result<_, _>>().map_err(crate::LogFailed::from)?)
    }

    /// Gives the events of one run after event `after` to somebody one after another, durable ones only: a run may have
    /// read more than there is memory for.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchRun`], and what `take` says.
    pub async fn each_event(
        &self,
        run: RunId,
        after: u64,
        mut take: impl FnMut(Recorded) -> Result<(), RuntimeError> + Send,
    ) -> Result<(), RuntimeError> {
        let mut reader = self.journal().reader(run, after + 1).await?;
        let mut is_there = after > 0;
        while let Some(entry) = reader.next().await? {
            is_there = true;
            take(recorded(&entry).map_err(crate::LogFailed::from)?)?;
        }
        if is_there { Ok(()) } else { Err(RuntimeError::NoSuchRun { run }) }
    }

    /// The events of one run without what was read by them: the results of calls that change nothing. Of all others they
    /// are as they were written.
    pub(crate) async fn outline(&self, run: RunId) -> Result<Vec<Recorded>, RuntimeError> {
        let mut events = Vec::new();
        self.each_event(run, 0, |mut recorded| {
            if let Event::Returned(Returned { intent: None, result: Ok(read), .. }) = &mut recorded.event {
                *read = Value::Null;
            }
            events.push(recorded);
            Ok(())
        })
        .await?;
        Ok(events)
    }

    /// What a run has come to, as far as it is durable.
    pub(crate) async fn durable_state(&self, run: RunId) -> Result<RunState, RuntimeError> {
        let mut state = RunState::default();
        self.each_event(run, 0, |recorded| Ok(state.apply(&recorded).map_err(crate::LogFailed::from)?))
            .await?;
        Ok(state)
    }

    /// The events of the store's own log, durable ones only.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn system_events(&self) -> Result<Vec<SystemRecorded>, RuntimeError> {
        crate::system_log::records(self.journal(), 1).await
    }

    /// The log lines of one run.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchRun`].
    pub async fn logs(&self, run: RunId) -> Result<Vec<LogView>, RuntimeError> {
        Ok(LogView::of(self.outline(run).await?))
    }

    /// The open approvals of all runs, or with `all` every one there ever was; newest run first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn approvals(&self, all: bool) -> Result<Vec<ApprovalView>, RuntimeError> {
        let runs = if all {
            self.journal().runs().await?.into_iter().map(|head| head.run).collect()
        } else {
            self.unfinished().await?.into_iter().rev().collect::<Vec<_>>()
        };
        let mut views = Vec::new();
        for run in runs {
            let mut of_run = self.with_state(run, |state| approvals_of(run, state, all)).await?;
            // Item by item; they are asked about in whatever order their models answer.
            of_run.sort_by(|one, other| (&one.step, one.item).cmp(&(&other.step, other.item)));
            let mut open_runs = self.open_runs();
            of_run.iter().for_each(|view| open_runs.asks(run, view.id));
            views.extend(of_run);
        }
        Ok(views)
    }

    /// One approval, open or not.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchApproval`].
    pub async fn approval(&self, id: ApprovalId) -> Result<ApprovalView, RuntimeError> {
        let known = self.open_runs().asked(&id);
        if let Some(run) = known
            && let Some(view) = self.with_state(run, |state| approval_of(run, state, &id)).await?
        {
            return Ok(view);
        }
        let mut all = self.approvals(false).await?;
        if !all.iter().any(|view| view.id == id) {
            all = self.approvals(true).await?;
        }
        all.into_iter().find(|view| view.id == id).ok_or(RuntimeError::NoSuchApproval { id })
    }
}

fn approvals_of(run: RunId, state: &RunState, all: bool) -> Vec<ApprovalView> {
    let Some(created) = state.created() else { return Vec::new() };
    let wanted = state.approvals().filter(|it| all || it.state == ApprovalState::Open);
    wanted.map(|it| ApprovalView::new(&run, &created.workflow, it)).collect()
}

fn approval_of(run: RunId, state: &RunState, id: &ApprovalId) -> Option<ApprovalView> {
    Some(ApprovalView::new(&run, &state.created()?.workflow, state.approval(id)?))
}
