//! Reviews the papers on a question, and publishes what the principal investigator approves.

mod atom;

use wflo::prelude::*;

const ANALYZE: &str = "\
Analyze this research paper:
1. Key findings
2. Methodology
3. Relevance to query
4. Citations to follow up";

const SYNTHESIZE: &str = "Synthesize key themes and conclusions across all papers";

#[wflo::data]
struct Papers {
    papers: Vec<Found>,
}

#[wflo::data]
struct Found {
    id: String,
    title: String,
}

#[wflo::data]
struct Analysis {
    key_findings: Vec<String>,
    methodology: String,
    /// How much it says about the query, from 0 to 1.
    relevance: f64,
    /// Identifiers of papers that it cites and that the review should have.
    follow_up: Vec<String>,
}

#[wflo::data]
struct Analyzed {
    id: String,
    title: String,
    analysis: Analysis,
}

#[wflo::data]
struct Synthesis {
    themes: Vec<Theme>,
    conclusion: String,
}

#[wflo::data]
struct Theme {
    theme: String,
    /// How many papers speak of it.
    papers: u32,
    conclusion: String,
}

#[wflo::data]
struct Published {
    published: bool,
    location: String,
}

/// Fetch relevant papers
#[wflo::step]
fn fetch_papers(ctx: Context) -> wflo::Result<Papers> {
    let query: String = ctx.input("research_query")?;
    let feed = http::get(ctx.input::<String>("papers")?)
        .query("search_query", format!("all:\"{query}\""))
        .query("start", 0)
        .query("max_results", ctx.input::<u32>("limit")?)
        .text()?;
    let papers = atom::entries(&feed)?;
    wflo::info!("found", papers = papers.len());
    Ok(Papers { papers: papers.into_iter().map(|paper| Found { id: paper.id, title: paper.title }).collect() })
}

/// Analyze each paper
#[wflo::step]
fn analyze_papers(ctx: Context) -> wflo::Result<Analyzed> {
    let Found { id, title } = ctx.item()?;
    let feed = http::get(ctx.input::<String>("papers")?).query("id_list", &id).text()?;
    let Some(paper) = atom::entries(&feed)?.pop() else {
        wflo::bail!("there is no paper {id}");
    };
    let data = json!({ "query": ctx.input::<String>("research_query")?, "paper": paper });
    let analysis = llm::analyze("gpt-4").data(&data).prompt(ANALYZE).json()?;
    Ok(Analyzed { id, title, analysis })
}

/// Synthesize overall findings
#[wflo::step]
fn synthesize_findings(ctx: Context) -> wflo::Result<Synthesis> {
    let analyses: Vec<Analyzed> = ctx.output_of("analyze_papers")?;
    Ok(llm::synthesize("gpt-4").data(&analyses).prompt(SYNTHESIZE).json()?)
}

/// Publish findings
#[wflo::step]
fn publish_findings(ctx: Context) -> wflo::Result<Published> {
    let synthesis: Synthesis = ctx.output_of("synthesize_findings")?;
    let response = wflo::publish(ctx.input::<String>("publications")?, &synthesis)?;
    let location = response.header("location").unwrap_or_default().to_owned();
    Ok(Published { published: true, location })
}

wflo::export!(fetch_papers, analyze_papers, synthesize_findings, publish_findings);
