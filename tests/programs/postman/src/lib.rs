//! Writes to people that it was not granted, and in ways that no mail should have; what it writes comes as inputs.

wit_bindgen::generate!({
    inline: r#"
        package test:postman;
        world postman {
            import wflo:step/context@0.1.0;
            import wflo:notify/mail@0.1.0;
            import wflo:notify/channel@0.1.0;
            import wflo:knowledge/search@0.1.0;
            export wflo:step/handler@0.1.0;
        }
    "#,
    path: ["../../../wit/deps/logging", "../../../wit/step", "../../../wit/notify", "../../../wit/knowledge"],
    world: "test:postman/postman",
    generate_all,
});

use exports::wflo::step::handler::{Failure, Guest, StepInfo, Undo};
use wflo::knowledge::search;
use wflo::notify::{channel, mail};
use wflo::step::context;

struct Postman;
export!(Postman);

impl Guest for Postman {
    fn describe() -> Vec<StepInfo> {
        let step = |name: &str| StepInfo {
            name: name.into(),
            summary: "Writes to somebody.".into(),
            compensates: false,
            output_schema: None,
            facts: Vec::new(),
        };
        ["write", "write_to_many", "write_and_fail", "write_much", "say", "look_up"].map(step).into()
    }

    fn run(step: String) -> Result<String, Failure> {
        let said = match step.as_str() {
            "write" => format!("{:?}", mail::send(&letter(vec![input("to")]))),
            "write_to_many" => {
                let to = (0..51).map(|n| format!("a{n}@example.org")).collect();
                format!("{:?}", mail::send(&letter(to)))
            }
            "write_and_fail" => {
                let queued = mail::send(&letter(vec![input("to")]));
                return Err(Failure::Permanent(format!("after {}", queued.is_ok())));
            }
            "write_much" => {
                let much = mail::Message { text: "x".repeat(2 << 20), ..letter(vec![input("to")]) };
                format!("{:?}", mail::send(&much))
            }
            "say" => {
                let message = channel::Message { title: input("subject"), text: input("text") };
                format!("{:?}", channel::send(&input("to"), &message))
            }
            "look_up" => format!("{:?}", search::search(&input("to"), &input("text"), 3)),
            other => return Err(Failure::Permanent(format!("no step `{other}`"))),
        };
        Ok(format!("{said:?}"))
    }

    fn compensate(_: Undo) -> Result<(), Failure> {
        Ok(())
    }
}

fn letter(to: Vec<String>) -> mail::Message {
    let answers = Some(input("answers")).filter(|id| !id.is_empty());
    mail::Message { to, subject: input("subject"), text: input("text"), answers }
}

/// An input, as text: JSON escapes of line ends and of other characters are read, and no others are there.
fn input(name: &str) -> String {
    let json = context::input(name).unwrap_or_default();
    let mut text = String::new();
    let mut rest = json.trim_matches('"').chars();
    while let Some(c) = rest.next() {
        text.push(match c {
            '\\' => match rest.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('u') => {
                    let hex: String = rest.by_ref().take(4).collect();
                    u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32).unwrap_or('?')
                }
                Some(other) => other,
                None => '\\',
            },
            other => other,
        });
    }
    text
}
