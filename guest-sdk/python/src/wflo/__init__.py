"""Write the steps of wflo workflows in Python.

A step is a coroutine. It runs in a sandbox of its own and reaches nothing but what ``workflow.toml`` grants it, through
its context::

    from wflo import Context, step


    @step
    async def analyze_transactions(context: Context):
        \"\"\"Analyze recent transactions for fraud patterns\"\"\"
        transactions = await context.db.query("SELECT * FROM transactions WHERE processed = 0")
        analysis = await context.llm.analyze(
            model="gpt-4",
            data=transactions,
            prompt="Identify suspicious transaction patterns",
            schema={"type": "object", "properties": {"flagged": {"type": "array", "items": {"type": "string"}}}},
        )
        context.logger.info("analyzed", flagged=len(analysis.flagged))
        return {"suspicious": analysis.flagged}

``wflo build`` makes a component of it. What an error ends a step with says whether another attempt may help; see
:class:`WfloError`.
"""

from wflo.approval import Decision, Verdict, Vote
from wflo.context import Context, Undo
from wflo.errors import (
    AccessDenied,
    BadOutput,
    BudgetExceeded,
    Constraint,
    ContextTooLong,
    HttpStatus,
    Invalid,
    Limit,
    NotApplied,
    RateLimited,
    RefusedByPolicy,
    Rejected,
    Stale,
    Unavailable,
    Unknown,
    UnknownModel,
    UnknownSecret,
    WfloError,
    permanent,
    redo,
    retryable,
)
from wflo.knowledge import Passage
from wflo.llm import Completion, Usage
from wflo.record import Record
from wflo.step import Step, step

__all__ = [
    "AccessDenied",
    "BadOutput",
    "BudgetExceeded",
    "Completion",
    "Constraint",
    "Context",
    "ContextTooLong",
    "Decision",
    "HttpStatus",
    "Invalid",
    "Limit",
    "NotApplied",
    "Passage",
    "RateLimited",
    "Record",
    "RefusedByPolicy",
    "Rejected",
    "Stale",
    "Step",
    "Unavailable",
    "Undo",
    "Unknown",
    "UnknownModel",
    "UnknownSecret",
    "Usage",
    "Verdict",
    "Vote",
    "WfloError",
    "permanent",
    "redo",
    "retryable",
    "step",
]
