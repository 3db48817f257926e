"""The host's interfaces, as far as the component has them.

A component imports what its steps were granted. What is not there has no module; it is looked for when it is asked for,
so that whoever asks hears what is missing, and so that this package can be imported where there is no host at all: by
type checkers, and by tests of what a step computes.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable
from typing import Any, TypeVar

from wflo import _json
from wflo.errors import AccessDenied, Invalid, WfloError

T = TypeVar("T")


def _module(*names: str, having: str) -> Any:
    for name in names:
        try:
            module = importlib.import_module(f"wit_world.imports.{name}")
        except ImportError:
            continue
        if hasattr(module, having):
            return module
    return None


# Everything is imported while the component is made: there are no files to import from when it runs.
context = _module("context", having="run_id")
logging = _module("logging", having="log")
step_types = _module("wflo_step_types", "types", having="Failure_Permanent")
gate = _module("gate", having="request")
policy = _module("policy", having="fact")
sql = _module("sql_json", having="query")
chat = _module("chat", having="complete")
tasks = _module("tasks", having="analyze")
secrets = _module("secrets", having="placeholder")
client = _module("client", having="send")
mail = _module("mail", having="send")
channel = _module("channel", having="send")
search = _module("search", having="search")
store = _module("store", having="create")
artifact_types = _module("wflo_artifact_types", "types", having="Address")
save = _module("wflo_artifact_http", "artifact_http", "http", having="save")
terraform = _module("terraform", having="plan")
sql_typed = _module("sql", having="bulk_insert")
clock = _module("monotonic_clock", having="subscribe_duration")

try:
    from componentize_py_types import Err
except ImportError:  # no host

    class Err(Exception):  # type: ignore[no-redef]
        value: Any


def need(module: Any, what: str) -> Any:
    """A module that may not be there, as an error that says what to do."""
    if module is None:
        if context is None:
            raise WfloError("there is no host here: a step reaches it when wflo runs it")
        raise AccessDenied(f"access denied: no step of this component is granted {what}; grant it in `workflow.toml` and build again")
    return module


def call(function: Callable[..., T], *args: Any, error: Callable[[str, Any], Exception]) -> T:
    """Calls the host, and raises what ``error`` makes of the case and the value of its error."""
    try:
        for arg in args:
            _sound(arg)
    except ValueError as wrong:
        raise Invalid(f"a text that is given to the host is none: {wrong}") from None
    try:
        return function(*args)
    except Err as raised:
        value = raised.value
        if isinstance(value, str):
            made = error("", value)
        else:
            made = error(case(value), getattr(value, "value", None))
    raise made


def _sound(arg: Any) -> None:
    """Raises :class:`ValueError` for a text that has no form in UTF-8: the component would end there and then."""
    if isinstance(arg, str):
        _json.unicode(arg)
    elif isinstance(arg, list | tuple):
        for item in arg:
            _sound(item)
    elif dataclasses.is_dataclass(arg):
        for field in dataclasses.fields(arg):
            _sound(getattr(arg, field.name))


def case(variant: Any) -> str:
    """The case of a variant: ``Error_AccessDenied`` is ``AccessDenied``."""
    return type(variant).__name__.split("_", 1)[-1]
