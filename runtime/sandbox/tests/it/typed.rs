//! `scorer`: a component that knows nothing of wflo, as steps. Every type there is, there and back; what does not fit; and
//! what cannot be a step.

use serde_json::{Map, Value, json};
use wflo_host_api::{StepContext, Stop};
use wflo_model::{FailureKind, Fault, FaultKind, Limits};
use wflo_sandbox::End;

use crate::gate::Recorder;
use crate::program;

async fn call_with(function: &str, arguments: Value, limits: &Limits) -> End {
    let Value::Object(arguments) = arguments else { panic!("arguments have names") };
    let context = StepContext { arguments: Some(Ok(arguments)), ..StepContext::default() };
    let gate = Recorder { context, ..Recorder::default() };
    program("scorer").await.run(function, Box::new(gate), limits).await.end
}

async fn call(function: &str, arguments: Value) -> End {
    call_with(function, arguments, &Limits::default()).await
}

#[track_caller]
fn output(end: End) -> Value {
    match end {
        End::Output(output) => output,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn failure(end: End) -> (FailureKind, String) {
    match end {
        End::Failed(failure) => (failure.kind, failure.message),
        other => panic!("{other:?}"),
    }
}

/// One of everything, as JSON that comes back as it is.
fn everything() -> Value {
    json!({
        "truth": true,
        "a_s8": -128, "a_u8": 255, "a_s16": -32768, "a_u16": 65535,
        "a_s32": -2147483648, "a_u32": 4294967295_u32,
        "a_s64": "-9223372036854775808", "a_u64": "18446744073709551615",
        "a_f32": 0.1, "a_f64": 1e300,
        "letter": "🦀",
        "text": "naïve \u{0} \"quoted\" \u{2028} 🇨🇭",
        "bytes": "AP8H",
        "points": [{ "x": 1, "y": -1 }, { "x": 0, "y": 0 }],
        "pair": ["left", 7],
        "shape": { "polygon": [{ "x": 3, "y": 4 }] },
        "size": "very_large",
        "rights": ["read", "write_all"],
        "maybe": 0,
        "perhaps": { "some": null },
        "outcome": { "err": "why" },
        "ended": { "ok": null },
    })
}

/// The same with something else in it.
fn with(changes: Value) -> Value {
    let mut all = everything();
    let Value::Object(changes) = changes else { panic!("changes have names") };
    all.as_object_mut().expect("it is an object").extend(changes);
    all
}

async fn echo(of: Value) -> End {
    call("acme:fraud/types.echo", json!({ "of": of })).await
}

#[tokio::test]
async fn every_type_comes_back_as_it_went() {
    let all = [
        everything(),
        with(json!({ "maybe": null, "perhaps": null, "outcome": { "ok": 1 }, "ended": { "err": null } })),
        with(
            json!({ "perhaps": { "some": "x" }, "shape": "nothing", "rights": [], "bytes": "", "points": [] }),
        ),
        with(json!({ "shape": { "circle": 2.5 }, "a_s64": 9007199254740992_i64, "a_u64": 0, "text": "" })),
        with(
            json!({ "a_s64": "9007199254740993", "a_u64": "9007199254740993", "a_f32": 16777216, "a_f64": -0.5 }),
        ),
        with(json!({ "a_f64": 5e-324, "a_f32": 1e-45 })),
    ];
    for one in all {
        assert_eq!(output(echo(one.clone()).await), one);
    }
}

#[tokio::test]
async fn what_has_several_forms_comes_back_in_one() {
    let check = async |changes: Value, expect: Value| {
        assert_eq!(output(echo(with(changes)).await), with(expect));
    };
    // Digits and numbers are one, and so are `1.0` and `1`.
    check(json!({ "a_s64": 9007199254740993_i64 }), json!({ "a_s64": "9007199254740993" })).await;
    check(json!({ "a_u64": 18446744073709551615_u64 }), json!({ "a_u64": "18446744073709551615" })).await;
    check(json!({ "a_s64": "-7", "a_u64": "7" }), json!({ "a_s64": -7, "a_u64": 7 })).await;
    check(json!({ "a_u8": 7.0, "a_f64": 2.0 }), json!({ "a_u8": 7, "a_f64": 2 })).await;
    check(json!({ "rights": ["write_all", "read"] }), json!({ "rights": ["read", "write_all"] })).await;
    // The nearest that a single has.
    check(json!({ "a_f32": 16777217 }), json!({ "a_f32": 16777216 })).await;
    // An option that is not there is none.
    let mut short = everything();
    short.as_object_mut().unwrap().remove("maybe");
    short.as_object_mut().unwrap().remove("perhaps");
    assert_eq!(output(echo(short).await), with(json!({ "maybe": null, "perhaps": null })));
}

#[tokio::test]
async fn what_does_not_fit_is_said_with_its_place_and_no_code_of_the_guest_runs() {
    let check = async |of: Value, expect: &str| {
        let (kind, message) = failure(echo(of).await);
        let whole = format!("what is given to `acme:fraud/types.echo` does not fit: at `/of{expect}");
        assert_eq!((kind, message.as_str()), (FailureKind::Permanent, whole.as_str()));
    };
    let number = "the number is beyond";
    check(with(json!({ "a_s8": 128 })), &format!("/a_s8`: {number} `s8`")).await;
    check(with(json!({ "a_u8": -1 })), &format!("/a_u8`: {number} `u8`")).await;
    check(with(json!({ "a_u16": 65536 })), &format!("/a_u16`: {number} `u16`")).await;
    check(with(json!({ "a_s64": "9223372036854775808" })), &format!("/a_s64`: {number} `s64`")).await;
    check(with(json!({ "a_u64": 1.8446744073709552e19 })), "/a_u64`: the number is beyond `u64`").await;
    check(with(json!({ "a_f32": 1e39 })), &format!("/a_f32`: {number} `f32`")).await;
    check(with(json!({ "a_s32": 1.5 })), "/a_s32`: expected `s32`: a whole number, found no whole number")
        .await;
    check(with(json!({ "a_s32": "1" })), "/a_s32`: expected `s32`: a whole number, found a text").await;
    for odd in ["", "+1", "01", "1.0", "-0", "0x1", "١", " 1", "NaN"] {
        let expect =
            "/a_s64`: expected `s64`: a whole number, or its digits as a text, found no whole number";
        check(with(json!({ "a_s64": odd })), expect).await;
    }
    check(with(json!({ "a_f64": "NaN" })), "/a_f64`: expected `f64`: a number, found a text").await;
    check(with(json!({ "a_f64": null })), "/a_f64`: expected `f64`: a number, found null").await;
    check(with(json!({ "truth": 1 })), "/truth`: expected true or false, found a number").await;
    check(with(json!({ "letter": "ab" })), "/letter`: expected one character, found another number of them")
        .await;
    check(with(json!({ "letter": "" })), "/letter`: expected one character, found another number of them")
        .await;
    // A letter and its accent are two.
    check(
        with(json!({ "letter": "e\u{301}" })),
        "/letter`: expected one character, found another number of them",
    )
    .await;
    check(with(json!({ "bytes": "AP8" })), "/bytes`: expected bytes as base64, found another text").await;
    check(with(json!({ "bytes": [1, 2] })), "/bytes`: expected bytes as base64, found a list").await;
    check(with(json!({ "points": [{ "x": 1, "y": 2 }, { "x": 1 }] })), "/points/1`: `y` is missing").await;
    check(
        with(json!({ "points": [{ "x": 1, "y": 2, "z": 3 }] })),
        "/points/0`: there is no field `z`: there is `x`, `y`",
    )
    .await;
    check(with(json!({ "pair": ["left"] })), "/pair`: expected 2 elements, found 1").await;
    check(
        with(json!({ "shape": "square" })),
        "/shape`: there is no `square`: there is `circle`, `polygon`, `nothing`",
    )
    .await;
    check(
        with(json!({ "shape": "circle" })),
        "/shape`: case `circle` has a value: expected `{\"circle\": ..}`",
    )
    .await;
    check(
        with(json!({ "shape": { "nothing": null } })),
        "/shape`: case `nothing` has no value: expected `\"nothing\"`",
    )
    .await;
    check(with(json!({ "shape": {} })), "/shape`: expected an object with one field, found 0").await;
    check(
        with(json!({ "shape": { "circle": "x" } })),
        "/shape/circle`: expected `f32`: a number, found a text",
    )
    .await;
    check(
        with(json!({ "size": "very-large" })),
        "/size`: there is no `very-large`: there is `small`, `very_large`",
    )
    .await;
    check(with(json!({ "size": "Small" })), "/size`: there is no `Small`: there is `small`, `very_large`")
        .await;
    check(with(json!({ "rights": ["read", "read"] })), "/rights/1`: flag `read` is there twice").await;
    check(with(json!({ "rights": ["fly"] })), "/rights/0`: there is no `fly`: there is `read`, `write_all`")
        .await;
    check(with(json!({ "perhaps": "x" })), "/perhaps`: expected null or `{\"some\": ..}`, found a text")
        .await;
    check(with(json!({ "perhaps": { "none": 1 } })), "/perhaps`: expected `some`, found `none`").await;
    check(
        with(json!({ "outcome": { "ok": 1, "err": "x" } })),
        "/outcome`: expected an object with one field, found 2",
    )
    .await;
    check(with(json!({ "outcome": { "fine": 1 } })), "/outcome`: expected `ok` or `err`, found `fine`").await;
    check(with(json!({ "ended": { "ok": 1 } })), "/ended/ok`: expected null, found a number").await;
    check(json!([]), "`: expected an object, found a list").await;
    let long = "x".repeat(10_000);
    let shown = "x".repeat(64);
    check(
        with(json!({ "size": long })),
        &format!("/size`: there is no `{shown}..`: there is `small`, `very_large`"),
    )
    .await;
}

#[tokio::test]
async fn a_function_is_found_by_its_interface_and_its_version_need_not_be_said() {
    let transaction = json!({
        "id": 9007199254740993_u64, "amount": 8000, "channel": "online", "signals": ["foreign_country"],
        "payer": { "company": { "name": "ACME" } },
    });
    let verdict = json!({
        "transaction": "9007199254740993", "risk": 1, "reasons": ["abroad, online", "ACME has no VAT number"],
        "review_by": "anybody",
    });
    for name in ["acme:fraud/scoring.score", "acme:fraud/scoring@1.2.0.score"] {
        assert_eq!(output(call(name, json!({ "t": transaction })).await), verdict);
    }
    let limit = json!({ "account_id": "a-1", "amounts": [1, 101.5] });
    assert_eq!(output(call("acme:fraud/scoring.limit", limit).await), json!(["a-1", 1]));
    for name in ["add-up", "add_up"] {
        assert_eq!(output(call(name, json!({ "numbers": [1, "2", -4] })).await), json!(-1));
    }
}

#[tokio::test]
async fn what_is_not_there_or_can_be_no_step_is_said() {
    let scorer = program("scorer").await;
    let check = |name: &str, expect: &str| {
        let error = scorer.signature(name).expect("it is no step of wflo's").unwrap_err().to_string();
        assert_eq!(error, expect, "{name}");
    };
    let all = "`acme:fraud/scoring@1.2.0`, `acme:fraud/types@1.2.0`, `acme:fraud/trouble@1.2.0`, `acme:fraud/handles@1.2.0`";
    check(
        "acme:fraud/scorin.score",
        &format!("the component exports no interface `acme:fraud/scorin`: there is {all}"),
    );
    check(
        "acme:fraud/scoring@1.3.0.score",
        &format!("the component exports no interface `acme:fraud/scoring@1.3.0`: there is {all}"),
    );
    check(
        "acme:fraud/types.ecko",
        "the component exports no function `ecko` in `acme:fraud/types@1.2.0`: there is `echo`",
    );
    check("fly", "the component exports no function `fly`: there is `add-up`");
    let what = "a resource: a handle means nothing outside";
    check(
        "acme:fraud/handles.open",
        &format!(
            "function `acme:fraud/handles.open` of the component cannot be a step: its result has {what}"
        ),
    );
    check(
        "acme:fraud/handles.name",
        &format!(
            "function `acme:fraud/handles.name` of the component cannot be a step: parameter `of` has {what}"
        ),
    );

    let (kind, message) = failure(call("acme:fraud/handles.open", json!({ "name": "x" })).await);
    assert_eq!(kind, FailureKind::Permanent);
    assert!(message.contains(what), "{message}");
    let (_, message) = failure(call("acme:fraud/scoring.limit", json!({ "amounts": [] })).await);
    assert_eq!(message, "what is given to `acme:fraud/scoring.limit` does not fit: `account_id` is missing");

    // One of wflo's own is what it was.
    assert!(program("odd").await.signature("ok").is_none());
    assert!(scorer.describe().await.unwrap().is_empty());
    let context = StepContext { arguments: Some(Err("nothing gives `t`".into())), ..StepContext::default() };
    let gate = Box::new(Recorder { context, ..Recorder::default() });
    let ended = scorer.run("acme:fraud/scoring.score", gate, &Limits::default()).await;
    assert_eq!(failure(ended.end).1, "nothing gives `t`");
}

#[tokio::test]
async fn an_error_is_why_the_step_failed() {
    let check = async |function: &str, arguments: Value, kind: FailureKind, message: &str| {
        let end = call(&format!("acme:fraud/{function}"), arguments).await;
        assert_eq!(failure(end), (kind, message.to_owned()));
    };
    let permanent = FailureKind::Permanent;
    let transaction = json!({ "id": 7, "amount": -1, "channel": "phone", "signals": [], "payer": "unknown" });
    check("scoring.score", json!({ "t": transaction }), permanent, "transaction 7 has a negative amount")
        .await;
    check("trouble.refuse", json!({ "amount": 3 }), permanent, "{\"too_small\":3}").await;
    check("trouble.refuse", json!({ "amount": 0 }), permanent, "\"too_late\"").await;
    check("trouble.again", json!({ "why": "later" }), FailureKind::Retryable, "not yet").await;
    check("trouble.again", json!({ "why": "anew" }), FailureKind::Redo, "ask again").await;
    check("trouble.again", json!({ "why": "no" }), permanent, "no").await;
    let silent = "`acme:fraud/trouble.silent` returned an error that says nothing";
    check("trouble.silent", json!({}), permanent, silent).await;
    assert_eq!(output(call("acme:fraud/trouble.refuse", json!({ "amount": 12 })).await), json!(12));
}

#[tokio::test]
async fn limits_hold_for_functions_as_for_steps() {
    let limits = Limits { fuel: 200_000_000, output: 10_000, ..Limits::default() };
    let check = async |function: &str, arguments: Value, kind: FaultKind, says: &str| match call_with(
        &format!("acme:fraud/trouble.{function}"),
        arguments,
        &limits,
    )
    .await
    {
        End::Fault(Fault { kind: found, message }) => {
            assert_eq!(found, kind, "{message}");
            assert!(message.contains(says), "{message}");
        }
        other => panic!("{other:?}"),
    };
    check("divide", json!({ "by": 0 }), FaultKind::BadOutput, "a number at `/1` that JSON does not have")
        .await;
    check("spin", json!({}), FaultKind::OutOfFuel, "fuel").await;
    check("flood", json!({ "length": 10 }), FaultKind::BadOutput, "`output`").await;
    check("flood", json!({ "length": 20_000 }), FaultKind::TooMuchData, "`call_bytes`").await;
    check("burst", json!({}), FaultKind::Trap, "it bursts").await;
    let most = output(call("acme:fraud/trouble.bytes", json!({ "length": 100_000 })).await);
    assert_eq!(most.as_str().map(str::len), Some(133_336));
}

#[tokio::test]
async fn the_same_gate_gives_the_same_output() {
    let one = output(call("acme:fraud/scoring.stamp", json!({})).await);
    let other = output(call("acme:fraud/scoring.stamp", json!({})).await);
    assert_eq!(one, other);
    let context = StepContext { arguments: Some(Ok(Map::new())), ..StepContext::default() };
    let gate = Box::new(Recorder { context, seed: [8; 32], ..Recorder::default() });
    let ended = program("scorer").await.run("acme:fraud/scoring.stamp", gate, &Limits::default()).await;
    assert_ne!(output(ended.end), one, "it has another seed");
}

#[tokio::test]
async fn a_signature_says_what_it_takes_and_gives() {
    let scorer = program("scorer").await;
    let signature = |name: &str| scorer.signature(name).unwrap().unwrap();
    let limit = signature("acme:fraud/scoring.limit");
    assert_eq!(
        limit.wit,
        "func(account-id: string, amounts: list<f64>, most: option<u32>) -> tuple<string, u32>"
    );
    let parameters: Vec<_> = limit.parameters.iter().map(|it| (it.name.as_str(), it.is_optional)).collect();
    assert_eq!(parameters, [("account_id", false), ("amounts", false), ("most", true)]);
    let score = signature("acme:fraud/scoring.score");
    assert_eq!(score.parameters[0].fields.len(), 6);
    assert_eq!(
        score.output,
        json!({
            "type": "object",
            "properties": {
                "transaction": { "type": ["integer", "string"], "format": "decimal", "pattern": "^(0|[1-9][0-9]*)$" },
                "risk": { "type": "number" },
                "reasons": { "type": "array", "items": { "type": "string" } },
                "review_by": { "anyOf": [{ "type": "string" }, { "type": "null" }] },
            },
            "required": ["transaction", "risk", "reasons"],
            "additionalProperties": false,
        })
    );
    assert_eq!(signature("acme:fraud/trouble.again").output, json!({ "type": "null" }));
    let everything = signature("acme:fraud/types.echo");
    assert!(
        everything
            .wit
            .contains("shape: variant { circle(f32), polygon(list<record { x: s32, y: s32 }>), nothing }")
    );
    assert!(everything.wit.contains("ended: result }"), "{}", everything.wit);
    let ended = scorer.run("nowhere.at-all", Box::new(Recorder::default()), &Limits::default()).await;
    assert!(!matches!(ended.end, End::Stopped(Stop::Host(_))), "it is nobody's fault but the manifest's");
}

#[tokio::test]
async fn a_type_that_unfolds_without_end_is_no_step() {
    let sized = |parts: usize| {
        let of = |ty: &str, many: usize| [ty].repeat(many).join(" ");
        format!(
            r#"(component
              (core module $m
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0)
                (func (export "f") (param i32)))
              (core instance $i (instantiate $m))
              (type $inner (tuple {}))
              (type $outer (tuple {}))
              (func $f (param "x" $outer)
                (canon lift (core func $i "f") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
              (export "f" (func $f)))"#,
            of("u8", 100),
            of("$inner", parts),
        )
    };
    for (parts, fits) in [(99, true), (100, false)] {
        let component = wat::parse_str(sized(parts)).expect("it is a component");
        let program = crate::SANDBOX.load(&component.into()).await.expect("it is a component");
        match program.signature("f").expect("it is a function") {
            Ok(signature) => assert!(fits, "{} parts", signature.parameters[0].wit.matches("u8").count()),
            Err(error) => {
                assert!(!fits, "{error}");
                let expect = "parameter `x` has more types within types than a step may have";
                assert!(error.to_string().ends_with(expect), "{error}");
            }
        }
    }
}
