"""Infrastructure, by terraform or OpenTofu, in the working copies that ``workflow.toml`` grants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from wflo import _host, _json
from wflo.errors import (
    AccessDenied,
    Invalid,
    Limit,
    NotApplied,
    RefusedByPolicy,
    Rejected,
    Stale,
    Unavailable,
    WfloError,
)
from wflo.record import Record


@dataclass(frozen=True)
class Resource:
    """Something that there is."""

    address: str
    kind: str
    #: Its attributes; null for those that are sensitive, or named like a secret.
    values: Record


@dataclass(frozen=True)
class State:
    """What there is."""

    #: Counts the changes; 0 where nothing was ever applied.
    serial: int
    outputs: Record
    resources: list[Resource]


@dataclass(frozen=True)
class Change:
    """What becomes of one resource or output."""

    address: str
    action: Literal["create", "update", "replace", "delete"]


@dataclass(frozen=True)
class Plan:
    """What a configuration would change."""

    #: Names the plan.
    digest: str
    adds: int
    changes: int
    destroys: int
    resources: list[Change]
    outputs: list[Change]
    #: As terraform shows it to people.
    text: str
    #: Values before and after, by address.
    detail: Record


@dataclass(frozen=True)
class Applied:
    """What an apply came to."""

    serial: int
    outputs: Record
    #: The addresses of the resources there are.
    resources: list[str]


class Terraform:
    """A working copy of a configuration: ``context.terraform("prod")``."""

    def __init__(self, label: str) -> None:
        self._label = label

    async def state(self) -> State:
        """What there is."""
        host = _host.need(_host.terraform, "terraform")
        state = _host.call(host.state, self._label, error=_error)
        resources = [Resource(it.address, it.kind, _json.loads(it.values)) for it in state.resources]
        return State(state.serial, _json.loads(state.outputs), resources)

    async def plan(self, files: Mapping[str, str]) -> Plan:
        """Works out what these files, by their paths, would change.

        Nothing is changed; the plan is kept for whoever may apply it.
        """
        host = _host.need(_host.terraform, "terraform")
        sent = [host.File(path=path, content=content) for path, content in files.items()]
        plan = _host.call(host.plan, self._label, sent, error=_error)
        return Plan(
            digest=plan.digest,
            adds=plan.adds,
            changes=plan.changes,
            destroys=plan.destroys,
            resources=_changes(plan.resources),
            outputs=_changes(plan.outputs),
            text=plan.text,
            detail=_json.loads(plan.detail),
        )

    async def apply(self, digest: str) -> Applied:
        """Applies a plan, by its digest.

        Where that fails, the previous configuration is applied again before this is known.
        """
        host = _host.need(_host.terraform, "terraform")
        applied = _host.call(host.apply, self._label, digest, error=_error)
        return Applied(applied.serial, _json.loads(applied.outputs), list(applied.resources))


def _changes(all_: list[Any]) -> list[Change]:
    return [Change(it.address, it.action.name.lower()) for it in all_]


def _error(case: str, value: Any) -> Exception:
    match case:
        case "AccessDenied":
            return AccessDenied(f"access denied: {value}")
        case "Invalid":
            return Invalid(value)
        case "Stale":
            return Stale(value)
        case "Failed":
            return NotApplied(value)
        case "Limit":
            return Limit(value)
        case "RefusedByPolicy":
            return RefusedByPolicy(value, "it")
        case "Rejected":
            return Rejected(f"it was not approved: {value}")
        case "Unavailable":
            return Unavailable(value)
    return WfloError(value)
