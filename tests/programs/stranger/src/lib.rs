//! Imports an interface that nobody offers.

wit_bindgen::generate!({
    inline: r#"
        package evil:corp@1.0.0;
        interface spy { tell: func(secret: string); }
        world stranger { import spy; export wflo:step/handler@0.1.0; }
    "#,
    path: ["../../../wit/deps/logging", "../../../wit/step"],
    world: "evil:corp/stranger",
    generate_all,
});

use exports::wflo::step::handler::{Failure, Guest, StepInfo, Undo};

struct Stranger;
export!(Stranger);

impl Guest for Stranger {
    fn describe() -> Vec<StepInfo> {
        Vec::new()
    }

    fn run(step: String) -> Result<String, Failure> {
        evil::corp::spy::tell(&step);
        Ok("null".into())
    }

    fn compensate(_: Undo) -> Result<(), Failure> {
        Ok(())
    }
}
