//! A request over HTTP: who may make it, what a crash in its middle means, and how it is made.

use std::sync::Arc;

use wflo_engine::{CallClass, Event, ParkReason, Returned};
use wflo_host_api::{SavedAnswer, Stop};
use wflo_model::{ArtifactName, Call, CallError, CallResult, Grants, HttpGrant, Octets};
use wflo_ports::{HttpClient, HttpError, HttpLimits, HttpRequest, HttpResponse};

use crate::Outside;
use crate::artifact::Receiving;
use crate::gate::{AttemptGate, InDoubt, returned};
use crate::history::OpenIntent;
use crate::operation::Operation;
use crate::player::Asked;
use crate::scrub::Scrubber;
use crate::tasks::Caller;

/// Whether a call of that name is a request over HTTP.
pub(crate) fn is_http(call: &Call) -> bool {
    can_be_beside(call) || call.interface == crate::artifact::HTTP
}

/// Whether a call of that name may be under way beside its guest.
pub(crate) fn can_be_beside(call: &Call) -> bool {
    call.interface == "wasi:http/outgoing-handler"
}

/// The grant that a request is made under.
///
/// # Errors
/// `AccessDenied` where there is none; `Invalid` where the request sets what the host sets under that grant.
pub(crate) fn granted<'a>(request: &HttpRequest, grants: &'a Grants) -> Result<&'a HttpGrant, CallError> {
    let HttpRequest { method, url, headers, .. } = request;
    let Some(grant) = HttpGrant::find(&grants.http, method, url) else {
        let target = format!("{method} {}{}", url.origin(), url.path());
        let message = format!("`{target}` is not granted; `grants.http = [\"{target}\"]` would");
        return Err(CallError::AccessDenied { message });
    };
    if let Some(idempotency) = &grant.idempotency
        && headers.iter().any(|(name, _)| *name == idempotency.header)
    {
        let message = format!("header `{}` is the host's to set, as the grant says", idempotency.header);
        return Err(CallError::Invalid { message });
    }
    Ok(grant)
}

/// Whether the step may make the request: its grant, and the deployment's ceiling today. Where a name leads is
/// judged when it is looked up, by whoever connects.
///
/// # Errors
/// As [`granted`]; `Unknown` where the deployment offers no HTTP, `AccessDenied` where its ceiling is lower.
pub(crate) fn authorise(request: &HttpRequest, grants: &Grants, outside: &Outside) -> Result<(), CallError> {
    granted(request, grants)?;
    let Some(http) = outside.http() else {
        return Err(CallError::Unknown { message: "the deployment offers no HTTP".to_owned() });
    };
    let HttpRequest { method, url, .. } = request;
    if http.ceiling().is_some_and(|ceiling| !ceiling.iter().any(|pattern| pattern.matches(method, url))) {
        let message =
            format!("`{method} {}` is above the deployment's ceiling, `[limits] http`", url.origin());
        return Err(CallError::AccessDenied { message });
    }
    Ok(())
}

/// What a crash between a request and its answer means.
pub(crate) fn class(request: &HttpRequest, grants: &Grants) -> CallClass {
    if request.method.is_read() {
        return CallClass::Read;
    }
    match granted(request, grants) {
        Ok(HttpGrant { idempotency: Some(_), .. }) => CallClass::Keyed,
        _ => CallClass::Unsafe,
    }
}

/// Refuses a call that is not complete yet, if no grant allows it: the same live and in replay, since grants are
/// pinned.
pub(crate) async fn refuse(
    caller: &mut impl Caller,
    call: &Call,
    grants: &Grants,
) -> Result<Option<CallError>, Stop> {
    let granted = match Operation::parse(call) {
        Ok(Operation::Http(request)) => granted(&request, grants).is_ok(),
        Ok(_) => true,
        Err(_) => false,
    };
    if granted {
        return Ok(None);
    }
    match caller.make(call.clone()).await? {
        Err(error) => Ok(Some(error)),
        Ok(_) => Err(Stop::Host(format!("`{call}` came to something without a grant"))),
    }
}

/// Whether an answer stands for its request from now on, so that a second attempt is given it. One that says that
/// the server was busy or failed does not: asked again, the server may do it.
pub(crate) fn is_settled(answer: &serde_json::Value) -> bool {
    serde_json::from_value::<HttpResponse>(answer.clone()).is_ok_and(|answer| answer.is_settled())
}

/// A request that was authorised, and whose intent is durable where it has one: it is made next.
pub(crate) struct Ready {
    pub(crate) call: Asked,
    pub(crate) intent: Option<u64>,
    pub(crate) class: CallClass,
}

/// A request as it is made.
pub(crate) struct Filled {
    request: HttpRequest,
    /// Whether the server may have been told secrets, by this request or another.
    may_be_told: bool,
}

impl Ready {
    /// What the request came to; or why its attempt parks, where the server may have done it and there is nothing to
    /// ask it by: somebody has to look.
    pub(crate) fn came_to(
        &self,
        answer: Result<SavedAnswer, HttpError>,
        scrubber: &Scrubber,
    ) -> Result<CallResult, ParkReason> {
        match (answer, self.intent, self.class) {
            (
                Err(HttpError::Lost { .. } | HttpError::TooLarge { .. } | HttpError::NotKept { .. }),
                Some(intent),
                CallClass::Unsafe,
            ) => Err(ParkReason::Unknown { intent, call: self.call.call.to_string() }),
            (Ok(answer), ..) => Ok(Ok(serde_json::json!(answer))),
            (Err(error), ..) => Ok(Err(http_error(error, scrubber))),
        }
    }
}

impl AttemptGate {
    /// Makes a request that was authorised; `open` is the intent it has from before a crash. The body of the answer
    /// becomes an artifact where `into` names one.
    pub(crate) async fn http(
        &mut self,
        call: Asked,
        request: HttpRequest,
        into: Option<ArtifactName>,
        open: Option<OpenIntent>,
    ) -> Result<CallResult, Stop> {
        if let Some(Err(error)) = into.as_ref().map(|name| self.desk.free(name)) {
            let (intent, result) = (open.map(|open| open.seq), Err(error));
            self.append(Event::Returned(returned(intent, call, &result)))?;
            return Ok(result);
        }
        let (ready, filled) = match self.ready(call, request, open).await? {
            Ok(ready) => ready,
            Err(error) => return Ok(Err(error)),
        };
        let client = self.http_client()?;
        let (call, class) = (ready.call.call.to_string(), ready.class);
        self.in_doubt = ready.intent.map(|intent| InDoubt { intent, call, class });
        let answer = match into {
            None => send(&*client, &filled, self.step.limits.http_body(), self.outside.scrubber()).await,
            Some(name) => self.receive(&*client, &filled, name).await?,
        };
        self.in_doubt = None;
        let artifact = answer.as_ref().ok().and_then(|answer| Some(answer.saved.as_ref()?.artifact.clone()));
        match ready.came_to(answer, self.outside.scrubber()) {
            Ok(result) => {
                let returned = returned(ready.intent, ready.call, &result);
                self.append(Event::Returned(Returned { artifact, ..returned }))?;
                Ok(result)
            }
            Err(unknown) => Err(self.park(unknown).await),
        }
    }

    pub(crate) fn http_client(&self) -> Result<Arc<dyn HttpClient>, Stop> {
        let http = self.outside.http();
        let http = http.ok_or_else(|| Stop::Host("the deployment's HTTP is gone".to_owned()))?;
        Ok(Arc::clone(http.client()))
    }

    /// Fills in the secrets of a request, and writes its intent if it needs one; or what the guest is told instead.
    pub(crate) async fn ready(
        &mut self,
        call: Asked,
        mut request: HttpRequest,
        open: Option<OpenIntent>,
    ) -> Result<Result<(Ready, Filled), CallError>, Stop> {
        let class = class(&request, &self.step.grants);
        let idempotency =
            granted(&request, &self.step.grants).ok().and_then(|grant| grant.idempotency.clone());
        // What is performed is journaled nowhere: the call has the placeholders.
        let may_be_told = match self.placeholders.fill(&mut request, &self.outside) {
            Ok(may_be_told) => may_be_told,
            Err(error) => {
                let intent = open.map(|open| open.seq);
                self.append(Event::Returned(returned(intent, call, &Err(error.clone()))))?;
                return Ok(Err(error));
            }
        };
        let intent = match (open, class) {
            (Some(open), _) => Some(open.seq),
            (None, CallClass::Read) => None,
            (None, _) => {
                let good_until = idempotency.as_ref().map(|key| self.log.now().after(key.ttl));
                Some(self.intent(&call, class, good_until).await?)
            }
        };
        if let (CallClass::Keyed, Some(idempotency)) = (class, idempotency) {
            let key = Octets::from(call.key.hex().as_str());
            request.headers.push((idempotency.header, key));
        }
        Ok(Ok((Ready { call, intent, class }, Filled { request, may_be_told })))
    }

    /// Has the body of an answer become an artifact.
    async fn receive(
        &mut self,
        client: &dyn HttpClient,
        filled: &Filled,
        name: ArtifactName,
    ) -> Result<Result<SavedAnswer, HttpError>, Stop> {
        // A large answer takes as long as the attempt may; what stands still is given up before.
        let limits = HttpLimits { response: self.desk.left(), time: self.step.limits.timeout };
        let mut request = filled.request.clone();
        let still = u64::try_from(HttpLimits::default().time.as_millis()).unwrap_or(u64::MAX);
        request.first_byte_ms = Some(request.first_byte_ms.unwrap_or(still).min(still));
        request.between_bytes_ms = Some(request.between_bytes_ms.unwrap_or(still).min(still));
        let (scrubber, inline) = (self.outside.scrubber().clone(), self.step.limits.http_body());
        let Ok(mut body) = Receiving::new(&mut self.desk, name, &scrubber, filled.may_be_told, inline) else {
            let message = "too many artifacts are being written; finish or drop one first".to_owned();
            return Ok(Err(HttpError::Invalid { message }));
        };
        let mut answer = match client.receive(&request, limits, &mut body).await {
            Ok(answer) => answer,
            Err(error) => return body.undo().map_or(Ok(Err(error)), Err),
        };
        let saved = body.finish(&mut answer, &scrubber).await?.map(|artifact| self.own_artifact(artifact));
        Ok(Ok(SavedAnswer { answer, saved }))
    }
}

/// Makes a request whose answer is taken in whole.
pub(crate) async fn send(
    client: &dyn HttpClient,
    filled: &Filled,
    response: u64,
    scrubber: &Scrubber,
) -> Result<SavedAnswer, HttpError> {
    let limits = HttpLimits { response, ..HttpLimits::default() };
    let mut answer = client.send(&filled.request, limits).await?;
    scrubber.response(&mut answer, filled.may_be_told);
    Ok(SavedAnswer { answer, saved: None })
}

/// What a guest is told about a request without an answer.
fn http_error(error: HttpError, scrubber: &Scrubber) -> CallError {
    let message = scrubber.text(&error.to_string());
    match error {
        HttpError::Prohibited { .. } => CallError::AccessDenied { message },
        HttpError::Invalid { .. } => CallError::Invalid { message },
        HttpError::NotSent { .. } => CallError::Unavailable { message },
        HttpError::Lost { .. } => CallError::Upstream { message },
        HttpError::TooLarge { .. } => CallError::Limit { message },
        _ => CallError::Other { message },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use wflo_engine::CallClass;
    use wflo_model::{CallError, Grants, HttpGrant, Idempotency};
    use wflo_ports::{HttpClient, HttpError, HttpLimits, HttpRequest, HttpResponse};

    use super::{authorise, class, granted, is_settled};
    use crate::Outside;

    fn request(method: &str, url: &str) -> HttpRequest {
        HttpRequest::new(method.parse().unwrap(), url.parse().unwrap())
    }

    fn grants() -> Grants {
        let keyed = Idempotency { header: "Idempotency-Key".parse().unwrap(), ttl: Duration::from_secs(60) };
        let http = [
            HttpGrant::new("* https://example.org/*".parse().unwrap()),
            HttpGrant { allow: "POST https://example.org/pay".parse().unwrap(), idempotency: Some(keyed) },
        ];
        Grants { http: http.into(), ..Grants::default() }
    }

    #[test]
    fn the_grant_decides_what_a_crash_means() {
        let check = |method: &str, url: &str, expect: CallClass| {
            assert_eq!(class(&request(method, url), &grants()), expect, "{method} {url}");
        };
        check("GET", "https://example.org/pay", CallClass::Read);
        check("HEAD", "https://example.org/pay", CallClass::Read);
        check("POST", "https://example.org/pay", CallClass::Keyed);
        check("POST", "https://example.org/pay/", CallClass::Unsafe);
        check("PUT", "https://example.org/pay", CallClass::Unsafe);
        check("OPTIONS", "https://example.org/pay", CallClass::Unsafe);
    }

    #[test]
    fn a_denial_names_the_grant_that_would_allow_it_and_no_query() {
        let denied = granted(&request("GET", "https://evil.example/a?token=secret"), &grants()).unwrap_err();
        let CallError::AccessDenied { message } = denied else { panic!("{denied:?}") };
        assert_eq!(
            message,
            "`GET https://evil.example/a` is not granted; `grants.http = [\"GET https://evil.example/a\"]` would"
        );
    }

    /// Makes no request, and is asked for none.
    struct Nobody;

    #[async_trait::async_trait]
    impl HttpClient for Nobody {
        async fn send(&self, _: &HttpRequest, _: HttpLimits) -> Result<HttpResponse, HttpError> {
            panic!("only asked whether it may")
        }
    }

    #[test]
    fn the_ceiling_of_today_counts_beside_the_grant_of_the_plan() {
        let may = |outside: &Outside, url: &str| authorise(&request("GET", url), &grants(), outside);
        let url = "https://example.org/a";
        assert!(matches!(may(&Outside::default(), url), Err(CallError::Unknown { .. })));
        let with = |ceiling: Option<&[&str]>| {
            let ceiling = ceiling.map(|all| all.iter().map(|text| text.parse().unwrap()).collect());
            Outside::default().with_http(Arc::new(Nobody), ceiling)
        };
        assert!(may(&with(None), url).is_ok());
        assert!(may(&with(Some(&["* https://example.org/*"])), url).is_ok());
        for ceiling in [&[][..], &["POST https://example.org/*"], &["* https://*.example.org/*"]] {
            assert!(
                matches!(may(&with(Some(ceiling)), url), Err(CallError::AccessDenied { .. })),
                "{ceiling:?}"
            );
        }
        assert!(may(&with(Some(&["* https://*/*"])), "https://evil.example/").is_err(), "there is no grant");
    }

    #[test]
    fn an_answer_of_a_busy_server_does_not_stand() {
        let settled = |answer| is_settled(&answer);
        assert!(settled(serde_json::json!({"status": 201, "body": "made"})));
        assert!(!settled(serde_json::json!({"status": 503})));
        assert!(!settled(serde_json::json!("no answer")));
    }

    #[test]
    fn a_guest_does_not_choose_its_key() {
        let mut request = request("POST", "https://example.org/pay");
        assert!(granted(&request, &grants()).is_ok());
        request.headers.push(("idempotency-key".parse().unwrap(), "mine".into()));
        assert!(matches!(granted(&request, &grants()), Err(CallError::Invalid { .. })));
        request.url = "https://example.org/other".parse().unwrap();
        assert!(granted(&request, &grants()).is_ok());
    }
}
