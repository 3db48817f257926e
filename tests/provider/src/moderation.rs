//! The judgement on the items of the content-moderation example, by word where a model would read.

use serde_json::{Value, json};

/// Words that break a policy wherever they stand, by a word of the policy.
const STRONG: &[(&str, &[&str])] = &[
    ("spam", &["free money", "click here", "guaranteed winner"]),
    ("violence", &["i will hurt", "i will burn"]),
    ("hate", &["are vermin"]),
    ("adult", &["explicit photos", "nude pictures"]),
];

/// Words that are harmless in one place and not in another.
const WEAK: &[(&str, &[&str])] =
    &[("violence", &["kill", "shoot", "attack", "blood"]), ("adult", &["naked"]), ("spam", &["cheap"])];

/// Less than so many words leave a doubt.
const TERSE: usize = 4;

/// What is said of the content of a request; none if it asks for something else.
///
/// Words of the strong list: `block`, the surer the more there are. Words of the weak list alone: `review`, with the more
/// doubt the more there are. No such words: `safe`.
pub(crate) fn judgement(message: &str) -> Option<Value> {
    let (policies, content) = message.strip_prefix("Policies:\n")?.split_once("\n\nContent:\n")?;
    let policies: Vec<&str> = policies.lines().filter_map(|line| Some(line.split_once(". ")?.1)).collect();
    let text = content.to_lowercase();
    let found =
        |list: &'static [(&'static str, &'static [&'static str])]| -> Vec<(&'static str, &'static str)> {
            let words = list.iter().flat_map(|(of, words)| words.iter().map(move |word| (*of, *word)));
            words.filter(|(_, word)| text.contains(word)).collect()
        };
    let (strong, weak) = (found(STRONG), found(WEAK));
    let quoted = |found: &[(&str, &str)]| {
        found.iter().map(|(_, word)| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
    };
    let (verdict, percent, reasoning) = if !strong.is_empty() {
        ("block", (91 + 3 * strong.len()).min(99), format!("It says {}.", quoted(&strong)))
    } else if !weak.is_empty() {
        let reasoning = format!("It says {}, which may be meant otherwise.", quoted(&weak));
        ("review", 76_usize.saturating_sub(8 * weak.len()), reasoning)
    } else if content.split_whitespace().count() < TERSE {
        ("safe", 90, "There is not much of it.".to_owned())
    } else {
        ("safe", 98, "Nothing in it breaks a policy.".to_owned())
    };
    let breaks = |policy: &&&str| {
        let policy = policy.to_lowercase();
        strong.iter().any(|(of, _)| policy.contains(of))
    };
    let violated: Vec<&str> = policies.iter().filter(breaks).copied().collect();
    let confidence = f64::from(u8::try_from(percent).expect("it is at most 99")) / 100.0;
    Some(
        json!({ "verdict": verdict, "confidence": confidence, "reasoning": reasoning, "violated": violated }),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::judgement;

    #[test]
    fn tells_what_is_clear_from_what_is_not() {
        let judged = |content: &str| {
            let judged =
                judgement(&format!("Policies:\n1. No violence\n2. No spam\n\nContent:\n{content}")).unwrap();
            (judged["verdict"].clone(), judged["confidence"].clone(), judged["violated"].clone())
        };
        assert_eq!(judged("My lamp squeaks on Monday."), (json!("safe"), json!(0.98), json!([])));
        assert_eq!(judged("Thanks!"), (json!("safe"), json!(0.9), json!([])));
        assert_eq!(judged("Kill the process"), (json!("review"), json!(0.68), json!([])));
        assert_eq!(judged("They attack, so shoot early"), (json!("review"), json!(0.6), json!([])));
        assert_eq!(judged("FREE MONEY, click here"), (json!("block"), json!(0.97), json!(["No spam"])));
        assert_eq!(judgement("Rules:\n1. none\n\nData:\n[]"), None);
    }
}
