//! What becomes of an approval that nobody has decided in time.

use wflo_model::{ApprovalId, Digest, Timestamp};

use super::Approval;
use crate::{Event, Outcome, Place};

/// The events of an approval whose time is up: it expires, counts as given, or others are asked in its place.
///
/// Those who are asked then decide under an approval of their own, about the same subject: they are told like anybody
/// who is asked, and a vote of the first ones is late.
pub(crate) fn overdue(approval: &Approval, now: Timestamp) -> Vec<(Place, Event)> {
    if approval.rule.consents_by_silence() {
        return vec![approval.close(Outcome::Approved)];
    }
    let Some(rule) = approval.rule.escalated() else { return vec![approval.close(Outcome::Expired)] };
    let named = Digest::of_parts(&[b"wflo escalation", approval.id.to_string().as_bytes()]);
    let opened = Event::ApprovalOpened {
        id: ApprovalId::derive(&named, 0),
        at: approval.at,
        call: approval.call.clone(),
        subject: approval.subject,
        shows: approval.shows.clone(),
        expires_at: rule.timeout.map(|timeout| now.after(timeout)),
        rule,
        asks: approval.asks.clone(),
        follows: Some(approval.id),
        authors: approval.authors.clone(),
        amount: approval.amount,
    };
    vec![approval.close(Outcome::Superseded), (approval.place.clone(), opened)]
}
