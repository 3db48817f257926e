"""JSON as wflo has it: what Python has beyond JSON travels as text."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import uuid
from typing import Any

from wflo.errors import Invalid
from wflo.record import Record

_SAFE = 2**53 - 1


def dumps(value: Any, what: str = "value") -> str:
    """Writes JSON.

    Decimals, times, UUIDs and integers beyond 2**53 are text, bytes are a list of numbers, dataclasses are objects.
    """
    try:
        return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise Invalid(f"the {what} is no JSON: {error}") from None


def loads(text: str) -> Any:
    """Reads JSON; objects are records."""
    return json.loads(text, object_hook=Record)


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | str():
            return str(value) if isinstance(value, str) else value
        case enum.Enum():
            return _plain(value.value)
        case int():
            return int(value) if -_SAFE <= value <= _SAFE else str(int(value))
        case float():
            return value
        case dict():
            return {_key(key): _plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in value]
        case decimal.Decimal():
            return format(value, "f")
        case datetime.datetime():
            return timestamp(value)
        case datetime.date() | datetime.time():
            return value.isoformat()
        case uuid.UUID():
            return str(value)
        case bytes() | bytearray() | memoryview():
            return list(value)
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


def _key(key: Any) -> str:
    if isinstance(key, enum.Enum):
        key = key.value
    if not isinstance(key, str):
        raise TypeError(f"the key of an object is text, not {key!r}")
    return key


def timestamp(time: datetime.datetime) -> str:
    """An instant as RFC 3339 text."""
    if time.utcoffset() is None:
        raise Invalid(f"the time {time.isoformat()} has no time zone: an instant needs one, such as `datetime.UTC`")
    return time.isoformat().replace("+00:00", "Z")
