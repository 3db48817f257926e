//! Papers in an Atom feed, as the arXiv's API writes them: <https://info.arxiv.org/help/api/user-manual.html>.

use serde::{Deserialize, Serialize};

/// A paper.
#[derive(Deserialize, Serialize)]
pub struct Paper {
    pub id: String,
    pub title: String,
    #[serde(rename(serialize = "abstract"))]
    summary: String,
    published: String,
}

#[derive(Deserialize)]
struct Feed {
    #[serde(default)]
    entry: Vec<Paper>,
}

/// The papers of a feed. Their identifiers are those of the arXiv, such as `2601.00001v1`, without the address.
pub fn entries(feed: &str) -> wflo::Result<Vec<Paper>> {
    let Feed { mut entry } = quick_xml::de::from_str(feed)?;
    for paper in &mut entry {
        paper.id = paper.id.rsplit("/abs/").next().unwrap_or_default().to_owned();
        // Lines are broken wherever they happened to be full.
        for text in [&mut paper.title, &mut paper.summary] {
            *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        }
    }
    Ok(entry)
}
