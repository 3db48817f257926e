"""What a component of steps exports, made from what :func:`wflo.step` marked. ``wflo build`` refers to it."""

from __future__ import annotations

import importlib
import inspect
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

from wflo import _host, _json, _loop, log
from wflo.context import Context, Undo
from wflo.errors import WfloError, described
from wflo.step import STEPS, Step

T = TypeVar("T")


class Handler:
    """The exports of `wflo:step/handler`."""

    def describe(self) -> list[Any]:
        info = importlib.import_module("wit_world.exports.handler").StepInfo
        return [
            info(
                name=step.name,
                summary=step.summary,
                compensates=step.undo is not None,
                output_schema=None if step.output_schema is None else _json.dumps(step.output_schema),
                facts=[(name, _json.dumps(schema)) for name, schema in step.facts.items()],
            )
            for step in STEPS.values()
        ]

    def run(self, step: str) -> str:
        def run() -> str:
            found = _find(step)
            args = [Context(found.inputs)] if inspect.signature(found.function).parameters else []
            return _json.dumps(_finished(found.function(*args)), "output")

        return _guarded(run)

    def compensate(self, what: Any) -> None:
        def compensate() -> None:
            found = _find(what.step)
            if found.undo is None:
                raise WfloError(f"step `{what.step}` has no compensation")
            _finished(found.undo(Context(found.undo_inputs), Undo(what.step, what.item, what.output, what.certain)))

        _guarded(compensate)


def _finished(result: Any) -> Any:
    return _loop.run(result) if inspect.iscoroutine(result) else result


def _find(name: str) -> Step:
    if name in STEPS:
        return STEPS[name]
    names = ", ".join(f"`{name}`" for name in STEPS)
    raise WfloError(f"the component has no step `{name}`, only {names}" if names else "the component has no steps: nothing is marked with `@step`")


def _guarded(call: Callable[[], T]) -> T:
    """Whatever is raised is a failure that wflo understands. What nobody meant to raise says where it came from."""
    try:
        return call()
    except Exception as error:
        if not isinstance(error, WfloError):
            log.line("error", described(error)[1], {"traceback": "".join(traceback.format_exception(error))})
        kind, message = described(error)
    failure = getattr(_host.step_types, f"Failure_{kind.capitalize()}")
    raise _host.Err(failure(_json.legible(message)))
