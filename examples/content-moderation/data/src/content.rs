//! What people post.

use std::fmt;

use crate::random::Random;

/// One item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) id: usize,
    pub(crate) text: String,
    pub(crate) kind: Kind,
}

/// What an item was made as. Neither the steps nor the model are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Breaks nothing.
    Harmless,
    /// Breaks nothing, and is so short that nobody is quite sure.
    Terse,
    /// Clearly breaks a policy.
    Violation,
    /// Words that are harmless here and would not be elsewhere.
    Ambiguous,
    /// Harmless, and too long to be judged for the money that an item may cost.
    Long,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Harmless, Self::Terse, Self::Violation, Self::Ambiguous, Self::Long];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Harmless => "harmless",
            Self::Terse => "terse",
            Self::Violation => "violation",
            Self::Ambiguous => "ambiguous",
            Self::Long => "long",
        })
    }
}

const THINGS: [&str; 8] = ["lamp", "kettle", "bicycle", "tent", "headset", "chair", "printer", "jacket"];
const PLACES: [&str; 6] =
    ["the harbour", "the old mill", "the park", "our street", "the library", "the lake"];
const DAYS: [&str; 5] = ["Monday", "Tuesday", "Thursday", "Friday", "Sunday"];

const HARMLESS: [&str; 7] = [
    "The {thing} came on {day} and does what the description says.",
    "Does anybody know whether {place} is open on {day}?",
    "I have had this {thing} for a year now, and would buy it again.",
    "Lost a grey {thing} near {place}. Please write if you have seen it.",
    "The light at {place} was lovely this {day}.",
    "My {thing} squeaks. Has somebody an idea what to oil it with?",
    "A small concert at {place}, {day} at eight. Bring a {thing}.",
];
const TERSE: [&str; 4] = ["Thanks!", "Me too.", "Same here.", "Nice one."];
const VIOLATIONS: [&str; 8] = [
    "FREE MONEY, click here before {day}, guaranteed winner!",
    "Act now: every {thing} a guaranteed winner, click here.",
    "I know where you live. I will hurt you on {day}.",
    "Stay away from {place} or I will burn your house.",
    "Those people are vermin and should not be allowed in {place}.",
    "They are vermin, all of them.",
    "Explicit photos, only until {day}, write me.",
    "Nude pictures from {place}, ask for the link.",
];
const AMBIGUOUS: [&str; 6] = [
    "How do I kill a process that hangs on my {thing}?",
    "We shoot portraits at {place} every {day}.",
    "The horror film at {place} has far too much blood. I loved it.",
    "With the naked eye you can see it from {place}.",
    "The other team will attack from the left on {day}, so shoot early.",
    "Cheap, cheap: my neighbour's birds at {place} never stop.",
];
const RECIPE: &str = "Peel the onions and the carrots, cut them small, and let them soften in a little butter while you \
    wash the lentils. Add stock, a bay leaf and the lentils, and leave it alone for half an hour. ";

/// Makes so many items, in an order that says nothing about them.
pub(crate) fn generate(seed: u64, count: usize) -> Vec<Item> {
    let mut random = Random::new(seed);
    // One in a hundred is ambiguous, one in a thousand long, one in ten a violation, and one in twenty terse.
    let shares = [
        (Kind::Ambiguous, (count / 100).max(2)),
        (Kind::Long, (count / 1000).max(1)),
        (Kind::Violation, count / 10),
        (Kind::Terse, count / 20),
    ];
    let mut kinds: Vec<Kind> =
        shares.iter().flat_map(|(kind, share)| std::iter::repeat_n(*kind, *share)).take(count).collect();
    kinds.resize(count, Kind::Harmless);
    random.shuffle(&mut kinds);
    kinds
        .into_iter()
        .enumerate()
        .map(|(n, kind)| Item { id: n + 1, text: text(&mut random, kind), kind })
        .collect()
}

fn text(random: &mut Random, kind: Kind) -> String {
    let template = match kind {
        Kind::Harmless => random.pick(&HARMLESS),
        Kind::Terse => random.pick(&TERSE),
        Kind::Violation => random.pick(&VIOLATIONS),
        Kind::Ambiguous => random.pick(&AMBIGUOUS),
        Kind::Long => return RECIPE.repeat(18),
    };
    let (thing, place, day) = (random.pick(&THINGS), random.pick(&PLACES), random.pick(&DAYS));
    template.replace("{thing}", thing).replace("{place}", place).replace("{day}", day)
}

#[cfg(test)]
mod tests {
    use super::{Kind, generate};

    #[test]
    fn every_kind_is_there_in_its_share() {
        for (count, expect) in [(40, [31, 2, 4, 2, 1]), (10_000, [8_390, 500, 1_000, 100, 10])] {
            let items = generate(7, count);
            let of = |kind| items.iter().filter(|item| item.kind == kind).count();
            assert_eq!(Kind::ALL.map(of), expect);
            assert!(items.iter().all(|item| !item.text.contains('{')));
            assert_eq!(items, generate(7, count));
        }
        assert_eq!(generate(7, 2).len(), 2);
    }
}
