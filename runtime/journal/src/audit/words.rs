//! What is proven and what is not, in words.

use std::fmt;
use std::fmt::Write as _;

use wflo_model::{Digest, RunId, StoreId, Timestamp};

use super::trust::Proven;
use crate::reserved::SYSTEM_LOG;

/// What an audit file proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The store that the file says it is from. Without a checkpoint nothing covers it.
    pub store: StoreId,
    /// The run.
    pub run: RunId,
    /// How many events it has.
    pub events: u64,
    /// The hash of the last: whoever noted it elsewhere can compare.
    pub head: Digest,
    /// Whether the file has no bodies, because the run was erased, as its first line says. Nothing covers that line:
    /// whoever has the file can take the bodies out of it. What the events said is then not proven, and neither is that
    /// the run was erased: the store's own log says of each run whether it was.
    pub erased: bool,
    /// The time of the first event.
    pub from: Timestamp,
    /// The time of the last event.
    pub to: Timestamp,
    /// What a checkpoint proves beyond the chain; none where the file has none.
    pub proven: Option<Proven>,
}

impl Verified {
    /// What is proven and what is not, in words, for a person.
    #[must_use]
    pub fn explain(&self) -> String {
        let bodies = if self.erased {
            "and no header is changed"
        } else {
            "no header is changed, and every body is the one that was committed to when its event was recorded"
        };
        let of = if self.run == SYSTEM_LOG {
            "the log of the store".to_owned()
        } else {
            format!("run {}", self.run)
        };
        let mut text = format!(
            "Proven: the chain of {of} is whole from event 1 to event {}, {} to {}. No event in between is \
             missing, added or out of order, {bodies}.\n",
            self.events, self.from, self.to
        );
        if self.erased {
            text.push_str(
                "Not proven: what the events said, since bodies are not in this file, and whether the run was erased, \
                 as the file says: whoever has it can take them out. The log of the store says which runs were erased (`wflo audit show --system`).\n",
            );
        }
        match &self.proven {
            Some(proven) => self.explain_checkpoint(proven, &mut text),
            None => {
                let _ = writeln!(
                    text,
                    "Not proven: that no events were cut off after event {}, and that the run was not rewritten as a \
                     whole by someone who holds the store. To rule that out, compare the hash of the last event with \
                     one noted elsewhere: {}",
                    self.events, self.head
                );
            }
        }
        text
    }

    fn explain_checkpoint(&self, proven: &Proven, text: &mut String) {
        let (size, seq, root) = (proven.checkpoint.size, proven.seq, proven.checkpoint.root);
        let _ = writeln!(
            text,
            "Proven to checkpoint {size} of {}: events 1 to {seq} are those that the log has of it, since checkpoint \
             {} at the latest. The checkpoint is signed by {}.",
            proven.checkpoint.origin, proven.since, proven.key
        );
        if seq < self.events {
            let _ = writeln!(
                text,
                "After it only the chain: events {} to {} are in no checkpoint yet, and more may have been cut off \
                 after them.",
                seq + 1,
                self.events
            );
        }
        if !proven.kept.is_empty() {
            let kept: Vec<_> = proven.kept.iter().map(ToString::to_string).collect();
            let _ = writeln!(
                text,
                "Proven by what was kept elsewhere: the log goes on from checkpoint {}, and nothing under it was \
                 rewritten.",
                kept.join(" and ")
            );
        }
        let mut open = Vec::new();
        if !proven.trusted {
            open.push(
                "that the key is that of the store: nobody you trust says so (`--trust` names the key)"
                    .to_owned(),
            );
        }
        if proven.kept.is_empty() {
            open.push(format!(
                "that whoever holds the key has not rewritten the log as a whole: only a checkpoint kept elsewhere \
                 shows that (`--checkpoint` names one); this one has the root {root}"
            ));
        }
        if !open.is_empty() {
            let _ = writeln!(text, "Not proven: {}.", open.join("; "));
        }
    }
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run {}: {} events, the chain is whole up to {}", self.run, self.events, self.head)
    }
}
