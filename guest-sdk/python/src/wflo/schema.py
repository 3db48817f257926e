"""JSON Schemas of Python types, and values of those types out of JSON."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import reprlib
import types
import typing
import uuid
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from wflo.errors import BadOutput
from wflo.record import Record

_PLAIN: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    type(None): {"type": "null"},
    decimal.Decimal: {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"},
    datetime.datetime: {"type": "string", "format": "date-time"},
    datetime.date: {"type": "string", "format": "date"},
    uuid.UUID: {"type": "string", "format": "uuid"},
    list: {"type": "array"},
    dict: {"type": "object"},
    Record: {"type": "object"},
}


def of(kind: Any) -> dict[str, Any] | None:
    """The schema of a type; none for one that promises nothing.

    Dataclasses and typed dictionaries are closed objects, their fields in the order in which they are written. A text
    beside a type, ``Annotated[str, "the account's id"]``, is its description.
    """
    if kind in (Any, typing.Any, None):
        return None
    if isinstance(kind, typing.NewType):
        return of(kind.__supertype__)
    origin, args = get_origin(kind), get_args(kind)
    if origin is typing.Annotated:
        schema = of(args[0])
        words = [text for text in args[1:] if isinstance(text, str)]
        if schema is None or not words:
            return schema
        description = {"description": words[0]}
        # Where the Rust SDK has it: the same request is the same text in every language.
        return schema | description if schema.get("type") in ("array", "object") else description | schema
    if kind in _PLAIN:
        return dict(_PLAIN[kind])
    if origin is Literal:
        return {"type": "string", "enum": list(args)} if all(isinstance(arg, str) for arg in args) else {"enum": list(args)}
    if origin in (list, set, frozenset) or (origin is tuple and args[1:] == (Ellipsis,)):
        items = of(args[0])
        return {"type": "array", "items": items} if items is not None else {"type": "array"}
    if origin is dict:
        values = of(args[1])
        return {"type": "object", "additionalProperties": values} if values is not None else {"type": "object"}
    if origin in (Union, types.UnionType):
        return _any_of([of(arg) for arg in args])
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        members = [member.value for member in kind]
        return {"type": "string", "enum": members} if all(isinstance(it, str) for it in members) else {"enum": members}
    if (fields := _fields(kind)) is not None:
        properties = {name: of(field) or {} for name, (field, _) in fields.items()}
        return {
            "type": "object",
            "properties": properties,
            "required": [name for name, (_, required) in fields.items() if required],
            "additionalProperties": False,
        }
    return None


def _any_of(schemas: list[dict[str, Any] | None]) -> dict[str, Any] | None:
    if any(schema is None for schema in schemas):
        return None
    known = [schema for schema in schemas if schema is not None]
    simple = [schema for schema in known if set(schema) <= {"type", "format"} and isinstance(schema["type"], str)]
    if len(known) == 2 and {"type": "null"} in known and len(simple) == 2:
        (other,) = [schema for schema in known if schema != {"type": "null"}]
        return other | {"type": [other["type"], "null"]}
    return {"anyOf": known}


def _fields(kind: Any) -> dict[str, tuple[Any, bool]] | None:
    """The fields of a class that is made of them: their types, and whether they must be there."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind, include_extras=True)
        missing = dataclasses.MISSING
        return {
            field.name: (hints[field.name], field.default is missing and field.default_factory is missing)
            for field in dataclasses.fields(kind)
            if field.init
        }
    if typing.is_typeddict(kind):
        hints = get_type_hints(kind, include_extras=True)
        return {name: _marked(hint, name in kind.__required_keys__) for name, hint in hints.items()}
    return None


def _marked(hint: Any, required: bool) -> tuple[Any, bool]:
    """A field of a typed dictionary without what says whether it must be there."""
    if get_origin(hint) in (typing.Required, typing.NotRequired):
        return get_args(hint)[0], get_origin(hint) is typing.Required
    return hint, required


def read(kind: Any, value: Any, at: str = "the answer") -> Any:
    """A value of JSON as one of the type; raises :class:`~wflo.BadOutput` where it is none."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is typing.Annotated:
        return read(args[0], value, at)
    if isinstance(kind, typing.NewType):
        return read(kind.__supertype__, value, at)
    if origin in (Union, types.UnionType):
        return _read_any(kind, value, at)
    if origin is tuple and args[1:] != (Ellipsis,) and isinstance(value, list):
        if len(value) != len(args):
            raise _misfit(kind, value, at)
        return tuple(read(arg, item, f"{at}[{index}]") for index, (arg, item) in enumerate(zip(args, value)))
    if origin in (list, set, frozenset, tuple) and isinstance(value, list):
        return origin(read(args[0], item, f"{at}[{index}]") for index, item in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {key: read(args[1], item, f"{at}.{key}") for key, item in value.items()}
    if (fields := _fields(kind)) is not None and isinstance(value, dict):
        for name, (field, required) in fields.items():
            if required and name not in value:
                raise BadOutput(f"{at}.{name}: expected {_name(field)}, got nothing")
        given = {name: read(field, value[name], f"{at}.{name}") for name, (field, _) in fields.items() if name in value}
        return given if typing.is_typeddict(kind) else kind(**given)
    try:
        return _read_plain(kind, value)
    except (ValueError, TypeError, decimal.InvalidOperation):
        raise _misfit(kind, value, at) from None


def _read_any(kind: Any, value: Any, at: str) -> Any:
    kinds = get_args(kind)
    others = [one for one in kinds if one is not type(None)]
    # Where there is no choice, what is wrong within is said.
    if len(others) == 1 and value is not None:
        return read(others[0], value, at)
    # Text is text before it is anything that text can be made into.
    for one in sorted(kinds, key=lambda one: one is not type(value)):
        try:
            return read(one, value, at)
        except BadOutput:
            continue
    raise _misfit(kind, value, at)


def _misfit(kind: Any, value: Any, at: str) -> BadOutput:
    return BadOutput(f"{at}: expected {_name(kind)}, got {reprlib.repr(value)}")


def _name(kind: Any) -> str:
    """A type, as people write it; of one with few values, those."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is typing.Annotated:
        return _name(args[0])
    if origin is Literal:
        return f"one of {', '.join(map(repr, args))}"
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return f"one of {', '.join(repr(member.value) for member in kind)}"
    if origin in (Union, types.UnionType):
        return " or ".join(_name(arg) for arg in args)
    if kind is type(None):
        return "None"
    return getattr(kind, "__name__", str(kind)) if origin is None else str(kind)


def _read_plain(kind: Any, value: Any) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    # In JSON, 1.0 is an integer.
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind in (datetime.datetime, datetime.date) and isinstance(value, str):
        return kind.fromisoformat(value)
    if kind in (decimal.Decimal, uuid.UUID) and isinstance(value, str):
        return kind(value)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind(value)
    if get_origin(kind) is Literal:
        if (value, type(value)) not in [(arg, type(arg)) for arg in get_args(kind)]:
            raise ValueError
        return value
    if kind in (str, bool, int, float, type(None), list, dict):
        if type(value) is not kind and not (kind is dict and isinstance(value, dict)):
            raise ValueError
        return value
    if kind in (None, Any, Record):
        return value
    raise TypeError
