//! Customers from an old system into the warehouse: extracted, transformed, validated, loaded.

mod rules;

use rules::{Customer, Row, Rules};
use wflo::prelude::*;
use wflo::{Artifact, artifact};

/// Rows that the model sees to work out the rules.
const SAMPLE: usize = 25;
/// Rows that the rules may leave to the model, one by one. More, and the rules are not good enough.
const MOST_ODD: usize = 50;

#[wflo::data]
struct Extracted {
    raw_data: Artifact,
}

#[wflo::data]
struct Transformed {
    transformed_data: Artifact,
    rows: usize,
    by_the_model: usize,
}

/// Extract data from source
#[wflo::step]
fn extract_data(ctx: Context) -> wflo::Result<Extracted> {
    let source_url: String = ctx.input("source_url")?;
    // From the server to the artifact: however much it is, none of it comes through here.
    let raw_data = http::get(source_url).save("customers.csv")?;
    wflo::info!("data_extracted", bytes = raw_data.bytes);
    Ok(Extracted { raw_data })
}

/// Transform data with AI assistance
#[wflo::step]
fn transform_data(ctx: Context) -> wflo::Result<Transformed> {
    let Extracted { raw_data } = ctx.output_of("extract_data")?;
    let read = || Ok::<_, wflo::Error>(csv::Reader::from_reader(raw_data.open()?).into_deserialize::<Row>());

    // The model works out how rows are to be read, on some of them.
    let mut sample = read()?.take(SAMPLE).collect::<Result<Vec<Row>, _>>()?;
    sample.iter_mut().for_each(|row| drop(row.remove("notes")));
    let rules: Rules = llm::analyze("gpt-4")
        .data(&sample)
        .prompt("Work out how to normalize addresses and extract key fields: these are some rows of a large table.")
        .json()?;

    // The rules are applied to all of them, one at a time.
    let mut customers = artifact::create("customers.jsonl")?;
    let (mut rows, mut odd) = (0, Vec::new());
    for row in read()? {
        let row = row?;
        match rules.apply(&row) {
            Some(customer) => customers.row(&customer)?,
            None if odd.len() < MOST_ODD => odd.push(row),
            None => return Err(wflo::redo("the rules do not fit: too many rows are left")),
        }
        rows += 1;
    }
    // What they do not cover, the model transforms row by row.
    odd.iter_mut().for_each(|row| drop(row.remove("notes")));
    let by_the_model: Vec<Customer> = llm::transform("gpt-4")
        .rows(&odd)
        .instructions("Normalize addresses and extract key fields")
        .json()?;
    by_the_model.iter().try_for_each(|customer| customers.row(customer))?;
    let (transformed_data, by_the_model) = (customers.finish()?, by_the_model.len());
    wflo::info!("data_transformed", rows = rows, by_the_model = by_the_model);
    Ok(Transformed { transformed_data, rows, by_the_model })
}

/// Validate data quality
#[wflo::step]
fn validate_quality(ctx: Context) -> wflo::Result<Value> {
    let Transformed { transformed_data, .. } = ctx.output_of("transform_data")?;
    // Every row is counted; the model judges by the counts, and by some rows that it sees.
    let (mut rows, mut without_name, mut without_date, mut sample) = (0, 0, 0, Vec::new());
    for customer in transformed_data.open()?.rows::<Customer>() {
        let customer = customer?;
        rows += 1;
        without_name += usize::from(customer.name.is_none());
        without_date += usize::from(customer.signed_up.is_none());
        if sample.len() < SAMPLE {
            sample.push(customer);
        }
    }
    let rules = ["All addresses properly formatted", "No missing required fields", "Data types correct"];
    let profile = json!({ "rows": rows, "without_name": without_name, "without_date": without_date });
    let data = json!({ "counts_over_all_rows": profile, "some_rows": sample });
    let validation = llm::validate("gpt-3.5-turbo").data(&data).rules(rules)?;
    if !validation.passed {
        return Err(wflo::permanent(format!("Quality check failed: {}", validation.issues.join("; "))));
    }
    Ok(json!({ "validation": "passed", "profile": profile }))
}

/// Load to data warehouse (requires approval + rollback)
#[wflo::step]
fn load_to_warehouse(ctx: Context) -> wflo::Result<Value> {
    let Transformed { transformed_data, .. } = ctx.output_of("transform_data")?;
    let loaded_rows = db("production").bulk_insert("customers", &transformed_data).json_lines()?;
    wflo::info!("loaded", rows = loaded_rows);
    Ok(json!({ "loaded_rows": loaded_rows }))
}

wflo::export!(extract_data, transform_data, validate_quality, load_to_warehouse);
