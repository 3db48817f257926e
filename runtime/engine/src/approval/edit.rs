//! Changes to what is decided on.

use serde_json::Value;
use wflo_manifest::ApprovalRule;
use wflo_model::{ApprovalId, Call, Digest, PrincipalName, Timestamp};

use super::vote::may_decide;
use super::{Approval, ApprovalState, VoteRefused, Voter};
use crate::{Event, GatedCall, Outcome, Place};

/// What an approval is about after a person has changed it.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// The call as it is to be made; of an output, the output as it is to be.
    pub performed: Call,
    /// The digest of exactly that.
    pub subject: Digest,
    /// It, for people.
    pub shows: Value,
    /// Who decides about it: not weaker than who would have decided before.
    pub rule: ApprovalRule,
    /// The questions of policies that the answer to it answers.
    pub asks: Vec<Digest>,
    /// What the editor wrote.
    pub comment: Option<String>,
}

/// The events of an edit: the approval is superseded, earlier votes are void with it, and others decide about what it
/// was changed to. The editor is an author from then on. The commit point is the append of these events.
///
/// # Errors
/// When the editor may not decide, when the approval does not allow edits, or is decided or overdue.
pub fn edit(
    approval: &Approval,
    requester: &PrincipalName,
    editor: &Voter,
    edit: Edit,
    now: Timestamp,
) -> Result<Vec<(Place, Event)>, VoteRefused> {
    let not = |why: &str| Err(VoteRefused::NotEditable { why: why.to_owned() });
    let authors = &approval.authors;
    // An author may go on changing it; what they may not is decide.
    let before = Approval { authors: Vec::new(), ..approval.clone() };
    may_decide(&before, requester, editor)?;
    if !approval.rule.allow_edit {
        return not("its gate has no `allow_edit = true`");
    }
    if approval.state != ApprovalState::Open || approval.is_overdue(now) {
        return not("it is decided");
    }
    let Some(call) = &approval.call else { return not("it is about no call and no output") };
    let Edit { performed, subject, shows, rule, asks, comment } = edit;
    let edited = Event::Edited {
        approval: approval.id,
        by: editor.name.clone(),
        groups: editor.groups.iter().cloned().collect(),
        comment,
    };
    let mut authors = authors.clone();
    if !authors.contains(&editor.name) {
        authors.push(editor.name.clone());
    }
    let named = Digest::of_parts(&[b"wflo edit", approval.id.to_string().as_bytes(), subject.as_bytes()]);
    let opened = Event::ApprovalOpened {
        id: ApprovalId::derive(&named, 0),
        at: approval.at,
        call: Some(GatedCall { performed: Some(performed), ..call.clone() }),
        subject,
        shows,
        expires_at: rule.timeout.map(|timeout| now.after(timeout)),
        rule,
        asks,
        follows: Some(approval.id),
        authors,
        amount: approval.amount,
    };
    Ok(vec![(approval.home(), edited), approval.close(Outcome::Superseded), (approval.place.clone(), opened)])
}
