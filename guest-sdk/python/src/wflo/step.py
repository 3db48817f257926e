"""The steps of a component: each a function with a name."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict, overload

from wflo import schema
from wflo.context import Context
from wflo.record import Record

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,127}\Z")

#: All steps, by their names, in the order in which they were made.
STEPS: dict[str, Step] = {}


class Step:
    """A step. It is still the function that it was made of."""

    def __init__(self, function: Callable[..., Any], name: str | None, output: Any, facts: dict[str, Any]) -> None:
        self.function = function
        self.name = name or function.__name__
        if not _NAME.match(self.name):
            raise ValueError("a step's name is 1 to 128 letters, digits, `_` and `-`, and does not begin with `-`")
        if self.name in STEPS:
            raise ValueError(f"two steps of this component are called `{self.name}`")
        doc = inspect.getdoc(function) or ""
        #: One line for people.
        self.summary = doc.strip().split("\n", 1)[0].strip().rstrip(".")
        #: The JSON Schema of its output, if it promises one.
        self.output_schema = output if isinstance(output, dict) else schema.of(output)
        #: The facts it may claim, with their schemas.
        self.facts = {fact: kind if isinstance(kind, dict) else schema.of(kind) or {} for fact, kind in facts.items()}
        #: The type of its inputs, where it has one.
        self.inputs = _inputs_of(function)
        self.undo: Callable[..., Any] | None = None
        self.undo_inputs: Any = None
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        STEPS[self.name] = self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def compensation(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Makes a function what undoes the step: it gets the context and an :class:`~wflo.Undo`."""
        self.undo, self.undo_inputs = function, _inputs_of(function)
        return function


def _inputs_of(function: Callable[..., Any]) -> Any:
    """What a step or a compensation says its inputs are: ``Inputs`` of ``context: Context[Inputs]``."""
    # Here, so that what is wrong with it is said while the component is made.
    first = next(iter(inspect.signature(function).parameters), "")
    hint = get_type_hints(function, include_extras=True).get(first)
    if get_origin(hint) is not Context:
        return None
    (kind,) = get_args(hint)
    if kind in (Any, Record):
        return None
    if not (is_dataclass(kind) or is_typeddict(kind)):
        raise TypeError(f"the inputs of a step are a dataclass or a typed dictionary, not {kind}")
    return kind


@overload
def step(function: Callable[..., Any], /) -> Step: ...
@overload
def step(
    *, name: str | None = None, output: Any = None, facts: dict[str, Any] | None = None
) -> Callable[[Callable[..., Any]], Step]: ...
def step(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    output: Any = None,
    facts: dict[str, Any] | None = None,
) -> Any:
    """Makes a step of a coroutine function, which gets the context and returns the output.

    The first line of its docstring is for people. ``output`` is the JSON Schema or the type of what it returns; without
    it, the type that the function says it returns. It is a promise, which ``wflo check`` compares with ``output`` of
    ``workflow.toml``; what the step returns is held against the latter alone. What the step may reach and when it runs stands in
    ``workflow.toml``.
    """

    def made(function: Callable[..., Any]) -> Step:
        promised = output
        if promised is None:
            promised = get_type_hints(function, include_extras=True).get("return")
        return Step(function, name, promised, facts or {})

    return made if function is None else made(function)
