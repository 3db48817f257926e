//! Analyzes a patient's records, recommends a treatment, and files what a physician has approved.

use wflo::prelude::*;

/// The only model that the steps were granted: it may be told what is known of a patient.
const MODEL: &str = "gpt-4-medical";

#[wflo::data]
struct Assessment {
    /// The most likely diagnosis, in a few words.
    diagnosis: String,
    /// How sure, from 0 to 1.
    confidence: f64,
    /// Other diagnoses that the findings allow, the most likely first.
    differential: Vec<String>,
    /// What a treatment must respect: allergies, medication, other conditions.
    cautions: Vec<String>,
}

#[wflo::data]
struct Recommendation {
    diagnosis: String,
    treatment_plan: String,
}

#[wflo::data]
struct Filed {
    approved_by: Vec<String>,
}

/// Analyze patient records
#[wflo::step]
fn analyze_patient_data(ctx: Context) -> wflo::Result<Assessment> {
    let patient_id: i64 = ctx.input("patient_id")?;
    let records = db("records");
    let patient = records.query("SELECT born, sex FROM patients WHERE id = ?1", params![patient_id])?;
    if patient.is_empty() {
        return Err(wflo::permanent("there is no such patient"));
    }
    let findings = records.query(
        "SELECT at, kind, finding, value, unit FROM patient_records WHERE patient_id = ?1 ORDER BY at, kind, finding",
        params![patient_id],
    )?;
    let assessment: Assessment = llm::analyze(MODEL)
        .data(&json!({ "patient": patient, "records": findings }))
        .prompt("Analyze symptoms and suggest differential diagnosis")
        .json()?;
    wflo::info!("assessed", findings = findings.len(), confidence = assessment.confidence);
    Ok(assessment)
}

/// Generate treatment plan
#[wflo::step]
fn recommend_treatment(ctx: Context) -> wflo::Result<Recommendation> {
    let Assessment { diagnosis, cautions, .. } = ctx.output_of("analyze_patient_data")?;
    let cautions = if cautions.is_empty() { "none known".to_owned() } else { cautions.join("; ") };
    let treatment_plan = llm::chat(MODEL)
        .system("You advise an attending physician, who decides. Be brief and concrete.")
        .user(format!("Recommend treatment plan for: {diagnosis}\nTo be respected: {cautions}"))
        .max_tokens(600)
        .text()?;
    Ok(Recommendation { diagnosis, treatment_plan })
}

/// File the treatment plan that a physician has approved
#[wflo::step]
fn file_treatment_plan(ctx: Context) -> wflo::Result<Filed> {
    let plan: Recommendation = ctx.output_of("recommend_treatment")?;
    // The host does not start this step without one; it is asked for so that the plan names who is responsible.
    let decision = ctx.decision().ok_or_else(|| wflo::permanent("nobody has decided on the plan"))?;
    let approved_by: Vec<String> = decision.votes.into_iter().map(|vote| vote.by).collect();
    db("records").execute(
        "INSERT INTO treatment_plans (patient_id, run, diagnosis, plan, approved_by) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            ctx.input::<i64>("patient_id")?,
            ctx.run_id(),
            plan.diagnosis,
            plan.treatment_plan,
            approved_by.join(", ")
        ],
    )?;
    Ok(Filed { approved_by })
}

wflo::export!(analyze_patient_data, recommend_treatment, file_treatment_plan);
