//! A simulated server over HTTP: it answers in its own time, and some answers are lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use wflo_engine::{CallClass, Event, Recorded};
use wflo_model::{Call, HttpGrant, Idempotency, RunId};
use wflo_ports::{HttpClient, HttpError, HttpLimits, HttpRequest, HttpResponse};

use crate::scenario::{Asks, Kind, Wrong};
use crate::world::{World, name_of};

const KEY: &str = "idempotency-key";

/// A request that reached the server, with what was durable of each run then.
#[derive(Clone, Debug)]
pub(crate) struct Requested {
    url: String,
    key: Option<String>,
    durable: BTreeMap<RunId, u64>,
}

/// What steps are granted.
pub(crate) fn grants() -> BTreeSet<HttpGrant> {
    let keyed = Idempotency { header: name_of(KEY), ttl: Duration::from_secs(86_400) };
    [
        HttpGrant::new(name_of("GET https://x.example/read/*")),
        HttpGrant { allow: name_of("POST https://x.example/keyed/*"), idempotency: Some(keyed) },
        HttpGrant::new(name_of("POST https://x.example/unsafe/*")),
    ]
    .into()
}

/// The call that asks for it.
pub(crate) fn call(asks: Asks) -> Call {
    let (method, path, n) = match asks {
        Asks::Read(n) => ("GET", "read", n),
        Asks::Keyed(n) => ("POST", "keyed", n),
        Asks::Unsafe(n) => ("POST", "unsafe", n),
        Asks::Denied => ("GET", "denied", 0),
    };
    let args = json!({ "method": method, "url": format!("https://x.example/{path}/{n}") });
    Call::new("wasi:http/outgoing-handler", "handle", args)
}

/// What a person says who has looked.
pub(crate) fn looked_up() -> Value {
    json!({ "status": 200, "body": "somebody has looked" })
}

pub(crate) struct SimSite {
    world: Arc<World>,
}

impl SimSite {
    pub(crate) fn new(world: &Arc<World>) -> Self {
        Self { world: Arc::clone(world) }
    }
}

#[async_trait]
impl HttpClient for SimSite {
    async fn send(&self, request: &HttpRequest, _: HttpLimits) -> Result<HttpResponse, HttpError> {
        self.world.live_on().await;
        let fault = self.world.fault(Kind::Http);
        if fault == Some(Wrong::HttpNotSent) {
            return Err(HttpError::NotSent { message: "the simulated server is away".to_owned() });
        }
        let (drawn, wait) = {
            let inner = &mut *self.world.lock();
            let key = request.headers.iter().find(|(name, _)| name.as_str() == KEY);
            let key = key.and_then(|(_, value)| Some(value.as_text()?.to_owned()));
            let (url, durable) = (request.url.to_string(), inner.image.heads());
            inner.requested.push(Requested { url, key, durable });
            (inner.rng.below(1000), inner.rng.pick(&[0, 0, 3, 40, 700, 2500]))
        };
        let wait = if fault == Some(Wrong::HttpIsSlow) { 50_000 } else { wait };
        if wait > 0 {
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
        self.world.live_on().await;
        if fault == Some(Wrong::HttpLost) {
            return Err(HttpError::Lost { message: "the simulated answer was lost".to_owned() });
        }
        Ok(HttpResponse { status: 200, headers: Vec::new(), body: drawn.to_string().as_str().into() })
    }
}

/// Each request that is no read was made for a durable intent of its own, those with a key for one of that key.
pub(crate) fn requests(world: &World, told: &BTreeMap<RunId, Vec<Recorded>>) {
    let requested = world.lock().requested.clone();
    let mut without_key: BTreeMap<String, usize> = BTreeMap::new();
    for Requested { url, key, durable } in requested {
        let intents = || {
            told.iter().flat_map(|(run, events)| {
                let durable = durable.get(run).copied().unwrap_or_default();
                events.iter().filter(move |recorded| recorded.seq <= durable).filter_map(|recorded| {
                    match &recorded.event {
                        Event::Intent { asked, class, key, .. } => Some((asked, *class, key.hex())),
                        _ => None,
                    }
                })
            })
        };
        if let Some(key) = key {
            if !intents().any(|(_, _, of)| of.as_str() == key) {
                world.violated("no outcome twice", format!("{url} was asked for without a durable intent"));
            }
        } else if url.contains("/unsafe/") {
            let count = without_key.entry(url.clone()).or_default();
            *count += 1;
            let intents = intents()
                .filter(|(asked, class, _)| *class == CallClass::Unsafe && asked.args["url"] == url.as_str())
                .count();
            if *count > intents {
                let what = format!("{url} was asked for {count} times with {intents} durable intents");
                world.violated("no outcome twice", what);
            }
        }
    }
}
