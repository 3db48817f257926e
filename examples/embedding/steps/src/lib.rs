//! Steps that work on the health records of a clinic.

use wflo::prelude::*;

#[expect(clippy::allow_attributes_without_reason, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({
        inline: "
            package clinic:steps@0.1.0;
            world ward { import clinic:ehr/records@0.1.0; }
        ",
        path: ["../wit"],
        world: "clinic:steps/ward",
        generate_all,
    });
}

use bindings::clinic::ehr::records::{self, Error};

#[wflo::data]
struct Review {
    seen: usize,
    noted: String,
    /// What the clinic goes by.
    rule: Option<String>,
}

/// Read the notes of a patient, and add one that says how many there are
#[wflo::step]
fn review(ctx: Context) -> wflo::Result<Review> {
    let ward: String = ctx.input("ward")?;
    let patient: String = ctx.input("patient")?;
    let notes = records::read(&ward, &patient).map_err(failed)?;
    let rules = wflo::knowledge("guidelines").top(1).search("ward round");
    let rules = rules.map_err(|error| wflo::permanent(error.to_string()))?;
    let rule = rules.into_iter().next().map(|passage| passage.text);
    let text = format!("reviewed: {} notes", notes.len());
    let noted = match records::add_note(&ward, &patient, &text) {
        Ok(id) => format!("as note {id}"),
        // People may say no; the review itself is done.
        Err(Error::Rejected(why)) => format!("not: {why}"),
        Err(error) => return Err(failed(error)),
    };
    Ok(Review { seen: notes.len(), noted, rule })
}

fn failed(error: Error) -> wflo::Error {
    let (Error::AccessDenied(message) | Error::Rejected(message) | Error::Other(message)) = error;
    wflo::permanent(message)
}

wflo::export!(review);
