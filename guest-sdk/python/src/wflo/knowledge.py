"""Knowledge bases: folders of documents that the host has made searchable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wflo import _host
from wflo.errors import AccessDenied, Invalid, RefusedByPolicy, Rejected, Unavailable, Unknown, WfloError


@dataclass(frozen=True)
class Passage:
    """A passage of a document."""

    #: The document, and after a ``#`` the number of the passage in it.
    source: str
    #: The title of the document and the headings above the passage.
    title: str
    text: str
    #: How well it fits: above 0, the more the better.
    score: float


async def search(label: str, question: str, top: int = 5) -> list[Passage]:
    """Finds the passages that fit a question best, the best first."""
    host = _host.need(_host.search, "a knowledge base")
    found = _host.call(host.search, label, question, top, error=_error)
    return [Passage(it.source, it.title, it.text, it.score) for it in found]


def _error(case: str, value: Any) -> Exception:
    match case:
        case "AccessDenied":
            return AccessDenied(f"access denied: {value}")
        case "Unknown":
            return Unknown(value)
        case "RefusedByPolicy":
            return RefusedByPolicy(value, "the search")
        case "Rejected":
            return Rejected(f"the search was not approved: {value}")
        case "Invalid":
            return Invalid(value)
        case "Unavailable":
            return Unavailable(value)
    return WfloError(value)
