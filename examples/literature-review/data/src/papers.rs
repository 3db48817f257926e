//! Papers that nobody wrote.

use crate::random::Random;

/// A paper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paper {
    /// As the arXiv numbers them.
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) summary: String,
    pub(crate) author: String,
    pub(crate) published: String,
}

const THEMES: [&str; 6] = [
    "heat tolerance",
    "symbiont shuffling",
    "larval settlement",
    "microfragmentation",
    "nutrient load",
    "depth refuge",
];
const SPECIES: [&str; 5] = [
    "Acropora millepora",
    "Porites lobata",
    "Pocillopora acuta",
    "Orbicella faveolata",
    "Montipora capitata",
];
const PLACES: [&str; 6] =
    ["Lizard Island", "the Gulf of Aqaba", "Kaneohe Bay", "Moorea", "the Florida Keys", "Palau"];
const METHODS: [&str; 5] = [
    "common garden experiments",
    "long-term photo quadrats",
    "RNA sequencing of paired colonies",
    "a hierarchical Bayesian model",
    "thermal stress assays in tanks",
];
const OTHER: [&str; 3] = ["seagrass meadows", "kelp forests", "mangrove soils"];
const NAMES: [&str; 8] = ["Abara", "Brandt", "Castro", "Dlamini", "Eriksen", "Fujita", "Gupta", "Haddad"];

/// Makes so many papers: about three in four are on the bleaching of corals.
pub(crate) fn generate(seed: u64, count: usize) -> Vec<Paper> {
    let mut random = Random::new(seed);
    (1..=count)
        .map(|n| {
            let (title, summary) =
                if random.below(4) < 3 { on_corals(&mut random, n) } else { on_others(&mut random) };
            Paper {
                id: id(n),
                title,
                summary,
                author: format!("{}. {}", random.pick(&["A", "J", "M", "S"]), random.pick(&NAMES)),
                published: format!("2026-01-{:02}T09:00:00Z", 1 + n % 28),
            }
        })
        .collect()
}

fn id(n: usize) -> String {
    format!("2601.{n:05}v1")
}

fn on_corals(random: &mut Random, n: usize) -> (String, String) {
    let (theme, species) = (random.pick(&THEMES), random.pick(&SPECIES));
    let (place, method) = (random.pick(&PLACES), random.pick(&METHODS));
    let verb = random.pick(&["lowers", "lowers", "raises", "does not change"]);
    let percent = 4 + random.below(40);
    let title = format!("Coral bleaching and {theme} of {species} at {place}");
    let how_much = if verb == "does not change" { String::new() } else { format!(" by {percent} percent") };
    let mut summary = format!(
        "Coral bleaching threatens reefs worldwide, and the part of {theme} in it is disputed. Using {method} over {} \
         months at {place}, we find that {theme} {verb} the bleaching of {species}{how_much}.",
        6 + random.below(30),
    );
    if n > 1 {
        let cited = 1 + random.below(n - 1);
        summary.push_str(&format!(" This extends arXiv:{}, whose sites were few.", id(cited)));
    }
    (title, summary)
}

fn on_others(random: &mut Random) -> (String, String) {
    let (subject, place) = (random.pick(&OTHER), random.pick(&PLACES));
    let summary =
        format!("We map {subject} near {place} from satellites, and find less of them than was thought.");
    (format!("The extent of {subject} near {place}"), summary)
}

#[cfg(test)]
mod tests {
    use super::generate;

    #[test]
    fn there_are_more_than_a_hundred_on_corals() {
        let papers = generate(7, 160);
        let on_corals = papers.iter().filter(|paper| paper.title.starts_with("Coral bleaching")).count();
        assert!((101..160).contains(&on_corals), "{on_corals}");
        assert_eq!(papers, generate(7, 160));
        assert_eq!(papers[41].id, "2601.00042v1");
    }
}
