"""Secrets that a step uses and never has."""

from __future__ import annotations

from typing import Any

from wflo import _host
from wflo.errors import AccessDenied, UnknownSecret, WfloError


async def secret(label: str) -> str:
    """What stands for a secret.

    Written in a header or the body of a request, the host puts the secret in its place on the way out, for the hosts
    that the deployment has bound it to. Anywhere else it is refused. It may be printed: it is of no use to anybody.
    """
    secrets = _host.need(_host.secrets, "a secret")
    return _host.call(secrets.placeholder, label, error=_error)


def _error(case: str, value: Any) -> Exception:
    match case:
        case "AccessDenied":
            return AccessDenied(f"access denied: {value}")
        case "Unknown":
            return UnknownSecret(value)
    return WfloError(value)
