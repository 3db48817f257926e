//! Interfaces that the embedding host brings itself, behind the same gate as wflo's own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wflo_engine::{CallClass, Event, ParkReason, Returned, Spend};
use wflo_host_api::Stop;
use wflo_manifest::Deployment;
use wflo_model::{Call, CallError, CallResult, Grants, InterfaceName, Label, ModelName, PicoUsd};
use wflo_ports::IdempotencyKey;
use wflo_sandbox::Linked;

use crate::Outside;
use crate::accounts::Room;
use crate::gate::{AttemptGate, InDoubt, host, returned};
use crate::history::OpenIntent;
use crate::player::Asked;

/// An interface that the embedding host brings itself: a health record, a ledger, a laboratory.
///
/// Its two halves never meet. What guests call is implemented on [`Host`](wflo_host_api::Host) and can do nothing but
/// make [`Call`]s ([`Linked`] puts it into the linker). What those calls do is [`perform`](Self::perform), which is
/// reached through the gate alone: after the step's grant and the host's ceiling have allowed the call, policies and
/// people have not objected, the budget holds its price, and the intent is durable. So journal, replay, recovery after
/// a crash, approvals, budgets and the audit are what they are for every other call.
///
/// ```
/// use std::time::Duration;
/// use serde::Deserialize;
/// use serde_json::{Value, json};
/// use wasmtime::component::Linker;
/// use wflo::{CallClassOf, Interface, InterfaceError, InterfaceGrant};
/// use wflo_model::Call;
/// use wflo_ports::IdempotencyKey;
/// use wflo_sandbox::{Guest, Linked};
///
/// /// `grants.interface."clinic:ehr/records" = { ward = "3" }`
/// #[derive(Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Ward { ward: String }
///
/// impl InterfaceGrant for Ward {
///     fn allows(&self, call: &Call) -> bool { call.args["ward"] == self.ward.as_str() }
///     fn covers(&self, narrower: &Self) -> bool { self.ward == narrower.ward }
/// }
///
/// struct Records;
///
/// impl Linked for Records {
///     fn import(&self) -> &str { "clinic:ehr/records@0.1.0" }
///     fn link(&self, linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
///         // clinic::ehr::records::add_to_linker::<_, HasHost>(linker, wflo_host_api::host)
///         Ok(())
///     }
/// }
///
/// #[async_trait::async_trait]
/// impl Interface for Records {
///     type Grant = Ward;
///     fn class(&self, call: &Call) -> CallClassOf {
///         match call.function.as_str() {
///             "read" => CallClassOf::Reads,
///             // The record takes a note once for each key, and remembers keys for a day.
///             _ => CallClassOf::Keyed { for_as_long_as: Duration::from_secs(86_400) },
///         }
///     }
///     async fn perform(&self, call: &Call, key: &IdempotencyKey) -> Result<Value, InterfaceError> {
///         Ok(json!(1))
///     }
/// }
/// ```
#[async_trait]
pub trait Interface: Linked + 'static {
    /// What one of its grants says, as `workflow.toml` writes it.
    type Grant: InterfaceGrant;

    /// What a crash in the middle of a call means.
    fn class(&self, call: &Call) -> CallClassOf;

    /// The most a call can cost: held against the budgets before it is made, and charged when it was.
    fn price(&self, call: &Call) -> PicoUsd {
        let _ = call;
        PicoUsd::ZERO
    }

    /// Whether it may be given data with this label. Nothing may unless somebody says so.
    fn accepts(&self, label: &Label) -> bool {
        let _ = label;
        false
    }

    /// Makes a call that was allowed. The key is the same whenever the same call is made again.
    ///
    /// # Errors
    /// [`InterfaceError::Lost`] where it may have been done all the same; everything else was not.
    async fn perform(&self, call: &Call, key: &IdempotencyKey) -> Result<Value, InterfaceError>;
}

/// A grant of a host's interface. What cannot be read as one is an error of the manifest, with its place.
pub trait InterfaceGrant: DeserializeOwned + Send + Sync + 'static {
    /// Whether it allows the call.
    fn allows(&self, call: &Call) -> bool;

    /// Whether it allows everything that `narrower` allows: reflexive, transitive.
    fn covers(&self, narrower: &Self) -> bool;
}

/// What a crash in the middle of a call of a host's interface means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallClassOf {
    /// It only reads, and is simply done again.
    Reads,
    /// It is made again under the same key, while the other side knows that.
    Keyed {
        /// How long the other side remembers a key.
        for_as_long_as: Duration,
    },
    /// Nothing tells whether it was done: the run parks, and a person says.
    Unsafe,
}

/// Why a call of a host's interface has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InterfaceError {
    /// It was certainly not done; what the guest is told.
    #[error(transparent)]
    NotDone(#[from] CallError),
    /// It may have been done: the answer was lost, or the other side broke off.
    #[error("{message}")]
    Lost {
        /// What happened.
        message: String,
    },
}

/// Says to a deployment that the host brings an interface, so that workflows can be granted it.
///
/// # Panics
/// When the interface has a name that none can have; [`Sandbox::with`](wflo_sandbox::Sandbox::with) refuses it first.
pub fn offer<I: Interface>(deployment: &mut Deployment, interface: &I) {
    deployment.offer(name_of(interface), |grant| {
        serde_json::from_value::<I::Grant>(grant.clone()).map(drop).map_err(|error| error.to_string())
    });
}

pub(crate) fn name_of(interface: &impl Interface) -> InterfaceName {
    InterfaceName::of_import(interface.import()).expect("the sandbox linked it under this name")
}

/// An interface with today's ceiling, whatever its grants look like.
#[async_trait]
pub(crate) trait Lent: Send + Sync {
    fn authorise(&self, granted: &[Value], call: &Call) -> Result<(), CallError>;
    fn exceeds(&self, granted: &[Value]) -> bool;
    fn class(&self, call: &Call) -> CallClassOf;
    fn price(&self, call: &Call) -> PicoUsd;
    fn accepts(&self, label: &Label) -> bool;
    async fn perform(&self, call: &Call, key: &IdempotencyKey) -> Result<Value, InterfaceError>;
}

/// An interface, and what its calls may reach at most.
pub(crate) struct WithCeiling<I: Interface> {
    pub(crate) interface: Arc<I>,
    pub(crate) ceiling: Option<Vec<I::Grant>>,
}

#[async_trait]
impl<I: Interface> Lent for WithCeiling<I> {
    fn authorise(&self, granted: &[Value], call: &Call) -> Result<(), CallError> {
        let denied = |message| Err(CallError::AccessDenied { message });
        // A plan may be older than the host: what is no grant any more allows nothing.
        let read = |grant: &Value| serde_json::from_value::<I::Grant>(grant.clone()).ok();
        if !granted.iter().filter_map(read).any(|grant| grant.allows(call)) {
            return denied(format!("no grant of the step allows this call of `{call}`"));
        }
        match &self.ceiling {
            Some(most) if !most.iter().any(|grant| grant.allows(call)) => {
                denied(format!("this call of `{call}` is above the ceiling of the host"))
            }
            _ => Ok(()),
        }
    }

    fn exceeds(&self, granted: &[Value]) -> bool {
        let Some(most) = &self.ceiling else { return false };
        let within = |grant: &Value| {
            let narrow = serde_json::from_value::<I::Grant>(grant.clone());
            narrow.is_ok_and(|narrow| most.iter().any(|wide| wide.covers(&narrow)))
        };
        !granted.iter().all(within)
    }

    fn class(&self, call: &Call) -> CallClassOf {
        self.interface.class(call)
    }

    fn price(&self, call: &Call) -> PicoUsd {
        self.interface.price(call)
    }

    fn accepts(&self, label: &Label) -> bool {
        self.interface.accepts(label)
    }

    async fn perform(&self, call: &Call, key: &IdempotencyKey) -> Result<Value, InterfaceError> {
        self.interface.perform(call, key).await
    }
}

/// A call of a host's interface.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OwnCall {
    pub(crate) interface: InterfaceName,
    pub(crate) call: Call,
}

impl OwnCall {
    /// Whether the step may make it: its grant, and today's ceiling.
    pub(crate) fn authorise(&self, grants: &Grants, outside: &Outside) -> Result<(), CallError> {
        let Self { interface, call } = self;
        let Some(granted) = grants.interfaces.get(interface) else {
            let message =
                format!("`{interface}` is not granted; `grants.interface.\"{interface}\" = {{ .. }}` would");
            return Err(CallError::AccessDenied { message });
        };
        let Some(lent) = outside.interface(interface) else {
            return Err(CallError::Unknown {
                message: format!("this host offers no interface `{interface}`"),
            });
        };
        lent.authorise(granted, call)
    }
}

impl AttemptGate {
    /// Makes a call of a host's interface that was authorised; `open` is the intent it has from before a crash.
    pub(crate) async fn own(
        &mut self,
        asked: Asked,
        own: OwnCall,
        open: Option<OpenIntent>,
    ) -> Result<CallResult, Stop> {
        let OwnCall { interface, call } = own;
        let Some(lent) = self.outside.interface(&interface).cloned() else {
            return Err(Stop::Host(format!("interface `{interface}` is gone")));
        };
        let price = lent.price(&call);
        let (class, good_until) = match lent.class(&call) {
            // What costs something leaves a trace before it does.
            CallClassOf::Reads if price > PicoUsd::ZERO => (CallClass::Repeatable, None),
            CallClassOf::Reads => (CallClass::Read, None),
            CallClassOf::Keyed { for_as_long_as } => {
                (CallClass::Keyed, Some(self.log.now().after(for_as_long_as)))
            }
            CallClassOf::Unsafe => (CallClass::Unsafe, None),
        };
        let intent = match (open, class) {
            (Some(open), _) => Some(open.seq),
            (None, CallClass::Read) => None,
            (None, _) if price > PicoUsd::ZERO => {
                match self.paid_intent(&asked, class, good_until, price).await? {
                    Ok(seq) => Some(seq),
                    Err((refused, account)) => return self.over_budget(asked, refused, account).await,
                }
            }
            (None, _) => Some(self.intent(&asked, class, good_until).await?),
        };
        let called = asked.call.to_string();
        if let Some(intent) = intent {
            // Whoever cuts it off settles it by the one or by the other.
            if price > PicoUsd::ZERO && class != CallClass::Unsafe {
                self.in_flight = Some((intent, price));
            } else {
                self.in_doubt = Some(InDoubt { intent, call: called.clone(), class });
            }
        }
        let answer = lent.perform(&call, &IdempotencyKey(asked.key)).await;
        (self.in_flight, self.in_doubt) = (None, None);
        let charged = |estimated| {
            let model = interface.as_str().parse::<ModelName>().ok().filter(|_| price > PicoUsd::ZERO)?;
            Some(Spend { model, input_tokens: 0, output_tokens: 0, cost_usd: price, estimated })
        };
        let (result, spend) = match (answer, intent) {
            (Ok(value), _) => (Ok(value), charged(false)),
            (Err(InterfaceError::NotDone(error)), _) => (Err(error), None),
            (Err(InterfaceError::Lost { .. }), Some(intent)) if class == CallClass::Unsafe => {
                return Err(self.park(ParkReason::Unknown { intent, call: called }).await);
            }
            (Err(InterfaceError::Lost { message }), _) => {
                (Err(CallError::Upstream { message }), charged(true))
            }
        };
        self.append(Event::Returned(Returned { spend, ..returned(intent, asked, &result) }))?;
        self.log.alert(&self.plan).map_err(host)?;
        Ok(result)
    }

    /// As [`intent`](Self::intent), with a hold; what the budget lacks, where it lacks something.
    async fn paid_intent(
        &mut self,
        call: &Asked,
        class: CallClass,
        good_until: Option<wflo_model::Timestamp>,
        hold: PicoUsd,
    ) -> Result<Result<u64, (wflo_engine::Refusal, String)>, Stop> {
        let Asked { call: asked, args, key } = call.clone();
        let (place, consumes, performed) = (self.call_place(), self.permit.take(), self.performed.take());
        let (plan, step, limits) = (&self.plan, &self.step, self.outside.spending());
        let admitted = self.log.transact_money(|state, books, today| {
            let Room { left, account } = books.room_for(state, &place, plan, step, limits, today);
            if hold > left {
                return Err((wflo_engine::Refusal { needed_usd: hold, left_usd: left }, account));
            }
            let (transcript, max_tokens) = (None, None);
            let event = Event::Intent {
                asked,
                transcript,
                class,
                args,
                key,
                hold,
                max_tokens,
                good_until,
                consumes,
                performed,
            };
            Ok((vec![(place.clone(), event)], ()))
        });
        match admitted.map_err(host)? {
            Ok((written, ())) => {
                let seq = written.seq;
                self.durable(written).await?;
                Ok(Ok(seq))
            }
            Err(refused) => Ok(Err(refused)),
        }
    }
}
