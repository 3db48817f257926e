//! Makes requests over HTTP, in good ways and bad ones, one a step. The address comes as the input `url`, and what
//! came of it goes out as text.

wit_bindgen::generate!({
    inline: r#"
        package test:courier;
        world courier {
            import wflo:step/context@0.1.0;
            import wasi:clocks/monotonic-clock@0.2.12;
            import wasi:http/outgoing-handler@0.2.12;
            export wflo:step/handler@0.1.0;
        }
    "#,
    path: [
        "../../../wit/deps/io", "../../../wit/deps/clocks", "../../../wit/deps/http", "../../../wit/deps/logging",
        "../../../wit/step",
    ],
    world: "test:courier/courier",
    generate_all,
});

use exports::wflo::step::handler::{Failure, Guest, StepInfo, Undo};
use wasi::clocks::monotonic_clock;
use wasi::http::outgoing_handler::handle;
use wasi::http::types::{
    self, ErrorCode, Fields, FutureIncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions,
    Scheme,
};
use wasi::io::poll::poll;
use wasi::io::streams::StreamError;
use wflo::step::context;

/// What it can do.
#[rustfmt::skip]
const STEPS: &[&str] = &[
    "asks_again", "bad_addresses", "bad_headers", "dropped_body", "follows", "get", "hoards_bodies",
    "hoards_headers", "hoards_requests", "large_body", "leaves", "many", "no_length", "post_body_first",
    "post_body_later", "post_bytes", "posts_together", "races", "sdk_follows", "sdk_get", "sdk_post",
    "serves", "short_length", "three", "timeouts", "together", "too_large_body", "too_large_body_later",
    "unfinished", "waits_for_itself", "waits_with_timer", "with_client", "with_client_body",
];

struct Courier;
export!(Courier);

impl Guest for Courier {
    fn describe() -> Vec<StepInfo> {
        let step = |name: &str| StepInfo {
            name: name.into(),
            summary: "Makes a request.".into(),
            compensates: false,
            output_schema: None,
            facts: Vec::new(),
        };
        STEPS.iter().copied().map(step).collect()
    }

    fn run(step: String) -> Result<String, Failure> {
        let url = context::input("url")
            .map_or_else(|| "https://example.org/api/a?b=c".into(), |url| unquoted(&url));
        let said = match step.as_str() {
            "get" => show(handle(request(Method::Get, &url, &[("x-from", "a step")]), None)),
            "post_body_first" => body_first(&url, b"before"),
            "post_body_later" => body_later(&url, b"after"),
            "post_bytes" => body_first(&url, &[0xff, 0x00, 0x80]),
            "with_client" => with_client(&url, None),
            "with_client_body" => with_client(&url, Some("from a client")),
            "sdk_get" => format!("{:?}", sdk::http::get(&url).query("q", "a b").text()),
            "sdk_post" => sdk_post(&url),
            "sdk_follows" => sdk_follows(&url),
            "large_body" => body_first(&url, &vec![b'x'; 3 << 20]),
            "too_large_body" => body_first(&url, &vec![b'x'; 5 << 20]),
            "too_large_body_later" => body_later(&url, &vec![b'x'; 5 << 20]),
            "short_length" => lengths(&url, "2"),
            "no_length" => lengths(&url, "-1"),
            "unfinished" => unfinished(&url),
            "dropped_body" => dropped_body(&url),
            "waits_for_itself" => waits_for_itself(&url),
            "waits_with_timer" => waits_with_timer(&url),
            "three" => three(&url),
            "asks_again" => asks_again(&url),
            "together" => together(&url, &Method::Get),
            "posts_together" => together(&url, &Method::Post),
            "races" => races(&url),
            "leaves" => leaves(&url),
            "many" => many(&url),
            "follows" => follows(&url),
            "timeouts" => timeouts(&url),
            "hoards_headers" => hoards_headers(),
            "hoards_bodies" => hoards_bodies(&url),
            "hoards_requests" => hoards_requests(&url),
            "bad_headers" => bad_headers(),
            "bad_addresses" => bad_addresses(),
            "serves" => {
                types::OutgoingResponse::new(Fields::new());
                "served".to_owned()
            }
            other => return Err(Failure::Permanent(format!("no step `{other}`"))),
        };
        Ok(format!("{said:?}"))
    }

    fn compensate(_: Undo) -> Result<(), Failure> {
        Ok(())
    }
}

/// As many headers as one request can have.
fn full() -> Fields {
    let fields = Fields::new();
    while fields.append("a", b"").is_ok() {}
    fields
}

fn hoards_headers() -> String {
    let fields = full();
    let hoard: Vec<Fields> = (0..5000).map(|_| fields.clone()).collect();
    format!("{} headers", hoard.len())
}

fn hoards_bodies(url: &str) -> String {
    let hoard: Vec<OutgoingRequest> = (0..500).map(|_| with_body(request(Method::Post, url, &[]))).collect();
    format!("{} bodies", hoard.len())
}

fn with_body(request: OutgoingRequest) -> OutgoingRequest {
    let body = request.body().expect("it was not taken before");
    let stream = body.write().expect("it was not taken before");
    for _ in 0..63 {
        stream.check_write().expect("there is room");
        stream.write(&[b'x'; 64 << 10]).expect("there is room");
    }
    drop(stream);
    OutgoingBody::finish(body, None).expect("it has all");
    request
}

/// Requests that wait for their bodies, with many headers each.
fn hoards_requests(url: &str) -> String {
    let fields = full();
    let (scheme, authority, path) = parts(url);
    let hoard: Vec<_> = (0..2500)
        .map(|_| {
            let request = OutgoingRequest::new(fields.clone());
            request.set_scheme(Some(&scheme)).expect("the scheme is good");
            request.set_authority(Some(&authority)).expect("the authority is good");
            request.set_path_with_query(Some(&path)).expect("the path is good");
            let body = request.body().expect("it was not taken before");
            (body, handle(request, None))
        })
        .collect();
    format!("{} requests", hoard.len())
}

/// The text of a JSON string; addresses have nothing in them that needs escaping.
fn unquoted(json: &str) -> String {
    json.trim_matches('"').to_owned()
}

fn parts(url: &str) -> (Scheme, String, String) {
    let (scheme, rest) = url.split_once("://").expect("an address has a scheme");
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let scheme = if scheme == "http" { Scheme::Http } else { Scheme::Https };
    (scheme, authority.to_owned(), path.to_owned())
}

fn request(method: Method, url: &str, headers: &[(&str, &str)]) -> OutgoingRequest {
    let headers: Vec<_> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    let request = OutgoingRequest::new(Fields::from_list(&headers).expect("the headers are good"));
    let (scheme, authority, path) = parts(url);
    request.set_method(&method).expect("the method is good");
    request.set_scheme(Some(&scheme)).expect("the scheme is good");
    request.set_authority(Some(&authority)).expect("the authority is good");
    request.set_path_with_query(Some(&path)).expect("the path is good");
    request
}

/// Waits for a response and reads it in whole.
fn answer(future: &FutureIncomingResponse) -> Result<(u16, String, Vec<u8>), ErrorCode> {
    future.subscribe().block();
    let response = future.get().expect("it is ready").expect("it was not taken before")?;
    assert!(matches!(future.get(), Some(Err(()))), "a response is taken once");
    let location = response.headers().get("location").first().cloned().unwrap_or_default();
    let body = response.consume().expect("the body was not taken before");
    assert!(response.consume().is_err(), "a body is taken once");
    let stream = body.stream().expect("the stream was not taken before");
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(1 << 20) {
            Ok(chunk) => bytes.extend(chunk),
            Err(StreamError::Closed) => break,
            Err(error) => panic!("{error:?}"),
        }
    }
    drop(stream);
    let trailers = types::IncomingBody::finish(body);
    trailers.subscribe().block();
    assert!(matches!(trailers.get(), Some(Ok(Ok(None)))));
    Ok((response.status(), String::from_utf8_lossy(&location).into_owned(), bytes))
}

fn show(handled: Result<FutureIncomingResponse, ErrorCode>) -> String {
    match handled {
        Err(code) => format!("handle: {code:?}"),
        Ok(future) => match answer(&future) {
            Err(code) => format!("response: {code:?}"),
            Ok((status, location, body)) if body.len() > 200 => {
                format!("{status} {location} {} bytes", body.len())
            }
            Ok((status, location, body)) => format!("{status} {location} {}", String::from_utf8_lossy(&body)),
        },
    }
}

/// Writes as clients do: asks how much it may, and writes that much.
fn write(body: &OutgoingBody, mut bytes: &[u8]) -> Result<(), StreamError> {
    let stream = body.write().expect("the stream was not taken before");
    while !bytes.is_empty() {
        stream.subscribe().block();
        let room = usize::try_from(stream.check_write()?).expect("room is a size").min(bytes.len());
        stream.write(&bytes[..room])?;
        bytes = &bytes[room..];
    }
    stream.flush()
}

fn write_error(error: StreamError) -> String {
    match error {
        StreamError::LastOperationFailed(error) => format!("write: {:?}", types::http_error_code(&error)),
        StreamError::Closed => "write: closed".to_owned(),
    }
}

fn body_first(url: &str, bytes: &[u8]) -> String {
    let request = request(Method::Post, url, &[]);
    let body = request.body().expect("the body was not taken before");
    assert!(request.body().is_err(), "a body is taken once");
    if let Err(error) = write(&body, bytes) {
        let error = write_error(error);
        let finished = OutgoingBody::finish(body, None);
        return format!("{error}, finish: {finished:?}, {}", show(handle(request, None)));
    }
    OutgoingBody::finish(body, None).expect("the body is complete");
    show(handle(request, None))
}

fn body_later(url: &str, bytes: &[u8]) -> String {
    let request = request(Method::Post, url, &[]);
    let body = request.body().expect("the body was not taken before");
    let future = match handle(request, None) {
        Ok(future) => future,
        Err(code) => return format!("handle: {code:?}"),
    };
    assert!(future.get().is_none() && !future.subscribe().ready(), "there is no answer without a request");
    if let Err(error) = write(&body, bytes) {
        let error = write_error(error);
        let finished = OutgoingBody::finish(body, None);
        return format!("{error}, finish: {finished:?}, {}", show(Ok(future)));
    }
    if let Err(code) = OutgoingBody::finish(body, None) {
        return format!("finish: {code:?}, {}", show(Ok(future)));
    }
    show(Ok(future))
}

fn with_client(url: &str, body: Option<&str>) -> String {
    wstd::runtime::block_on(async {
        let request = wstd::http::Request::builder().uri(url);
        let request = match body {
            Some(body) => request.method("POST").body(wstd::http::Body::from(body.to_owned())),
            None => request.body(wstd::http::Body::empty()),
        };
        let response = wstd::http::Client::new().send(request.expect("the request is good")).await;
        match response {
            Err(error) => format!("error: {error:?}"),
            Ok(mut response) => {
                let status = response.status().as_u16();
                let body = response.body_mut().contents().await.expect("the body can be read");
                format!("{status} {}", String::from_utf8_lossy(body))
            }
        }
    })
}

fn sdk_post(url: &str) -> String {
    let request = sdk::http::post(url).body_json(&[1, 2]).expect("the body is JSON");
    match request.send() {
        Ok(answer) => format!("{} {:?}", answer.status(), answer.header("Content-Type")),
        Err(error) => format!("{error}"),
    }
}

fn sdk_follows(url: &str) -> String {
    let request = sdk::http::get(url).header("Authorization", "secret").header("x-kept", "1");
    match request.text() {
        Ok(text) => text,
        Err(error) => format!("{:?}: {error}", error.kind()),
    }
}

fn lengths(url: &str, length: &str) -> String {
    let request = request(Method::Post, url, &[("content-length", length)]);
    let body = request.body().expect("the body was not taken before");
    write(&body, b"GET /smuggled HTTP/1.1").expect("a body can be written");
    let first = OutgoingBody::finish(body, None);
    format!("finish: {first:?}, {}", show(handle(request, None)))
}

fn unfinished(url: &str) -> String {
    let request = request(Method::Post, url, &[]);
    let body = request.body().expect("the body was not taken before");
    let future = handle(request, None).expect("it is not refused");
    drop(body);
    show(Ok(future))
}

fn dropped_body(url: &str) -> String {
    let request = request(Method::Post, url, &[]);
    drop(request.body().expect("the body was not taken before"));
    show(handle(request, None))
}

fn waits_for_itself(url: &str) -> String {
    let request = request(Method::Post, url, &[]);
    let body = request.body().expect("the body was not taken before");
    let future = handle(request, None).expect("it is not refused");
    future.subscribe().block();
    drop(body);
    "it came".to_owned()
}

fn waits_with_timer(url: &str) -> String {
    let request = request(Method::Post, url, &[]);
    let body = request.body().expect("the body was not taken before");
    let future = handle(request, None).expect("it is not refused");
    let timer = monotonic_clock::subscribe_duration(1_000_000);
    let ready = poll(&[&future.subscribe(), &timer]);
    OutgoingBody::finish(body, None).expect("the body is complete");
    let then = poll(&[&future.subscribe(), &timer]);
    format!("{ready:?} {then:?} {}", show(Ok(future)))
}

/// Three at a time: all are answered, and the order is that of the asking.
fn three(url: &str) -> String {
    let futures: Vec<_> = (0..3)
        .map(|n| handle(request(Method::Get, &format!("{url}&n={n}"), &[]), None).expect("it is not refused"))
        .collect();
    let pollables: Vec<_> = futures.iter().map(FutureIncomingResponse::subscribe).collect();
    let ready = poll(&pollables.iter().collect::<Vec<_>>());
    drop(pollables);
    let answers: Vec<_> = futures.into_iter().map(|future| show(Ok(future))).collect();
    format!("{ready:?} {}", answers.join(", "))
}

fn asks_again(url: &str) -> String {
    let ask = || show(handle(request(Method::Post, url, &[]), None));
    format!("{}, {}", ask(), ask())
}

/// Asks for one more thing at an address that has a query.
fn ask(method: &Method, url: &str, what: &str) -> FutureIncomingResponse {
    handle(request(method.clone(), &format!("{url}&{what}"), &[]), None).expect("it is not refused")
}

/// Three at a time. Of each answer the server is told, beside those that are still under way.
fn together(url: &str, method: &Method) -> String {
    let named = |what: String| (ask(method, url, &what), what);
    let mut waiting: Vec<_> = (0..3).map(|n| named(format!("n={n}"))).collect();
    assert!(waiting.iter().all(|(future, _)| future.get().is_none() && !future.subscribe().ready()));
    let mut said = Vec::new();
    while !waiting.is_empty() {
        let pollables: Vec<_> = waiting.iter().map(|(future, _)| future.subscribe()).collect();
        let ready = poll(&pollables.iter().collect::<Vec<_>>());
        drop(pollables);
        assert_eq!(ready.len(), 1, "answers come one at a time");
        let (future, what) = waiting.remove(ready[0] as usize);
        let (at, answer) = (monotonic_clock::now(), show(Ok(future)));
        println!("{what}: {answer}");
        if let Some(n) = what.strip_prefix("n=") {
            waiting.push(named(format!("seen={n}")));
        }
        said.push(format!("{what} at {at}"));
    }
    said.join(", ")
}

/// A request that takes longer than the guest waits, until it asks for something else.
fn races(url: &str) -> String {
    let slow = ask(&Method::Get, url, "slow");
    let timer = monotonic_clock::subscribe_duration(20_000_000);
    let first = poll(&[&slow.subscribe(), &timer]);
    // What comes while it waits for something else is there when it looks.
    let go = show(Ok(ask(&Method::Get, url, "go")));
    let at = monotonic_clock::now();
    monotonic_clock::subscribe_duration(1_000_000).block();
    let then = poll(&[&slow.subscribe(), &timer]);
    format!("{first:?} {go} at {at} {then:?} {}", show(Ok(slow)))
}

/// Does not wait for its answer.
fn leaves(url: &str) -> String {
    drop(ask(&Method::Post, url, "left"));
    "gone".to_owned()
}

/// More at a time than the host has under way.
fn many(url: &str) -> String {
    let futures: Vec<_> = (0..40).map(|n| ask(&Method::Get, url, &format!("n={n}"))).collect();
    let answered = futures.into_iter().map(|future| show(Ok(future))).filter(|said| said == "200  hello").count();
    answered.to_string()
}

/// Goes where it is sent, as a client with redirects does.
fn follows(url: &str) -> String {
    let future = match handle(request(Method::Get, url, &[]), None) {
        Ok(future) => future,
        Err(code) => return format!("handle: {code:?}"),
    };
    let (status, location, _) = answer(&future).expect("the first server answers");
    format!("{status}, {}", show(handle(request(Method::Get, &location, &[]), None)))
}

fn timeouts(url: &str) -> String {
    let options = RequestOptions::new();
    options.set_connect_timeout(Some(1)).expect("a timeout is taken");
    options.set_first_byte_timeout(Some(1_500_000_000)).expect("a timeout is taken");
    options.set_between_bytes_timeout(Some(1)).expect("a timeout is taken");
    show(handle(request(Method::Get, url, &[]), Some(options)))
}

fn bad_headers() -> String {
    let fields = Fields::new();
    let tried: Vec<String> = [
        ("x", "a\r\nHost: evil.example"),
        ("x\r\nHost", "evil.example"),
        ("host", "evil.example"),
        ("Transfer-Encoding", "chunked"),
        ("connection", "upgrade"),
        ("x-good", "good"),
    ]
    .iter()
    .map(|(name, value)| match fields.append(name, value.as_bytes()) {
        Ok(()) => "ok".to_owned(),
        Err(error) => format!("{error:?}"),
    })
    .collect();
    let request = OutgoingRequest::new(fields);
    let closed = request.headers().append("x", b"y");
    format!("{}, {closed:?}", tried.join(" "))
}

fn bad_addresses() -> String {
    let request = OutgoingRequest::new(Fields::new());
    let tried = [
        request.set_authority(Some("granted.example@evil.example")),
        request.set_authority(Some("evil.example/")),
        request.set_authority(Some("evil.example\r\nX: y")),
        request.set_path_with_query(Some("/api/%2e%2e%2fadmin")),
        request.set_path_with_query(Some(".evil.example/")),
        request.set_path_with_query(Some("/a b")),
        request.set_scheme(Some(&Scheme::Other("file".into()))),
        request.set_method(&Method::Connect),
        request.set_method(&Method::Other("G E T".into())),
        request.set_authority(Some("example.org:8443")),
    ];
    let tried: Vec<_> = tried.iter().map(|set| if set.is_ok() { "set" } else { "no" }).collect();
    let nowhere = handle(OutgoingRequest::new(Fields::new()), None).map(drop);
    format!("{}, {nowhere:?}", tried.join(" "))
}
