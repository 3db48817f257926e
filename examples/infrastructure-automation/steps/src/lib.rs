//! Has a model optimise infrastructure, and applies what people agreed to.

use wflo::prelude::*;

/// The file that is written anew; the rest of the working copy stays as it is.
const FILE: &str = "fleet.tf";

const ANALYZE: &str = "\
Analyze this infrastructure and recommend:
1. Cost optimizations
2. Security improvements
3. Performance enhancements
`web`, `workers` and `database` are groups of machines, `monthly_usd` is what all of them cost a month.";

#[wflo::data]
struct Analysis {
    recommendations: Vec<Recommendation>,
}

#[wflo::data]
struct Recommendation {
    area: Area,
    /// What to change, so that somebody who has not seen the infrastructure could write it down.
    change: String,
    /// One sentence that a person who decides about it can check.
    reason: String,
}

#[wflo::data]
#[serde(rename_all = "snake_case")]
enum Area {
    Cost,
    Security,
    Performance,
}

#[wflo::data]
struct Generated {
    terraform: String,
    explanation: String,
}

#[wflo::data]
struct Applied {
    applied: bool,
    /// What has changed.
    resources: Vec<String>,
    /// What the infrastructure costs a month more than before; less, where it is negative.
    monthly_difference_usd: String,
}

/// Analyze current infrastructure
#[wflo::step]
fn analyze_infrastructure(_ctx: Context) -> wflo::Result<Analysis> {
    let state = terraform("prod").state()?;
    let resources: Vec<_> =
        state.resources.iter().map(|it| json!({ "address": it.address, "values": it.values })).collect();
    let data = json!({ "outputs": state.outputs, "resources": resources });
    let analysis: Analysis = llm::analyze("gpt-4").data(&data).prompt(ANALYZE).json()?;
    wflo::info!("analyzed", serial = state.serial, recommendations = analysis.recommendations.len());
    Ok(analysis)
}

/// Generate Terraform config
#[wflo::step]
fn generate_terraform(ctx: Context) -> wflo::Result<Generated> {
    let Analysis { recommendations } = ctx.output_of("analyze_infrastructure")?;
    let requirements = json!({
        "recommendations": recommendations,
        "file": format!("the whole of `{FILE}`: `locals` with `web`, `workers` and `database`, each an object with \
                         `size` and `count`, `database` with `encrypted` and `public` too"),
    });
    let code = llm::generate_code("gpt-4").language("terraform").requirements(&requirements)?;
    Ok(Generated { terraform: code.code, explanation: code.explanation })
}

/// Apply infrastructure changes with rollback
#[wflo::step]
fn apply_changes(ctx: Context) -> wflo::Result<Applied> {
    let generated: Generated = ctx.output_of("generate_terraform")?;
    let prod = terraform("prod");
    let plan = prod.plan([(FILE, generated.terraform)])?;

    // What there is is written down first. Where this fails, what there was is applied again.
    prod.apply(&plan.digest)?;

    // A saving is no cost: it is reported as none, and said in words.
    let cost = &plan.detail["outputs"]["monthly_usd"];
    let (before, after) = (cents(&cost["before"])?, cents(&cost["after"])?);
    let difference = after - before;
    let note = format!("{} USD a month before, {} after", dollars(before), dollars(after));
    ctx.report_cost("cloud", &dollars(difference.max(0)), &note)?;

    let changed = plan.resources.iter().chain(&plan.outputs);
    let resources = changed.map(|change| change.address.clone()).collect();
    Ok(Applied { applied: true, resources, monthly_difference_usd: dollars(difference) })
}

/// An amount as terraform has it; none where it does not change.
fn cents(usd: &Value) -> wflo::Result<i64> {
    let digits = usd.as_str().unwrap_or("0.00").replace('.', "");
    Ok(digits.parse()?)
}

fn dollars(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100)
}

wflo::export!(analyze_infrastructure, generate_terraform, apply_changes);
