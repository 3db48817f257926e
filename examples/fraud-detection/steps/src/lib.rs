//! Finds fraud in transactions, and blocks the accounts once people agreed.

mod signals;

use wflo::prelude::*;

#[wflo::data]
struct Analysis {
    /// One for each account that is most likely used for fraud, and none for the others.
    findings: Vec<Finding>,
}

#[wflo::data]
struct Finding {
    /// The account's id, as the data has it.
    account: String,
    kind: Kind,
    /// One sentence that a person who decides about the account can check.
    reason: String,
}

#[wflo::data]
#[serde(rename_all = "snake_case")]
enum Kind {
    CardTesting,
    ImpossibleTravel,
    Structuring,
    AccountTakeover,
}

#[wflo::data]
struct Flagged {
    suspicious: Vec<String>,
    findings: Vec<Finding>,
}

#[wflo::data]
struct Blocked {
    blocked_count: u64,
}

/// Analyze recent transactions for fraud patterns
#[wflo::step]
fn analyze_transactions(ctx: Context) -> wflo::Result<Flagged> {
    let signals = signals::collect(&ctx.input::<String>("since")?)?;
    let Analysis { mut findings } = llm::analyze("gpt-4").data(&signals).prompt(signals::PROMPT).json()?;

    // A model may name what is not in its data. Nobody is blocked on its word alone.
    findings.retain(|finding| signals.mention(&finding.account));
    findings.sort_by(|a, b| a.account.cmp(&b.account));
    findings.dedup_by(|a, b| a.account == b.account);

    let suspicious: Vec<String> = findings.iter().map(|finding| finding.account.clone()).collect();
    wflo::info!("analyzed", candidates = signals.len(), suspicious = suspicious.len());
    Ok(Flagged { suspicious, findings })
}

/// Block accounts flagged as suspicious
#[wflo::step]
fn block_suspicious_accounts(ctx: Context) -> wflo::Result<Blocked> {
    let flagged: Flagged = ctx.output_of("analyze_transactions")?;
    let mut blocked_count = 0;
    for account in &flagged.suspicious {
        blocked_count +=
            db("bank").execute("UPDATE accounts SET status = 'blocked' WHERE id = ?1", params![account])?;
    }
    wflo::info!("blocked", count = blocked_count);
    Ok(Blocked { blocked_count })
}

wflo::export!(analyze_transactions, block_suspicious_accounts);
