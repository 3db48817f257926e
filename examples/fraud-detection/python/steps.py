"""Finds fraud in transactions, and blocks the accounts once people agreed."""

from dataclasses import dataclass
from enum import Enum
from typing import Annotated

import signals as bank
from wflo import Context, step


class Kind(Enum):
    CARD_TESTING = "card_testing"
    IMPOSSIBLE_TRAVEL = "impossible_travel"
    STRUCTURING = "structuring"
    ACCOUNT_TAKEOVER = "account_takeover"


@dataclass
class Finding:
    account: Annotated[str, "The account's id, as the data has it."]
    kind: Kind
    reason: Annotated[str, "One sentence that a person who decides about the account can check."]


@dataclass
class Analysis:
    findings: Annotated[
        list[Finding], "One for each account that is most likely used for fraud, and none for the others."
    ]


@step
async def analyze_transactions(context: Context):
    """Analyze recent transactions for fraud patterns"""
    signals = await bank.collect(context, context.inputs["since"])
    analysis = await context.llm.analyze(model="gpt-4", data=signals, prompt=bank.PROMPT, schema=Analysis)

    # A model may name what is not in its data. Nobody is blocked on its word alone.
    rows = [row for rows in signals.values() for row in rows]
    accounts = {row.account for row in rows}
    named = {}
    for finding in analysis.findings:
        if finding.account in accounts:
            named.setdefault(finding.account, finding)
    suspicious = sorted(named)
    context.logger.info("analyzed", candidates=len(rows), suspicious=len(suspicious))
    return {"suspicious": suspicious, "findings": [named[account] for account in suspicious]}


@step
async def block_suspicious_accounts(context: Context):
    """Block accounts flagged as suspicious"""
    blocked_count = 0
    for account in context.steps["analyze_transactions"].output["suspicious"]:
        blocked_count += await context.db.execute("UPDATE accounts SET status = 'blocked' WHERE id = ?1", account)
    context.logger.info("blocked", count=blocked_count)
    return {"blocked_count": blocked_count}
