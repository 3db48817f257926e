"""Writing to people: mail, and messages on channels.

What a step sends is queued, and leaves when the step has succeeded: one that fails or is tried again has written to nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wflo import _host
from wflo.errors import AccessDenied, Invalid, RefusedByPolicy, Rejected, Unknown, WfloError


async def mail(to: str | Iterable[str], *, subject: str, text: str, answers: str | None = None) -> str:
    """Queues a mail, and gives the ``Message-ID`` that it will have, without angle brackets.

    ``to`` is one address or more, each such as ``ann@example.org``; everybody sees the others. ``answers`` is the id of the
    message that it answers.
    """
    host = _host.need(_host.mail, "mail")
    addresses = [to] if isinstance(to, str) else list(to)
    message = host.Message(to=addresses, subject=subject, text=text, answers=answers)
    return _host.call(host.send, message, error=_error)


async def notify(address: str, title: str, text: str) -> None:
    """Queues a message for a channel such as ``slack://cs-managers``: a line, and what it says as plain text."""
    host = _host.need(_host.channel, "a channel")
    _host.call(host.send, address, host.Message(title=title, text=text), error=_error)


def _error(case: str, value: Any) -> Exception:
    match case:
        case "AccessDenied":
            return AccessDenied(f"access denied: {value}")
        case "Unknown":
            return Unknown(value)
        case "RefusedByPolicy":
            return RefusedByPolicy(value, "the message")
        case "Rejected":
            return Rejected(f"the message was not approved: {value}")
        case "Invalid":
            return Invalid(value)
    return WfloError(value)
