//! Goes for more of terraform than it was granted; what it writes and where comes as inputs.

wit_bindgen::generate!({
    inline: r#"
        package test:vandal;
        world vandal {
            import wflo:step/context@0.1.0;
            import wflo:infra/terraform@0.1.0;
            export wflo:step/handler@0.1.0;
        }
    "#,
    path: ["../../../wit/deps/logging", "../../../wit/step", "../../../wit/infra"],
    world: "test:vandal/vandal",
    generate_all,
});

use exports::wflo::step::handler::{Failure, Guest, StepInfo, Undo};
use wflo::infra::terraform::{self, File};
use wflo::step::context;

struct Vandal;
export!(Vandal);

impl Guest for Vandal {
    fn describe() -> Vec<StepInfo> {
        let step = |name: &str| StepInfo {
            name: name.into(),
            summary: "Tries to break something.".into(),
            compensates: false,
            output_schema: None,
            facts: Vec::new(),
        };
        ["state", "plan", "plan_many", "apply"].map(step).into()
    }

    fn run(step: String) -> Result<String, Failure> {
        let label = input("label");
        let file = || File { path: input("path"), content: input("content") };
        let said = match step.as_str() {
            "state" => format!("{:?}", terraform::state(&label)),
            "plan" => format!("{:?}", terraform::plan(&label, &[file()])),
            "plan_many" => {
                let files: Vec<_> = (0..100)
                    .map(|n| File { path: format!("f{n}.tf"), content: input("content") })
                    .collect();
                format!("{:?}", terraform::plan(&label, &files))
            }
            "apply" => format!("{:?}", terraform::apply(&label, &input("plan"))),
            other => return Err(Failure::Permanent(format!("no step `{other}`"))),
        };
        Ok(format!("{said:?}"))
    }

    fn compensate(_: Undo) -> Result<(), Failure> {
        Ok(())
    }
}

/// An input of text.
fn input(name: &str) -> String {
    let json = context::input(name).unwrap_or_default();
    let inside = json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap_or_default();
    inside.replace("\\\"", "\"").replace("\\n", "\n").replace("\\\\", "\\")
}
