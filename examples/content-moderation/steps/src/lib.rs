//! Judges content by policies, and has people look at what is ambiguous.

use std::collections::BTreeMap;

use wflo::Ask;
use wflo::llm::{Error, Verdict};
use wflo::prelude::*;

const POLICIES: [&str; 4] = ["No hate speech", "No violence", "No spam", "No adult content"];

#[wflo::data]
struct Inbox {
    content: Vec<Content>,
}

#[wflo::data]
struct Content {
    content_id: i64,
    text: String,
}

/// An item and what a model says about it: all that people need to see who are asked about it.
#[wflo::data]
struct Analysis {
    content: Content,
    verdict: Verdict,
    confidence: f64,
    reasoning: String,
}

#[wflo::data]
struct Action {
    action: String,
    /// A person, or `model`.
    decided_by: String,
}

/// Read the items that came in
#[wflo::step]
fn read_content(ctx: Context) -> wflo::Result<Inbox> {
    let file: String = ctx.input("file")?;
    let text = std::fs::read_to_string(format!("/inbox/{file}"))?;
    let content = text.lines().map(wflo::serde_json::from_str).collect::<Result<Vec<Content>, _>>()?;
    wflo::info!("read", items = content.len());
    Ok(Inbox { content })
}

/// Analyze content for policy violations
#[wflo::step]
fn analyze_content(ctx: Context) -> wflo::Result<Analysis> {
    let content: Content = ctx.item()?;
    let (verdict, confidence, reasoning) = match llm::moderate("gpt-4").content(&content.text).policies(POLICIES) {
        Ok(judged) => (judged.verdict, judged.confidence, judged.reasoning),
        // What a model cannot read, or not for the money, is neither blocked nor let through for that: a person decides.
        Err(error @ (Error::BudgetExceeded(_) | Error::BadOutput(_) | Error::ContextTooLong(_))) => {
            (Verdict::Review, 0.0, format!("the model was not asked or of no help: {error}"))
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Analysis { content, verdict, confidence, reasoning })
}

/// Take action based on the verdict
#[wflo::step]
fn take_action(ctx: Context) -> wflo::Result<Action> {
    let analysis: Analysis = ctx.item()?;
    // Where the policies have people asked, the item waits here until they have decided.
    let _ = wflo::fact("verdict", analysis.verdict)?;
    let _ = wflo::fact("confidence", analysis.confidence)?;
    let decision = match ctx.decision() {
        // A model that wants a person gets one, however sure of that it is.
        None if analysis.verdict == Verdict::Review => {
            Some(Ask::new("May this stay?").details(&analysis).approvers(["moderation-team"]).decide()?)
        }
        decision => decision,
    };

    let action = match &decision {
        Some(decision) if decision.is_approved() => "approved",
        Some(_) => "blocked",
        None if analysis.verdict == Verdict::Block => "blocked",
        None => "approved",
    };
    let by = decision.and_then(|decision| Some(decision.votes.first()?.by.clone()));
    let by = by.unwrap_or_else(|| "model".to_owned());
    db("site").execute(
        "UPDATE content SET status = ?1, decided_by = ?2 WHERE id = ?3",
        params![action, &by, analysis.content.content_id],
    )?;
    Ok(Action { action: action.to_owned(), decided_by: by })
}

/// Count what was done, and who decided it
#[wflo::step]
fn count_actions(ctx: Context) -> wflo::Result<BTreeMap<String, u32>> {
    let mut counts = BTreeMap::new();
    for Action { action, decided_by } in ctx.output_of::<Vec<Action>>("take_action")? {
        *counts.entry(format!("{action} by {decided_by}")).or_default() += 1;
    }
    Ok(counts)
}

wflo::export!(read_content, analyze_content, take_action, count_actions);
