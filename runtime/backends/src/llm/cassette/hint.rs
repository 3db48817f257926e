//! Says which request is not on a tape, and which one is nearest to it.

use wflo_ports::{ChatRequest, Message};

use super::tape::Tape;

/// Characters shown of a text.
const SHOWN: usize = 60;

/// Describes a request that is not on `tape`.
pub(super) fn not_on_tape(tape: &Tape, request: &ChatRequest) -> String {
    let last = request.messages.last().map_or("", |message| message.content.as_str());
    let mut text = format!("the cassette has no answer of `{}` to `{}`", request.model, excerpt(last, 0));
    match nearest(tape, request) {
        Some((line, recorded)) => {
            text += &format!("; nearest is line {line}, where {}", difference(recorded, request));
        }
        None => text += "; nothing is recorded on it",
    }
    text + "; `mode = \"record\"` asks the model and records its answer"
}

/// The recorded request that begins most alike, of the same model if there is one; among equals the earliest,
/// so that the hint is always the same.
fn nearest<'t>(tape: &'t Tape, asked: &ChatRequest) -> Option<(usize, &'t ChatRequest)> {
    let nearness = |recorded: &ChatRequest| (recorded.model == asked.model, common(recorded, asked));
    tape.requests().reduce(|best, next| if nearness(next.1) > nearness(best.1) { next } else { best })
}

/// Bytes from the start that two conversations share.
fn common(one: &ChatRequest, other: &ChatRequest) -> usize {
    let mut shared = 0;
    for (one, other) in one.messages.iter().zip(&other.messages) {
        let prefix = common_prefix(&one.content, &other.content);
        shared += prefix;
        if one != other {
            break;
        }
    }
    shared
}

/// Bytes from the start that two texts share, up to a whole character.
fn common_prefix(one: &str, other: &str) -> usize {
    one.char_indices()
        .zip(other.chars())
        .find(|((_, one), other)| one != other)
        .map_or_else(|| one.len().min(other.len()), |((at, _), _)| at)
}

/// The first thing in which a recorded request is not the one that was asked.
fn difference(recorded: &ChatRequest, asked: &ChatRequest) -> String {
    if recorded.model != asked.model {
        return format!("the model is `{}`", recorded.model);
    }
    for (number, (one, other)) in (1..).zip(recorded.messages.iter().zip(&asked.messages)) {
        if one != other {
            return message_difference(number, one, other);
        }
    }
    if recorded.messages.len() != asked.messages.len() {
        return format!("there are {} messages, not {}", recorded.messages.len(), asked.messages.len());
    }
    let field = match (recorded, asked) {
        _ if recorded.schema != asked.schema => "schema",
        _ if recorded.temperature != asked.temperature => "temperature",
        _ => "seed",
    };
    format!("the {field} differs")
}

fn message_difference(number: usize, recorded: &Message, asked: &Message) -> String {
    if recorded.role != asked.role {
        return format!("message {number} is of another role");
    }
    let at = common_prefix(&recorded.content, &asked.content);
    format!(
        "message {number} has `{}` instead of `{}`",
        excerpt(&recorded.content, at),
        excerpt(&asked.content, at)
    )
}

/// A few words of a text, from a little before `at`.
fn excerpt(text: &str, at: usize) -> String {
    let before = text[..at].char_indices().rev().nth(SHOWN / 4).map_or(0, |(start, _)| start);
    let shown: String = text[before..].chars().take(SHOWN).collect();
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    let front = if before > 0 { "..." } else { "" };
    let back = if text[before..].chars().nth(SHOWN).is_some() { "..." } else { "" };
    format!("{front}{shown}{back}")
}

#[cfg(test)]
mod tests {
    use super::{common_prefix, excerpt};

    #[test]
    fn excerpts_are_short_and_whole() {
        assert_eq!(excerpt("a\n b", 0), "a b");
        assert_eq!(excerpt("", 0), "");
        let long = "é".repeat(100);
        assert_eq!(excerpt(&long, 0), format!("{}...", "é".repeat(60)));
        assert!(excerpt(&long, 100).starts_with("...é"));
        assert_eq!(common_prefix("aéb", "aèb"), 1);
        assert_eq!(common_prefix("ab", "abc"), 2);
    }
}
