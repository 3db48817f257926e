//! What people are to be told because of what happened: a function of the events alone.
//!
//! Whoever appends events appends what this says with them, in one piece. So nothing is told that did not happen, and
//! nothing that happened is forgotten when the process dies.

use serde::{Deserialize, Serialize};
use wflo_model::ApprovalId;

use crate::{AttemptEnd, Event, Place, Recorded, RunState};

/// Something that one channel is to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The address of the channel, as the workflow names it.
    pub channel: String,
    /// What of.
    pub about: About,
}

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum About {
    /// People are asked.
    Asked {
        /// The approval.
        approval: ApprovalId,
    },
    /// What people were asked is decided, or nobody needs to decide it any more.
    Decided {
        /// The approval.
        approval: ApprovalId,
    },
    /// An event that concerns people without asking them: a policy that tells.
    Happened {
        /// The event.
        seq: u64,
    },
    /// What a step has to say, since it has succeeded.
    Said {
        /// The result of the call that queued it.
        seq: u64,
    },
}

/// The channel of mail that steps write. No address of another is without a scheme.
pub const MAIL: &str = "mail";

/// The notices of one append.
///
/// ```
/// use wflo_engine::{Event, Notices, Place, Recorded, RunState};
/// use wflo_model::Timestamp;
///
/// let event = Event::Joined;
/// let joined = Recorded { seq: 1, time: Timestamp::default(), place: Place::RUN, event };
/// let mut notices = Notices::default();
/// notices.hear(&joined, &RunState::default());
/// assert!(notices.take().is_empty(), "nobody asked to be told");
/// ```
#[derive(Debug, Default)]
pub struct Notices(Vec<(u64, Place, Notice)>);

impl Notices {
    /// Takes in an event of the append; `state` is that after it.
    pub fn hear(&mut self, recorded: &Recorded, state: &RunState) {
        let Recorded { seq, place, event, .. } = recorded;
        match event {
            Event::ApprovalOpened { id, rule, .. } => {
                let about = About::Asked { approval: *id };
                for channel in &rule.notify {
                    // Whoever is asked need not be told why as well: that stands in what they are asked.
                    self.0.retain(|(_, at, earlier)| {
                        at != place
                            || earlier.channel != *channel
                            || !matches!(earlier.about, About::Happened { .. })
                    });
                    self.add(*seq, place, channel, about);
                }
            }
            Event::ApprovalClosed { approval, .. } => {
                let asked = state.approval(approval).map(|asked| asked.rule.notify.as_slice());
                for channel in asked.unwrap_or_default() {
                    self.add(*seq, place, channel, About::Decided { approval: *approval });
                }
            }
            Event::AttemptEnded { end: AttemptEnd::Succeeded { .. }, .. } => {
                let queued = place.unit_id().map(|unit| state.unit(&unit).queued.as_slice());
                for (seq, channel) in queued.unwrap_or_default() {
                    self.add(*seq, place, channel, About::Said { seq: *seq });
                }
            }
            Event::BudgetAlert { tells, .. } => {
                for channel in tells {
                    self.add(*seq, place, channel, About::Happened { seq: *seq });
                }
            }
            Event::PolicyFired(firing) if state.first_told(firing, place) == Some(*seq) => {
                for channel in &firing.tells {
                    self.add(*seq, place, channel, About::Happened { seq: *seq });
                }
            }
            _ => {}
        }
    }

    /// What is to be told, each with the number of the event because of which.
    pub fn take(&mut self) -> Vec<(u64, Notice)> {
        std::mem::take(&mut self.0).into_iter().map(|(seq, _, notice)| (seq, notice)).collect()
    }

    fn add(&mut self, seq: u64, place: &Place, channel: &str, about: About) {
        let notice = Notice { channel: channel.to_owned(), about };
        if !self.0.iter().any(|(_, _, earlier)| *earlier == notice) {
            self.0.push((seq, place.clone(), notice));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Map, Value, json};
    use wflo_manifest::{ApprovalRule, Approver, PolicyEvent, Quorum};
    use wflo_model::{Call, CallError, Digest, Failure, FailureKind, Timestamp};

    use super::*;
    use crate::policy::{Because, Firing};
    use crate::{GateAt, Outcome, Returned};

    fn created() -> Event {
        Event::RunCreated {
            workflow: "w".into(),
            version: "1".into(),
            plan: Digest::ZERO,
            component: None,
            inputs: Map::new(),
            requester: "rita".parse().unwrap(),
            budget: None,
            forked: None,
        }
    }

    fn opened(id: ApprovalId, notify: &[&str]) -> Event {
        let mut rule = ApprovalRule::new(vec![Approver::new("ops")], Quorum::EachListed);
        rule.notify = notify.iter().map(|&channel| channel.to_owned()).collect();
        Event::ApprovalOpened {
            id,
            at: GateAt::Start,
            call: None,
            subject: Digest::ZERO,
            shows: Value::Null,
            rule,
            expires_at: None,
            asks: Vec::new(),
            follows: None,
            authors: Vec::new(),
            amount: None,
        }
    }

    fn fired(tells: &[&str]) -> Event {
        Event::PolicyFired(Box::new(Firing {
            policy: "p".parse().unwrap(),
            digest: Digest::ZERO,
            on: PolicyEvent::Fact,
            because: Because::Held,
            values: BTreeMap::from([("n".to_owned(), json!(1))]),
            context: BTreeMap::new(),
            tells: tells.iter().map(|&channel| channel.to_owned()).collect(),
        }))
    }

    /// Hears each list of events as one append; gives what is told of the last.
    fn told(appends: &[&[Event]]) -> Vec<(u64, String, About)> {
        let (mut state, mut notices, mut last) = (RunState::default(), Notices::default(), Vec::new());
        for append in appends {
            for event in *append {
                let place = match event {
                    Event::RunCreated { .. } => Place::RUN,
                    _ => Place::step(&"a".parse().unwrap()),
                };
                let seq = state.seq() + 1;
                let recorded = Recorded { seq, time: Timestamp::default(), place, event: event.clone() };
                state.apply(&recorded).unwrap();
                notices.hear(&recorded, &state);
            }
            last = notices.take();
        }
        last.into_iter().map(|(seq, notice)| (seq, notice.channel, notice.about)).collect()
    }

    #[test]
    fn whoever_is_asked_is_told_when_it_is_decided() {
        let id = ApprovalId::derive(&Digest::ZERO, 1);
        let asked = opened(id, &["slack://a", "pager://b", "slack://a"]);
        assert_eq!(
            told(&[&[created()], std::slice::from_ref(&asked)]),
            [
                (2, "slack://a".into(), About::Asked { approval: id }),
                (2, "pager://b".into(), About::Asked { approval: id })
            ]
        );
        for outcome in [Outcome::Approved, Outcome::Rejected, Outcome::Expired, Outcome::Cancelled] {
            let closed = Event::ApprovalClosed { approval: id, outcome };
            let told = told(&[&[created()], std::slice::from_ref(&asked), &[closed]]);
            assert_eq!(told.len(), 2, "{outcome}");
            assert!(
                told.iter().all(|(seq, _, about)| (*seq, *about) == (3, About::Decided { approval: id }))
            );
        }
    }

    #[test]
    fn what_was_told_is_not_told_again() {
        let again = told(&[&[created()], &[fired(&["slack://a"])], &[fired(&["slack://a"])]]);
        assert_eq!(again, []);
    }

    #[test]
    fn what_a_step_says_is_told_when_it_has_succeeded_and_not_otherwise() {
        let begun = || Event::AttemptStarted { component: None, consumes: None };
        let says = |channel: &str| {
            Event::Returned(Returned {
                intent: None,
                call: Some(Call::new("wflo:notify/mail", "send", Value::Null)),
                args: Digest::ZERO,
                result: Ok(Value::Null),
                spend: None,
                tentative: false,
                reused: None,
                consumes: None,
                filters: Vec::new(),
                performed: None,
                reported: None,
                queued: Some(channel.to_owned()),
                artifact: None,
                beside: false,
            })
        };
        let ends = |end| Event::AttemptEnded { end, fuel: 0, memory_peak: 0, ms: 0, retry_at: None };
        let fails = || {
            let (kind, message) = (FailureKind::Retryable, "no".to_owned());
            ends(AttemptEnd::Failed(Failure { kind, message }))
        };
        let succeeds = || ends(AttemptEnd::Succeeded { output: Value::Null });
        let said = |appends: &[&[Event]]| {
            told(appends).into_iter().map(|(seq, to, _)| (seq, to)).collect::<Vec<_>>()
        };
        let letter = |seq| (seq, MAIL.to_owned());
        let done = said(&[&[created()], &[begun()], &[says(MAIL), says("slack://a")], &[succeeds()]]);
        assert_eq!(done, [letter(3), (4, "slack://a".to_owned())], "in the order in which it was said");
        assert_eq!(said(&[&[created()], &[begun(), says(MAIL)]]), [], "not before");
        assert_eq!(said(&[&[created()], &[begun(), says(MAIL)], &[fails()]]), []);
        // Another attempt says it anew, and only that is told.
        let again =
            [&[created()][..], &[begun(), says(MAIL)], &[fails()], &[begun(), says(MAIL)], &[succeeds()]];
        assert_eq!(said(&again), [letter(6)]);
        // People were against what it would commit, and it goes on without.
        let call = Call::new("wflo:step/handler", "run", Value::Null);
        let error = CallError::Rejected { message: "no".into() };
        let refused = Event::Denied { call, args: Digest::ZERO, error };
        assert_eq!(said(&[&[created()], &[begun(), says(MAIL)], &[refused], &[succeeds()]]), []);
    }

    #[test]
    fn what_only_tells_is_told_unless_the_same_channel_is_asked() {
        let id = ApprovalId::derive(&Digest::ZERO, 1);
        let alone = told(&[&[created()], &[fired(&["slack://a", "slack://b"])]]);
        assert_eq!(alone.len(), 2);
        assert_eq!(alone[0], (2, "slack://a".into(), About::Happened { seq: 2 }));
        let both = told(&[&[created()], &[fired(&["slack://a", "slack://b"]), opened(id, &["slack://b"])]]);
        assert_eq!(
            both,
            [
                (2, "slack://a".into(), About::Happened { seq: 2 }),
                (3, "slack://b".into(), About::Asked { approval: id })
            ]
        );
    }
}
