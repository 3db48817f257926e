"""Asking people, what they decided, and what policies say to facts."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from wflo import _host, _json
from wflo.errors import AccessDenied, Invalid, RefusedByPolicy, WfloError


@dataclass(frozen=True)
class Vote:
    """One person's vote."""

    #: The principal.
    by: str
    approved: bool
    #: What they wrote beside it.
    comment: str | None


@dataclass(frozen=True)
class Decision:
    """What people decided."""

    status: Literal["approved", "rejected", "expired"]
    #: The votes that counted, in the order they were cast.
    votes: list[Vote]

    @property
    def approved(self) -> bool:
        """Whether everybody who had to has approved."""
        return self.status == "approved"


class Verdict(enum.Enum):
    """What the policies said to a fact."""

    #: None objects.
    UNOPPOSED = "unopposed"
    #: One permits it outright.
    AUTO_APPROVED = "auto-approved"
    #: People were asked and have approved.
    APPROVED = "approved"
    #: People were asked and have rejected it, or did not decide in time.
    REJECTED = "rejected"

    @property
    def permits(self) -> bool:
        """Whether the step may go on with what it claimed."""
        return self is not Verdict.REJECTED


async def ask(
    summary: str,
    *,
    approvers: Iterable[str],
    details: Any = None,
    quorum: int | None = None,
    timeout_seconds: int | None = None,
) -> Decision:
    """Asks people, and waits for their decision for as long as it takes."""
    gate = _host.need(_host.gate, "approvals")
    question = gate.Ask(
        summary=summary,
        details=None if details is None else _json.dumps(details, "details"),
        approvers=list(approvers),
        quorum=quorum,
        timeout_seconds=timeout_seconds,
    )
    return _decision(_host.call(gate.request, question, error=_error))


def last() -> Decision | None:
    """The last decision about this step, else about those it depends on."""
    outcome = _host.need(_host.gate, "approvals").decision()
    return None if outcome is None else _decision(outcome)


async def fact(name: str, value: Any) -> Verdict:
    """Claims a fact, and gives what the policies say to it."""
    policy = _host.need(_host.policy, "policies")
    verdict = _host.call(policy.fact, name, _json.dumps(value, "value of a fact"), error=_error)
    return Verdict[verdict.name]


def _decision(outcome: Any) -> Decision:
    return Decision(
        status=outcome.status.name.lower(),
        votes=[Vote(vote.by, vote.approved, vote.comment) for vote in outcome.votes],
    )


def _error(case: str, value: Any) -> Exception:
    match case:
        case "AccessDenied":
            return AccessDenied(f"access denied: {value}")
        case "Invalid":
            return Invalid(value)
        case "RefusedByPolicy":
            return RefusedByPolicy(value, "the fact")
    return WfloError(value)
