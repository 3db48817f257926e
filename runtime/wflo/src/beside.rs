//! Requests that are under way beside their guest.
//!
//! A request sets off once it is authorised and its intent is durable, and is made by a task of its own. What it comes to
//! is written when it has come, and told to the guest where that waits, in the order in which it was written: that
//! order is all a replay needs. Only `wasi:http` has such requests; every other call is over when the guest goes on.
//!
//! A crash finds calls without results, as it finds any, and a call that is a read and so had no intent is not found at
//! all: it is begun again, behind what the guest has done since ([`History::goes_on`](crate::history::History::goes_on)),
//! and what it comes to is told after all that the journal has. Before an attempt parks or ends, what is under way is
//! waited for.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tokio::task::JoinSet;
use wflo_engine::{CallClass, Event, ParkReason, Returned};
use wflo_host_api::{Arrival, Begun, SavedAnswer, Stop};
use wflo_model::{ApprovalId, Call, CallError, CallResult, PicoUsd, Timestamp};
use wflo_ports::{HttpError, HttpRequest};

use crate::gate::{Admitted, AttemptGate, returned};
use crate::history::{CameTo, OpenIntent};
use crate::http::{Ready, send};
use crate::operation::Operation;
use crate::player::{Asked, Next};

/// Most requests of one attempt that are under way at a time; the next one waits until one has come.
const MOST: usize = 16;

/// The requests of an attempt that are under way, and those that have come and were not told of.
#[derive(Default)]
pub(crate) struct Beside {
    /// By their numbers among the calls of the attempt.
    requests: BTreeMap<u32, UnderWay>,
    tasks: JoinSet<(u32, Result<SavedAnswer, HttpError>)>,
    come: VecDeque<(Arrival, Timestamp)>,
}

/// A request under way. Its task has the request itself.
struct UnderWay {
    ready: Ready,
    /// The approval that permits it, for one without an intent.
    permit: Option<ApprovalId>,
    /// As it is made, where people have changed it, for one without an intent.
    performed: Option<Call>,
}

/// A request that has come, its number, and what it came to.
type Came = (UnderWay, u32, Result<SavedAnswer, HttpError>);

impl Beside {
    /// Whether nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.requests.is_empty()
    }

    /// The next that comes; none where nothing is under way.
    async fn next(&mut self) -> Option<Result<Came, Stop>> {
        let joined = self.tasks.join_next().await?;
        Some(self.joined(joined))
    }

    fn joined(
        &mut self,
        joined: Result<(u32, Result<SavedAnswer, HttpError>), tokio::task::JoinError>,
    ) -> Result<Came, Stop> {
        let (ordinal, answer) = joined.map_err(|error| Stop::Host(format!("a request: {error}")))?;
        let missing = || Stop::Host(format!("call {ordinal} is not under way"));
        Ok((self.requests.remove(&ordinal).ok_or_else(missing)?, ordinal, answer))
    }
}

impl AttemptGate {
    /// Begins a call: replayed if the journal has it, else live.
    pub(crate) async fn begin_call(&mut self, call: Call) -> Result<Begun, Stop> {
        let operation = match Operation::parse(&call) {
            Ok(operation @ Operation::Http(_)) => operation,
            // It is over when the guest goes on.
            _ => return Ok(Begun::Done(self.call_and_wait(call).await?)),
        };
        self.performed = None;
        let found = match self.player.begin(call) {
            Ok(found) => found,
            Err(divergence) => return Err(self.diverged(divergence)),
        };
        self.performed = self.player.performed().cloned().filter(|_| found.came_to.is_some());
        let ordinal = self.player.ordinal();
        let clock = self.player.clock();
        let goes_on = self.player.history().goes_on();
        let operation = self.as_performed(operation)?;
        let done = match found.came_to {
            Some(CameTo::Open(intent)) => self.cut_off_beside(found.asked, operation, intent).await?,
            Some(CameTo::Asked { approval, .. }) => {
                match self.decided_on_call(&found.asked, &operation, &approval).await? {
                    Some(result) => Some(result),
                    None => self.live_beside(found.asked, operation).await?,
                }
            }
            Some(came_to) => {
                let result = self.recover(found.asked, operation, came_to).await?;
                return Ok(if found.arrives { Begun::UnderWay(ordinal) } else { Begun::Done(result) });
            }
            None => self.live_beside(found.asked, operation).await?,
        };
        if goes_on {
            // What the guest has done since, it did without having seen any of this.
            let at = self.player.clock();
            self.player.set_back(clock);
            if let Some(result) = done {
                self.beside.come.push_back((Arrival { call: ordinal, result }, at));
            }
            return Ok(Begun::UnderWay(ordinal));
        }
        Ok(done.map_or(Begun::UnderWay(ordinal), Begun::Done))
    }

    /// Makes a call that the journal does not have; gives what it came to, if it is not under way now.
    async fn live_beside(&mut self, call: Asked, operation: Operation) -> Result<Option<CallResult>, Stop> {
        self.go_on().await?;
        self.set_busy(true);
        let done = match self.admit(call, operation).await {
            Ok(Admitted::Done(result)) => Ok(Some(result)),
            Ok(Admitted::Bound { call, operation, .. }) => match *operation {
                Operation::Http(request) => self.set_off(call, request, None).await,
                _ => Err(Stop::Host(format!("`{}` is no request", call.call))),
            },
            Err(stop) => Err(stop),
        };
        self.set_busy(false);
        done
    }

    /// Mends a call that has an intent and no result.
    async fn cut_off_beside(
        &mut self,
        call: Asked,
        operation: Operation,
        intent: OpenIntent,
    ) -> Result<Option<CallResult>, Stop> {
        match operation {
            Operation::Http(request) if self.may_repeat(&request, &intent) => {
                self.recall_decision();
                self.set_busy(true);
                let done = self.set_off(call, request, Some(intent)).await;
                self.set_busy(false);
                done
            }
            operation => self.cut_off(call, operation, intent).await.map(Some),
        }
    }

    /// Has a request that was authorised set off; gives what it came to, if it does not.
    async fn set_off(
        &mut self,
        call: Asked,
        request: HttpRequest,
        open: Option<OpenIntent>,
    ) -> Result<Option<CallResult>, Stop> {
        while self.beside.requests.len() >= MOST {
            self.next_comes().await?;
        }
        let (ready, filled) = match self.ready(call, request, open).await? {
            Ok(ready) => ready,
            Err(error) => return Ok(Some(Err(error))),
        };
        let (client, outside) = (self.http_client()?, Arc::clone(&self.outside));
        let (ordinal, limit) = (self.player.ordinal(), self.step.limits.http_body());
        self.beside.tasks.spawn(async move {
            let answer = send(&*client, &filled, limit, outside.scrubber()).await;
            (ordinal, answer)
        });
        let (permit, performed) = (self.permit.take(), self.performed.take());
        self.beside.requests.insert(ordinal, UnderWay { ready, permit, performed });
        Ok(None)
    }

    /// Waits until one of the requests under way has come.
    async fn next_comes(&mut self) -> Result<(), Stop> {
        if let Some(came) = self.beside.next().await
            && let Some(unknown) = self.came(came?)?
        {
            return Err(self.park(unknown).await);
        }
        Ok(())
    }

    /// Writes what a request came to; or says why the attempt parks, where nobody knows.
    fn came(&mut self, (request, ordinal, answer): Came) -> Result<Option<ParkReason>, Stop> {
        let UnderWay { ready, permit: consumes, performed } = request;
        let result = match ready.came_to(answer, self.outside.scrubber()) {
            Ok(result) => result,
            Err(unknown) => return Ok(Some(unknown)),
        };
        let of = returned(ready.intent, ready.call, &result);
        let event = Event::Returned(Returned { consumes, performed, beside: true, ..of });
        let at = self.append_at(ordinal, event)?;
        self.beside.come.push_back((Arrival { call: ordinal, result }, at));
        Ok(None)
    }

    /// Waits for all that is under way.
    ///
    /// # Errors
    /// [`Stop::Parked`] where nobody knows what became of one of them.
    pub(crate) async fn settle(&mut self) -> Result<(), Stop> {
        let mut unknown = None;
        while let Some(came) = self.beside.next().await {
            unknown = unknown.or(self.came(came?)?);
        }
        match unknown {
            Some(unknown) => Err(self.parked(unknown)),
            None => Ok(()),
        }
    }

    /// Gives up what is under way, as a deadline does: what has not come by now is settled as far as it can be.
    pub(crate) fn give_up(&mut self) -> Result<(), Stop> {
        let mut unknown = None;
        while let Some(joined) = self.beside.tasks.try_join_next() {
            let came = self.beside.joined(joined)?;
            unknown = unknown.or(self.came(came)?);
        }
        self.beside.tasks.abort_all();
        for (ordinal, UnderWay { ready, .. }) in std::mem::take(&mut self.beside.requests) {
            match (ready.intent, ready.class) {
                (Some(intent), CallClass::Unsafe) => {
                    let call = ready.call.call.to_string();
                    unknown = unknown.or(Some(ParkReason::Unknown { intent, call }));
                }
                // The next attempt makes it under the same key.
                (Some(intent), _) => {
                    self.append_at(ordinal, Event::Abandoned { intent, cost: PicoUsd::ZERO })?;
                }
                (None, _) => {}
            }
        }
        match unknown {
            Some(unknown) => Err(self.parked(unknown)),
            None => Ok(()),
        }
    }

    /// Waits for what the guest is told next of the calls it has begun, and no longer than `until`.
    pub(crate) async fn next_arrival(&mut self, until: Option<Timestamp>) -> Result<Option<Arrival>, Stop> {
        match self.player.arrival(until) {
            Ok(Next::Came(arrival)) => return Ok(Some(arrival)),
            Ok(Next::Woke) => return Ok(None),
            Ok(Next::Live) => {}
            Err(divergence) => return Err(self.diverged(divergence)),
        }
        loop {
            if let Some((arrival, at)) = self.beside.come.pop_front() {
                self.player.seen(at);
                return Ok(Some(arrival));
            }
            let nap = until.map(|until| until.since(self.player.clock()));
            tokio::select! {
                biased;
                came = self.beside.next() => {
                    let came = came.ok_or_else(|| Stop::Host("no call is under way".to_owned()))?;
                    if let Some(unknown) = self.came(came?)? {
                        return Err(self.park(unknown).await);
                    }
                    self.set_busy(false);
                }
                () = self.halt.asked() => self.go_on().await?,
                () = sleep(nap) => {
                    let until = until.unwrap_or_default();
                    self.note(Event::Woke { at: until })?;
                    self.player.seen(until);
                    return Ok(None);
                }
            }
        }
    }

    /// Stops the attempt if it is to stop, once what is under way has come.
    pub(crate) async fn go_on(&mut self) -> Result<(), Stop> {
        if !self.halt.is_asked() {
            return Ok(());
        }
        self.settle().await?;
        Err(Stop::Suspended)
    }

    /// Has whoever stops the attempt wait for the call under way, and for requests that are.
    pub(crate) fn set_busy(&self, with_a_call: bool) {
        self.halt.set_busy(with_a_call || !self.beside.is_idle());
    }

    /// What is made: the call that was asked for, or as people have changed it.
    pub(crate) fn as_performed(&self, operation: Operation) -> Result<Operation, Stop> {
        match &self.performed {
            // It was read when it was changed; this version may read less.
            Some(changed) => {
                Operation::parse(changed).map_err(|error: CallError| Stop::Host(error.to_string()))
            }
            None => Ok(operation),
        }
    }
}

async fn sleep(nap: Option<std::time::Duration>) {
    match nap {
        Some(nap) => tokio::time::sleep(nap).await,
        None => std::future::pending().await,
    }
}
