//! The clinic's own backend: a knowledge base that is no folder.

use async_trait::async_trait;
use wflo_ports::{Knowledge, KnowledgeError, Passage};

/// What the clinic goes by. A real one would be asked over a network.
const RULES: [(&str, &str); 2] = [
    ("ward-round", "On a ward round, every patient's notes are read and signed off by a physician."),
    ("discharge", "Before discharge, the family physician is written to."),
];

/// The guidelines of the clinic, as steps search them.
#[derive(Debug)]
pub(crate) struct Guidelines;

#[async_trait]
impl Knowledge for Guidelines {
    async fn search(&self, query: &str, top: usize) -> Result<Vec<Passage>, KnowledgeError> {
        let hits = |text: &str| query.split(' ').filter(|word| text.contains(word)).count();
        let passage = |(title, text): &(&str, &str)| Passage {
            source: format!("guidelines/{title}"),
            title: (*title).to_owned(),
            text: (*text).to_owned(),
            score: f64::from(u8::try_from(hits(text)).unwrap_or(u8::MAX)),
        };
        let mut found: Vec<_> = RULES.iter().map(passage).filter(|it| it.score > 0.0).collect();
        found.sort_by(|one, other| other.score.total_cmp(&one.score));
        found.truncate(top);
        Ok(found)
    }
}
